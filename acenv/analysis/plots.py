"""Plots of comparisons and internals, as matplotlib figures.

Every ``plot_*`` function takes data and returns a new :class:`matplotlib.figure.Figure`, which a notebook shows by
itself. The figures are built without ``pyplot``, so nothing global is touched and no window or backend is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from acenv.analysis.comparison import OVERALL, Comparison
from acenv.analysis.dose import DIFFICULTIES, Dose, Point, position
from acenv.analysis.replay import InternalsSummary, Replay
from acenv.analysis.statistics import Interval
from acenv.analysis.verdict import environment, noise_reach, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
Matrix = Literal["logits", "hidden"]
Measure = Literal["jaccard", "kendall", "spearman"]

INK, MUTED, LINE, ACCENT, BAD, GOOD = "#1b1f23", "#59626b", "#dcdfdd", "#1d5d9b", "#ad3f17", "#1c7352"
"""The colours of the plots: mid-tones, so that they are seen on white and on black."""

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    # Names are shown as they are: a dollar sign in one is no formula.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "acenv",
}
_WIDTH = 4.7


class MissingLibraryError(ImportError):
    """A library of the ``report`` extra is not installed."""

    def __init__(self, library: str) -> None:
        """Name the library and the way to get it."""
        super().__init__(f"{library} is not installed: reports and plots need it; run pip install 'acenv[report]'")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A point of the frontier.

    Attributes:
        name: What is written beside the point.
        megabytes: Size of the checkpoint on disk, in units of 10^6 bytes.
        mean_return: Mean return with its interval.
        reference: Whether this is the original model.
    """

    name: str
    megabytes: float
    mean_return: Interval
    reference: bool = False


def _styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of the report, whatever the caller's own settings are."""

    @wraps(plot)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        try:
            import matplotlib
        except ImportError as error:
            raise MissingLibraryError("matplotlib") from error
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            return plot(*args, **kwargs)

    return draw


@_styled
def plot_returns(
    comparisons: Mapping[str, Comparison], env_id: str = OVERALL, noise: Comparison | None = None
) -> Figure:
    """Mean return of each candidate in one environment, with the interval of its paired difference.

    The vertical line is the reference. A whisker is the reference's mean plus the interval of the difference, so a
    whisker that does not touch the line is a difference that the interval does not put down to chance.

    Args:
        comparisons: Candidates by name, all against the same reference.
        env_id: An environment, or ``"overall"``.
        noise: The reference against itself; its interval is drawn as a band.

    Raises:
        ValueError: No candidate ran in that environment.
    """
    found = {name: c for name, comparison in comparisons.items() if (c := environment(comparison, env_id)) is not None}
    if not found:
        raise ValueError(f"no candidate was compared in {env_id!r}")
    figure, axes = _rows(list(found), short_name(env_id))
    reference = next(iter(found.values())).reference.estimate
    floor = environment(noise, env_id) if noise else None
    if floor is not None:
        reach = noise_reach(floor)
        axes.axvspan(reference - reach, reference + reach, color=MUTED, alpha=0.18, linewidth=0)
    axes.axvline(reference, color=INK, linewidth=1)
    for row, comparison in enumerate(found.values()):
        difference = comparison.difference
        mean = reference + difference.estimate
        color = BAD if difference.high < 0 else GOOD if difference.low > 0 else ACCENT
        axes.plot([reference + difference.low, reference + difference.high], [row, row], color=color, linewidth=1.6)
        # Hollow where the interval holds 0: the mark must not need colour.
        axes.plot(mean, row, "o", color=color, markersize=5.5, markerfacecolor=color if color != ACCENT else "white")
    axes.set_xlabel(f"mean return (line: original, {reference:.2f})")
    axes.margins(x=0.08)
    return figure


