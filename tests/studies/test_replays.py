from __future__ import annotations

import json
from pathlib import Path

import pytest

from acenv.analysis.replay import Replay
from acenv.cli import main
from acenv.runs import RunError
from acenv.studies.bench import BenchSettings, bench
from acenv.studies.replays import replay_bench

SETTINGS = BenchSettings(
    model="nano",
    methods=("magnitude:sparsity=0.7",),
    envs=("ToolSandbox",),
    episodes=3,
    env_kwargs={"difficulty": "easy"},
    policy={"max_new_tokens": 40},
    replayed=1,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("bench") / "bench"
    bench(SETTINGS, path)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code or 0, *capsys.readouterr()  # type: ignore[return-value]


def test_a_bench_is_replayed_with_more_transcripts(folder: Path) -> None:
    path = folder / "internals" / "magnitude-70.json"
    assert len(Replay.from_dict(json.loads(path.read_text())).episodes) == 1
    found = replay_bench(folder)["magnitude-70"]
    assert len(found.episodes) == 3
    assert Replay.from_dict(json.loads(path.read_text())) == found
    lines = (folder / "internals" / "magnitude-70.tokens.jsonl").read_text().splitlines()
    assert [json.loads(line)["seed"] for line in lines] == [episode.seed for episode in found.episodes]
    assert len(replay_bench(folder, ["magnitude-70"], limit=2)["magnitude-70"].episodes) == 2
    assert not list(folder.glob("internals/*.tmp"))


def test_what_a_bench_does_not_hold_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no method gptq; it has magnitude-70"):
        replay_bench(folder, ["gptq"])
    with pytest.raises(RunError, match="is no bench folder"):
        replay_bench(tmp_path)


def test_the_command_shows_the_kinds_of_tokens(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "replay", str(folder), "--limit", "2")
    assert code == 0
    assert "tool name" in out and "argument" in out and "syntax" in out and "2 transcripts" in out
    assert "effective rank behind layer 1: " in out


def test_the_command_replays_a_run_of_any_two_models(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compressed = f"hf:{folder / 'checkpoints' / 'magnitude-70'}"
    asked = ["replay", str(folder / "runs" / "dense"), "--base", "nano", "--compressed", compressed]
    code, out, _ = run(capsys, *asked, "--out", str(tmp_path / "found.json"), "--limit", "1", "--json")
    (summary,) = json.loads(out).values()
    assert code == 0 and summary["overall"]["episodes"] == 1 and summary["overall"]["kinds"]["tool name"]["tokens"] > 0
    assert len(Replay.from_dict(json.loads((tmp_path / "found.json").read_text())).episodes) == 1
    code, _, problem = run(capsys, *asked)
    assert code == 1 and "name the models with --base and --compressed, and --out" in " ".join(problem.split())
    code, _, problem = run(capsys, "replay", str(folder), "--base", "nano")
    assert code == 1 and "leave out --base" in " ".join(problem.split())
