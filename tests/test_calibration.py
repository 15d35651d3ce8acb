from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acenv
from acenv.calibration import SEEDS, Evaluated, Spec, check, parse
from acenv.registry import SIMULATORS, Requirement
from acenv.texts import HELDOUT, draw, from_record, to_record

TRAIN = {"difficulty": "easy", "split": "train"}


def record(folder: Path, policy: str, env_kwargs: dict[str, str], episodes: int = 12) -> Path:
    acenv.evaluate(["ToolSandbox", "PDDL"], policy, range(episodes), out=folder, env_kwargs=env_kwargs)
    return folder


def opening(text: object) -> str:
    """What makes two conversations the same task."""
    assert isinstance(text, acenv.Conversation)
    messages = list(text.messages)
    first = next(i for i, m in enumerate(messages) if m["role"] == "assistant")
    return json.dumps([messages[:first], list(text.tools)])


# Specs


@given(
    st.sampled_from(["transcripts", "text", "run"]),
    st.sampled_from(["quick", "PDDL,toolcalling"]),
    st.text("abc./-_ 0123", min_size=1, max_size=20),
    st.integers(1, 1000),
    st.integers(0, 99),
    st.sampled_from(["", "easy", "hard"]),
    st.floats(0, 1),
)
def test_a_spec_is_read_as_it_is_written(
    kind: str, names: str, path: str, samples: int, seed: int, difficulty: str, least: float
) -> None:
    target = names if kind == "transcripts" else path.strip() or "x"
    spec = Spec(kind, target, samples, seed, difficulty * (kind == "transcripts"), least * (kind == "run"))
    assert parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("transcript", "did you mean transcripts"),
        ("", "Known"),
        ("some text to calibrate on", "in a list"),
        ("text:", "names no file"),
        ("run", "names no folder"),
        ("transcripts:Needel", "Needle"),
        ("text:a.txt?sample=3", "samples"),
        ("text:a.txt?min_return=1", "no option"),
        ("transcripts?samples=0", "samples"),
        ("transcripts?seed=-1", "seed"),
        ("transcripts?seed=1&seed=2", "once"),
        ("transcripts?difficulty=extreme", "hard"),
        ("run:a?min_return=2", "between 0 and 1"),
        ("run:a?min_return=nan", "between 0 and 1"),
        ("run:a?samples=many", "number"),
    ],
)
def test_a_spec_that_makes_no_sense_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text)


def test_a_file_without_its_kind_is_understood_well_enough_to_help(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("words")
    with pytest.raises(ValueError, match=r"did you mean text:.*corpus\.txt"):
        parse(str(tmp_path / "corpus.txt"))


def test_names_for_folders_tell_specs_apart() -> None:
    specs = [
        "transcripts",
        "transcripts:toolcalling",
        "text:data/corpus.txt",
        "run:runs/a?min_return=0.5",
        "run:runs/a",
    ]
    slugs = [parse(spec).slug for spec in specs]
    assert slugs == ["transcripts", "transcripts-toolcalling", "text-corpus", "run-a-min_return0.5", "run-a"]


# Transcripts


def test_transcripts_are_spread_evenly_and_are_of_train_tasks() -> None:
    drawn = draw(parse("transcripts:ToolSandbox,PDDL?samples=11"))
    assert len(drawn.samples) == 11 and len(drawn.heldout) == HELDOUT
    tools = [bool(text.tools) for text in drawn.samples if isinstance(text, acenv.Conversation)]
    assert tools == [True, False] * 5 + [True]
    test = acenv.evaluate(["ToolSandbox", "PDDL"], "oracle", range(30), env_kwargs={"difficulty": "easy"})
    tested = {opening(transcript.conversation) for transcript in test.transcripts()}
    assert tested.isdisjoint(map(opening, (*drawn.samples, *drawn.heldout)))


def test_the_same_spec_gives_the_same_texts_and_another_seed_others() -> None:
    spec = parse("transcripts:PDDL?samples=20")
    first, second = draw(spec), draw(parse("transcripts:PDDL?samples=20&seed=1"))
    assert first == draw(spec)
    assert set(map(opening, first.samples)).isdisjoint(map(opening, first.heldout))
    assert set(map(opening, first.samples)) != set(map(opening, second.samples))
    assert first.heldout[0] not in draw(spec, exclude=first.heldout).samples


def test_difficulties_are_mixed_unless_the_spec_has_its_own() -> None:
    mixed = draw(parse("transcripts:ToolSandbox?samples=10"), difficulties=("easy", "medium")).samples
    easy = draw(parse("transcripts:ToolSandbox?samples=5&difficulty=easy"), difficulties=("medium",)).samples
    assert mixed[::2] == easy and not set(map(opening, mixed[1::2])) & set(map(opening, easy))


def test_environments_that_give_no_transcripts_are_left_out_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIMULATORS, "acenv/BabyAI-v0", Requirement("babyai", ("no_such_module",)))
    drawn = draw(parse("transcripts?samples=6"), ("acenv/PDDL-v0", "acenv/BabyAI-v0", "acenv/Jericho-v0"))
    assert len(drawn.samples) == 6
    assert list(drawn.left_out) == ["acenv/BabyAI-v0", "acenv/Jericho-v0"]
    assert "acenv[babyai]" in drawn.left_out["acenv/BabyAI-v0"]
    with pytest.raises(ValueError, match="BabyAI"):  # asked for by name
        draw(parse("transcripts:PDDL,BabyAI"))
    with pytest.raises(ValueError, match="text:FILE"):
        draw(parse("transcripts"), ("acenv/BabyAI-v0",))


