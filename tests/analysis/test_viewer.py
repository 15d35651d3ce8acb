"""The episodes that a report carries."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from hypothesis import given
from hypothesis import strategies as st

from acenv.analysis.comparison import compare
from acenv.analysis.report import Candidate, ReportData, render_report
from acenv.analysis.viewer import MAX_CHARS, Payload, abbreviate, build_payload, first_difference
from acenv.runs import Results
from acenv.types import Episode, Fault, Message, Step, Transcript

TOOLS, NEEDLE = "acenv/ToolSandbox-v0", "acenv/Needle-v0"
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> & \u2028 'é中🙂' \ud800"
COLUMNS = (
    *("method", "env", "seed", "before", "after", "failures", "failure", "chunk", "base", "compressed", "fork"),
    *("step", "tokens"),
)


def run(returns: dict[str, Sequence[float]], text: str = "call", fault: Fault = "wrong tool") -> Results:
    episodes, said = [], {}
    for env_id, values in returns.items():
        for seed, value in enumerate(values):
            messages: list[Message] = [
                {"role": "user", "content": f"task {seed}"},
                {"role": "assistant", "content": f"{text} {value}"},
            ]
            metrics = {"success": float(value == 1.0)}
            episodes.append(Episode(env_id, seed, value, 1, True, False, metrics=metrics))
            step = Step(messages[1]["content"], value, fault="" if value == 1.0 else fault)
            said[env_id, seed] = Transcript(env_id, seed, messages, (), (step,))
    return Results({}, episodes, said)


def report(reference: Results, tokens: Path | None = None, **candidates: Results) -> ReportData:
    made = tuple(
        Candidate(name, "m", results, compare(reference, results, resamples=20), tokens=tokens)
        for name, results in candidates.items()
    )
    return ReportData("t", "m", "", reference, made)


def rows_of(payload: Payload) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in payload.index["rows"]]


def test_every_pair_is_there_with_both_transcripts_and_the_failure() -> None:
    data = report(run({TOOLS: [1.0] * 3, NEEDLE: [1.0]}), a=run({TOOLS: [1.0, 0.0, 0.5], NEEDLE: [1.0]}))
    payload = build_payload(data)
    assert (payload.lost, payload.gained, payload.left_out, payload.cut) == (2, 0, 0, 0)
    rows = rows_of(payload)
    assert [(payload.index["envs"][r["env"]], r["seed"], r["after"]) for r in rows] == [
        (TOOLS, 1, 0.0),
        (TOOLS, 2, 0.5),
        (NEEDLE, 0, 1.0),
        (TOOLS, 0, 1.0),
    ]
    for row in rows:
        chunk = payload.chunks[row["chunk"]]
        said = (chunk["transcripts"][row[side]] for side in ("base", "compressed"))
        base, other = ([chunk["texts"][m[1]] for m in messages] for messages in said)
        assert base == [f"task {row['seed']}", "call 1.0"]
        assert other == [f"task {row['seed']}", f"call {row['after']}"]
        assert (row["fork"], row["step"]) == ((2, 0) if base == other else (1, 1))
        assert chunk["transcripts"][row["compressed"]][1][2] == row["after"]
        assert len(set(chunk["texts"])) == len(chunk["texts"])
        names = payload.index["failures"]
        if row["after"] < 1:
            assert names[row["failure"]] == "wrong tool"
            assert [names[i] for i, step in row["failures"] if step == 0] == ["wrong tool"]
        else:
            assert row["failure"] == -1


def test_the_largest_changes_are_kept_and_the_rest_counted() -> None:
    data = report(run({TOOLS: [1.0] * 50}), a=run({TOOLS: [0.99 - 0.01 * i for i in range(50)]}))
    payload = build_payload(data, limit=20)
    assert [row["seed"] for row in rows_of(payload)] == list(range(49, 29, -1))
    assert payload.left_out == 30 and "30 more pairs" in payload.note


def test_all_methods_of_a_task_share_a_chunk_and_chunks_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acenv.analysis.viewer.CHUNK_CHARS", 60)
    data = report(run({TOOLS: [1.0] * 40}), a=run({TOOLS: [0.0] * 40}), b=run({TOOLS: [0.5] * 40}))
    payload = build_payload(data)
    places = {(row["seed"], row["chunk"]) for row in rows_of(payload)}
    assert len(places) == 40 and len(payload.chunks) > 3
    # Of a task that has the same transcript for all, one is kept.
    assert sum(len(chunk["transcripts"]) for chunk in payload.chunks) == 3 * 40


def test_error_episodes_and_missing_transcripts() -> None:
    reference = run({TOOLS: [1.0, 1.0]})
    failed = Episode(TOOLS, 1, float("nan"), 0, False, False, error="out of memory")
    candidate = Results({}, [Episode(TOOLS, 0, 0.5, 1, True, False), failed])
    payload = build_payload(report(reference, a=candidate))
    lost, error = rows_of(payload)
    assert (lost["seed"], lost["base"], lost["compressed"], lost["fork"], lost["step"]) == (0, -1, -1, 0, 0)
    assert (error["seed"], error["before"], error["after"], payload.lost) == (1, 1.0, None, 1)
    assert payload.index["failures"][error["failure"]] == "infrastructure"


def test_what_machines_said_is_not_in_the_page() -> None:
    key = "sk-3f9a8b7c6d5e"
    good = run({TOOLS: [1.0, 1.0]})
    manifest = {"environment": {"OPENAI_API_KEY": key}}
    reference = Results(manifest, good.episodes, {e.key: good.transcript(e.key) for e in good.episodes})
    failed = Episode(TOOLS, 1, float("nan"), 0, False, False, error=f"401: {key} is not accepted")
    candidate = Results(manifest, [Episode(TOOLS, 0, 1.0, 1, True, False), failed])
    data = report(reference, a=candidate)
    assert key not in render_report(data)
    assert key not in json.dumps(build_payload(data).chunks)


def test_tokens_of_replayed_episodes_come_with_them(tmp_path: Path) -> None:
    path = tmp_path / "a.tokens.jsonl"
    turn = {"turn": 0, "tokens": ["call", " 1.0"], "kl": [0.0, 2.5], "flip": [0, 1], "kind": ["text", "text"]}
    lines = [json.dumps({"env_id": TOOLS, "seed": seed, "turns": [turn]}) for seed in (1, 7)]
    path.write_text("\n".join([*lines, '{"env_id": "x"', '{"env_id": 3, "seed": "a"}', "[]"]))
    payload = build_payload(report(run({TOOLS: [1.0, 1.0]}), tokens=path, a=run({TOOLS: [1.0, 0.0]})))
    by_seed = {row["seed"]: row for row in rows_of(payload)}
    assert by_seed[0]["tokens"] == -1
    found = payload.chunks[by_seed[1]["chunk"]]["tokens"][by_seed[1]["tokens"]]
    assert found == [{name: value for name, value in turn.items() if name != "kind"}]
    assert rows_of(build_payload(report(run({TOOLS: [1.0]}), tokens=tmp_path / "none", a=run({TOOLS: [0.0]}))))


def test_worked_examples_in_the_prompt_are_no_steps() -> None:
    def talk(last: str) -> Results:
        messages: list[Message] = [
            {"role": "user", "content": "example"},
            {"role": "assistant", "content": "answer"},
            {"role": "user", "content": "task"},
            {"role": "assistant", "content": last},
        ]
        value = float(last == "right")
        said = {(TOOLS, 0): Transcript(TOOLS, 0, messages, (), (Step(last, value),))}
        return Results({}, [Episode(TOOLS, 0, value, 1, True, False)], said)

    payload = build_payload(report(talk("right"), a=talk("wrong")))
    (row,) = rows_of(payload)
    assert (row["fork"], row["step"]) == (3, 1)
    assert [len(message) for message in payload.chunks[0]["transcripts"][0]] == [2, 2, 2, 3]


def test_what_models_say_stands_nowhere_in_the_page_as_it_is() -> None:
    data = report(run({TOOLS: [1.0]}), a=run({TOOLS: [0.0]}, text=HOSTILE))
    payload = build_payload(data)
    (packed,) = payload.packed()
    chunk = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert any(text.startswith(HOSTILE.replace("\ud800", "?")) for text in chunk["texts"])
    html = render_report(data)
    assert packed in html and "<script>alert" not in html and "<img" not in html
    assert "Content-Security-Policy" in html and "default-src &#39;none&#39;" in html


def test_names_cannot_end_the_index() -> None:
    data = report(run({TOOLS: [1.0]}), **{"a</script><script>x": run({TOOLS: [0.0]})})
    text = build_payload(data).index_json()
    assert "<" not in text and json.loads(text)["methods"] == ["a</script><script>x"]


@given(st.text(max_size=60), st.integers(2, 40))
def test_abbreviated_text_says_how_much_is_gone(text: str, limit: int) -> None:
    short = abbreviate(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        assert short.startswith(text[: limit // 2]) and short.endswith(text[-(limit - limit // 2) :])
        assert f"{len(text) - limit:,} characters left out" in short


def test_long_messages_are_cut_and_counted() -> None:
    long = "x" * (MAX_CHARS + 500)
    payload = build_payload(report(run({TOOLS: [1.0]}, text=long), a=run({TOOLS: [0.0]}, text=long)))
    assert payload.cut == 2 and "2 long messages cut" in payload.note
    assert max(map(len, payload.chunks[0]["texts"])) < MAX_CHARS + 100


@given(st.lists(st.text(max_size=3), max_size=5), st.lists(st.text(max_size=3), max_size=5))
def test_first_difference_is_first(a: list[str], b: list[str]) -> None:
    ours, theirs = ([Message(role="assistant", content=t) for t in texts] for texts in (a, b))
    index = first_difference(ours, theirs)
    if index is None:
        assert a == b
    else:
        assert a[:index] == b[:index] and a[index : index + 1] != b[index : index + 1]
