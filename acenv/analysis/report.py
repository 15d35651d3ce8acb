"""The report: one HTML file that says whether the compressed models still act, and shows the evidence.

The page carries its styles, its plots (SVG) and the transcripts with it, and loads nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import acenv
from acenv.analysis import figures
from acenv.analysis.comparison import OVERALL, Comparison, EnvComparison
from acenv.analysis.cost import Cost
from acenv.analysis.page import render, resource, write
from acenv.analysis.plots import Checkpoint, MissingLibraryError
from acenv.analysis.replay import Replay
from acenv.analysis.sequential import Stopping
from acenv.analysis.verdict import (
    bounds_text,
    environment,
    format_size,
    is_significant,
    judge,
    noise_reach,
    recommendation,
    short_name,
    signed,
)
from acenv.analysis.viewer import Payload, build_payload
from acenv.runs import Results

Cell = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A compressed model in the report.

    Attributes:
        name: What it is called on the page; must be unique.
        method: The method string that made it, such as ``"gptq:bits=4,group_size=32"``.
        results: Its episodes.
        comparison: Those against the original's.
        replay: Internals of both models on the same transcripts, if they were measured.
        manifest: What was written beside the checkpoint (``compression.json``), if anything.
        cost: What it takes, and what it returns for that.
    """

    name: str
    method: str
    results: Results
    comparison: Comparison
    replay: Replay | None = None
    manifest: Mapping[str, Any] | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        title: Heading of the page.
        model: Name of the original model.
        settings: Difficulty and other settings, as text.
        reference: The original's episodes.
        candidates: The compressed models.
        noise: The original against itself, by what was changed: "batch size", "dtype", "sampling seed".
        created: Time, ISO 8601.
        versions: Libraries and their versions.
        cost: What the original takes.
        stopping: Where environments were stopped, if they were to be stopped when enough is known.
    """

    title: str
    model: str
    settings: str
    reference: Results
    candidates: Sequence[Candidate]
    noise: Mapping[str, Comparison] = field(default_factory=dict)
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    cost: Cost | None = None
    stopping: Stopping | None = None


def write_report(data: ReportData, path: str | Path) -> Path:
    """Render a report into a file, and make the folders that lead to it.

    Raises:
        MissingLibraryError: matplotlib or jinja2 is not installed.
        OSError: The file cannot be written; what was there before is intact.
    """
    return write(render_report(data), Path(path))


def render_report(data: ReportData) -> str:
    """The report as one HTML document that needs no network.

    Raises:
        MissingLibraryError: matplotlib or jinja2 is not installed.
        ValueError: Two candidates have the same name.
    """
    try:
        from markupsafe import Markup
    except ImportError as error:
        raise MissingLibraryError("jinja2") from error
    names = [c.name for c in data.candidates]
    if len(set(names)) < len(names):
        raise ValueError(f"every candidate of a report needs a name of its own, not {', '.join(names)}")

    payload = build_payload(data.reference, {c.name: (c.results, c.comparison) for c in data.candidates})
    env_ids = _env_ids(data)
    verdicts = sorted((judge(c.name, c.comparison, data.noise) for c in data.candidates), key=lambda v: v.loss)
    order = {v.name: rank for rank, v in enumerate(verdicts)}
    candidates = sorted(data.candidates, key=lambda c: order[c.name])
    replays = {c.name: c.replay for c in candidates if c.replay and c.replay.episodes}
    original = _original_megabytes(candidates)
    floor = next(iter(data.noise.values()), None)
    sizes = {c.name: size for c in candidates if (size := _megabytes(c.manifest)) is not None}
    return render(
        "report_template.html",
        title=data.title,
        subtitle=" · ".join(part for part in (data.model, data.settings, _episodes_text(data)) if part),
        script=Markup(resource("report.js")),
        payload=Markup(payload.to_json()),
        lead=recommendation(verdicts, sizes, original),
        verdicts=verdicts,
        noise_text=_noise_text(data.noise),
        columns=[short_name(e) for e in (OVERALL, *env_ids)],
        reference_cells=[_reference_cell(data, e) for e in (OVERALL, *env_ids)],
        reference_size=["–", "–", "–" if original is None else format_size(original)],
        noise_cells=floor and [_noise_cell(environment(floor, e)) for e in (OVERALL, *env_ids)],
        rows=[_row(c, env_ids) for c in candidates],
        confidence="95%",
        table_notes=list(_table_notes(candidates)),
        returns=[(Markup(f.svg), f.caption) for f in _return_figures(candidates, env_ids, floor, original)],
        internals=[(Markup(f.svg), f.caption) for f in figures.internal_figures(replays)],
        internals_rows=[_internals_row(name, replay) for name, replay in replays.items()],
        internals_note=_internals_note(replays),
        episodes_note=_episodes_note(payload),
        has_episodes=bool(payload.data["episodes"]),
        viewer_methods=names,
        viewer_envs=[(e, short_name(e)) for e in payload.data["envs"]],
        settings=list(_settings(data)),
        runs=[_run("Original", data.reference), *(_run(c.name, c.results) for c in candidates)],
        manifests=[
            (c.name, json.dumps(c.manifest, indent=2, ensure_ascii=False, default=str))
            for c in candidates
            if c.manifest
        ],
        acenv_version=acenv.__version__,
        created=data.created or "an unknown date",
    )


# The table ------------------------------------------------------------------------------------------------------------


def _env_ids(data: ReportData) -> list[str]:
    """All environments, in the order of the original's run."""
    ids = dict.fromkeys(e.env_id for e in data.reference.episodes)
    return list(ids | dict.fromkeys(e.env_id for c in data.candidates for e in c.comparison.environments))


