"""Attributions of bench folders and run folders, by the library and by the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.analysis.attribution import Attribution
from acenv.cli import main
from acenv.runs import RunError
from acenv.studies.attribute import attribute, attribute_bench, attribute_runs
from acenv.studies.bench import BenchSettings, bench, load_bench

METHOD = "magnitude-70"
SETTINGS = BenchSettings(
    model="nano",
    methods=("magnitude:sparsity=0.7",),
    envs=("ToolSandbox",),
    episodes=3,
    env_kwargs={"difficulty": "easy"},
    policy={"max_new_tokens": 24},
    replayed=1,
    noise_episodes=0,
)
WORLDS = ["acenv/ToolSandbox-v0", "acenv/PDDL-v0", "acenv/Household-v0", "acenv/Shop-v0", "acenv/Needle-v0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("bench") / "bench"
    bench(SETTINGS, path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in arguments])
    return left.value.code or 0, *capsys.readouterr()  # type: ignore[return-value]


def test_a_bench_gets_what_its_report_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "attribute", folder)
    assert code == 0
    assert "kind of decision" in out and f"{METHOD} leaves the path of" in out
    written = Attribution.from_dict(json.loads((folder / "attribution" / f"{METHOD}.json").read_text()))
    assert len(written.episodes) == 3 and written.unit == "tokens"
    (candidate,) = load_bench(folder).candidates
    assert candidate.attribution == written
    returns = candidate.results.returns()
    assert {e.seed: e.compressed_return for e in written.episodes} == {seed: r for (_, seed), r in returns.items()}
    code, _, _ = run(capsys, "report", folder)
    assert code == 0
    assert written.sentences()[0] in (folder / "report.html").read_text()


def test_run_folders_say_how_their_models_acted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dense, other = folder / "runs" / "dense", folder / "runs" / METHOD
    small = f"hf:{folder / 'checkpoints' / METHOD}"
    whole = attribute_bench(folder, METHOD, episodes=2)
    again = attribute_runs(dense, other, "nano", small, episodes=2)
    assert again.episodes == whole.episodes and again.effort == whole.effort
    code, out, _ = run(
        capsys, "attribute", dense, other, "--base", "nano", "--compressed", small, "--episodes", "1", "--json"
    )
    assert code == 0
    assert Attribution.from_dict(json.loads(out)).episodes == whole.episodes[:1]
    with pytest.raises(ValueError, match="not played by the model that is given"):
        attribute_runs(other, dense, "nano", small, episodes=1)
    with pytest.raises(ValueError, match="max_new_tokens was 24, and is 25"):
        attribute_runs(dense, other, "nano", small, policy_options={"max_new_tokens": 25})
    with pytest.raises(ValueError, match="did not run acenv/Needle-v0; it has acenv/ToolSandbox-v0"):
        attribute_runs(dense, other, "nano", small, ["Needle"])


def test_what_cannot_be_attributed_is_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match=f"has no method gptq; it has {METHOD}"):
        attribute_bench(folder, "gptq")
    with pytest.raises(RunError, match="is no bench folder"):
        attribute_bench(tmp_path)
    for arguments, problem in (
        ((), "--base and --compressed"),
        ((folder, "--base", "nano"), "leave out --base"),
        ((folder, "--difficulty", "easy"), "leave out --difficulty"),
        ((folder, folder, folder), "not 3 folders"),
        (("--base", "nano", "--compressed", "nano", "--method", "x"), "name a bench folder"),
    ):
        code, _, err = run(capsys, "attribute", *arguments)
        assert code != 0 and problem in " ".join(err.split()).replace("│ ", "")


def test_processes_find_the_same() -> None:
    options: dict[str, Any] = {"env_kwargs": {"difficulty": "easy"}, "max_branches": 2}
    alone = attribute("oracle", "random", "ToolSandbox", range(5), **options)
    apart = attribute("oracle", "random", "ToolSandbox", range(5), jobs=2, **options)
    assert repr(apart) == repr(alone) and len(alone.episodes) == 5  # nan is not equal to itself
    with pytest.raises(ValueError, match="processes cannot share a policy"):
        attribute(acenv.load_policy("oracle"), "random", "ToolSandbox", range(5), jobs=2)


def test_a_branch_from_a_snapshot_is_the_branch_of_the_same_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"env_kwargs": {"difficulty": "easy"}, "max_branches": 2}
    with_snapshots = attribute("oracle", "random", WORLDS, range(2), **options)
    monkeypatch.setattr("acenv.slots._save", lambda slot: None)
    repeated = attribute("oracle", "random", WORLDS, range(2), **options)
    assert repr(repeated) == repr(with_snapshots) and not repeated.excluded
    assert len(repeated.episodes) == 2 * len(WORLDS) and repeated.effort.rollouts > 40
