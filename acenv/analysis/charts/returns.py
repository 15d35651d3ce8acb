"""Charts of returns: what is kept, at which size, and at which dose of compression."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acenv.analysis.charts.style import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    label,
    legend_below,
    line_style,
    one_axes,
    row_axes,
    styled,
)
from acenv.analysis.comparison import OVERALL, Comparison, EnvComparison
from acenv.analysis.dose import DIFFICULTIES, Dose, Point, position
from acenv.analysis.statistics import Interval
from acenv.analysis.verdict import environment, noise_reach, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A point of the frontier.

    Attributes:
        name: What is written beside the point.
        amount: Size on disk in 10^6 bytes, or seconds an episode.
        mean_return: Mean return with its interval.
        reference: Whether this is the original model.
    """

    name: str
    amount: float
    mean_return: Interval
    reference: bool = False


@styled
def plot_retention(
    comparisons: Mapping[str, Comparison], env_id: str = OVERALL, noise: Mapping[str, Comparison] | None = None
) -> Figure:
    """What each candidate keeps of the original's mean return in one environment, with intervals.

    A mark is filled where its interval leaves out 100%. Where the original scores nothing there is nothing to keep, and
    the mean returns themselves are drawn.

    Args:
        comparisons: Candidates by name, all against the same reference.
        env_id: An environment, or ``"overall"``.
        noise: The reference against itself, by what was changed; each is drawn as a band.

    Raises:
        ValueError: No candidate ran in that environment.
    """
    found = {name: c for name, comparison in comparisons.items() if (c := environment(comparison, env_id)) is not None}
    if not found:
        raise ValueError(f"no candidate was compared in {env_id!r}")
    reference = next(iter(found.values())).reference.estimate
    shares = reference > 0
    figure, axes = row_axes(list(found), short_name(env_id))
    center, scale = (1.0, 1 / reference) if shares else (reference, 1.0)
    for floor in (noise or {}).values():
        part = environment(floor, env_id)
        reach = math.nan if part is None else noise_reach(part) * scale
        if not math.isnan(reach):
            axes.axvspan(center - reach, center + reach, color=MUTED, alpha=0.14, linewidth=0)
    axes.axvline(center, color=INK, linewidth=1)
    for row, comparison in enumerate(found.values()):
        value = comparison.retention if shares and comparison.retention else _around(comparison)
        color = BAD if comparison.difference.high < 0 else GOOD if comparison.difference.low > 0 else ACCENT
        axes.plot([value.low, value.high], [row, row], color=color, linewidth=1.6)
        # Hollow where the interval holds 0: the mark must not need colour.
        axes.plot(value.estimate, row, "o", color=color, markersize=5.5, markerfacecolor=_fill(color))
    if shares:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel(f"return kept (line: original, {reference:.2f})")
    else:
        axes.set_xlabel("mean return (line: original)")
    axes.margins(x=0.08)
    return figure


def _fill(color: str) -> str:
    return "white" if color == ACCENT else color


def _around(comparison: EnvComparison) -> Interval:
    """The mean return of a candidate with the interval of the paired difference, which is narrower than its own."""
    base, difference = comparison.reference.estimate, comparison.difference
    return Interval(base + difference.estimate, base + difference.low, base + difference.high)


@styled
def plot_frontier(checkpoints: Sequence[Checkpoint], unit: str = "MB on disk") -> Figure:
    """Mean return against what a model takes; the line joins those that nothing cheaper equals.

    Args:
        checkpoints: The original and the compressed ones.
        unit: What the amounts are.

    Raises:
        ValueError: There is nothing to draw.
    """
    if not checkpoints:
        raise ValueError("a frontier needs at least one checkpoint of known size")
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = one_axes(3.4, f"Return against {unit}")
    best = frontier(checkpoints)
    axes.plot(
        [p.amount for p in best],
        [p.mean_return.estimate for p in best],
        color=ACCENT,
        linewidth=1,
        drawstyle="steps-post",
    )
    for point in checkpoints:
        value, color = point.mean_return, INK if point.reference else ACCENT if point in best else MUTED
        axes.plot([point.amount] * 2, [value.low, value.high], color=color, linewidth=1.2)
        axes.plot(point.amount, value.estimate, "s" if point.reference else "o", color=color, markersize=5.5)
    axes.set_ylabel("mean return")
    axes.set_xlabel(f"{unit} (logarithmic)")
    axes.set_xscale("log")
    # The labels of matplotlib's own logarithmic scale are formulas.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    axes.margins(x=0.2, y=0.12)
    _name_points(figure, axes, checkpoints, best)
    return figure


