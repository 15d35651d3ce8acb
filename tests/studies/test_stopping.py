from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acenv.analysis.sequential import is_narrow, looks
from acenv.cli import main
from acenv.runs import Results
from acenv.studies.bench import BenchSettings, bench, load_bench

UNTIL = 0.25
SETTINGS = BenchSettings(
    model="nano",
    methods=("rtn:bits=8,group_size=32", "rtn:bits=2,group_size=32"),
    envs=("ToolSandbox", "PDDL"),
    episodes=40,
    env_kwargs={"difficulty": "easy", "max_steps": 3},
    policy={"max_new_tokens": 32, "dtype": "float32"},
    replayed=0,
    noise_episodes=2,
    until_ci=UNTIL,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("stopping") / "bench"
    bench(SETTINGS, path)
    return path


def compared(folder: Path) -> Any:
    found = json.loads((folder / "comparison.json").read_text())
    assert set(found.pop("costs")) == {"dense", "rtn-8bit-g32", "rtn-2bit-g32"}  # seconds differ each time
    return found


def test_an_environment_stops_at_the_first_look_at_which_its_interval_is_narrow(undisturbed: Path) -> None:
    data = load_bench(undisturbed)
    assert data.stopping is not None and data.stopping.until == UNTIL
    sizes = looks(UNTIL, 40)
    assert data.stopping.episodes["rtn-8bit-g32"] == dict.fromkeys(("acenv/ToolSandbox-v0", "acenv/PDDL-v0"), sizes[0])
    base = data.reference.returns()
    for candidate in data.candidates:
        acted = candidate.results.returns()
        for env_id, count in data.stopping.episodes[candidate.name].items():
            assert {seed for e, seed in acted if e == env_id} == set(range(count))
            change = [acted[env_id, s] - base[env_id, s] for s in range(count)]
            narrow = [is_narrow(change[:n], UNTIL) for n in sizes if n <= count]
            assert narrow == [False] * (len(narrow) - 1) + [narrow[-1]] and (narrow[-1] or count == 40)
        assert candidate.comparison.overall.anytime and candidate.comparison.missing == 0
    most = max(count for by_env in data.stopping.episodes.values() for count in by_env.values())
    assert most > sizes[0]  # what changes much needs more
    assert data.stopping.saved > 0
    assert compared(undisturbed)["stopping"]["saved"] == data.stopping.saved


def test_a_bench_that_was_stopped_by_force_ends_the_same(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from acenv.studies import acting

    evaluate, calls = acting.evaluate, iter(range(100))

    def killed(*arguments: Any, **more: Any) -> Results:
        if next(calls) == 6:
            more["progress"] = lambda episode: (_ for _ in ()).throw(KeyboardInterrupt)
        return evaluate(*arguments, **more)

    monkeypatch.setattr(acting, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        bench(SETTINGS, tmp_path / "bench")
    monkeypatch.undo()
    bench(SETTINGS, tmp_path / "bench")
    assert compared(tmp_path / "bench") == compared(undisturbed)


def test_more_episodes_than_needed_change_nothing(undisturbed: Path, tmp_path: Path) -> None:
    full = bench(replace(SETTINGS, until_ci=None), tmp_path / "bench")
    assert full.stopping is None and not full.candidates[0].comparison.overall.anytime
    again = bench(SETTINGS, tmp_path / "bench")
    assert {len(c.results) for c in again.candidates} == {80}
    assert compared(tmp_path / "bench") == compared(undisturbed)


def test_the_terminal_says_how_many_episodes_were_saved(undisturbed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "bench", "--model", "nano", "--methods", *SETTINGS.methods, "--envs", *SETTINGS.envs, "--episodes", "40",
        "--env-option", "max_steps=3", "--policy-option", "max_new_tokens=32", "--policy-option", "dtype=float32",
        "--noise-episodes", "2",
        "--until-ci", str(UNTIL), "--out", str(undisturbed),
    ]  # fmt: skip
    before = compared(undisturbed)
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert not ended.value.code
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{before['stopping']['saved']} of 240 episodes were not needed" in printed
    for words in ("hold whenever one stops", "per GB", "noise floor"):
        assert words in printed
    assert compared(undisturbed)["stopping"]["episodes"] == before["stopping"]["episodes"]


def test_an_interval_that_can_never_be_so_narrow_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 248 episodes"):
        bench(replace(SETTINGS, until_ci=0.02), tmp_path / "bench")
    assert not (tmp_path / "bench").exists()
