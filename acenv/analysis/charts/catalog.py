"""All charts of a report, each with a name for a file, a caption, and what it shows in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from acenv.analysis.charts.causes import (
    QUOTIENTS,
    known_quotients,
    plot_attribution,
    plot_cost,
    plot_failures,
    plot_prediction,
)
from acenv.analysis.charts.internals import (
    MEASURES,
    Matrix,
    Measure,
    plot_agreement,
    plot_effective_rank,
    plot_energy,
    plot_layers,
    rank_change,
    summaries,
)
from acenv.analysis.charts.needles import plot_needle
from acenv.analysis.charts.returns import Checkpoint, frontier, plot_dose, plot_frontier, plot_retention
from acenv.analysis.comparison import OVERALL
from acenv.analysis.dose import Dose, Point, families
from acenv.analysis.verdict import EXCUSES, environment, format_size, noise_reach, short_name
from acenv.analysis.words import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from acenv.analysis.report_data import Findings, ReportData

Section = Literal[
    "retention", "frontier", "dose", "needle", "internals", "prediction", "failures", "attribution", "cost"
]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of a report.

    Attributes:
        section: Where it stands.
        name: Unique in a report; names its file.
        caption: Stands below it.
        description: What it shows, for readers who do not see it.
        draw: Makes the figure.
    """

    section: Section
    name: str
    caption: str
    description: str
    draw: Callable[[], Figure]


def charts(data: ReportData, found: Findings) -> Iterator[Chart]:
    """All charts for which there are data, in the order of the page.

    Args:
        data: The report.
        found: What follows from it.
    """
    yield from _retention(data)
    yield from _frontier(data)
    yield from _doses(data, found)
    yield from _needles(found)
    yield from _internals(data)
    if found.relations is not None and found.relations.held_out is not None:
        held_out = found.relations.held_out
        texts = [f"{p.method} {p.estimate:.3f}, really {p.actual:.3f}" for p in held_out.predictions]
        yield Chart(
            "prediction",
            "prediction",
            "What each method lost, and what the others let one expect of its internals alone, with an interval.",
            f"Predicted and real loss of mean return: {'; '.join(texts)}.",
            lambda: plot_prediction(held_out),
        )
    yield from _failures(data, found)
    yield from _attribution(data)
    yield from _cost(data)


def env_ids(data: ReportData) -> list[str]:
    """All environments, in the order of the original's run."""
    ids = dict.fromkeys(e.env_id for e in data.reference.episodes)
    return list(ids | dict.fromkeys(e.env_id for c in data.candidates for e in c.comparison.environments))


def checkpoints(data: ReportData, amount: Literal["disk_mb", "seconds"] = "disk_mb") -> list[Checkpoint]:
    """The points of the frontier, the original first; models of which the amount is not known are left out."""
    points = [
        Checkpoint(c.name, value, c.comparison.overall.candidate)
        for c in data.candidates
        if (value := _amount(c.cost, c.manifest, amount)) is not None
    ]
    first = next((c.comparison.overall.reference for c in data.candidates), None)
    original = getattr(data.cost, amount, None)
    if original is None and amount == "disk_mb":
        original = original_megabytes(data)
    if points and original and first is not None:
        points.insert(0, Checkpoint("original", original, first, reference=True))
    return points


def original_megabytes(data: ReportData) -> float | None:
    """Size of the original on disk, which the compressors note beside what they make of it."""
    sizes = [measured(c.manifest, "source_disk_bytes") for c in data.candidates]
    return next((s / 1e6 for s in sizes if s), None)


def measured(manifest: Mapping[str, Any] | None, name: str) -> float | None:
    """A number that was measured of a checkpoint; ``None`` if there is none."""
    values = (manifest or {}).get("measured")
    value = values.get(name) if isinstance(values, Mapping) else None
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _amount(cost: Any, manifest: Mapping[str, Any] | None, amount: str) -> float | None:
    value = getattr(cost, amount, None)
    if not value and amount == "disk_mb":
        size = measured(manifest, "disk_bytes")
        value = None if size is None else size / 1e6
    return value or None


def noise_share(data: ReportData) -> float:
    """How far the original is from itself, as a share of its mean return; ``nan`` where that is not known."""
    reaches = [noise_reach(floor.overall) for changed, floor in data.noise.items() if changed in EXCUSES]
    means = [floor.overall.reference.estimate for floor in data.noise.values()]
    return max(reaches) / means[0] if reaches and means[0] > 0 else math.nan


