"""Charts of what lies behind a loss: failures, decisions, internals that predict it, and what return costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from acenv.analysis.attribution import Attribution
from acenv.analysis.charts.style import (
    ACCENT,
    BAD,
    INK,
    MUTED,
    label,
    new_figure,
    row_axes,
    styled,
    whole_numbers,
)
from acenv.analysis.cost import Cost
from acenv.analysis.failures import FailureComparison
from acenv.analysis.loss_model import HeldOut
from acenv.analysis.verdict import LEVEL, short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUOTIENTS: Mapping[str, str] = {
    "per_gb_on_disk": "return per GB on disk",
    "per_gb_in_memory": "return per GB in memory",
    "per_second": "return per second",
    "per_joule": "return per joule",
}
"""What :func:`plot_cost` draws: attributes of a cost, and their titles."""


@styled
def plot_failures(found: FailureComparison, name: str = "compressed") -> Figure:
    """Episodes lost with each kind of failure, of the original and of a compressed model side by side.

    Args:
        found: From :func:`acenv.analysis.failures.compare_failures`.
        name: The compressed model.

    Raises:
        ValueError: Neither side shows a failure.
    """
    kinds = [k for k in found.kinds if k.reference or k.candidate]
    if not kinds:
        raise ValueError(f"neither model shows a failure in {short_name(found.env_id)}")
    figure, axes = row_axes([k.kind for k in kinds], f"{label(name)}, {short_name(found.env_id)}", extra=0.22)
    for row, kind in enumerate(kinds):
        color = BAD if kind.p_adjusted < LEVEL and kind.candidate > kind.reference else ACCENT
        axes.plot([kind.reference, kind.candidate], [row, row], color=color, linewidth=1.6)
    rows = range(len(kinds))
    axes.plot([k.reference for k in kinds], rows, "|", color=INK, markersize=11, markeredgewidth=1.4, label="original")
    axes.plot([k.candidate for k in kinds], rows, "o", color=ACCENT, markersize=5.5, label="compressed")
    significant = [(row, k.candidate) for row, k in enumerate(kinds) if k.p_adjusted < LEVEL]
    if significant:
        ys, xs = zip(*significant, strict=True)
        axes.plot(xs, ys, "o", color=BAD, markersize=7, label="compressed, significant")
    axes.set_xlabel(f"lost episodes that show it, of {found.episodes}")
    axes.set_xlim(left=-0.02 * max(1, *(max(k.reference, k.candidate) for k in kinds)))
    whole_numbers(axes.xaxis)
    figure.legend(loc="outside lower left", ncols=3, handletextpad=0.2, columnspacing=1.2)
    return figure


@styled
def plot_attribution(found: Attribution, by: str = "kind", name: str = "") -> Figure:
    """Return lost an episode, by what the decisions that lost it are, with intervals.

    Args:
        found: What :func:`acenv.attribute` gives.
        by: ``"kind"`` of decision, ``"context"`` length before it, or ``"step"``.
        name: The compressed model, for the title.

    Raises:
        ValueError: There is nothing to draw, or no such grouping.
    """
    groupings = {"kind": found.by_kind, "context": found.by_context, "step": found.by_step}
    if by not in groupings:
        raise ValueError(f"by must be one of {', '.join(groupings)}, not {by!r}")
    groups = [g for g in groupings[by]() if g.differing] if found.episodes else []
    if not groups:
        raise ValueError(f"{found.compressed} decides as {found.base} does everywhere: no decision lost anything")
    titles = {"kind": "kind of decision", "context": f"{found.unit} before it", "step": "step"}
    figure, axes = row_axes([g.name for g in groups], f"{label(name or found.compressed)}, by {titles[by]}")
    axes.axvline(0.0, color=INK, linewidth=0.8)
    for row, group in enumerate(groups):
        cost = group.cost
        color = BAD if cost.low > 0 else ACCENT
        axes.plot([cost.low, cost.high], [row, row], color=color, linewidth=1.6)
        fill = "white" if color == ACCENT else color
        axes.plot(cost.estimate, row, "o", color=color, markersize=5.5, markerfacecolor=fill)
    axes.set_xlabel("return lost an episode")
    axes.margins(x=0.08)
    return figure


@styled
def plot_prediction(held_out: HeldOut) -> Figure:
    """The loss of each method, as the others predict it from its internals, against what it really lost.

    Raises:
        ValueError: There is nothing to draw.
    """
    predictions = sorted(held_out.predictions, key=lambda p: p.actual)
    if not predictions:
        raise ValueError("no method was predicted from others")
    names = [p.method for p in predictions]
    figure, axes = row_axes(names, "Loss predicted from the internals", extra=0.22)
    axes.axvline(0.0, color=MUTED, linewidth=0.6)
    for row, p in enumerate(predictions):
        axes.plot([p.low, p.high], [row, row], color=ACCENT, linewidth=1.6)
    rows = range(len(names))
    axes.plot(
        [p.estimate for p in predictions],
        rows,
        "o",
        color=ACCENT,
        markersize=5.5,
        markerfacecolor="white",
        label="predicted",
    )
    axes.plot([p.actual for p in predictions], rows, "|", color=INK, markersize=11, markeredgewidth=1.6, label="lost")
    axes.set_xlabel("mean return lost")
    axes.margins(x=0.08)
    figure.legend(loc="outside lower left", ncols=2, handletextpad=0.2, columnspacing=1.2)
    return figure


@styled
def plot_cost(costs: Mapping[str, Cost], original: str = "dense") -> Figure:
    """Return for what a model takes, as a multiple of the original's; a panel for each quotient that is known.

    Args:
        costs: By model.
        original: Which of them is the original.

    Raises:
        ValueError: Nothing is known of the original, or of no other model.
    """
    panels = known_quotients(costs, original)
    if not panels:
        raise ValueError("what the original takes is not known, so that nothing can be set against it")
    figure = new_figure(sum(0.62 + 0.25 * len(values) for values in panels.values()))
    heights = [len(values) + 1.0 for values in panels.values()]
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (quotient, values) in zip(grid, panels.items(), strict=True):
        axes.set_title(QUOTIENTS[quotient])
        axes.set_yticks(range(len(values)), [label(name) for name in values])
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.grid(axis="y")
        axes.axvline(1.0, color=INK, linewidth=1)
        for row, value in enumerate(values.values()):
            color = BAD if value < 1 else ACCENT
            axes.plot([1.0, value], [row, row], color=color, linewidth=1.6)
            axes.plot(value, row, "o", color=color, markersize=5.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
        axes.margins(x=0.08)
    grid[-1].set_xlabel("times the original's (line)")
    return figure


def known_quotients(costs: Mapping[str, Cost], original: str = "dense") -> dict[str, dict[str, float]]:
    """Each quotient of :data:`QUOTIENTS` by model, as a multiple of the original's; what is not known is left out."""
    base = costs.get(original)
    found: dict[str, dict[str, float]] = {}
    for quotient in QUOTIENTS if base is not None else ():
        unit = getattr(base, quotient)
        if not unit:
            continue
        values = {name: getattr(cost, quotient) for name, cost in costs.items() if name != original}
        if known := {name: value / unit for name, value in values.items() if value is not None}:
            found[quotient] = known
    return found
