"""Callbacks: what trackers hold afterwards is what the evaluation found."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.adapters.tracking import Tracker, to_mlflow, to_trackio, to_wandb
from acenv.types import Episode

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EASY = {"difficulty": "easy"}


def play(track: Any) -> acenv.Results:
    return acenv.evaluate(["acenv/PDDL-v0", "acenv/Needle-v0"], "oracle", range(3), env_kwargs=EASY, progress=track)


def test_every_episode_and_the_means_are_logged() -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    with Tracker(lambda metrics, step: seen.append((step, dict(metrics)))) as track:
        results = play(track)
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6, 6]
    summary = seen[-1][1]
    assert summary["acenv/episodes"] == 6 and summary["acenv/errors"] == 0
    for env_id, mean in results.mean_returns().items():
        assert summary[f"acenv/{env_id[6:-3]}/mean/return"] == pytest.approx(mean)


def test_error_episodes_are_counted_and_are_in_no_mean() -> None:
    seen: list[dict[str, float]] = []
    with Tracker(lambda metrics, step: seen.append(dict(metrics))) as track:
        track(Episode("acenv/A-v0", 0, 1.0, 1, True, False, metrics={"success": 1.0, "odd": math.inf}))
        track(Episode("acenv/A-v0", 1, math.nan, 0, False, False, error="the server is gone"))
    assert seen[1] == {"acenv/A/error": 1.0}
    assert seen[2]["acenv/A/mean/return"] == 1.0 and seen[2]["acenv/errors"] == 1.0
    assert not any("odd" in metrics for entry in seen for metrics in entry)


def test_a_run_without_episodes_has_a_summary_too() -> None:
    assert Tracker(lambda metrics, step: None).summary() == {"acenv/episodes": 0.0, "acenv/errors": 0.0}


def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install 'acenv[tracking]'")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_experiment("acenv")
    with mlflow.start_run() as run, to_mlflow(run) as track:
        play(track)
        track(Episode("acenv/Odd-v0", 0, 0.5, 1, True, False, metrics={"é%": 1.0}))
    client = mlflow.MlflowClient()
    history = client.get_metric_history(run.info.run_id, "acenv/PDDL/return")
    assert [point.value for point in history] == [1.0, 1.0, 1.0]
    final = client.get_run(run.info.run_id).data.metrics
    assert final["acenv/Needle/mean/return"] == 1.0 and final["acenv/episodes"] == 7.0


def test_wandb(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb", reason="pip install 'acenv[tracking]'")
    run = wandb.init(project="acenv", mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True))
    try:
        with to_wandb(run) as track:
            play(track)
        assert run.summary["acenv/PDDL/mean/return"] == 1.0
        assert run.summary["acenv/Needle/return"] == 1.0
    finally:
        run.finish()
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    trackio = pytest.importorskip("trackio", reason="trackio is not in this environment: make test-adapters")
    run = trackio.init(project="acenv", name="oracle", embed=False)
    with to_trackio(run) as track:
        play(track)
    trackio.finish()
    from trackio.sqlite_storage import SQLiteStorage

    assert [run.name for run in trackio.Api().runs("acenv")] == ["oracle"]
    logged = SQLiteStorage.get_logs("acenv", "oracle")
    assert [entry["acenv/PDDL/return"] for entry in logged if "acenv/PDDL/return" in entry] == [1.0, 1.0, 1.0]
    assert logged[-1]["acenv/Needle/mean/return"] == 1.0


@pytest.mark.parametrize("tracker", ["mlflow", "wandb", "trackio"])
def test_the_example_runs(tracker: str, tmp_path: Path) -> None:
    pytest.importorskip(tracker, reason=f"{tracker} is not in this environment")
    where = {"MLFLOW_TRACKING_URI": tmp_path.as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true", "TRACKIO_DIR": str(tmp_path)}
    command = [sys.executable, str(EXAMPLES / "track_runs.py"), tracker, "--policy", "oracle", "--seeds", "2"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, env={**os.environ, **where}, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"acenv/PDDL/mean/return +1\.000", done.stdout)
