from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.lines import write_transcript
from acenv.runs import Results, RunError
from acenv.store import RunStore
from acenv.types import Episode, Step, Transcript, Usage

MANIFEST: dict[str, Any] = {"policy": {"name": "p"}, "env_ids": ["a"], "env_kwargs": {"difficulty": "easy"}, "seeds": 1}


def episode(seed: int, return_: float = 0.5, error: str | None = None) -> Episode:
    return Episode(
        "a",
        seed,
        math.nan if error else return_,
        1,
        True,
        False,
        error=error,
        metrics={"success": 1.0},
        usage=Usage(3, 2),
    )


def transcript(seed: int, text: str = "go") -> Transcript:
    messages: Any = [{"role": "user", "content": "é\n中"}, {"role": "assistant", "content": text}]
    return Transcript("a", seed, messages, [{"type": "function"}], [Step(text, 0.5)])


def write(folder: Path, *seeds: int) -> None:
    with RunStore(folder, MANIFEST) as store:
        for seed in seeds:
            store.append(episode(seed), transcript(seed))


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "run", 0, 1)
    results = Results.load(tmp_path / "run")
    assert results.episodes == [episode(0), episode(1)]
    assert results.transcript(("a", 1)) == transcript(1)
    assert list(results.transcripts()) == [transcript(0), transcript(1)]
    assert results.returns() == {("a", 0): 0.5, ("a", 1): 0.5}
    assert results.manifest["policy"] == {"name": "p"}
    with pytest.raises(KeyError, match="seed 7"):
        results.transcript(("a", 7))


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    write(tmp_path, 0)
    with RunStore(tmp_path, MANIFEST) as store:
        assert store.finished == {("a", 0)}
        store.append(episode(1), transcript(1))
    assert len(Results.load(tmp_path)) == 2


@given(cut=st.integers(1, 400), data=st.data())
def test_a_torn_line_costs_its_own_episode_only(tmp_path_factory: Any, cut: int, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("torn")
    write(folder, 0, 1, 2)
    name = data.draw(st.sampled_from(["episodes.jsonl", "transcripts.jsonl"]))
    whole = (folder / "episodes.jsonl").read_bytes()
    path = folder / name
    if name == "episodes.jsonl":
        path.write_bytes(whole[: max(0, len(whole) - min(cut, len(whole)))])
    else:  # The transcript is written first: its line may be torn while the episode's is not there at all.
        with path.open("ab") as file:
            file.write(b'{"env_id": "a", "se'[: max(1, cut % 19)])
    with RunStore(folder, MANIFEST) as store:
        for seed in range(3):
            if ("a", seed) not in store.finished:
                store.append(episode(seed), transcript(seed))
    results = Results.load(folder)
    assert sorted(e.seed for e in results.episodes) == [0, 1, 2]
    assert [results.transcript(("a", seed)) for seed in range(3)] == [transcript(seed) for seed in range(3)]


def test_errors_are_kept_apart_and_tried_again(tmp_path: Path) -> None:
    with RunStore(tmp_path, MANIFEST) as store:
        store.append(episode(0, error="server gone"), transcript(0))
        assert store.finished == set()
    results = Results.load(tmp_path)
    assert results.returns() == {}
    assert [e.error for e in results.errors] == ["server gone"]
    write(tmp_path, 0)
    assert Results.load(tmp_path).returns() == {("a", 0): 0.5}
    assert len(Results.load(tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"policy": {"name": "p", "checkpoint": "other"}}, "policy.checkpoint: None in the folder, 'other' now"),
        ({"env_kwargs": {"difficulty": "hard"}}, "env_kwargs.difficulty: 'easy' in the folder, 'hard' now"),
        ({"versions": {"torch": "9"}}, "versions"),
    ],
)
def test_a_changed_setting_is_refused_and_named(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    write(tmp_path, 0)
    with pytest.raises(RunError) as refusal, RunStore(tmp_path, {**MANIFEST, **change}):
        pass
    assert named in str(refusal.value)
    assert len(Results.load(tmp_path)) == 1


def test_more_seeds_and_environments_are_no_other_setting(tmp_path: Path) -> None:
    write(tmp_path, 0)
    with RunStore(tmp_path, {**MANIFEST, "env_ids": ["b"], "seeds": 9}):
        pass
    assert Results.load(tmp_path).manifest["env_ids"] == ["a", "b"]


def test_two_writers_are_one_too_many(tmp_path: Path) -> None:
    with RunStore(tmp_path, MANIFEST), pytest.raises(RunError, match="another process"), RunStore(tmp_path, MANIFEST):
        pass


def test_what_is_no_run_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no manifest\.json"):
        Results.load(tmp_path)
    write(tmp_path, 0, 1)
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="cannot read"):
        Results.load(tmp_path)


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    write(tmp_path, 0, 1)
    path = tmp_path / "episodes.jsonl"
    path.write_bytes(b"not json\n" + path.read_bytes())
    with pytest.raises(RunError, match="line 1, is damaged"):
        Results.load(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RunError, match="cannot write"), RunStore(tmp_path / "file" / "run", MANIFEST):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_and_the_run_intact(tmp_path: Path) -> None:
    write(tmp_path, 0)
    with RunStore(tmp_path, MANIFEST) as store:
        assert store._files is not None
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, store._files.transcripts.fileno())
        os.close(full)
        with pytest.raises(RunError, match="No space left"):
            store.append(episode(1), transcript(1))
    assert len(Results.load(tmp_path)) == 1


