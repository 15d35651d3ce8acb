from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acenv.bench import BenchSettings, bench, load_bench
from acenv.runs import RunError

SETTINGS = BenchSettings(
    model="nano",
    methods=("magnitude:sparsity=0.7", "magnitude:pattern=2:4"),
    envs=("ToolSandbox", "needle"),
    episodes=3,
    env_kwargs={"difficulty": "easy"},
    policy={"max_new_tokens": 60},
    replayed=2,
)


class Stages:
    def __init__(self) -> None:
        self.titles: list[str] = []
        self.left = 0

    def stage(self, title: str, total: int = 1) -> Callable[[], None]:
        self.titles.append(title)
        self.left += total
        return self.advance

    def advance(self) -> None:
        self.left -= 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("bench") / "bench"
    watcher = Stages()
    data = bench(SETTINGS, path, watcher, jobs=2)
    assert watcher.left == 0
    assert [c.name for c in data.candidates] == ["magnitude-70", "magnitude-2x4"]
    return path


def test_it_leaves_runs_checkpoints_comparisons_and_a_page(folder: Path) -> None:
    for name in ("dense", "dense-again", "magnitude-70", "magnitude-2x4"):
        assert len((folder / "runs" / name / "episodes.jsonl").read_text().splitlines()) == 6
    compared = json.loads((folder / "comparison.json").read_text())
    assert set(compared["methods"]) == {"magnitude-70", "magnitude-2x4"}
    assert compared["noise"]["overall"]["episodes"] == 6
    internals = json.loads((folder / "internals" / "magnitude-70.json").read_text())
    assert len(internals["episodes"]) == 4
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "magnitude-70" in page and "http-equiv" not in page


def test_a_finished_bench_is_read_back(folder: Path) -> None:
    data = load_bench(folder)
    assert data.model == "nano"
    assert data.noise is not None
    for candidate in data.candidates:
        assert candidate.manifest is not None and candidate.replay is not None
        assert candidate.comparison.overall.episodes == 6


def test_it_is_taken_up_again_without_repeating_anything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "report.html").unlink()
    (folder / "comparison.json").unlink()

    def refuse(*arguments: Any) -> None:
        raise AssertionError("nothing had to be compressed again")

    monkeypatch.setattr("acenv.bench.compress", refuse)
    before = (folder / "runs" / "dense" / "episodes.jsonl").read_bytes()
    bench(SETTINGS, folder)
    assert (folder / "report.html").exists()
    assert (folder / "runs" / "dense" / "episodes.jsonl").read_bytes() == before


def test_other_settings_are_refused(folder: Path) -> None:
    from dataclasses import replace

    with pytest.raises(RunError, match="env_kwargs"):
        bench(replace(SETTINGS, env_kwargs={"difficulty": "medium"}), folder)


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    from dataclasses import replace

    for change, problem in (
        ({"methods": ("gptq:bits=5",)}, "bits"),
        ({"methods": ("wanda", "wanda:sparsity=0.5")}, "same"),
        ({"episodes": 0}, "episodes"),
        ({"envs": ("nothing",)}, "no environment"),
    ):
        with pytest.raises(ValueError, match=problem):
            bench(replace(SETTINGS, **change), tmp_path / "bench")
        assert not (tmp_path / "bench").exists()


def test_a_folder_without_a_bench_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no bench folder"):
        load_bench(tmp_path)