def _reference_cell(data: ReportData, env_id: str) -> Cell | None:
    for candidate in data.candidates:
        found = environment(candidate.comparison, env_id)
        if found is not None:
            return {
                "mean": _number(found.reference.estimate),
                "interval": bounds_text(found.reference, sign=False),
                "episodes": _count(found.episodes, "episode"),
            }
    means = data.reference.mean_returns()
    if env_id == OVERALL and means:
        return {"mean": f"{math.fsum(means.values()) / len(means):.3f}", "interval": "", "episodes": ""}
    return {"mean": f"{means[env_id]:.3f}", "interval": "", "episodes": ""} if env_id in means else None


def _noise_cell(noise: EnvComparison | None) -> Cell | None:
    if noise is None:
        return None
    return {
        "reach": f"±{_number(noise_reach(noise))}",
        "difference": signed(noise.difference.estimate),
        "interval": bounds_text(noise.difference),
        "changed": _changed(noise),
        "episodes": _count(noise.episodes, "pair"),
    }


def _noise_text(noise: Mapping[str, Comparison]) -> str:
    parts = [
        f"±{noise_reach(floor.overall):.3f} with another {changed} ({_changed(floor.overall)} of "
        f"{_count(floor.overall.episodes, 'episode')})"
        for changed, floor in noise.items()
    ]
    return f"The noise floor: the original differs from itself by at most {', '.join(parts)}." if parts else ""


def _row(candidate: Candidate, env_ids: Sequence[str]) -> dict[str, Any]:
    parts = [(e, environment(candidate.comparison, e)) for e in (OVERALL, *env_ids)]
    size = _megabytes(candidate.manifest)
    bits, sparsity = _measured(candidate.manifest, "bits_per_weight"), _measured(candidate.manifest, "sparsity")
    return {
        "name": candidate.name,
        "method": candidate.method,
        "cells": [part and _cell(candidate.name, env_id, part) for env_id, part in parts],
        "bits": "–" if bits is None else f"{bits:.2f}",
        "sparsity": "–" if sparsity is None else f"{sparsity:.1%}",
        "megabytes": "–" if size is None else format_size(size),
    }