def test_a_step_from_another_process_is_written_as_one_of_this(tmp_path: Path) -> None:
    there = "".join(["st", "op"])  # equal, and not the same object
    lines = [write_transcript(Transcript("a", 0, [], [], [Step("go", 0.5, reason)])) for reason in ("stop", there)]  # type: ignore[arg-type]
    assert lines[0] == lines[1]


def test_every_line_is_plain_json(tmp_path: Path) -> None:
    write(tmp_path, 0)
    with RunStore(tmp_path, MANIFEST) as store:
        store.append(episode(1, error="x"), transcript(1, "\ud800"))
    for name in ("episodes.jsonl", "transcripts.jsonl"):
        for line in (tmp_path / name).read_text(encoding="utf-8").splitlines():
            json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def test_an_episode_whose_transcript_the_machine_has_lost_runs_again(tmp_path: Path) -> None:
    write(tmp_path, 0, 1)
    path = tmp_path / "transcripts.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with RunStore(tmp_path, MANIFEST) as store:
        assert store.finished == {("a", 0)}
        store.append(episode(1), transcript(1))
    # Once also for programs that read the lines as they stand.
    assert len((tmp_path / "episodes.jsonl").read_bytes().splitlines()) == 2
    assert Results.load(tmp_path).transcript(("a", 1)) == transcript(1)


def test_episodes_on_disk_are_a_sequence(tmp_path: Path) -> None:
    write(tmp_path, 4, 2, 7)
    episodes = Results.load(tmp_path).episodes
    assert episodes == [episode(4), episode(2), episode(7)]
    assert episodes != [episode(4)]
    assert episodes[-1] == episode(7) and episodes[1:] == [episode(2), episode(7)]
    assert [e.seed for e in reversed(episodes)] == [7, 2, 4]
    assert episode(2) in episodes and episodes.index(episode(2)) == 1
    with pytest.raises(IndexError):
        episodes[3]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "é"]), st.integers(0, 5), st.booleans(), st.floats(0, 1)), max_size=40
    )
)
def test_the_last_line_of_an_episode_counts_at_the_place_of_its_first(
    tmp_path_factory: Any, lines: list[tuple[str, int, bool, float]]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    expected: dict[tuple[str, int], float] = {}
    with RunStore(folder, MANIFEST) as store:
        for env_id, seed, failed, value in lines:
            record = Episode(env_id, seed, math.nan if failed else value, 1, True, False, error="x" if failed else None)
            store.append(record, Transcript(env_id, seed, [], [], []))
            expected[env_id, seed] = math.nan if failed else value
        assert store.finished <= {(env_id, seed) for env_id, seed, failed, _ in lines if not failed}
    results = Results.load(folder)
    assert [e.key for e in results.episodes] == list(expected)
    assert results.returns() == {key: value for key, value in expected.items() if not math.isnan(value)}
    assert {e.key for e in results.errors} == {key for key, value in expected.items() if math.isnan(value)}
    for key in expected:
        assert results.transcript(key).seed == key[1]


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_no_number_is_kept_as_such(tmp_path: Path, strange: float) -> None:
    with RunStore(tmp_path, MANIFEST) as store:
        store.append(Episode("a", 0, 0.5, 1, True, False, metrics={"odd": strange}), transcript(0))
    assert math.isnan(Results.load(tmp_path).episodes[0].metrics["odd"])


def test_lines_as_earlier_versions_wrote_them_are_read(tmp_path: Path) -> None:
    write(tmp_path, 0)
    (tmp_path / "episodes.jsonl").write_text(
        '{"env_id": "a", "seed": 0, "return_": 0.5, "length": 1, "terminated": true, "truncated": false, '
        '"error": null, '
        '"metrics": {"success": NaN}, "usage": {"prompt_tokens": 3, "completion_tokens": 2}, "seconds": 0.0, '
        '"labels": {}, "transcript": 0}\n'
    )
    (read,) = Results.load(tmp_path).episodes
    assert read.return_ == 0.5 and read.usage == Usage(3, 2) and math.isnan(read.metrics["success"])


def test_a_damaged_transcript_is_named(tmp_path: Path) -> None:
    write(tmp_path, 0)
    (tmp_path / "transcripts.jsonl").write_bytes(b'{"env_id": "a"}\n')
    with pytest.raises(RunError, match="the transcript of a seed 0 is damaged"):
        Results.load(tmp_path).transcript(("a", 0))


def test_other_programs_read_the_files(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    duckdb = pytest.importorskip("duckdb")
    with RunStore(tmp_path, MANIFEST) as store:
        for seed in range(5):
            store.append(episode(seed, seed / 10, error="x" if seed == 4 else None), transcript(seed))
    table = pandas.read_json(tmp_path / "episodes.jsonl", lines=True)
    assert table[table.error.isna()].return_.mean() == pytest.approx(0.15)
    sums = "select env_id, avg(return_), sum(usage.prompt_tokens)"
    query = f"{sums} from '{tmp_path}/episodes.jsonl' where error is null group by 1"
    ((env_id, mean, tokens),) = duckdb.sql(query).fetchall()
    assert (env_id, mean, tokens) == ("a", pytest.approx(0.15), 12)