def _retention(data: ReportData) -> Iterator[Chart]:
    comparisons = data.comparisons
    for env_id in (OVERALL, *env_ids(data)):
        parts = {name: part for name, c in comparisons.items() if (part := environment(c, env_id)) is not None}
        if not parts:
            continue
        reference = next(iter(parts.values())).reference.estimate
        means = ", ".join(f"{name} {part.candidate.estimate:.2f}" for name, part in parts.items())
        counts = sorted({part.episodes for part in parts.values()})
        episodes = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        yield Chart(
            "retention",
            f"retention-{_slug(short_name(env_id))}",
            f"{short_name(env_id)}: {episodes} paired episodes.",
            f"Mean returns, {short_name(env_id)}: original {reference:.2f}, {means}.",
            lambda env_id=env_id: plot_retention(comparisons, env_id, data.noise),  # type: ignore[misc]
        )


def _frontier(data: ReportData) -> Iterator[Chart]:
    points = checkpoints(data)
    if points:
        texts = [f"{c.name} {format_size(c.amount)} MB {c.mean_return.estimate:.2f}" for c in points]
        best = ", ".join(c.name for c in frontier(points))
        yield Chart(
            "frontier",
            "frontier",
            "Size of each checkpoint and its mean return over all environments, with intervals. The line joins the "
            "checkpoints that no smaller one equals.",
            f"Mean return against size on disk: {', '.join(texts)}. On the frontier: {best}.",
            lambda: plot_frontier(points),
        )


def _doses(data: ReportData, found: Findings) -> Iterator[Chart]:
    captions: dict[Dose, str] = {
        "bits": "Fewer bits to the right; a whisker is a 95% interval, the band the noise floor.",
        "sparsity": "More zeros to the right; a whisker is a 95% interval, the band the noise floor.",
    }
    for dose, caption in captions.items():
        lines = families(found.points, dose)
        if lines:
            yield Chart(
                "dose",
                f"dose-{dose}",
                caption,
                f"Return kept against {dose}. {dose_text(lines, dose)}.",
                lambda lines=lines, dose=dose: plot_dose(lines, dose, noise_share(data)),  # type: ignore[misc]
            )


def dose_text(lines: Mapping[str, Sequence[Point]], dose: Dose) -> str:
    """What a dose-response chart shows, in words."""

    def kept(point: Point) -> str:
        value = point.retention
        bounds = "" if math.isnan(value.low) else f" ({value.low:.0%} to {value.high:.0%})"
        return f"{getattr(point, dose)}: " + ("–" if math.isnan(value.estimate) else f"{value.estimate:.0%}") + bounds

    return "; ".join(f"{name} {', '.join(map(kept, line))}" for name, line in lines.items())


def _needles(found: Findings) -> Iterator[Chart]:
    for name, grid in found.needles.items():
        worst = grid.worst()
        where = (
            f"Most is lost at {worst[0]} tokens, depth {worst[1]}%: {number(worst[2], '+.2f')}."
            if worst
            else "Nothing is lost in any cell."
        )
        base, compressed = (
            math.fsum(v for v in values if not math.isnan(v)) / max(1, sum(not math.isnan(v) for v in values))
            for values in ([v for row in side for v in row] for side in (grid.base, grid.compressed))
        )
        yield Chart(
            "needle",
            f"needle-{_slug(name)}",
            f"{name}: {grid.episodes} pairs. {where}",
            f"Needles found by length and depth: original {base:.2f}, {name} {compressed:.2f} on average. {where}",
            lambda grid=grid, name=name: plot_needle(grid, name),  # type: ignore[misc]
        )


