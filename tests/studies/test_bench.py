from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import acenv
from acenv.analysis.failures import EpisodeFailures, FailureComparison
from acenv.compressors import CompressionError, parse
from acenv.runs import RunError
from acenv.studies.bench import BenchSettings, bench, load_bench
from acenv.studies.plan import make_versions

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
    for name in ("dense", "dense-again", "dense-dtype", "magnitude-70", "magnitude-2x4"):
        assert len((folder / "runs" / name / "episodes.jsonl").read_text().splitlines()) == 6
    compared = json.loads((folder / "comparison.json").read_text())
    assert set(compared["methods"]) == {"magnitude-70", "magnitude-2x4"}
    assert {name: floor["overall"]["episodes"] for name, floor in compared["noise"].items()} == {
        "batch size": 6,
        "dtype": 6,
    }
    for name, by_env in compared["standing"].items():
        assert set(by_env) == {"acenv/ToolSandbox-v0", "acenv/Needle-v0", "overall"}, name
        stands = [floor for floors in by_env.values() for floor in floors.values()]
        assert len(stands) == 6 and set(stands) <= {"inside", "open", "outside"}
    assert compared["costs"]["magnitude-70"]["per_gb_on_disk"] >= 0 and set(compared["costs"]) == {
        "dense", "magnitude-70", "magnitude-2x4"
    }  # fmt: skip
    dtypes = {
        name: acenv.Results.load(folder / "runs" / name).manifest["policy"]["dtype"]
        for name in ("dense", "dense-dtype")
    }
    assert set(dtypes.values()) == {"bfloat16", "float32"}
    failures = json.loads((folder / "failures" / "magnitude-70.json").read_text())
    overall = FailureComparison.from_dict(failures["comparison"][-1])
    assert len(failures["candidate"]) == overall.candidate_lost and len(failures["reference"]) == overall.reference_lost
    assert all(EpisodeFailures.from_dict(one).primary for one in failures["candidate"])
    internals = json.loads((folder / "internals" / "magnitude-70.json").read_text())
    assert len(internals["episodes"]) == 4
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "magnitude-70" in page and 'http-equiv="refresh"' not in page


def test_a_finished_bench_is_read_back(folder: Path) -> None:
    data = load_bench(folder)
    assert data.model == "nano"
    assert set(data.noise) == {"batch size", "dtype"} and data.stopping is None
    for candidate in data.candidates:
        assert candidate.manifest is not None and candidate.replay is not None
        assert candidate.comparison.overall.episodes == 6


def test_it_is_taken_up_again_without_repeating_anything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "report.html").unlink()
    (folder / "comparison.json").unlink()

    def refuse(*arguments: Any) -> None:
        raise AssertionError("nothing had to be compressed again")

    monkeypatch.setattr("acenv.studies.steps.compress", refuse)
    before = (folder / "runs" / "dense" / "episodes.jsonl").read_bytes()
    bench(SETTINGS, folder)
    assert (folder / "report.html").exists()
    assert (folder / "runs" / "dense" / "episodes.jsonl").read_bytes() == before


