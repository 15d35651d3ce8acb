"""The table of retention: every model in every environment, with intervals, tests and the noise floor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from acenv.analysis.charts.catalog import env_ids, measured, original_megabytes
from acenv.analysis.comparison import OVERALL, Comparison, EnvComparison
from acenv.analysis.report_data import Candidate, ReportData
from acenv.analysis.verdict import (
    bounds_text,
    environment,
    format_size,
    is_significant,
    noise_reach,
    short_name,
    signed,
)
from acenv.analysis.words import changed, count, listed, number, p_value

Cell = dict[str, Any]


def retention_table(data: ReportData, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """What the template needs.

    Args:
        data: The report.
        candidates: In the order of the rows.
    """
    columns = (OVERALL, *env_ids(data))
    original = original_megabytes(data)
    return {
        "columns": [short_name(e) for e in columns],
        "reference": [_reference_cell(data, e) for e in columns],
        "reference_size": ["–", "–", "–" if original is None else format_size(original)],
        "floors": [
            (f"original against itself, another {changed_by}", [_noise_cell(environment(floor, e)) for e in columns])
            for changed_by, floor in data.noise.items()
        ],
        "rows": [_row(c, columns) for c in candidates],
        "notes": list(_notes(candidates)),
    }


def noise_text(noise: Mapping[str, Comparison]) -> str:
    """How far the original is from itself, in a sentence; empty where that was not measured."""
    parts = [
        f"{noise_reach(floor.overall):.3f} with another {name} ({changed(floor.overall)} of "
        f"{count(floor.overall.episodes, 'episode')})"
        for name, floor in noise.items()
        if not math.isnan(noise_reach(floor.overall))
    ]
    return f"The noise floor: the original differs from itself by at most {listed(parts)}." if parts else ""


def _reference_cell(data: ReportData, env_id: str) -> Cell | None:
    for candidate in data.candidates:
        found = environment(candidate.comparison, env_id)
        if found is not None:
            return {
                "mean": number(found.reference.estimate),
                "interval": bounds_text(found.reference, sign=False),
                "episodes": count(found.episodes, "episode"),
            }
    means = data.reference.mean_returns()
    if env_id == OVERALL and means:
        return {"mean": f"{math.fsum(means.values()) / len(means):.3f}", "interval": "", "episodes": ""}
    return {"mean": f"{means[env_id]:.3f}", "interval": "", "episodes": ""} if env_id in means else None


def _noise_cell(noise: EnvComparison | None) -> Cell | None:
    if noise is None:
        return None
    return {
        "reach": f"±{number(noise_reach(noise))}",
        "difference": signed(noise.difference.estimate),
        "interval": bounds_text(noise.difference),
        "changed": changed(noise),
        "episodes": count(noise.episodes, "pair"),
    }


def _row(candidate: Candidate, columns: Sequence[str]) -> dict[str, Any]:
    parts = [(e, environment(candidate.comparison, e)) for e in columns]
    size = measured(candidate.manifest, "disk_bytes")
    bits, sparsity = (measured(candidate.manifest, name) for name in ("bits_per_weight", "sparsity"))
    return {
        "name": candidate.name,
        "method": candidate.method,
        "cells": [part and _cell(candidate.name, env_id, part) for env_id, part in parts],
        "bits": "–" if bits is None else f"{bits:.2f}",
        "sparsity": "–" if sparsity is None else f"{sparsity:.1%}",
        "megabytes": "–" if size is None else format_size(size / 1e6),
    }


def _cell(name: str, env_id: str, part: EnvComparison) -> Cell:
    kept = part.retention.estimate if part.retention else math.nan
    known = not math.isnan(kept)
    mark, label = _mark(part)
    # An address of the viewer in the page: its filters, set.
    link = f"#method={quote(name, safe='')}" + ("" if env_id == OVERALL else f"&env={quote(env_id, safe='')}")
    return {
        "kept": f"{kept:.1%}" if known else "–",
        # The bar and the shading stop at the ends of the scale; the figure does not.
        "kept_share": f"{min(max(kept, 0.0), 1.0) if known else 1.0:.3f}",
        "lost_share": f"{min(max(1 - kept, 0.0), 1.0) if known else 0.0:.3f}",
        "mark": mark,
        "mark_label": label,
        "difference": signed(part.difference.estimate),
        "interval": bounds_text(part.difference),
        "p_value": p_value(part.p_difference_adjusted),
        "episodes": count(part.episodes, "pair"),
        "changed": changed(part),
        "link": link if part.lost or part.gained else "",
    }


def _mark(part: EnvComparison) -> tuple[str, str]:
    down = part.difference.estimate < 0
    if is_significant(part):
        return ("▼", "significant fall") if down else ("▲", "significant rise")
    if part.difference.high < 0:
        return "▽", "fall by the interval alone"
    if part.difference.low > 0:
        return "△", "rise by the interval alone"
    return "", ""


def _notes(candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        overall, missing = candidate.comparison.overall, candidate.comparison.missing
        if overall.reference_errors or overall.candidate_errors:
            yield (
                f"{candidate.name}: episodes that the machinery failed to finish are in no score: "
                f"{overall.reference_errors} of the original's, {overall.candidate_errors} of the method's."
            )
        if missing:
            yield f"{candidate.name}: {count(missing, 'episode')} that only one of the two runs holds left out."
