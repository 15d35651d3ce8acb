"""How much energy a piece of work took, where the machine tells; where it does not, there is a reason and no figure.

Processors: the counters of RAPL (Running Average Power Limit), which Linux shows under ``/sys/class/powercap`` for
Intel and AMD. They count for the whole machine, so that they belong to one piece of work only where it is alone. Since
2020 (CVE-2020-8694) only root may read them; ``chmod o+r /sys/class/powercap/*/energy_uj`` lets others.

GPUs: NVML's counter of the whole board (``nvmlDeviceGetTotalEnergyConsumption``, since Volta), through ``pynvml``
(``pip install "acenv[energy]"``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")

_LARGEST_WATTS = 2000.0
"""More than any package draws. A counter that could have come around twice between two looks says nothing."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What was measured.

    Attributes:
        joules: ``None`` where nothing is known.
        source: Which counters it comes from; empty without a figure.
        reason: Why there is no figure; empty with one.
    """

    joules: float | None
    source: str = ""
    reason: str = ""


class Counter(Protocol):
    """A counter of energy that only grows, except that it may come around."""

    @property
    def name(self) -> str:
        """What it counts."""
        ...

    def read(self) -> float:
        """Joules since the counter was last 0."""
        ...

    @property
    def span(self) -> float:
        """Joules at which it comes around; infinite where it never does."""
        ...


@dataclass(frozen=True, slots=True)
class RaplCounter:
    """One zone of RAPL.

    Attributes:
        name: What it measures, such as ``"package-0"``.
        folder: Holds ``energy_uj``.
        span: Joules at which the counter comes around.
    """

    name: str
    folder: Path
    span: float

    def read(self) -> float:
        """Joules since the counter was last 0."""
        return int((self.folder / "energy_uj").read_text()) / 1e6


@dataclass(frozen=True, slots=True)
class GpuCounter:
    """The board of an NVIDIA GPU."""

    name: str
    handle: Any
    library: Any
    span: float = float("inf")

    def read(self) -> float:
        """Joules since the driver was loaded."""
        return float(self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3


def rapl_counters(root: Path = POWERCAP) -> list[RaplCounter]:
    """The zones that together are the processors and their memory: all packages, and the DRAM beside them.

    Cores and the integrated GPU are parts of a package, and ``psys`` is all of the machine; they would count twice.

    Args:
        root: ``/sys/class/powercap``, or what looks like it.

    Raises:
        FileNotFoundError: There are no such counters.
        PermissionError: They may not be read.
        ValueError: They hold something else than numbers.
    """
    found: dict[str, RaplCounter] = {}
    for folder in sorted(root.glob("*-rapl:*")):
        try:
            zone = (folder / "name").read_text().strip()
            parent = folder.name.rpartition(":")[0]
            if zone == "dram":
                zone = f"dram of {(root / parent / 'name').read_text().strip()}"
            elif not zone.startswith("package"):
                continue
            counter = RaplCounter(zone, folder, int((folder / "max_energy_range_uj").read_text()) / 1e6)
        except FileNotFoundError:
            continue
        counter.read()
        found.setdefault(zone, counter)  # intel-rapl-mmio shows the same packages again
    if not any(name.startswith("package") for name in found):
        raise FileNotFoundError(f"no RAPL counters in {root}")
    return list(found.values())


def gpu_counter(index: int) -> GpuCounter:
    """The counter of a GPU.

    Args:
        index: As NVML counts them.

    Raises:
        ImportError: ``pynvml`` is not installed.
        OSError: The driver or the board does not tell.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        counter = GpuCounter(f"GPU {index}", handle, pynvml)
        counter.read()
    except pynvml.NVMLError as error:
        raise OSError(f"NVML does not tell the energy of GPU {index}: {error}") from error
    return counter


def find_counters(device: str, root: Path = POWERCAP) -> tuple[Sequence[Counter], str]:
    """The counters of what a model runs on, or the reason why there are none.

    Args:
        device: A torch device, such as ``"cpu"`` or ``"cuda:0"``; of a GPU only its board is counted.
        root: As for :func:`rapl_counters`.
    """
    try:
        if device.startswith("cuda"):
            return [gpu_counter(int(device.partition(":")[2] or 0))], ""
        if device == "cpu":
            return rapl_counters(root), ""
        return [], f"no counter is known for the device {device}"
    except ImportError:
        return [], 'pynvml is not installed: pip install "acenv[energy]"'
    except PermissionError as error:
        return [], f"{error.filename} may only be read by root; chmod o+r on it lets others"
    except (OSError, ValueError) as error:
        return [], str(error)


class EnergyMeter:
    """Adds up what counters tell, across their coming around.

    :meth:`look` must be called more often than a counter can come around (minutes, at full load); where it was not, the
    figure is withdrawn.
    """

    def __init__(
        self, counters: Sequence[Counter], reason: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start counting.

        Args:
            counters: From :func:`find_counters`.
            reason: Why there are none.
            clock: Seconds.
        """
        self._counters = list(counters)
        self._reason = "" if counters else reason or "there is no counter"
        self._clock = clock
        self._joules = 0.0
        self._last: list[float] = []
        self._time = clock()
        self.look()

    def look(self) -> None:
        """Read the counters."""
        if self._reason:
            return
        try:
            values = [counter.read() for counter in self._counters]
        except Exception as error:  # a driver may raise anything of its own
            self._reason = f"a counter could not be read any more: {error}"
            return
        now = self._clock()
        for counter, before, after in zip(self._counters, self._last, values, strict=False):
            if (now - self._time) * _LARGEST_WATTS > counter.span:
                self._reason = f"{counter.name} was not read for {now - self._time:.0f} s and may have come around"
                return
            self._joules += after - before if after >= before else after - before + counter.span
        self._last, self._time = values, now

    def energy(self) -> Energy:
        """What was used since the start."""
        self.look()
        if self._reason:
            return Energy(None, reason=self._reason)
        return Energy(self._joules, source=", ".join(counter.name for counter in self._counters))
