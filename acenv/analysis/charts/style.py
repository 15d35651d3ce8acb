"""What all charts share: colours, fonts, and axes with a row for each name.

The figures are built without ``pyplot``, so nothing global is touched and no window or backend is needed.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

INK, MUTED, LINE, ACCENT, BAD, GOOD = "#1b1f23", "#59626b", "#dcdfdd", "#1d5d9b", "#ad3f17", "#1c7352"
"""The colours of the charts; each is one of the page's theme too (see :mod:`.svg`)."""

_COLORS = (ACCENT, BAD, GOOD, INK, MUTED)

WIDTH = 4.7
"""Inches; with this the letters of a chart are as large as those of the page, also on a phone."""

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


class MissingLibraryError(ImportError):
    """A library of the ``report`` extra is not installed."""

    def __init__(self, library: str) -> None:
        """Name the library and the way to get it."""
        super().__init__(
            f"{library} is not installed: reports, charts and tables need it; run pip install 'acenv[report]'"
        )


def styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
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


@functools.cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure as Base

    class ChartFigure(Base):  # type: ignore[misc, unused-ignore]
        """A figure that a notebook shows by itself, whether or not pyplot was imported."""

        def _repr_svg_(self) -> str:
            buffer = io.StringIO()
            self.savefig(buffer, format="svg")
            return buffer.getvalue()

    return ChartFigure


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of so many inches."""
    return _figure_class()(figsize=(width, height), layout="constrained")


def one_axes(height: float, title: str) -> tuple[Figure, Axes]:
    """A figure with a single plot."""
    figure = new_figure(height)
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def row_axes(names: Sequence[str], title: str, extra: float = 0.0) -> tuple[Figure, Axes]:
    """Axes with a row for each name, the first on top."""
    figure, axes = one_axes(0.75 + extra + 0.25 * len(names), title)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    return figure, axes


def whole_numbers(axis: Any) -> None:
    """Marks of an axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def line_style(number: int) -> dict[str, str]:
    """Colour, marker and dash of a line, so that no two of 75 lines look alike and colour is never all that differs.

    >>> line_style(0)["color"] == line_style(5)["color"], line_style(0)["linestyle"] == line_style(5)["linestyle"]
    (True, False)
    """
    color = _COLORS[number % len(_COLORS)]
    return {"color": color, "marker": "os^Dvph"[number % 7], "linestyle": ("-", "--", ":")[number // 5 % 3]}


def label(name: str, limit: int = 34) -> str:
    """A name that leaves room for the plot.

    >>> label("an extraordinarily long name of a method", 12)
    'an ext…ethod'
    """
    name = " ".join(name.split())
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[1 - limit // 2 :]}"


def legend_below(figure: Figure, names: Sequence[str]) -> None:
    """A legend under the plot, in one column where the names are long."""
    columns = 1 if max(map(len, names), default=0) > 26 else 2
    figure.legend(loc="outside lower left", ncols=columns, handletextpad=0.4, columnspacing=1.4)
