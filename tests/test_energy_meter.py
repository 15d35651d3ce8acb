from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acenv.energy_meter import EnergyMeter, find_counters, rapl_counters


def zone(root: Path, folder: str, name: str, microjoules: int, span: int = 1_000_000_000) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(name + "\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{span}\n")
    return path


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """As on a server with two sockets: cores and psys are in what is counted already, and mmio shows it once more."""
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    zone(tmp_path, "intel-rapl:1:0", "dram", 2_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 90_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5_000_000)
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def meter_of(root: Path, clock: Clock) -> EnergyMeter:
    counters, reason = find_counters("cpu", root)
    return EnergyMeter(counters, reason, clock)


def test_packages_and_their_memory_are_added_and_nothing_twice(powercap: Path) -> None:
    assert sorted(c.name for c in rapl_counters(powercap)) == [
        "dram of package-0",
        "dram of package-1",
        "package-0",
        "package-1",
    ]
    meter = meter_of(powercap, Clock())
    for folder, value in (("intel-rapl:0", 8_000_000), ("intel-rapl:1:0", 2_500_000), ("intel-rapl:0:0", 7_000_000)):
        (powercap / folder / "energy_uj").write_text(str(value))
    energy = meter.energy()
    assert energy.joules == pytest.approx(3.5) and "package-1" in energy.source and not energy.reason


def test_a_counter_that_comes_around_goes_on(tmp_path: Path) -> None:
    path = zone(tmp_path, "intel-rapl:0", "package-0", 262_000_000_000, 262_143_000_000)
    clock = Clock()
    meter = meter_of(tmp_path, clock)
    for value in (262_100_000_000, 57_000_000, 100_000_000):
        clock.now += 60
        (path / "energy_uj").write_text(str(value))
        meter.look()
    assert meter.energy().joules == pytest.approx(262_143 - 262_000 + 100)


def test_no_figure_where_a_counter_may_have_come_around_unseen(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1, 100_000_000_000)
    clock = Clock()
    meter = meter_of(tmp_path, clock)
    clock.now = 3600.0
    energy = meter.energy()
    assert energy.joules is None and "come around" in energy.reason and not energy.source


def test_without_counters_there_is_a_reason_and_no_figure(tmp_path: Path, powercap: Path) -> None:
    missing = meter_of(tmp_path / "nowhere", Clock()).energy()
    assert missing.joules is None and "no RAPL counters" in missing.reason
    (powercap / "intel-rapl:1" / "energy_uj").write_text("broken")
    assert meter_of(powercap, Clock()).energy().joules is None
    assert "no counter is known for the device mps" in find_counters("mps")[1]


def test_a_counter_for_root_alone_is_said_to_be_that(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = powercap / "intel-rapl:0" / "energy_uj"
    read = Path.read_text

    def refuse(self: Path, *arguments: Any, **more: Any) -> str:
        if self == secret:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *arguments, **more)

    if os.geteuid():
        secret.chmod(0)
    else:  # root may read everything
        monkeypatch.setattr(Path, "read_text", refuse)
    energy = meter_of(powercap, Clock()).energy()
    assert energy.joules is None and str(secret) in energy.reason and "root" in energy.reason


def test_a_counter_that_goes_away_takes_the_figure_with_it(powercap: Path) -> None:
    meter = meter_of(powercap, Clock())
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    energy = meter.energy()
    assert energy.joules is None and "could not be read any more" in energy.reason


class NVMLError(Exception):
    pass


def fake_nvml(read: Callable[[Any], int]) -> types.ModuleType:
    library: Any = types.ModuleType("pynvml")
    library.NVMLError = NVMLError
    library.nvmlInit = lambda: None
    library.nvmlDeviceGetHandleByIndex = lambda index: index
    library.nvmlDeviceGetTotalEnergyConsumption = read
    return library


def test_a_gpu_counts_its_board(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([1_000, 1_500, 2_500, 2_500])  # the first one only asks whether it tells
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(lambda handle: next(values)))
    counters, reason = find_counters("cuda:1")
    assert [c.name for c in counters] == ["GPU 1"] and not reason
    assert EnergyMeter(counters, reason).energy().joules == pytest.approx(1.0)


def test_a_gpu_that_does_not_tell_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: Any) -> int:
        raise NVMLError("Not Supported")

    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(refuse))
    assert find_counters("cuda") == ([], "NVML does not tell the energy of GPU 0: Not Supported")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "acenv[energy]" in find_counters("cuda")[1]
