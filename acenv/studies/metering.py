"""What it takes to act: seconds and joules, written beside the run as ``cost.json`` while it goes on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from acenv.analysis.cost import COST, RunCost, read_cost
from acenv.energy_meter import POWERCAP, EnergyMeter, find_counters
from acenv.studies.plan import write_json

_EVERY = 2.0
"""Seconds between two writes: what a killed run loses of its figures at most, with the episodes of that time."""


class RunMeter:
    """Measures a run; episodes of earlier starts keep what was measured then."""

    def __init__(
        self, folder: Path, device: str, *, alone: bool, weight_bytes: int | None = None, powercap: Path = POWERCAP
    ) -> None:
        """Start.

        Args:
            folder: The run folder.
            device: Where the model is, as torch calls it.
            alone: Whether nothing else of the same job runs at the same time. A counter of the whole machine belongs to
                nobody in particular otherwise.
            weight_bytes: What the weights take in memory, if known.
            powercap: Where RAPL's counters are.
        """
        self._path = folder / COST
        self._before = read_cost(folder)
        self._device, self._weight_bytes = device, weight_bytes
        counters, reason = find_counters(device, powercap)
        if not alone:
            counters, reason = [], "several jobs ran side by side, and the counters are those of the whole machine"
        self._energy = EnergyMeter(counters, reason)
        self._wall, self._processor = time.perf_counter(), time.process_time()
        self._written = self._wall
        self._episodes = 0

    def finished(self) -> None:
        """An episode has ended."""
        self._episodes += 1
        self._energy.look()
        if time.perf_counter() - self._written > _EVERY:
            self.write()

    def write(self) -> None:
        """Write what was measured so far; nothing if no episode has ended."""
        self._written = time.perf_counter()
        if not self._episodes:
            return
        energy = self._energy.energy()
        now = RunCost(
            episodes=self._episodes,
            wall_seconds=self._written - self._wall,
            processor_seconds=time.process_time() - self._processor,
            joules=energy.joules,
            energy_source=energy.source,
            no_energy=energy.reason,
            device=self._device,
            weight_bytes=self._weight_bytes,
        )
        total: Any = now if self._before is None else self._before + now
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, total.to_dict())