@_styled
def plot_frontier(checkpoints: Sequence[Checkpoint]) -> Figure:
    """Mean return against size on disk; the line joins the checkpoints that no smaller one equals.

    Args:
        checkpoints: The original and the compressed ones.

    Raises:
        ValueError: There is nothing to draw.
    """
    if not checkpoints:
        raise ValueError("a frontier needs at least one checkpoint")
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = _empty(3.4, "Return against size on disk")
    best, best_return = [], -math.inf
    for point in sorted(checkpoints, key=lambda c: (c.megabytes, -c.mean_return.estimate)):
        if point.mean_return.estimate > best_return:
            best.append(point)
            best_return = point.mean_return.estimate
    axes.plot(
        [p.megabytes for p in best],
        [p.mean_return.estimate for p in best],
        color=ACCENT,
        linewidth=1,
        drawstyle="steps-post",
    )
    for point in checkpoints:
        value, color = point.mean_return, INK if point.reference else ACCENT if point in best else MUTED
        axes.plot([point.megabytes] * 2, [value.low, value.high], color=color, linewidth=1.2)
        axes.plot(point.megabytes, value.estimate, "s" if point.reference else "o", color=color, markersize=5.5)
    axes.set_xlabel("MB on disk (logarithmic)")
    axes.set_xscale("log")
    # The labels of matplotlib's own logarithmic scale are formulas.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    axes.margins(x=0.2, y=0.12)
    _name_points(figure, axes, checkpoints)
    return figure


