"""Tables that other packages add to comparisons, benches and reports.

An analyzer is a function of the data of a report that gives the lines of a table::

    def episode_length(data: ReportData) -> Iterator[Row]:
        \"\"\"Mean number of steps of an episode.\"\"\"
        for candidate in data.candidates:
            yield {"method": candidate.name, "steps": mean(e.length for e in candidate.results.episodes)}

A package names it in the group ``acenv.analyzers`` of its entry points (see :mod:`acenv.plugins`). Then
``acenv compare``, ``acenv bench`` and the report show its table under that name, with the first line of its docstring
as the caption, and ``data.table(name)`` and ``acenv report --tables`` give it to pandas, CSV and LaTeX. An analyzer
that fails leaves its message in place of its table.
"""

from __future__ import annotations

import inspect
import math
import numbers
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from acenv.plugins import ANALYZERS, PluginError, load, package_of, plugins

if TYPE_CHECKING:
    from acenv.analysis.report_data import ReportData

Row = Mapping[str, Any]
"""Texts and numbers by the name of their column; ``None`` and ``nan`` stand for what is not known."""

Analyzer = Callable[["ReportData"], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Added:
    """The table of an analyzer.

    Attributes:
        name: Of the analyzer.
        package: Name and version of the package that it is from.
        caption: First line of its docstring; its name where there is none.
        rows: The lines.
        error: Why there are none, if it failed.
    """

    name: str
    package: str
    caption: str
    rows: tuple[dict[str, Any], ...] = ()
    error: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order in which the lines bring them up."""
        return tuple(dict.fromkeys(column for row in self.rows for column in row))

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON."""
        values = [{column: _value(value) for column, value in row.items()} for row in self.rows]
        found: dict[str, Any] = {"package": self.package, "caption": self.caption, "rows": values}
        return found | ({"error": self.error} if self.error else {})


def analyzer_names(taken: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of all analyzers that are installed.

    Args:
        taken: Names of acenv's own tables; an analyzer of the same name is left out with a warning.
    """
    names = plugins(ANALYZERS)
    for name in (clashes := names.keys() & set(taken)):
        warnings.warn(
            f"{package_of(names[name])} adds a table {name}, which acenv has itself; it is left out", stacklevel=2
        )
    return tuple(name for name in names if name not in clashes)


def analyze(data: ReportData) -> tuple[Added, ...]:
    """The tables of all analyzers that are installed; one that fails says so and does no harm to others."""
    from acenv.analysis.tables import TABLES

    found = []
    for name in analyzer_names(TABLES):
        try:
            found.append(analysis(data, name))
        except PluginError as error:
            found.append(Added(name, package_of(plugins(ANALYZERS)[name]), name, error=str(error)))
    return tuple(found)


def analysis(data: ReportData, name: str) -> Added:
    """The table of one analyzer.

    Args:
        data: The report.
        name: Of the analyzer, as its package calls it.

    Raises:
        KeyError: There is no such analyzer.
        PluginError: It cannot be imported, fails, or gives something else than lines of a table.
    """
    analyzer: Analyzer = load(ANALYZERS, name)
    package = package_of(plugins(ANALYZERS)[name])
    if not callable(analyzer):
        raise PluginError(f"the analyzer {name!r} of {package} must be a function, and is a {type(analyzer).__name__}")
    try:
        rows = tuple({str(column): value for column, value in dict(row).items()} for row in analyzer(data))
    except Exception as error:  # other people's code is at work in there
        raise PluginError(f"the analyzer {name!r} of {package} failed: {type(error).__name__}: {error}") from error
    described = inspect.getdoc(analyzer) or name
    return Added(name, package, described.splitlines()[0], rows)


def cell(value: object) -> str:
    """A value as pages and terminals show it.

    >>> cell(0.125), cell(3), cell(True), cell(None), cell("a")
    ('0.125', '3', 'yes', '–', 'a')
    """
    plain = _value(value)
    if plain is None:
        return "–"
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, int):
        return f"{plain:,}"
    return f"{plain:.4g}" if isinstance(plain, float) else plain


def _value(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    return str(value)
