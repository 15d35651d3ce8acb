from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from acenv.analysis.prediction import mean_loss
from acenv.cli import main
from acenv.runs import Results, RunError
from acenv.studies.bench import BenchSettings, bench, load_bench
from acenv.studies.prediction import predict_checkpoint, relate_bench

SETTINGS = BenchSettings(
    model="nano",
    methods=("magnitude:sparsity=0.3", "magnitude:sparsity=0.7"),
    envs=("ToolSandbox",),
    episodes=2,
    env_kwargs={"difficulty": "easy"},
    policy={"max_new_tokens": 40},
    replayed=2,
)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("bench") / "few"
    bench(SETTINGS, folder)
    return folder


@pytest.fixture(scope="module")
def many(few: Path) -> Path:
    """A bench of six methods, of which two have really been made, and four are copies of those."""
    folder = few.with_name("many")
    shutil.copytree(few, folder)
    compared = json.loads((folder / "comparison.json").read_text())
    for name in ("magnitude-30", "magnitude-70"):
        for i in range(2):
            for part in ("runs", "checkpoints"):
                shutil.copytree(folder / part / name, folder / part / f"{name}-{i}")
            shutil.copy(folder / "internals" / f"{name}.json", folder / "internals" / f"{name}-{i}.json")
            compared["methods"][f"{name}-{i}"] = compared["methods"][name]
    (folder / "comparison.json").write_text(json.dumps(compared))
    return folder


def lost(folder: Path, name: str) -> float:
    dense, method = (Results.load(folder / "runs" / run).returns() for run in ("dense", name))
    return mean_loss(dense, method)


def test_a_checkpoint_that_has_not_acted_is_expected_to_lose_what_its_like_has_lost(many: Path, tmp_path: Path) -> None:
    shutil.copytree(many / "checkpoints" / "magnitude-70", tmp_path / "new")
    found = predict_checkpoint(many, str(tmp_path / "new"))
    assert found.estimate == pytest.approx(lost(many, "magnitude-70"))
    assert found.low <= found.estimate <= found.high and found.method == "new"


def test_one_of_the_benchs_own_checkpoints_is_predicted_from_the_others(many: Path) -> None:
    found = predict_checkpoint(many, str(many / "checkpoints" / "magnitude-70-1"))
    assert found.method == "magnitude-70-1"
    assert found.actual == pytest.approx(lost(many, "magnitude-70")) == pytest.approx(found.estimate)
    assert found.level == pytest.approx(1 - 1 / 6)


def test_methods_without_internals_are_left_out(many: Path, tmp_path: Path) -> None:
    shutil.copytree(many, tmp_path / "bench")
    (tmp_path / "bench" / "internals" / "magnitude-30.json").unlink()
    assert len(relate_bench(load_bench(tmp_path / "bench")).points) == 5


def test_the_verb_prints_the_correlations_and_the_table(many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["predict", str(many)])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert "between 6 methods" in out and "predicted" in out and "magnitude-70-1" in out
    with pytest.raises(SystemExit):
        main(["predict", str(many), "--json"])
    data = json.loads(capsys.readouterr().out)
    assert len(data["points"]) == 6 and len(data["sentences"]) == 3


def test_too_few_methods_are_said_to_be_too_few(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["predict", str(few), "--checkpoint", str(few / "checkpoints" / "magnitude-70")])
    assert exit_.value.code == 1
    assert "add methods to the bench" in capsys.readouterr().err
    with pytest.raises(RunError, match="no bench folder"):
        predict_checkpoint(few.parent, "nano")