def frontier(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Those that nothing of the same or a smaller amount equals, the smallest first.

    >>> at = lambda name, size, mean: Checkpoint(name, size, Interval(mean, mean, mean))
    >>> [c.name for c in frontier([at("a", 3.0, 0.9), at("b", 2.0, 0.5), at("c", 2.5, 0.4), at("d", 4.0, 0.9)])]
    ['b', 'a']
    """
    best: list[Checkpoint] = []
    for point in sorted(checkpoints, key=lambda c: (c.amount, -c.mean_return.estimate)):
        if not best or point.mean_return.estimate > best[-1].mean_return.estimate:
            best.append(point)
    return best


@styled
def plot_dose(lines: Mapping[str, Sequence[Point]], dose: Dose, reach: float = math.nan) -> Figure:
    """Retained return against a dose of compression, or against the difficulty; one line a method, with intervals.

    Args:
        lines: Points by line, as :func:`acenv.analysis.dose.lines` gives them.
        dose: What is on the axis.
        reach: How far the original is from itself, as a share of its return; it is drawn as a band.

    Raises:
        ValueError: There is nothing to draw.
    """
    spots = {position(p, dose): p for line in lines.values() for p in line}
    if not spots:
        raise ValueError(f"no point has a dose of {dose} to be drawn at")
    places = sorted(float(spot) for spot in spots if spot is not None)
    titles = {"bits": "bits of a weight", "sparsity": "share of zeros", "difficulty": "difficulty"}
    labels = [label(name, 62) for name in lines]
    rows = math.ceil(len(lines) / (1 if max(map(len, labels)) > 26 else 2))
    figure, axes = one_axes(2.7 + 0.2 * rows, f"Return kept against {titles[dose]}")
    if not math.isnan(reach):
        axes.axhspan(1 - reach, 1 + reach, color=MUTED, alpha=0.18, linewidth=0)
    axes.axhline(1.0, color=INK, linewidth=0.8)
    # Side by side, so that intervals at the same dose do not hide each other.
    step = min(0.018, 0.09 / len(lines)) * ((places[-1] - places[0]) or 1.0)
    for number, line in enumerate(lines.values()):
        shift = step * (number - (len(lines) - 1) / 2)
        xs = [(position(p, dose) or 0.0) + shift for p in line]
        style = line_style(number)
        for x, point in zip(xs, line, strict=True):
            kept = point.retention
            axes.plot([x, x], [kept.low, kept.high], color=style["color"], linewidth=1.1, alpha=0.7)
        kept_shares = [p.retention.estimate for p in line]
        axes.plot(xs, kept_shares, markersize=4.5, linewidth=1.3, label=labels[number], **style)  # type: ignore[arg-type, unused-ignore]
    texts: dict[str, Callable[[float], str]] = {
        "bits": lambda x: f"{2**x:g}",
        "sparsity": lambda x: f"{x:.0%}",
        "difficulty": lambda x: DIFFICULTIES[int(x)],
    }
    axes.set_xticks(places, [texts[dose](x) for x in places])
    if dose == "bits":
        axes.invert_xaxis()  # the more compressed, the further to the right, as with sparsity
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel(f"{titles[dose]} (line: original)")
    axes.grid(axis="y")
    axes.margins(x=0.08)
    legend_below(figure, labels)
    return figure


def _name_points(
    figure: Figure, axes: Axes, checkpoints: Sequence[Checkpoint], best: Sequence[Checkpoint], size: float = 8.0
) -> None:
    """Write the names beside the points, each where it covers the fewest points, whiskers, lines and other names."""
    figure.draw_without_rendering()
    scale = 72 / figure.dpi

    def place(amount: float, value: float) -> tuple[float, float]:
        x, y = axes.transData.transform((amount, value)) * scale
        return float(x), float(y)

    spots = [place(c.amount, c.mean_return.estimate) for c in checkpoints]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in spots]
    for checkpoint in checkpoints:
        value = checkpoint.mean_return
        (x, low), (_, high) = place(checkpoint.amount, value.low), place(checkpoint.amount, value.high)
        taken.append((x - 1, low, x + 1, high))  # nan, where there is no interval, is in nothing's way
    for left_one, right_one in zip(best, best[1:], strict=False):
        (x, y), (end, top) = (place(c.amount, c.mean_return.estimate) for c in (left_one, right_one))
        taken += [(x, y - 1, end, y + 1), (end - 1, y, end + 1, top)]
    left, right = (x * scale for x in axes.bbox.intervalx)
    for (x, y), checkpoint in zip(spots, checkpoints, strict=True):
        name = label(checkpoint.name)
        width = 0.6 * size * len(name)
        places = [(dx, dy) for dy in (4, -11, 14, -21) for dx in (6, -6 - width)]
        boxes = [(x + dx, y + dy, x + dx + width, y + dy + size) for dx, dy in places]
        costs = [
            sum(b[0] < t[2] and t[0] < b[2] and b[1] < t[3] and t[1] < b[3] for t in taken)
            + (b[0] < left or b[2] > right)
            for b in boxes
        ]
        chosen = costs.index(min(costs))
        taken.append(boxes[chosen])
        dx, dy = places[chosen]
        axes.annotate(
            name,
            (checkpoint.amount, checkpoint.mean_return.estimate),
            (6 if dx > 0 else -6, dy),
            textcoords="offset points",
            fontsize=size,
            horizontalalignment="left" if dx > 0 else "right",
        )
