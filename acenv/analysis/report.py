"""The report: one HTML file that says whether the compressed models still act, and shows the evidence.

The page carries its styles, its charts (SVG) and the transcripts with it, and loads nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from acenv.analysis import sections
from acenv.analysis.charts import Chart, MissingLibraryError, charts, to_svg
from acenv.analysis.charts.catalog import Section, env_ids, measured, original_megabytes
from acenv.analysis.page import render, write
from acenv.analysis.provenance import provenance
from acenv.analysis.report_data import Candidate, Findings, ReportData, gather
from acenv.analysis.retention import noise_text, retention_table
from acenv.analysis.verdict import recommendation, short_name
from acenv.analysis.viewer import viewer_values
from acenv.analysis.words import count, listed

__all__ = ["Candidate", "ReportData", "gather", "render_report", "write_report"]


def write_report(data: ReportData, path: str | Path, found: Findings | None = None) -> Path:
    """Render a report into a file, and make the folders that lead to it.

    Args:
        data: What it shows.
        path: The file.
        found: What follows from the data, if that is known already.

    Raises:
        MissingLibraryError: matplotlib or jinja2 is not installed.
        OSError: The file cannot be written; what was there before is intact.
    """
    return write(render_report(data, found), Path(path))


def render_report(data: ReportData, found: Findings | None = None) -> str:
    """The report as one HTML document that needs no network.

    Args:
        data: What it shows.
        found: What follows from the data, if that is known already.

    Raises:
        MissingLibraryError: matplotlib or jinja2 is not installed.
        ValueError: Two candidates have the same name.
    """
    names = [c.name for c in data.candidates]
    if len(set(names)) < len(names):
        raise ValueError(f"every candidate of a report needs a name of its own, not {', '.join(names)}")
    found = found or Findings(data)
    order = {v.name: rank for rank, v in enumerate(found.verdicts)}
    candidates = sorted(data.candidates, key=lambda c: order[c.name])
    data = replace(data, candidates=candidates)
    return render(
        "report_template.html",
        title=data.title,
        subtitle=" · ".join(part for part in (data.model, data.settings, _episodes_text(data)) if part),
        lead=recommendation(found.verdicts, _sizes(candidates), original_megabytes(data)),
        tested=_tested(data),
        verdicts=found.verdicts,
        matrix=sections.environments_kept(data, found),
        noise_text=noise_text(data.noise),
        retention=retention_table(data, candidates),
        charts=_drawn(charts(data, found)),
        internals=sections.internals(data.replays),
        prediction=sections.prediction(found.relations),
        failures=sections.failures(data, found),
        attributions=sections.attributions(data),
        cost=sections.cost(data),
        added=sections.added(data),
        commands=_commands(data),
        made=provenance(data),
        viewer=viewer_values(data),
    )


def _drawn(found: Iterable[Chart]) -> dict[str, list[dict[str, Any]]]:
    """SVG and caption of each chart, by section."""
    try:
        from markupsafe import Markup
    except ImportError as error:
        raise MissingLibraryError("jinja2") from error
    by_section: dict[str, list[dict[str, Any]]] = {section: [] for section in get_args(Section)}
    for chart in found:
        svg = Markup(to_svg(chart.draw(), chart.description, chart.name))
        by_section[chart.section].append({"svg": svg, "caption": chart.caption})
    return by_section


def _sizes(candidates: Sequence[Candidate]) -> dict[str, float]:
    sizes = {c.name: measured(c.manifest, "disk_bytes") for c in candidates}
    return {name: size / 1e6 for name, size in sizes.items() if size is not None}


def _tested(data: ReportData) -> str:
    """What a recommendation is about."""
    names = [short_name(env_id) for env_id in env_ids(data)]
    if not names or not data.candidates:
        return ""
    return f"Tested in {listed(names)}{f', {data.settings}' if data.settings else ''}; nothing is said of other tasks."


def _episodes_text(data: ReportData) -> str:
    episodes = count(len(data.reference.episodes), "episode")
    return f"{episodes} of the original, {count(len(data.candidates), 'method')}"


def _commands(data: ReportData) -> Mapping[str, str]:
    """The commands that give what a report lacks; with the folder, if it is a bench's."""
    bench = shlex.quote(data.folder) if data.folder else "BENCH"
    method = shlex.quote(data.candidates[0].name) if data.candidates else "METHOD"
    return {
        "bench": "acenv bench --model MODEL --methods METHOD ...",
        "dose": "acenv bench --methods gptq:bits=4 gptq:bits=3 gptq:bits=2 wanda:sparsity=0.3 wanda:sparsity=0.5",
        "needle": """acenv bench --env-option 'acenv/Needle-v0={"grid": [[1000, 4000], [0, 50, 100]]}'""",
        "replay": f"acenv replay {bench}",
        "attribute": f"acenv attribute {bench} --method {method}",
    }