def _cell(name: str, env_id: str, part: EnvComparison) -> Cell:
    kept = part.retention.estimate if part.retention else math.nan
    mark, label = _mark(part)
    link = f"#{quote(name, safe='')}/" + ("" if env_id == OVERALL else quote(env_id, safe=""))
    return {
        "kept": "–" if math.isnan(kept) else f"{kept:.1%}",
        # The bar and the shading stop at the ends of the scale; the figure does not.
        "kept_share": f"{min(max(kept, 0.0), 1.0) if not math.isnan(kept) else 1.0:.3f}",
        "lost_share": f"{min(max(1 - kept, 0.0), 1.0) if not math.isnan(kept) else 0.0:.3f}",
        "mark": mark,
        "mark_label": label,
        "difference": signed(part.difference.estimate),
        "interval": bounds_text(part.difference),
        "p_value": f"p {_p_value(part.p_difference_adjusted)}",
        "episodes": _count(part.episodes, "pair"),
        "changed": _changed(part),
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


def _table_notes(candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        overall, missing = candidate.comparison.overall, candidate.comparison.missing
        if overall.reference_errors or overall.candidate_errors:
            yield (
                f"{candidate.name}: episodes that the machinery failed to finish are in no score: "
                f"{overall.reference_errors} of the original's, {overall.candidate_errors} of the method's."
            )
        if missing:
            yield f"{candidate.name}: {_count(missing, 'episode')} that only one of the two runs holds left out."


# Measurements of a checkpoint -----------------------------------------------------------------------------------------


def _measured(manifest: Mapping[str, Any] | None, name: str) -> float | None:
    value = (manifest or {}).get("measured", {}).get(name)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _megabytes(manifest: Mapping[str, Any] | None) -> float | None:
    size = _measured(manifest, "disk_bytes")
    return None if size is None else size / 1e6


def _original_megabytes(candidates: Sequence[Candidate]) -> float | None:
    """Size of the original on disk, which the compressors note beside what they make of it."""
    sizes = [_measured(c.manifest, "source_disk_bytes") for c in candidates]
    return next((s / 1e6 for s in sizes if s), None)


# Figures and internals ------------------------------------------------------------------------------------------------


def _return_figures(
    candidates: Sequence[Candidate], env_ids: Sequence[str], noise: Comparison | None, original: float | None
) -> Iterator[figures.PageFigure]:
    yield from figures.return_figures({c.name: c.comparison for c in candidates}, env_ids, noise)
    points = [
        Checkpoint(c.name, size, c.comparison.overall.candidate)
        for c in candidates
        if (size := _megabytes(c.manifest)) is not None
    ]
    if points and original is not None:
        points.insert(0, Checkpoint("original", original, candidates[0].comparison.overall.reference, reference=True))
    if points:
        yield figures.frontier_figure(points)


def _internals_row(name: str, replay: Replay) -> list[str]:
    """Name, effective ranks, the middle k of the rankings, and the energy; see the template's header."""
    overall = replay.summary().overall
    k = sorted(overall.jaccard)[len(overall.jaccard) // 2]
    arrows = [f"{base:.1f} → {compressed:.1f}" for base, compressed in (overall.erank_logits, overall.erank_hidden)]
    ranking = [f"{values[k]:.3f}" for values in (overall.jaccard, overall.kendall, overall.spearman)]
    return [
        name,
        *arrows,
        f"{overall.top1_agreement:.1%}",
        *ranking,
        f"{overall.energy_shift:.3f}",
        f"{overall.kl:.4f}",
    ]


def _internals_note(replays: Mapping[str, Replay]) -> str:
    if not replays:
        return ""
    overall = next(iter(replays.values())).summary().overall
    return (
        f"Both models read the same {_count(overall.episodes, 'transcript')} of the original "
        f"({overall.tokens:,} tokens), so every difference comes from the weights."
    )


# Words ----------------------------------------------------------------------------------------------------------------


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _changed(part: EnvComparison) -> str:
    return f"{len(part.lost):,} lost, {len(part.gained):,} gained"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _episodes_text(data: ReportData) -> str:
    return (
        f"{_count(len(data.reference.episodes), 'episode')} of the original, {_count(len(data.candidates), 'method')}"
    )


def _episodes_note(payload: Payload) -> str:
    """How many episodes changed, and what of them is on the page."""
    if not payload.lost and not payload.gained:
        return "No episode was lost: every paired episode has the same return."
    parts = [
        f"{_count(payload.lost, 'episode')} with a lower return than the original's and {payload.gained:,} with a "
        "higher one, over all methods."
    ]
    if payload.left_out:
        parts.append(
            f"The page holds the largest changes of each method and environment; {payload.left_out:,} are left out, "
            "and are in the run folders."
        )
    if payload.cut:
        parts.append(f"{_count(payload.cut, 'long message')} cut in the middle; a note there says by how much.")
    return " ".join(parts)


def _settings(data: ReportData) -> Iterator[tuple[str, str]]:
    yield "Model", data.model
    yield "Settings", data.settings
    manifest = data.reference.manifest
    by_env: dict[str, list[int]] = {}
    for episode in data.reference.episodes:
        by_env.setdefault(episode.env_id, []).append(episode.seed)
    for env_id, seeds in by_env.items():
        yield f"Seeds of {short_name(env_id)}", _ranges(seeds)
    if manifest.get("env_kwargs"):
        yield "Environment settings", json.dumps(manifest["env_kwargs"], ensure_ascii=False, default=str)
    if data.versions:
        yield "Versions", ", ".join(f"{name} {version}" for name, version in data.versions.items())
    if data.created:
        yield "Created", data.created


def _run(name: str, results: Results) -> dict[str, str]:
    policy = results.manifest.get("policy")
    facts = dict(policy) if isinstance(policy, Mapping) else {}
    fingerprint = facts.pop("fingerprint", None)
    text = ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value, default=str)}" for key, value in facts.items()
    )
    return {"name": name, "fingerprint": str(fingerprint or "–"), "policy": text or "–"}


def _ranges(seeds: Sequence[int]) -> str:
    """Whole numbers as ranges, in order.

    >>> _ranges([3, 1, 2, 7])
    '1–3, 7'
    """
    spans: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)
