from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acenv
from acenv.analysis.charts import plot_dose
from acenv.analysis.dose import Sweep, lines
from acenv.cli import main
from acenv.compressors import parse
from acenv.policies import FunctionPolicy
from acenv.studies.grid import expand
from acenv.studies.sweep import load_sweep

POLICY = {"max_new_tokens": 24, "capacity": 16}
COMMAND = [
    "sweep", "--model", "nano", "--methods", "magnitude", "--sparsity", "0.3", "0.6", "--suite", "ToolSandbox", "PDDL",
    "--episodes", "2", "--env-option", "max_steps=2", "--policy-option", "max_new_tokens=24",
    "--policy-option", "capacity=16",
]  # fmt: skip


# The grid


@pytest.mark.parametrize(
    ("methods", "bits", "sparsity", "slugs"),
    [
        (["rtn:group_size=32"], [2, 4], [], ["rtn-2bit-g32", "rtn-4bit-g32"]),
        (["rtn", "magnitude"], [], [], ["rtn-4bit-g128", "magnitude-50"]),
        (["rtn:bits=8", "magnitude:pattern=2:4", "rtn"], [3], [], ["rtn-8bit-g128", "magnitude-2x4", "rtn-3bit-g128"]),
        (["magnitude"], [], [0.3, 0.3, 0.5], ["magnitude-30", "magnitude-50"]),
        (["rtn", "rtn:bits=4"], [4], [], ["rtn-4bit-g128"]),
        (["magnitude+rtn"], [3, 4], [0.5], ["magnitude-50-rtn-3bit-g128", "magnitude-50-rtn-4bit-g128"]),
        (["wanda:pattern=2:4+rtn"], [3], [], ["wanda-2x4-rtn-3bit-g128"]),
    ],
)
def test_what_a_method_takes_and_does_not_say_itself_is_varied(
    methods: list[str], bits: list[int], sparsity: list[float], slugs: list[str]
) -> None:
    points, left_out = expand(methods, bits, sparsity)
    assert [point.method.slug for point in points] == slugs and not left_out
    assert {point.series for point in points} <= set(methods)


def test_options_of_single_layers_keep_theirs() -> None:
    ((point, _), _) = expand(["rtn:group_size=32@*.down_proj:bits=8"], [2, 3], [])
    assert str(point.method).endswith("@*.down_proj:bits=8") and point.bits == 2