def test_an_older_folder_with_one_noise_floor_is_read(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    compared = json.loads((old / "comparison.json").read_text())
    del compared["stopping"]
    for part in (floor := compared["noise"]["batch size"])["environments"] + [floor["overall"]]:
        for name in ("p_difference", "p_difference_adjusted", "anytime"):
            del part[name]
    (old / "comparison.json").write_text(json.dumps({**compared, "noise": floor}))
    data = load_bench(old)
    assert list(data.noise) == ["batch size"] and data.noise["batch size"].overall.episodes == 6


def test_what_a_version_takes_is_measured_while_it_acts(folder: Path) -> None:
    data = load_bench(folder)
    assert data.cost is not None and data.cost.disk_mb and data.cost.seconds
    for candidate in data.candidates:
        cost = candidate.cost
        assert cost is not None and cost.disk_mb and cost.memory_mb and cost.seconds and cost.clock == "processor"
        assert cost.per_second == pytest.approx(cost.mean_return / cost.seconds)
        assert cost.joules is None and "side by side" in cost.no_energy  # two jobs: nobody's joules
    written = json.loads((folder / "runs" / "dense" / "cost.json").read_text())
    assert written["episodes"] == 6 and written["joules"] is None


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
        ({"methods": ("wanda",), "calibrations": ("text:nowhere.txt",)}, "no file"),
        ({"methods": ("wanda",), "calibrations": ("transcripts", "transcripts")}, "same"),
        ({"methods": ("wanda",), "env_kwargs": {"split": "train"}}, r"transcripts\?seed=1"),
    ):
        with pytest.raises(ValueError, match=problem):
            bench(replace(SETTINGS, **change), tmp_path / "bench")
        assert not (tmp_path / "bench").exists()
    with pytest.raises(RunError, match="cannot be a baseline"):
        bench(replace(SETTINGS, baselines=(str(tmp_path),)), tmp_path / "bench")
    with pytest.raises(ValueError, match=r"group_size=1024.*\n.*group_size=512"):
        bench(replace(SETTINGS, methods=("rtn:group_size=1024", "rtn:group_size=512")), tmp_path / "bench")
    assert not (tmp_path / "bench" / "runs").exists()


def test_each_method_that_looks_at_texts_is_run_with_each_calibration() -> None:
    methods = [parse("wanda"), parse("magnitude")]
    versions = make_versions(methods, ["transcripts", "text:data/corpus.txt"])
    assert [(v.slug, v.calibration) for v in versions] == [
        ("wanda-50", "transcripts"),
        ("wanda-50.text-corpus", "text:data/corpus.txt"),
        ("magnitude-50", None),
    ]
    with pytest.raises(ValueError, match="text-corpus"):
        make_versions(methods, ["text:a/corpus.txt", "text:b/corpus.txt"])


def test_calibrations_are_compared_and_the_dense_run_of_another_bench_is_used(folder: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"Word {i} and word {i + 1}." for i in range(40)), encoding="utf-8")
    settings = replace(
        SETTINGS,
        methods=("wanda:sparsity=0.6",),
        calibrations=("transcripts?samples=4", f"text:{corpus}?samples=4"),
        baselines=(str(folder),),
        episodes=2,
        replayed=0,
    )
    data = bench(settings, tmp_path / "bench")
    assert [c.name for c in data.candidates] == ["wanda-60.transcripts-samples4", "wanda-60.text-corpus-samples4"]
    assert [c.method.rpartition(" · ")[2] for c in data.candidates] == list(settings.calibrations)
    manifests = [c.manifest for c in data.candidates if c.manifest is not None]
    assert manifests[0]["calibration"]["sha256"] != manifests[1]["calibration"]["sha256"]
    assert manifests[0]["heldout"]["sha256"] == manifests[1]["heldout"]["sha256"]
    for name in ("dense", "dense-again", "dense-dtype"):
        lines = [acenv.Results.load(path / "runs" / name) for path in (folder, tmp_path / "bench")]
        theirs = {e.key: e for e in lines[0].episodes}
        assert all(theirs[e.key] == e for e in lines[1].episodes) and len(lines[1]) == 4  # seconds too: not run again
    corpus.write_text("Other words.\n\nNo more.")
    with pytest.raises(RunError, match="has changed since"):
        bench(settings, tmp_path / "bench")
    with pytest.raises(RunError, match="max_new_tokens"):
        bench(replace(settings, policy={"max_new_tokens": 61}), tmp_path / "other")


def test_a_version_that_fails_loses_no_other(
    tmp_path: Path, burn_down: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    burn_down("0.7")
    settings = replace(SETTINGS, episodes=1, replayed=0, envs=("ToolSandbox",))
    with pytest.raises(CompressionError, match=r"1 of 2 .*\n  magnitude-70: .*burnt down"):
        bench(settings, tmp_path / "bench")
    assert [c.name for c in load_bench(tmp_path / "bench").candidates] == ["magnitude-2x4"]
    monkeypatch.undo()
    assert len(bench(settings, tmp_path / "bench").candidates) == 2


def test_a_folder_without_a_bench_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no bench folder"):
        load_bench(tmp_path)
