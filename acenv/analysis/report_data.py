"""What a report is made from: the original, what was made of it, and all that was measured of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acenv.analysis.attribution import Attribution
from acenv.analysis.charts.needles import NeedleGrid, needle_grid
from acenv.analysis.comparison import Comparison, compare_all, policy_name
from acenv.analysis.cost import Cost
from acenv.analysis.dose import Point, points_of
from acenv.analysis.failures import FailureComparison, compare_failures
from acenv.analysis.prediction import Relations, relate
from acenv.analysis.replay import Replay
from acenv.analysis.sequential import Stopping
from acenv.analysis.verdict import Verdict, judge
from acenv.runs import Results

if TYPE_CHECKING:
    import pandas

    from acenv.analysis.charts import Plots


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
        attribution: What its decisions cost, if that was asked.
        tokens: The file that :func:`acenv.analysis.replay.replay` wrote with what it makes of the original's tokens.
    """

    name: str
    method: str
    results: Results
    comparison: Comparison
    replay: Replay | None = None
    manifest: Mapping[str, Any] | None = None
    cost: Cost | None = None
    attribution: Attribution | None = None
    tokens: Path | None = None


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows, for the page, for charts and tables in a notebook, and for files of both.

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
        folder: The bench folder, for the commands that add to it; empty if there is none.
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
    folder: str = ""

    @property
    def comparisons(self) -> dict[str, Comparison]:
        """The comparison of each compressed model, by name."""
        return {c.name: c.comparison for c in self.candidates}

    @property
    def replays(self) -> dict[str, Replay]:
        """The internals of each compressed model of which there are any, by name."""
        return {c.name: c.replay for c in self.candidates if c.replay is not None and c.replay.episodes}

    @property
    def plot(self) -> Plots:
        """The charts, for notebooks: ``data.plot.retention()``, ``data.plot.frontier()``, ..."""
        from acenv.analysis.charts import Plots

        return Plots(self)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that :meth:`table` gives."""
        from acenv.analysis.tables import table_names

        return table_names()

    def table(self, name: str) -> pandas.DataFrame:
        """A table of the report, which goes on to CSV and LaTeX: ``data.table("retention").to_latex()``.

        Args:
            name: One of :attr:`tables`.

        Raises:
            ValueError: There is no such table.
            MissingLibraryError: pandas is not installed.
        """
        from acenv.analysis.tables import table

        return table(self, name)


def gather(reference: Results, candidates: Mapping[str, Results], *, title: str = "", settings: str = "") -> ReportData:
    """Compare runs with a reference, for a report, for charts and tables.

    Args:
        reference: The original's run.
        candidates: Runs of compressed models, by name.
        title: Heading of the page.
        settings: Difficulty and other settings, as text; by default the keywords of the environments.

    Raises:
        ValueError: The runs cannot be compared; see :func:`acenv.analysis.comparison.compare_all`.
    """
    name = policy_name(reference)
    manifest = reference.manifest
    keywords = manifest.get("env_kwargs") or {}
    return ReportData(
        title=title or f"Compared with {name}",
        model=name,
        settings=settings or ", ".join(f"{k} {v}" for k, v in keywords.items()),
        reference=reference,
        candidates=tuple(
            Candidate(name, name, candidates[name], comparison)
            for name, comparison in (compare_all(reference, candidates) if candidates else {}).items()
        ),
        created=str(manifest.get("created") or ""),
        versions=manifest.get("versions") or {},
    )


class Findings:
    """What follows from the data of a report; each part is computed when it is first asked for, and then kept."""

    def __init__(self, data: ReportData) -> None:
        """Of these data."""
        self._data = data

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each compressed model, the smallest loss first."""
        data = self._data
        return tuple(sorted((judge(c.name, c.comparison, data.noise) for c in data.candidates), key=lambda v: v.loss))

    @cached_property
    def failures(self) -> dict[str, tuple[FailureComparison, ...]]:
        """Counts of failures beside the original's, by compressed model; environments first, overall last."""
        return {c.name: compare_failures(self._data.reference, c.results) for c in self._data.candidates}

    @cached_property
    def needles(self) -> dict[str, NeedleGrid]:
        """Heat maps by length and depth, of the models whose episodes have those."""
        ours = self._data.reference.episodes
        grids = {c.name: needle_grid(ours, c.results.episodes) for c in self._data.candidates}
        return {name: grid for name, grid in grids.items() if grid is not None}

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The compressed models with their doses of compression."""
        return points_of({c.name: (c.manifest or {}, c.comparison.overall) for c in self._data.candidates})

    @cached_property
    def relations(self) -> Relations | None:
        """What the internals say about the losses; ``None`` where no model has any that can be set against them."""
        data = self._data
        methods = {c.name: (c.results.returns(), c.replay) for c in data.candidates if c.replay and c.replay.episodes}
        try:
            return relate(data.reference.returns(), methods) if methods else None
        except ValueError:  # The replays are of other transcripts, or were made for other k.
            return None


def costs(data: ReportData, original: str = "dense") -> dict[str, Cost]:
    """What each model of a report takes, the original first."""
    found = {original: data.cost} | {c.name: c.cost for c in data.candidates}
    return {name: cost for name, cost in found.items() if cost is not None}
