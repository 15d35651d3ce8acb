"""Needle heat maps: how well a fact is found, by the length of the text and the depth at which it is hidden."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acenv.analysis.charts.style import ACCENT, BAD, LINE, MUTED, WIDTH, new_figure, styled
from acenv.types import Episode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CELLS = 10
"""Lengths and depths that are drawn apart; more are pooled, neighbours with neighbours."""

_FEW = 6
"""So many columns leave room for figures in the cells."""


@dataclass(frozen=True, slots=True)
class NeedleGrid:
    """Mean returns of the episodes with a length and a depth.

    Attributes:
        lengths: Of the texts, in tokens; of pooled columns the first and the last one.
        depths: In percent; likewise.
        base: Mean return of the original, shape [depths][lengths]; ``nan`` where there is no episode.
        compressed: The same of the compressed model.
        episodes: Pairs.
    """

    lengths: tuple[tuple[float, float], ...]
    depths: tuple[tuple[float, float], ...]
    base: tuple[tuple[float, ...], ...]
    compressed: tuple[tuple[float, ...], ...]
    episodes: int

    @property
    def difference(self) -> tuple[tuple[float, ...], ...]:
        """Compressed - base, likewise."""
        return tuple(
            tuple(b - a for a, b in zip(ours, theirs, strict=True))
            for ours, theirs in zip(self.base, self.compressed, strict=True)
        )

    def worst(self) -> tuple[str, str, float] | None:
        """Length, depth and difference of the cell that lost most; ``None`` if none lost anything."""
        cells = [
            (value, x, y)
            for y, row in enumerate(self.difference)
            for x, value in enumerate(row)
            if not math.isnan(value)
        ]
        value, x, y = min(cells, default=(0.0, 0, 0))
        return (_name(self.lengths[x]), _name(self.depths[y]), value) if value < 0 else None


def needle_grid(reference: Iterable[Episode], candidate: Iterable[Episode]) -> NeedleGrid | None:
    """Collect the episodes that both runs finished and that have a length and a depth among their metrics.

    Args:
        reference: Episodes of the original.
        candidate: Episodes of the compressed model.

    Returns:
        ``None`` if there is no such pair: the grid is a keyword of ``acenv/Needle-v0``.
    """
    theirs = {e.key: e.return_ for e in candidate if e.error is None and _cell(e) is not None}
    pairs = [(*cell, e.return_, theirs[e.key]) for e in reference if (cell := _cell(e)) and e.key in theirs]
    if not pairs:
        return None
    lengths, depths = _pooled({pair[0] for pair in pairs}), _pooled({pair[1] for pair in pairs})

    def means(side: int) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(
                _mean([p[side] for p in pairs if left <= p[0] <= right and top <= p[1] <= bottom])
                for left, right in lengths
            )
            for top, bottom in depths
        )

    return NeedleGrid(lengths, depths, means(2), means(3), len(pairs))


def _cell(episode: Episode) -> tuple[float, float] | None:
    length, depth = (episode.metrics.get(name, math.nan) for name in ("length", "depth"))
    known = episode.error is None and math.isfinite(length) and math.isfinite(depth) and math.isfinite(episode.return_)
    return (length, depth) if known else None


def _pooled(values: set[float]) -> tuple[tuple[float, float], ...]:
    """The values in order, neighbours together where there are too many.

    >>> _pooled({1.0, 3.0}), len(_pooled(set(map(float, range(40)))))
    (((1.0, 1.0), (3.0, 3.0)), 10)
    """
    ordered = sorted(values)
    each = math.ceil(len(ordered) / MOST_CELLS)
    groups = [ordered[i : i + each] for i in range(0, len(ordered), each)]
    return tuple((group[0], group[-1]) for group in groups)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _name(span: tuple[float, float]) -> str:
    first, last = span
    return f"{first:g}" if first == last else f"{first:g}–{last:g}"


@styled
def plot_needle(grid: NeedleGrid, name: str = "compressed") -> Figure:
    """Three heat maps side by side: the original, the compressed model, and the difference.

    The darker, the more is found, and in the third the more is lost (or gained, in the other colour). Figures stand in
    the cells where there is room, so that no colour has to be told from another.

    Args:
        grid: From :func:`needle_grid`.
        name: The compressed model.
    """
    columns, rows = len(grid.lengths), len(grid.depths)
    figure = new_figure(0.85 + 0.21 * rows, WIDTH)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, title, values, signed in zip(
        panels,
        ("original", name, "difference"),
        (grid.base, grid.compressed, grid.difference),
        (False, False, True),
        strict=True,
    ):
        _draw(axes, values, signed=signed)
        axes.set_title(_short(title), fontsize=8.5, fontweight="normal")
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xticks(range(columns), [_name(span) for span in grid.lengths], rotation=90 if columns > 3 else 0)
        axes.tick_params(labelsize=7.5, length=0)
    panels[0].set_yticks(range(rows), [f"{_name(span)}%" for span in grid.depths])
    panels[0].set_ylabel("depth")
    panels[1].set_xlabel("length in tokens")
    return figure


def _draw(axes: Axes, values: Sequence[Sequence[float]], *, signed: bool) -> None:
    from matplotlib.patches import Rectangle

    for y, row in enumerate(values):
        for x, value in enumerate(row):
            known = not math.isnan(value)
            color = LINE if not known else BAD if signed and value < 0 else ACCENT
            # Light enough for the letters, on white and on black.
            strength = min(abs(value), 1.0) * 0.55 if known else 0.4
            axes.add_patch(
                Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=color, alpha=strength, edgecolor="none", linewidth=0)
            )
            if len(row) <= _FEW:
                text = "–" if not known else _figures(value, signed)
                axes.text(x, y, text, ha="center", va="center", fontsize=6.5, color=None if known else MUTED)


def _figures(value: float, signed: bool) -> str:
    """Two digits, without the zero in front, which there is no room for.

    >>> _figures(0.5, False), _figures(1.0, False), _figures(-0.25, True), _figures(0.001, True)
    ('.50', '1', '−.25', '0')
    """
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    if float(text) == 0:
        return "0"
    return text.replace("0.", ".", 1).replace("1.00", "1").replace("-", "−")


def _short(title: str) -> str:
    return title if len(title) <= 18 else f"{title[:9]}…{title[-8:]}"