@_styled
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
    labels = [_label(name, 62) for name in lines]
    columns = 1 if max(map(len, labels)) > 26 else 2
    figure, axes = _empty(2.7 + 0.2 * math.ceil(len(lines) / columns), f"Retained return against {titles[dose]}")
    if not math.isnan(reach):
        axes.axhspan(1 - reach, 1 + reach, color=MUTED, alpha=0.18, linewidth=0)
    axes.axhline(1.0, color=INK, linewidth=0.8)
    colors, markers, dashes = (ACCENT, BAD, GOOD, INK, MUTED), "os^Dvph", ("-", "--", ":")
    # Side by side, so that intervals at the same dose do not hide each other.
    step = min(0.018, 0.09 / len(lines)) * ((places[-1] - places[0]) or 1.0)
    for number, line in enumerate(lines.values()):
        shift = step * (number - (len(lines) - 1) / 2)
        xs = [(position(p, dose) or 0.0) + shift for p in line]
        color = colors[number % len(colors)]
        for x, point in zip(xs, line, strict=True):
            axes.plot([x, x], [point.retention.low, point.retention.high], color=color, linewidth=1.1, alpha=0.7)
        axes.plot(
            xs,
            [p.retention.estimate for p in line],
            marker=markers[number % len(markers)],
            linestyle=dashes[number // len(colors) % len(dashes)],
            color=color,
            markersize=4.5,
            linewidth=1.3,
            label=labels[number],
        )
    texts = {
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
    figure.legend(loc="outside lower left", ncols=columns, handletextpad=0.4, columnspacing=1.4)
    return figure


@_styled
def plot_effective_rank(replays: Mapping[str, Replay], matrix: Matrix = "logits") -> Figure:
    """Effective rank of each compressed model; the line is the original's.

    Args:
        replays: By name of the compressed model, all on the same transcripts.
        matrix: Of the logits (tokens x vocabulary) or of the last hidden states (tokens x width).

    Raises:
        ValueError: There is nothing to draw.
    """
    summaries = _summaries(replays)
    pairs = [s.erank_logits if matrix == "logits" else s.erank_hidden for s in summaries.values()]
    figure, axes = _rows(list(summaries), f"Effective rank, {'logits' if matrix == 'logits' else 'last hidden states'}")
    for row, (base, compressed) in enumerate(pairs):
        axes.plot([base, compressed], [row, row], color=ACCENT, linewidth=1.6)
        axes.plot(base, row, "|", color=INK, markersize=11, markeredgewidth=1.2)
        axes.plot(compressed, row, "o", color=ACCENT, markersize=5.5)
    axes.set_xlabel("effective rank (bar: original, dot: compressed)")
    axes.margins(x=0.08)
    return figure


@_styled
def plot_agreement(replays: Mapping[str, Replay], measure: Measure) -> Figure:
    """Agreement of the two models' rankings of the likeliest tokens, for every k.

    Args:
        replays: By name of the compressed model.
        measure: Jaccard overlap of the top-k sets, Kendall's tau-b or Spearman's rho on the original's top k.

    Raises:
        ValueError: There is nothing to draw.
    """
    summaries = _summaries(replays)
    titles = {"jaccard": "Jaccard overlap", "kendall": "Kendall's tau-b", "spearman": "Spearman's rho"}
    figure, axes = _rows(list(summaries), f"Top-k, {titles[measure]}", extra=0.22)
    values = [getattr(summary, measure) for summary in summaries.values()]
    for k, marker, color in zip(values[0], "os^Dv", (INK, ACCENT, MUTED, GOOD, BAD), strict=False):
        axes.plot(
            [v[k] for v in values],
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
    figure.legend(loc="outside lower left", ncols=len(values[0]), handletextpad=0.1, columnspacing=1.4)
    return figure


@_styled
def plot_energy(replays: Mapping[str, Replay]) -> Figure:
    """Distribution of the energies of all positions: the original filled, the compressed model as a line.

    Raises:
        ValueError: There is nothing to draw.
    """
    summaries = _summaries(replays)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, 0.5 + 0.62 * len(summaries)), layout="constrained")
    panels = figure.subplots(len(summaries), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, summary) in zip(panels, summaries.items(), strict=True):
        histogram = replays[name].energy_histogram
        axes.stairs(_density(histogram.base, histogram.edges), histogram.edges, fill=True, color=MUTED, alpha=0.4)
        axes.stairs(_density(histogram.compressed, histogram.edges), histogram.edges, color=BAD, linewidth=1.1)
        axes.set_yticks([])
        axes.set_title(_label(name), fontsize=8.5, fontweight="normal", pad=2)
        axes.set_title(f"mean shift {summary.energy_shift:.3f}", loc="right", fontsize=8.5, fontweight="normal", pad=2)
        axes.tick_params(axis="x", length=0 if axes is not panels[-1] else 3)
    panels[-1].set_xlabel("energy (filled: original, line: compressed)")
    return figure


def _rows(names: Sequence[str], title: str, extra: float = 0.0) -> tuple[Figure, Axes]:
    """Axes with a row for each name, the first on top."""
    figure, axes = _empty(0.75 + extra + 0.25 * len(names), title)
    axes.set_yticks(range(len(names)), [_label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    return figure, axes


def _empty(height: float, title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _name_points(figure: Figure, axes: Axes, checkpoints: Sequence[Checkpoint], size: float = 8.0) -> None:
    """Write the names beside the points, each where it covers the fewest others."""
    figure.draw_without_rendering()
    scale = 72 / figure.dpi
    spots = [axes.transData.transform((c.megabytes, c.mean_return.estimate)) * scale for c in checkpoints]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in spots]
    left, right = (x * scale for x in axes.bbox.intervalx)
    for (x, y), checkpoint in zip(spots, checkpoints, strict=True):
        name = _label(checkpoint.name)
        width = 0.6 * size * len(name)
        places = [(dx, dy) for dy in (4, -11, 14, -21) for dx in (6, -6 - width)]
        boxes = [(x + dx, y + dy, x + dx + width, y + dy + size) for dx, dy in places]
        costs = [
            sum(b[0] < t[2] and t[0] < b[2] and b[1] < t[3] and t[1] < b[3] for t in taken)
            + (b[0] < left or b[2] > right)
            for b in boxes
        ]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        dx, dy = places[best]
        axes.annotate(
            name,
            (checkpoint.megabytes, checkpoint.mean_return.estimate),
            (6 if dx > 0 else -6, dy),
            textcoords="offset points",
            fontsize=size,
            horizontalalignment="left" if dx > 0 else "right",
        )


def _label(name: str, limit: int = 34) -> str:
    """A name that leaves room for the plot."""
    name = " ".join(name.split())
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[1 - limit // 2 :]}"


def _summaries(replays: Mapping[str, Replay]) -> dict[str, InternalsSummary]:
    found = {name: replay.summary().overall for name, replay in replays.items() if replay.episodes}
    if not found:
        raise ValueError("there is no replay with an episode to draw")
    return found


def _density(counts: Sequence[int], edges: Sequence[float]) -> list[float]:
    total = sum(counts) or 1
    widths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    return [count / total / width if width > 0 else 0.0 for count, width in zip(counts, widths, strict=True)]