def _internals(data: ReportData) -> Iterator[Chart]:
    replays = data.replays
    if not replays:
        return
    means = summaries(replays)
    layers = {name: s.erank_layers for name, s in means.items() if s.erank_layers}
    if layers:
        ends = ", ".join(f"{name} {rank_change(pairs[-1]):+.0%} at the last" for name, pairs in layers.items())
        yield Chart(
            "internals",
            "rank-layers",
            "How many directions the hidden states use behind each layer, against the original's.",
            f"Change of the effective rank behind each of {max(map(len, layers.values()))} layers: {ends}.",
            lambda: plot_layers(replays),
        )
    matrices: tuple[tuple[Matrix, str, str], ...] = (
        ("logits", "logits", "How many directions the next-token distributions use."),
        ("hidden", "last hidden states", "How many directions the model's last layer uses."),
    )
    for matrix, what, caption in matrices:
        pairs = {n: s.erank_logits if matrix == "logits" else s.erank_hidden for n, s in means.items()}
        text = ", ".join(f"{name} {base:.1f} to {compressed:.1f}" for name, (base, compressed) in pairs.items())
        yield Chart(
            "internals",
            f"rank-{matrix}",
            caption,
            f"Effective rank of the {what}, original to compressed: {text}.",
            lambda matrix=matrix: plot_effective_rank(replays, matrix),  # type: ignore[misc]
        )
    captions: dict[Measure, str] = {
        "jaccard": "Share of the k likeliest tokens that both models name; 1 is perfect.",
        "kendall": "Whether both order the original's k likeliest tokens alike, by pairs; 1 is perfect.",
        "spearman": "The same by ranks; 1 is perfect.",
    }
    for measure, caption in captions.items():
        by_k = {name: getattr(summary, measure) for name, summary in means.items()}
        text = "; ".join(f"{n} {', '.join(f'{v:.2f} at {k}' for k, v in values.items())}" for n, values in by_k.items())
        yield Chart(
            "internals",
            f"top-k-{measure}",
            caption,
            f"{MEASURES[measure]} at top k: {text}.",
            lambda measure=measure: plot_agreement(replays, measure),  # type: ignore[misc]
        )
    text = ", ".join(f"{name} {summary.energy_shift:.3f}" for name, summary in means.items())
    yield Chart(
        "internals",
        "energy",
        "Energies of all positions: a shape that moves or spreads is a model whose outputs have changed scale.",
        f"Energy histograms; mean shift: {text}.",
        lambda: plot_energy(replays),
    )


def _failures(data: ReportData, found: Findings) -> Iterator[Chart]:
    for name, comparisons in found.failures.items():
        overall = next((c for c in comparisons if c.env_id == OVERALL), None)
        kinds = [k for k in overall.kinds if k.reference or k.candidate] if overall else []
        if overall is None or not kinds:
            continue
        texts = ", ".join(f"{k.kind} {k.reference} to {k.candidate}" for k in kinds)
        yield Chart(
            "failures",
            f"failures-{_slug(name)}",
            f"{name}: {overall.candidate_lost} of {overall.episodes} episodes lost, {overall.reference_lost} by the "
            "original. An episode may show several kinds.",
            f"Lost episodes by kind of failure, original to {name}: {texts}.",
            lambda overall=overall, name=name: plot_failures(overall, name),  # type: ignore[misc]
        )


def _attribution(data: ReportData) -> Iterator[Chart]:
    titles = {"kind": "kind of decision", "context": "length of the conversation before it"}
    for candidate in data.candidates:
        attribution = candidate.attribution
        if attribution is None or not attribution.episodes:
            continue
        for by, title in titles.items():
            groups = [g for g in (attribution.by_kind() if by == "kind" else attribution.by_context()) if g.differing]
            if not groups or (by == "context" and len(groups) < 2):
                continue
            texts = ", ".join(f"{g.name} {g.cost.estimate:.3f} in {g.differing} decisions" for g in groups)
            yield Chart(
                "attribution",
                f"attribution-{by}-{_slug(candidate.name)}",
                f"{candidate.name}: what the decisions in which it differs cost, by {title}.",
                f"Return lost an episode by {title}, {candidate.name}: {texts}.",
                lambda a=attribution, by=by, name=candidate.name: plot_attribution(a, by, name),  # type: ignore[misc]
            )


def _cost(data: ReportData) -> Iterator[Chart]:
    from acenv.analysis.report_data import costs

    found = costs(data)
    known = known_quotients(found)
    if known:
        texts = "; ".join(
            f"{QUOTIENTS[q]}: {', '.join(f'{name} {value:.2f} times' for name, value in values.items())}"
            for q, values in known.items()
        )
        yield Chart(
            "cost",
            "cost",
            "Return for what a model takes, as a multiple of the original's: to the right of the line is better.",
            f"As multiples of the original's: {texts}.",
            lambda: plot_cost(found),
        )


def _slug(name: str) -> str:
    """A name for files and ids.

    >>> _slug("gptq 4 bit/é中"), _slug("<>")
    ('gptq-4-bit-xe9x4e2d', 'x3cx3e')
    """
    known = ["-" if c in " /_" else c if c.isascii() and (c.isalnum() or c in "-.") else f"x{ord(c):x}" for c in name]
    return "".join(known).strip("-.").lower() or "unnamed"
