"""The page of a sweep: dose-response plots and a table for each suite and difficulty, as one HTML file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from acenv.analysis.charts import plot_dose, to_svg
from acenv.analysis.charts.catalog import dose_text
from acenv.analysis.definitions import SWEEP_DEFINITIONS
from acenv.analysis.dose import Dose, Point, Sweep, lines
from acenv.analysis.page import render, write
from acenv.analysis.provenance import Provenance, as_text
from acenv.analysis.sweep_table import COLUMNS, row
from acenv.analysis.verdict import format_size

_CAPTIONS: Mapping[Dose, str] = {
    "bits": "Fewer bits to the right; a point is a version, a whisker its 95% interval, the band the noise floor.",
    "sparsity": "More zeros to the right; a point is a version, a whisker its 95% interval, the band the noise floor.",
    "difficulty": "Harder to the right; a point is a version, a whisker its 95% interval.",
}


def write_sweep_page(sweep: Sweep, path: Path, reports: Mapping[str, str]) -> Path:
    """Render a sweep into a file.

    Args:
        sweep: What to show.
        path: The file.
        reports: Links to the reports with all environments and episodes, by difficulty.

    Raises:
        MissingLibraryError: matplotlib or jinja2 is not installed.
        OSError: The file cannot be written; what was there before is intact.
    """
    count = len({point.version for point in sweep.points})
    page = render(
        "sweep_page.html",
        title=f"How far {sweep.model} can be compressed",
        subtitle=f"{count} versions, {sweep.settings['episodes']} test episodes an environment",
        places=[_place(sweep, suite, difficulty, reports.get(difficulty, "")) for suite, difficulty in sweep.places],
        difficulty_plots=list(_difficulty_plots(sweep)),
        columns=COLUMNS,
        failed=sorted(sweep.failed.items()),
        made=Provenance(
            settings=list(_settings(sweep)),
            definitions=SWEEP_DEFINITIONS,
            left_out=sweep.left_out,
            created=sweep.created or "an unknown date",
        ),
    )
    return write(page, path)


def _place(sweep: Sweep, suite: str, difficulty: str, report: str) -> dict[str, Any]:
    points = sweep.at(suite, difficulty)
    mean, reach = sweep.returns[difficulty][suite], sweep.noise[difficulty][suite]
    name = re.sub(r"\W+", "-", f"{suite}-{difficulty}")
    ordered = sorted(points, key=lambda p: (p.overall is None, -p.retention.estimate if p.overall else 0.0))
    return {
        "id": name,
        "title": f"{suite}, {difficulty}",
        "text": f"The original's mean return is {mean:.3f}, and its noise floor ±{reach:.3f}.",
        "report": report,
        "plots": list(_plots(points, ("bits", "sparsity"), reach / mean if mean > 0 else math.nan, name)),
        "rows": [row(point) for point in ordered],
    }


def _difficulty_plots(sweep: Sweep) -> Iterator[dict[str, str]]:
    """One for each suite and method, with a line a version."""
    for i, (suite, series) in enumerate(dict.fromkeys((p.suite, p.series) for p in sweep.points)):
        points = [p for p in sweep.points if (p.suite, p.series) == (suite, series)]
        if len({p.difficulty for p in points}) > 1:
            for chart in _plots(points, ("difficulty",), math.nan, f"harder{i}"):
                yield {**chart, "caption": f"{suite}, {series}. {chart['caption']}"}


def _plots(points: Sequence[Point], doses: Sequence[Dose], reach: float, name: str) -> Iterator[dict[str, str]]:
    from markupsafe import Markup

    for dose in doses:
        drawn = lines(points, dose)
        if not drawn:
            continue
        words = f"Retained return against {dose}. {dose_text(drawn, dose)}"
        svg = Markup(to_svg(plot_dose(drawn, dose, reach), words, f"{name}-{dose}"))
        yield {"svg": svg, "caption": _CAPTIONS[dose]}


def _settings(sweep: Sweep) -> Iterator[tuple[str, str]]:
    for name, value in sweep.settings.items():
        yield name.replace("_", " "), as_text(value)
    if not math.isnan(sweep.megabytes):
        yield "original on disk", f"{format_size(sweep.megabytes)} MB"
    yield "versions", ", ".join(f"{name} {version}" for name, version in sweep.versions.items())
