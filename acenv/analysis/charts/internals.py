"""Charts of the internals: effective rank, agreement of the likeliest tokens, energy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from acenv.analysis.charts.style import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    label,
    legend_below,
    line_style,
    new_figure,
    one_axes,
    row_axes,
    styled,
    whole_numbers,
)
from acenv.analysis.replay import InternalsSummary, Replay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Matrix = Literal["logits", "hidden"]
Measure = Literal["jaccard", "kendall", "spearman"]

MEASURES: Mapping[Measure, str] = {
    "jaccard": "Jaccard overlap",
    "kendall": "Kendall's tau-b",
    "spearman": "Spearman's rho",
}
"""What :func:`plot_agreement` draws, and its title."""


@styled
def plot_layers(replays: Mapping[str, Replay]) -> Figure:
    """How the effective rank of the hidden states has changed behind each layer, one line a compressed model.

    Args:
        replays: By name of the compressed model; those without layers are left out.

    Raises:
        ValueError: No replay knows the layers.
    """
    known = {name: s.erank_layers for name, s in summaries(replays).items() if s.erank_layers}
    if not known:
        raise ValueError("no replay knows the effective rank behind each layer; make it anew with acenv replay")
    labels = [label(name, 62) for name in known]
    rows = math.ceil(len(known) / (1 if max(map(len, labels)) > 26 else 2))
    figure, axes = one_axes(2.5 + 0.2 * rows, "Effective rank by layer")
    for number, pairs in enumerate(known.values()):
        changes = [rank_change(pair) for pair in pairs]
        style = line_style(number)
        axes.plot(range(len(pairs)), changes, markersize=4, linewidth=1.2, label=labels[number], **style)  # type: ignore[arg-type, unused-ignore]
    axes.axhline(0.0, color=INK, linewidth=0.8)
    whole_numbers(axes.xaxis)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.0%}".replace("-", "−"))
    axes.set_xlabel("layer, counted from the input (line: original)")
    axes.set_ylabel("change of effective rank")
    axes.grid(axis="y")
    axes.margins(x=0.05, y=0.1)
    legend_below(figure, labels)
    return figure


def rank_change(pair: tuple[float, float]) -> float:
    """By which share an effective rank has changed; ``nan`` if it is not known.

    >>> rank_change((20.0, 15.0))
    -0.25
    """
    base, compressed = pair
    return compressed / base - 1 if base > 0 else math.nan


@styled
def plot_effective_rank(replays: Mapping[str, Replay], matrix: Matrix = "logits") -> Figure:
    """Effective rank of each compressed model; the bar is the original's.

    Args:
        replays: By name of the compressed model, all on the same transcripts.
        matrix: Of the logits (tokens x vocabulary) or of the last hidden states (tokens x width).

    Raises:
        ValueError: There is nothing to draw.
    """
    found = summaries(replays)
    pairs = [s.erank_logits if matrix == "logits" else s.erank_hidden for s in found.values()]
    figure, axes = row_axes(list(found), f"Effective rank, {'logits' if matrix == 'logits' else 'last hidden states'}")
    for row, (base, compressed) in enumerate(pairs):
        axes.plot([base, compressed], [row, row], color=ACCENT, linewidth=1.6)
        axes.plot(base, row, "|", color=INK, markersize=11, markeredgewidth=1.2)
        axes.plot(compressed, row, "o", color=ACCENT, markersize=5.5)
    axes.set_xlabel("effective rank (bar: original, dot: compressed)")
    axes.margins(x=0.08)
    return figure


@styled
def plot_agreement(replays: Mapping[str, Replay], measure: Measure = "jaccard") -> Figure:
    """Agreement of the two models' rankings of the likeliest tokens, for every k.

    Args:
        replays: By name of the compressed model.
        measure: Jaccard overlap of the top-k sets, Kendall's tau-b or Spearman's rho on the original's top k.

    Raises:
        ValueError: There is nothing to draw.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {measure!r}")
    found = summaries(replays)
    figure, axes = row_axes(list(found), f"Top-k, {MEASURES[measure]}", extra=0.22)
    values: list[Mapping[int, float]] = [getattr(summary, measure) for summary in found.values()]
    for k, marker, color in zip(values[0], "os^Dv", (INK, ACCENT, MUTED, GOOD, BAD), strict=False):
        axes.plot(
            [v.get(k, math.nan) for v in values],
            range(len(values)),
            marker,
            color=color,
            markersize=5.5,
            markerfacecolor="none",
            markeredgewidth=1.3,
            label=f"k = {k}",
        )
    low = min((v for by_k in values for v in by_k.values() if not math.isnan(v)), default=0.0)
    axes.set_xlim(min(0.0, low - 0.05), 1.03)
    axes.axvline(1.0, color=INK, linewidth=0.8)
    figure.legend(loc="outside lower left", ncols=max(1, len(values[0])), handletextpad=0.1, columnspacing=1.4)
    return figure


@styled
def plot_energy(replays: Mapping[str, Replay]) -> Figure:
    """Distribution of the energies of all positions: the original filled, the compressed model as a line.

    Raises:
        ValueError: There is nothing to draw.
    """
    found = summaries(replays)
    figure = new_figure(0.5 + 0.62 * len(found))
    panels = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, summary) in zip(panels, found.items(), strict=True):
        histogram = replays[name].energy_histogram
        axes.stairs(_density(histogram.base, histogram.edges), histogram.edges, fill=True, color=MUTED, alpha=0.4)
        axes.stairs(_density(histogram.compressed, histogram.edges), histogram.edges, color=BAD, linewidth=1.1)
        axes.set_yticks([])
        axes.set_title(label(name), fontsize=8.5, fontweight="normal", pad=2)
        axes.set_title(f"mean shift {summary.energy_shift:.3f}", loc="right", fontsize=8.5, fontweight="normal", pad=2)
        axes.tick_params(axis="x", length=0 if axes is not panels[-1] else 3)
    panels[-1].set_xlabel("energy (filled: original, line: compressed)")
    return figure


def summaries(replays: Mapping[str, Replay]) -> dict[str, InternalsSummary]:
    """Overall summaries by name.

    Raises:
        ValueError: There is none.
    """
    found = {name: replay.summary().overall for name, replay in replays.items() if replay.episodes}
    if not found:
        raise ValueError("there is no replay with an episode to draw; acenv replay makes one")
    return found


def _density(counts: Sequence[int], edges: Sequence[float]) -> list[float]:
    total = sum(counts) or 1
    widths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    return [count / total / width if width > 0 else 0.0 for count, width in zip(counts, widths, strict=True)]
