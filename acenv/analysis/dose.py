"""Dose and response: what a model keeps of its returns, the more it is compressed. The points of a sweep."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeGuard

from acenv.analysis.comparison import EnvComparison
from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.statistics import Interval

Dose = Literal["bits", "sparsity", "difficulty"]

DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True)
class Point:
    """One version of the model in one suite at one difficulty.

    Attributes:
        version: Name of the compressed version.
        series: The method as it was asked for, without what is varied; the points of a line share it.
        method: The method string with all options.
        calibration: Spec of what it is calibrated on, empty where the method looks at nothing.
        bits: Bits that were asked for, ``None`` where weights keep their type.
        sparsity: Share of zeros that was asked for, ``None`` where nothing is pruned.
        suite: What it acted in.
        difficulty: Of the tasks.
        measured_bits: Stored bits for each weight of the compressed layers; ``nan`` if unknown.
        measured_sparsity: Share of zeros among them; ``nan`` if unknown.
        megabytes: Size on disk, in units of 10^6 bytes; ``nan`` if unknown.
        divergence: KL divergence from the original on held-out texts, in nats; ``nan`` if unknown.
        overall: Mean over the environments, against the original's; ``None`` if the version failed.
        in_noise: Whether the original against itself moves as much; ``None`` if that was not measured.
        errors: Error episodes of the version and of the original; they are in no score.
        failed: Why there is no such version, or it could not act; empty if all went well.
    """

    version: str
    series: str
    method: str
    calibration: str
    bits: int | None
    sparsity: float | None
    suite: str
    difficulty: str
    measured_bits: float = math.nan
    measured_sparsity: float = math.nan
    megabytes: float = math.nan
    divergence: float = math.nan
    overall: EnvComparison | None = None
    in_noise: bool | None = None
    errors: int = 0
    failed: str = ""

    @property
    def retention(self) -> Interval:
        """The part of the original's mean return that is kept; ``nan`` where there is none to keep."""
        if self.overall is None or self.overall.retention is None:
            return Interval(math.nan, math.nan, math.nan)
        return self.overall.retention

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Point:
        """The inverse of what :meth:`Sweep.to_dict` writes."""
        values = dict(data)
        for name in ("measured_bits", "measured_sparsity", "megabytes", "divergence"):
            values[name] = from_number(values[name])
        values["overall"] = None if data["overall"] is None else EnvComparison.from_dict(data["overall"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Sweep:
    """All points of a sweep, those that failed included.

    Attributes:
        model: Name of the original.
        settings: What was asked for.
        points: One for each version, suite and difficulty.
        noise: How far the original is from itself, in mean return, for each difficulty and suite.
        returns: The original's mean return, for each difficulty and suite.
        megabytes: Size of the original on disk, in units of 10^6 bytes; ``nan`` if unknown.
        left_out: Combinations and environments that were left out, each with the reason.
        created: Time, ISO 8601.
        versions: Libraries and their versions.
    """

    model: str
    settings: Mapping[str, Any]
    points: tuple[Point, ...]
    noise: Mapping[str, Mapping[str, float]]
    returns: Mapping[str, Mapping[str, float]]
    megabytes: float
    left_out: tuple[str, ...]
    created: str
    versions: Mapping[str, str]

    @property
    def failed(self) -> dict[str, str]:
        """Versions that failed, with the reason."""
        return {point.version: point.failed for point in self.points if point.failed}

    @property
    def places(self) -> list[tuple[str, str]]:
        """Suites and difficulties, in the order in which they were asked for."""
        return list(dict.fromkeys((point.suite, point.difficulty) for point in self.points))

    def at(self, suite: str, difficulty: str) -> list[Point]:
        """The points of one place."""
        return [p for p in self.points if (p.suite, p.difficulty) == (suite, difficulty)]

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: numbers that are ``nan`` become ``None``."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sweep:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe a sweep.
        """
        try:
            values = {f.name: data[f.name] for f in fields(cls)}
            values["points"] = tuple(Point.from_dict(point) for point in data["points"])
            values["left_out"] = tuple(data["left_out"])
            values["megabytes"] = from_number(data["megabytes"])
            for name in ("noise", "returns"):
                values[name] = {d: {s: from_number(v) for s, v in by.items()} for d, by in data[name].items()}
            return cls(**values)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no sweep as to_dict() writes it: {error!r}") from error


def lines(points: Sequence[Point], dose: Dose) -> dict[str, list[Point]]:
    """Points by line, for a plot against a dose: what else is varied is in the line's name.

    A line of ``"bits"`` has one method, calibration and sparsity; a line of ``"difficulty"`` has one version. Points
    that have no such dose, or failed, are in none.

    Args:
        points: Of one suite; of one difficulty too, unless that is the dose.
        dose: What is on the axis.
    """
    several = len({p.calibration for p in points if p.calibration}) > 1
    found: dict[str, list[Point]] = {}
    for point in points:
        if point.overall is None or position(point, dose) is None:
            continue
        name = point.version
        if dose != "difficulty":
            parts = [point.series, point.calibration if several else ""]
            if dose == "bits" and point.sparsity is not None:
                parts.append(f"{point.sparsity:.0%} zeros")
            if dose == "sparsity" and point.bits is not None:
                parts.append(f"{point.bits} bits")
            name = " · ".join(part for part in parts if part)
        found.setdefault(name, []).append(point)
    return {name: sorted(line, key=lambda p: position(p, dose) or 0.0) for name, line in found.items()}


def points_of(versions: Mapping[str, tuple[Mapping[str, Any], EnvComparison]]) -> tuple[Point, ...]:
    """The points of a comparison of versions that no grid made: doses and families are read off their manifests.

    A family has the same methods in the same order; options in which its members differ, other than bits and
    sparsity, tell families apart.

    Args:
        versions: Manifest (``compression.json``) and overall comparison of each, by name. One whose manifest does not
            say what was done has no dose.
    """
    steps = {name: _steps(manifest) for name, (manifest, _) in versions.items()}
    variants: dict[tuple[str, str], set[str]] = {}
    for passes in steps.values():
        for method, options in passes:
            for option, value in options.items():
                variants.setdefault((method, option), set()).add(str(value))
    found = []
    for name, (manifest, overall) in versions.items():
        series, bits, sparsity = [], None, None
        for method, options in steps[name]:
            bits, sparsity = options.get("bits", bits), options.get("sparsity", sparsity)
            told = [
                f"{option}={value}"
                for option, value in options.items()
                if option not in ("bits", "sparsity") and len(variants[method, option]) > 1
            ]
            series.append(":".join([method, *([",".join(told)] if told else [])]))
        measured = {k: from_number(v) for k, v in (manifest.get("measured") or {}).items() if _is_number(v)}
        found.append(
            Point(
                version=name,
                series="+".join(series),
                method=str(manifest.get("method", "")),
                calibration=str((manifest.get("calibration") or {}).get("spec") or ""),
                bits=int(bits) if _is_number(bits) and bits else None,
                sparsity=float(sparsity) if _is_number(sparsity) else None,
                suite="",
                difficulty="",
                measured_bits=measured.get("bits_per_weight", math.nan),
                measured_sparsity=measured.get("sparsity", math.nan),
                megabytes=measured.get("disk_bytes", math.nan) / 1e6,
                divergence=measured.get("kl_from_dense", math.nan),
                overall=overall,
            )
        )
    return tuple(found)


def _steps(manifest: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and options of each pass."""
    passes = manifest.get("passes")
    found = []
    for step in passes if isinstance(passes, list) else ():
        if isinstance(step, Mapping) and isinstance(step.get("settings"), Mapping):
            options = {str(k): v for k, v in step["settings"].items()}
            own = {k: json.dumps(step[k]) for k in ("overrides", "ignore") if step.get(k)}
            found.append((str(step.get("name", "")), options | own))
    return found


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def families(points: Sequence[Point], dose: Dose) -> dict[str, list[Point]]:
    """The lines that have two doses or more: what one method does at several strengths."""
    return {name: line for name, line in lines(points, dose).items() if len({position(p, dose) for p in line}) > 1}


def position(point: Point, dose: Dose) -> float | None:
    """Where a point stands on the axis of a dose: bits on a scale of powers of two."""
    if dose == "bits":
        return None if point.bits is None else math.log2(point.bits)
    if dose == "sparsity":
        return point.sparsity
    return float(DIFFICULTIES.index(point.difficulty)) if point.difficulty in DIFFICULTIES else None


_COLUMNS: dict[str, Callable[[Point, EnvComparison | None], Any]] = {
    "suite": lambda p, c: p.suite,
    "difficulty": lambda p, c: p.difficulty,
    "version": lambda p, c: p.version,
    "method": lambda p, c: p.method,
    "calibration": lambda p, c: p.calibration,
    "bits": lambda p, c: p.bits,
    "sparsity": lambda p, c: p.sparsity,
    "measured_bits": lambda p, c: p.measured_bits,
    "measured_sparsity": lambda p, c: p.measured_sparsity,
    "megabytes": lambda p, c: p.megabytes,
    "kl": lambda p, c: p.divergence,
    "episodes": lambda p, c: c and c.episodes,
    "return_original": lambda p, c: c and c.reference.estimate,
    "return": lambda p, c: c and c.candidate.estimate,
    "difference": lambda p, c: c and c.difference.estimate,
    "difference_low": lambda p, c: c and c.difference.low,
    "difference_high": lambda p, c: c and c.difference.high,
    "retained": lambda p, c: p.retention.estimate,
    "retained_low": lambda p, c: p.retention.low,
    "retained_high": lambda p, c: p.retention.high,
    "p_adjusted": lambda p, c: c and c.p_difference_adjusted,
    "in_noise": lambda p, c: p.in_noise,
    "errors": lambda p, c: p.errors,
    "failed": lambda p, c: p.failed,
}


def write_csv(sweep: Sweep, path: Path) -> None:
    """One line a point; what is not known is empty."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for point in sweep.points:
            cells = [column(point, point.overall) for column in _COLUMNS.values()]
            writer.writerow("" if c is None or (isinstance(c, float) and math.isnan(c)) else c for c in cells)
    temporary.replace(path)