# Texts


def test_paragraphs_are_drawn_with_a_seed_and_the_rest_is_held_out(tmp_path: Path) -> None:
    file = tmp_path / "corpus.txt"
    file.write_text("\n \n".join(f"paragraph {i}" for i in range(200)) + "\n\nparagraph 0\n\n", encoding="utf-8")
    drawn = draw(parse(f"text:{file}?samples=40"))
    assert len(set(drawn.samples)) == 40 and len(set(drawn.heldout)) == HELDOUT
    assert not set(drawn.samples) & set(drawn.heldout)
    assert set(drawn.samples) != set(draw(parse(f"text:{file}?samples=40&seed=1")).samples)
    few = tmp_path / "few.txt"
    few.write_text("one\n\ntwo\n\nthree\n\nfour\n\nfive")
    drawn = draw(parse(f"text:{few}"))
    assert (len(drawn.samples), len(drawn.heldout)) == (4, 1)


def test_lines_of_json_hold_texts_and_conversations(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    tool = {"type": "function", "function": {"name": "f"}}
    messages = [{"role": "user", "content": "né"}, {"role": "assistant", "content": "oui"}]
    file.write_text(
        "\n".join(map(json.dumps, [{"text": "words"}, {"messages": messages}, {"messages": messages, "tools": [tool]}]))
    )
    samples = draw(parse(f"text:{file}")).samples
    assert {to_record(s) if isinstance(s, str) else len(s.tools) for s in samples} == {"words", 0, 1}
    assert [from_record(json.loads(json.dumps(to_record(s)))) for s in samples] == list(samples)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"txt": "y"}', "line 2"),
        ("a.jsonl", b"not json", "line 1 is no JSON"),
        ("a.jsonl", b'{"messages": [{"role": "user"}]}', "role and a content"),
        ("a.jsonl", b"[1]", "expected"),
        ("a.txt", b"\xff\xfe\xff", "UTF-8"),
        ("a.txt", b" \n\n \n", "no text"),
    ],
)
def test_a_file_that_is_at_fault_is_explained(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=problem):
        draw(parse(f"text:{tmp_path / name}"))


# Runs, and what must not get in


def test_runs_give_what_a_model_did_on_train_tasks(tmp_path: Path) -> None:
    run = record(tmp_path / "run", "random", TRAIN, episodes=20)
    drawn = draw(parse(f"run:{run}?samples=10"))
    assert len(drawn.samples) == 10 and len(drawn.heldout) == 8
    assert not set(map(repr, drawn.samples)) & set(map(repr, drawn.heldout))
    with pytest.raises(ValueError, match="no return so high"):
        draw(parse(f"run:{run}?min_return=0.9"))


def test_test_tasks_are_refused_wherever_they_hide(tmp_path: Path) -> None:
    run = record(tmp_path / "run", "oracle", {"difficulty": "easy"}, episodes=2)
    with pytest.raises(ValueError, match="split=train"):
        draw(parse(f"run:{run}"))
    with pytest.raises(ValueError, match=f"use run:{run}"):
        draw(parse(f"text:{run}/transcripts.jsonl"))
    official = record(tmp_path / "official", "oracle", TRAIN, episodes=2)
    manifest = json.loads((official / "manifest.json").read_text())
    manifest["env_kwargs"]["acenv/PDDL-v0"] = {"problem_file": "gripper.pddl"}
    (official / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"problem_file='gripper\.pddl'"):
        draw(parse(f"run:{official}"))
    with pytest.raises(acenv.RunError, match="no run folder"):
        draw(parse(f"run:{tmp_path}"))


def test_what_is_evaluated_is_not_calibrated_on(tmp_path: Path) -> None:
    run = record(tmp_path / "run", "oracle", TRAIN, episodes=4)
    train = Evaluated(("acenv/PDDL-v0",), {"split": "train"}, 10)
    with pytest.raises(ValueError, match="seed=1"):
        check(parse("transcripts"), train)
    with pytest.raises(ValueError, match="--first-seed"):
        check(parse(f"run:{run}"), train)
    check(parse("transcripts?seed=1"), train)
    check(parse("transcripts:ToolSandbox"), train)
    check(parse("transcripts"), Evaluated(("acenv/PDDL-v0",), {}, SEEDS))
    check(parse(f"run:{run}"), Evaluated(("acenv/Needle-v0",), {"split": "train"}, 10))
    own = Evaluated(("acenv/PDDL-v0",), {"acenv/PDDL-v0": {"split": "train"}}, 10)
    with pytest.raises(ValueError, match="test split"):
        check(parse("transcripts:PDDL"), own)
