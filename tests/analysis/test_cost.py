from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from acenv.analysis.cost import COST, Cost, RunCost, cost_of, read_cost
from acenv.studies.metering import RunMeter


def part(episodes: int = 10, joules: float | None = 50.0, device: str = "cpu") -> RunCost:
    return RunCost(
        episodes, 20.0, 30.0, joules, "package-0" if joules is not None else "", "" if joules else "none", device, 8_000
    )


def write(folder: Path, cost: RunCost) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / COST).write_text(json.dumps(cost.to_dict()))
    return folder


def test_return_is_divided_by_what_is_known(tmp_path: Path) -> None:
    run = write(tmp_path / "run", part())
    cost = cost_of(0.5, run, {"disk_bytes": 2_000_000_000, "source_disk_bytes": 4_000_000_000})
    assert (cost.disk_mb, cost.memory_mb, cost.seconds, cost.joules) == (2000.0, 0.008, 3.0, 5.0)
    assert cost.per_gb_on_disk == 0.25 and cost.per_joule == 0.1
    assert cost.per_second == pytest.approx(0.5 / 3) and cost.clock == "processor"
    assert cost_of(0.5, run, {"source_disk_bytes": 4_000_000_000}, source=True).disk_mb == 4000.0
    on_gpu = cost_of(0.5, write(tmp_path / "gpu", part(device="cuda:0")), None)
    assert (on_gpu.seconds, on_gpu.clock, on_gpu.disk_mb) == (2.0, "wall", None)


def test_what_was_not_measured_is_absent_and_never_0(tmp_path: Path) -> None:
    cost = cost_of(0.5, tmp_path, None)
    assert cost == Cost(0.5)
    quotients = (cost.per_gb_on_disk, cost.per_gb_in_memory, cost.per_second, cost.per_joule)
    assert quotients == (None,) * 4
    assert Cost(math.nan, 1.0).per_gb_on_disk is None
    json.dumps(Cost(math.nan, 1.0).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"episodes": 0}', "\x00", json.dumps(part().to_dict() | {"wall_seconds": None})]
)
def test_a_damaged_file_is_no_measurement(tmp_path: Path, text: str) -> None:
    (tmp_path / COST).write_text(text)
    assert read_cost(tmp_path) is None


def test_parts_add_up_and_joules_only_where_all_have_them() -> None:
    both = part() + part(5, 10.0)
    assert (both.episodes, both.wall_seconds, both.joules, both.energy_source) == (15, 40.0, 60.0, "package-0")
    half = part() + part(5, None)
    assert (half.episodes, half.joules, half.energy_source, half.no_energy) == (15, None, "", "none")


def test_a_run_that_is_taken_up_again_adds_to_what_it_took(tmp_path: Path) -> None:
    cap = tmp_path / "powercap" / "intel-rapl:0"
    cap.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "0"), ("max_energy_range_uj", "262143000000")):
        (cap / name).write_text(text)
    folder = tmp_path / "run"
    for start, episodes in ((0, 3), (50_000_000, 2)):
        meter = RunMeter(folder, "cpu", alone=True, weight_bytes=7, powercap=tmp_path / "powercap")
        for _ in range(episodes):
            meter.finished()
        (cap / "energy_uj").write_text(str(start + 20_000_000))
        meter.write()
        (cap / "energy_uj").write_text("50000000")  # what others use between the two starts is not the run's
    found = read_cost(folder)
    assert found is not None and (found.episodes, found.joules, found.weight_bytes) == (5, 40.0, 7)
    assert found.wall_seconds > 0 and found.energy_source == "package-0"


def test_side_by_side_the_counters_of_the_machine_are_nobodys(tmp_path: Path) -> None:
    meter = RunMeter(tmp_path, "cpu", alone=False)
    meter.finished()
    meter.write()
    found = read_cost(tmp_path)
    assert found is not None and found.joules is None and "side by side" in found.no_energy


def test_a_start_without_an_episode_writes_nothing(tmp_path: Path) -> None:
    RunMeter(tmp_path / "run", "cpu", alone=True).write()
    assert not (tmp_path / "run").exists()
