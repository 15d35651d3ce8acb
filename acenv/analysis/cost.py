"""What return costs: in GB on disk and in memory, in seconds and in joules. What was not measured is absent.

Seconds are *processor* seconds where a model runs on the processor: all threads of the process, the environments'
included, whatever else the machine did meanwhile. Where it runs on a GPU they are *wall* seconds, since the processor
only waits. Both are for one episode, averaged over those that were measured: episodes that were taken over from another
run have no seconds of their own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

COST = "cost.json"
"""The file in a run folder."""


@dataclass(frozen=True, slots=True)
class RunCost:
    """What some episodes of a run took; sums with ``+``.

    Attributes:
        episodes: How many were measured.
        wall_seconds: While they were acted.
        processor_seconds: Of all threads of the process.
        joules: ``None`` where not known.
        energy_source: Which counters the joules are from.
        no_energy: Why there are no joules.
        device: Where the model was.
        weight_bytes: Weights as they were loaded; weights that an engine unpacks at load count unpacked.
    """

    episodes: int
    wall_seconds: float
    processor_seconds: float
    joules: float | None
    energy_source: str
    no_energy: str
    device: str
    weight_bytes: int | None = None

    def __add__(self, other: RunCost) -> RunCost:
        joules = None if self.joules is None or other.joules is None else self.joules + other.joules
        return RunCost(
            episodes=self.episodes + other.episodes,
            wall_seconds=self.wall_seconds + other.wall_seconds,
            processor_seconds=self.processor_seconds + other.processor_seconds,
            joules=joules,
            energy_source=other.energy_source if joules is not None else "",
            no_energy=self.no_energy or other.no_energy,
            device=self.device if self.device == other.device else f"{self.device}, {other.device}",
            weight_bytes=other.weight_bytes,
        )

    @property
    def clock(self) -> Literal["processor", "wall"]:
        """Which seconds count; see the module."""
        return "processor" if self.device == "cpu" else "wall"

    @property
    def seconds(self) -> float:
        """Seconds that count."""
        return self.processor_seconds if self.clock == "processor" else self.wall_seconds

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs, and what it returns for that. Everything that is not known is ``None``.

    Attributes:
        mean_return: Over all environments.
        disk_mb: Weight files, in 10^6 bytes.
        memory_mb: Weights as they were loaded to act.
        seconds: For an episode.
        joules: For an episode.
        clock: Which seconds: ``"processor"`` or ``"wall"``.
        energy_source: Which counters the joules are from.
        no_energy: Why there are no joules.
    """

    mean_return: float
    disk_mb: float | None = None
    memory_mb: float | None = None
    seconds: float | None = None
    joules: float | None = None
    clock: str = ""
    energy_source: str = ""
    no_energy: str = "the run was not metered"

    @property
    def per_gb_on_disk(self) -> float | None:
        """Mean return for each 10^9 bytes of weight files."""
        return self._per(self.disk_mb, 1000.0)

    @property
    def per_gb_in_memory(self) -> float | None:
        """Mean return for each 10^9 bytes of loaded weights."""
        return self._per(self.memory_mb, 1000.0)

    @property
    def per_second(self) -> float | None:
        """Return earned in a second of acting."""
        return self._per(self.seconds)

    @property
    def per_joule(self) -> float | None:
        """Return earned with a joule."""
        return self._per(self.joules)

    def _per(self, amount: float | None, scale: float = 1.0) -> float | None:
        return scale * self.mean_return / amount if amount and math.isfinite(self.mean_return) else None

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON, the quotients included."""
        quotients = ("per_gb_on_disk", "per_gb_in_memory", "per_second", "per_joule")
        data = asdict(self) | {name: getattr(self, name) for name in quotients}
        return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in data.items()}


def read_cost(folder: Path) -> RunCost | None:
    """What was measured of a run; ``None`` where nothing was, or the file is no such file.

    Args:
        folder: A run folder.
    """
    try:
        data = json.loads((folder / COST).read_text(encoding="utf-8"))
        cost = RunCost(**{field.name: data[field.name] for field in fields(RunCost)})
        numbers = (cost.wall_seconds, cost.processor_seconds, *([] if cost.joules is None else [cost.joules]))
        return cost if cost.episodes > 0 and all(math.isfinite(n) and n >= 0 for n in numbers) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cost_of(mean_return: float, folder: Path, measured: Mapping[str, Any] | None, *, source: bool = False) -> Cost:
    """The cost of a model that acted.

    Args:
        mean_return: Over all environments.
        folder: Its run folder.
        measured: What the compressor measured (``manifest["measured"]``).
        source: Whether the model is the one that was compressed, whose sizes stand there too.
    """
    sizes = measured or {}
    disk = _megabytes(sizes.get("source_disk_bytes" if source else "disk_bytes"))
    run = read_cost(folder)
    if run is None:
        return Cost(mean_return, disk)
    return Cost(
        mean_return,
        disk,
        _megabytes(run.weight_bytes),
        run.seconds / run.episodes,
        None if run.joules is None else run.joules / run.episodes,
        run.clock,
        run.energy_source,
        run.no_energy,
    )


def _megabytes(size: Any) -> float | None:
    return float(size) / 1e6 if isinstance(size, (int, float)) and math.isfinite(size) and size > 0 else None