@pytest.mark.parametrize(
    ("methods", "bits", "sparsity", "problem"),
    [
        (["rtn", "magnitude"], [4, 9], [], r"bits 9;.*\n  rtn:bits=9: "),
        (["magnitude"], [4], [], "bits 4"),
        (["rtn"], [4], [0.5], "sparsity 0.5"),
        (["magnitude"], [], [1.5], "sparsity 1.5"),
        (["rtm"], [4], [], "did you mean rtn"),
    ],
)
def test_values_that_fit_no_method_are_refused(
    methods: list[str], bits: list[int], sparsity: list[float], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        expand(methods, bits, sparsity)


@given(
    st.lists(st.sampled_from(["rtn", "rtn:group_size=32", "rtn:bits=8", "magnitude", "magnitude+rtn"]), min_size=1),
    st.lists(st.sampled_from([2, 3, 4, 8])),
    st.lists(st.sampled_from([0.25, 0.5, 0.75])),
)
def test_a_grid_has_no_point_twice_and_can_be_written_as_methods(
    methods: list[str], bits: list[int], sparsity: list[float]
) -> None:
    try:
        points, _ = expand(methods, bits, sparsity)
    except ValueError as error:
        assert "leave that out" in str(error)
        return
    texts = [str(point.method) for point in points]
    assert len(set(texts)) == len(texts)
    assert [str(parse(text)) for text in texts] == texts
    assert {b for p in points if (b := p.bits) is not None} <= {*bits, 4, 8}


# A sweep, killed and started again


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was killed while it was at work, and then finished."""
    out: Path = tmp_path_factory.mktemp("sweep") / "sweep"
    first = subprocess.Popen(
        [sys.executable, "-m", "acenv", *COMMAND, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    while not (out / "checkpoints" / "magnitude-30" / "compression.json").exists():
        assert first.poll() is None and time.monotonic() < deadline, "it should still be at work"
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert "points" not in json.loads((out / "sweep.json").read_text())
    left = {path: path.stat().st_mtime_ns for path in (out / "checkpoints" / "magnitude-30").iterdir()}
    dense = (out / "easy" / "runs" / "dense" / "episodes.jsonl").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main([*COMMAND, "--out", str(out), "--json"])
    assert not ended.value.code
    assert {path: path.stat().st_mtime_ns for path in left} == left
    assert (out / "easy" / "runs" / "dense" / "episodes.jsonl").read_bytes() == dense
    return out


def test_it_goes_on_where_it_was_and_no_episode_is_there_twice(folder: Path) -> None:
    for name in ("dense", "dense-again", "magnitude-30", "magnitude-60"):
        episodes = (folder / "easy" / "runs" / name / "episodes.jsonl").read_text().splitlines()
        keys = [(e["env_id"], e["seed"]) for e in map(json.loads, episodes)]
        assert len(keys) == len(set(keys)) == 4
    assert not list(folder.glob("checkpoints/.*"))


def test_the_points_are_measured_and_written_in_three_ways(folder: Path) -> None:
    found = load_sweep(folder)
    assert found.places == [("ToolSandbox", "easy"), ("PDDL", "easy")]
    assert Sweep.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    points = found.at("ToolSandbox", "easy")
    assert [(p.version, p.sparsity, p.bits) for p in points] == [
        ("magnitude-30", 0.3, None),
        ("magnitude-60", 0.6, None),
    ]
    for point in points:
        assert point.overall is not None and point.overall.episodes == 2 and point.sparsity is not None
        assert abs(point.measured_sparsity - point.sparsity) < 0.02 and point.in_noise is not None
    assert points[0].divergence < points[1].divergence
    with (folder / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["suite"], r["version"]) for r in rows] == [(p.suite, p.version) for p in found.points]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2 and "magnitude-60" in page and "easy/report.html" in page
    assert (folder / "easy" / "report.html").exists()


def test_a_larger_sweep_adds_to_it_and_only_acts_where_something_is_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    from acenv.studies import steps

    compress = steps.compress
    monkeypatch.setattr(
        steps, "compress", lambda source, method, *more: made.append(method) or compress(source, method, *more)
    )
    found = acenv.sweep(
        "nano",
        ["magnitude", "magnitude:pattern=2:4"],
        folder,
        sparsity=[0.3, 0.6],
        suites=["ToolSandbox"],
        difficulties=["easy", "medium"],
        episodes=2,
        env_kwargs={"max_steps": 2},
        policy=POLICY,
    )
    assert made == [str(parse("magnitude:pattern=2:4"))]
    assert len(found.points) == 6 and not found.failed
    by_difficulty = lines(found.points, "difficulty")
    assert {name: len(line) for name, line in by_difficulty.items()} == dict.fromkeys(
        ("magnitude-30", "magnitude-60", "magnitude-2x4"), 2
    )
    assert plot_dose(by_difficulty, "difficulty").axes[0].get_xticklabels()[1].get_text() == "medium"
    with pytest.raises(acenv.RunError, match="max_new_tokens"):
        acenv.sweep("nano", ["magnitude"], folder, difficulties=["easy"], env_kwargs={"max_steps": 2})


def test_a_failure_is_recorded_and_has_its_own_exit_code(
    folder: Path,
    tmp_path: Path,
    burn_down: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def dumb(messages: Any) -> str:
        raise RuntimeError("no tongue")

    def load(spec: str, **options: Any) -> Any:
        broken = options["name"] == "magnitude-2x4"
        return FunctionPolicy(dumb, name="magnitude-2x4") if broken else acenv.load_policy(spec, **options)

    burn_down("0.6")
    monkeypatch.setattr("acenv.studies.acting.load_policy", load)
    more = ["--methods", "magnitude:pattern=2:4", "--baseline", str(folder)]
    with pytest.raises(SystemExit) as ended:
        main([*COMMAND, "--out", str(tmp_path / "sweep"), *more])
    printed = capsys.readouterr()
    assert ended.value.code == 3
    assert "burnt down" in printed.err and "failed" in printed.out and "magnitude-30" in printed.out
    found = load_sweep(tmp_path / "sweep")
    assert list(found.failed) == ["magnitude-60", "magnitude-2x4"]
    assert "no tongue" in found.failed["magnitude-2x4"]
    assert [math.isnan(p.retention.estimate) for p in found.at("ToolSandbox", "easy")] == [False, True, True]
    assert "burnt down" in (tmp_path / "sweep" / "report.html").read_text(encoding="utf-8")
    dense = [acenv.Results.load(path / "easy" / "runs" / "dense").episodes for path in (folder, tmp_path / "sweep")]
    assert {e.key: e.seconds for e in dense[1]}.items() <= {e.key: e.seconds for e in dense[0]}.items()


def test_what_cannot_work_is_told_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--env-option", "max_steps=2", "--out", str(tmp_path / "sweep")]
    for arguments, problem in (
        (["--methods", "rtn:group_size=1024", "magnitude", "--bits", "3", "4"], "group_size=1024"),
        (["--methods", "magnitude", "--bits", "4"], "bits 4"),
        (["--methods", "magnitude", "--difficulty", "extreme"], "difficulty"),
        (["--methods", "wanda", "--calibration", "text:nowhere"], "no file"),
        (["--methods", "magnitude", "--suite", "quik"], "quick"),
        (["--methods", "magnitude", "--baseline", str(tmp_path)], "baseline"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["sweep", *arguments, *common])
        assert ended.value.code == 1
        assert problem in " ".join(capsys.readouterr().err.split())
        assert not list(tmp_path.glob("sweep/*/runs"))
