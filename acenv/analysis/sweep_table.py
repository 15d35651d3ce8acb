"""The points of a sweep in words, as its page and the terminal show them."""

from __future__ import annotations

import math

from acenv.analysis.dose import Point
from acenv.analysis.verdict import format_size, interval_text
from acenv.analysis.words import number

COLUMNS = ("version", "bits asked", "zeros asked", "bits", "zeros", "MB", "KL", "retained", "difference", "p", "noise")
"""What :func:`row` gives, less the method, which stands below the version's name."""


def row(point: Point) -> list[str]:
    """A point in words: its version, its method and calibration, and what stands under :data:`COLUMNS`."""
    asked = ["–" if point.bits is None else str(point.bits), "–" if point.sparsity is None else f"{point.sparsity:.0%}"]
    made = " · ".join(part for part in (point.method, point.calibration) if part)
    if point.overall is None:
        return [point.version, made, *asked, *["–"] * (len(COLUMNS) - 4), "failed"]
    kept = point.retention
    p = point.overall.p_difference_adjusted
    return [
        point.version,
        made,
        *asked,
        number(point.measured_bits, ".2f"),
        number(point.measured_sparsity, ".0%"),
        "–" if math.isnan(point.megabytes) else format_size(point.megabytes),
        number(point.divergence, ".3f"),
        f"{number(kept.estimate, '.1%')} {_percent_bounds(point)}".strip(),
        interval_text(point.overall.difference),
        "<.001" if p < 0.001 else f"{p:.3f}",
        "–" if point.in_noise is None else "inside" if point.in_noise else "outside",
    ]


def _percent_bounds(point: Point) -> str:
    kept = point.retention
    return "" if math.isnan(kept.low) else f"[{kept.low:.1%}, {kept.high:.1%}]"
