"""The charts of a report as a notebook wants them: ``data.plot.retention()``. And all of them as files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from acenv.analysis.charts.catalog import charts, checkpoints, noise_share
from acenv.analysis.charts.causes import plot_attribution, plot_cost, plot_failures, plot_prediction
from acenv.analysis.charts.internals import (
    Matrix,
    Measure,
    plot_agreement,
    plot_effective_rank,
    plot_energy,
    plot_layers,
)
from acenv.analysis.charts.needles import needle_grid, plot_needle
from acenv.analysis.charts.returns import plot_dose, plot_frontier, plot_retention
from acenv.analysis.comparison import OVERALL
from acenv.analysis.dose import Dose, families
from acenv.analysis.loss_model import FEWEST_KNOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from acenv.analysis.report_data import Candidate, Findings, ReportData

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")


@dataclass(frozen=True, slots=True)
class Plots:
    """Charts of a report, each a new :class:`matplotlib.figure.Figure` that a notebook shows by itself.

    All raise ``ValueError`` where the report has nothing to draw, with what would have to be done, and
    ``MissingLibraryError`` where matplotlib is not installed.

    Attributes:
        data: The report.
    """

    data: ReportData

    def retention(self, env_id: str = OVERALL) -> Figure:
        """What each compressed model keeps of the original's return, with intervals and the noise floor."""
        return plot_retention(self.data.comparisons, env_id, self.data.noise)

    def frontier(self, against: Literal["size", "seconds"] = "size") -> Figure:
        """Mean return against size on disk, or against seconds an episode."""
        if against == "size":
            return plot_frontier(checkpoints(self.data))
        return plot_frontier(checkpoints(self.data, "seconds"), "seconds an episode")

    def dose(self, dose: Dose = "bits") -> Figure:
        """What is kept at each strength of a method, by ``"bits"`` or ``"sparsity"``."""
        from acenv.analysis.report_data import Findings

        lines = families(Findings(self.data).points, dose)
        if not lines:
            raise ValueError(f"no method is here with two values of {dose}; acenv sweep makes such a grid")
        return plot_dose(lines, dose, noise_share(self.data))

    def needle(self, method: str | None = None) -> Figure:
        """Heat maps of the needles found, by length and depth: the original, a compressed model, the difference."""
        candidate = self._one(method)
        grid = needle_grid(self.data.reference.episodes, candidate.results.episodes)
        if grid is None:
            raise ValueError(
                "no episode has a length and a depth: evaluate acenv/Needle-v0 with grid=((1000, 2000), (0, 50, 100))"
            )
        return plot_needle(grid, candidate.name)

    def layers(self) -> Figure:
        """Change of the effective rank behind each layer."""
        return plot_layers(self.data.replays)

    def effective_rank(self, matrix: Matrix = "logits") -> Figure:
        """Effective rank of the ``"logits"`` or of the last ``"hidden"`` states."""
        return plot_effective_rank(self.data.replays, matrix)

    def agreement(self, measure: Measure = "jaccard") -> Figure:
        """Agreement of the likeliest tokens: ``"jaccard"``, ``"kendall"`` or ``"spearman"``."""
        return plot_agreement(self.data.replays, measure)

    def energy(self) -> Figure:
        """Distribution of the energies."""
        return plot_energy(self.data.replays)

    def prediction(self) -> Figure:
        """The loss of each method as its internals predict it, and as it was."""
        from acenv.analysis.report_data import Findings

        found = Findings(self.data).relations
        if found is None or found.held_out is None:
            raise ValueError(
                f"predicting a method from others takes {FEWEST_KNOWN + 1} methods with internals, which acenv replay "
                f"makes; here are {len(self.data.replays)}"
            )
        return plot_prediction(found.held_out)

    def failures(self, method: str | None = None, env_id: str = OVERALL) -> Figure:
        """Lost episodes by kind of failure, of the original and a compressed model side by side."""
        from acenv.analysis.failures import compare_failures

        candidate = self._one(method)
        compared = compare_failures(self.data.reference, candidate.results)
        found = next((c for c in compared if c.env_id == env_id), None)
        if found is None:
            raise ValueError(f"{candidate.name} and the original have no episode of {env_id!r} in common")
        return plot_failures(found, candidate.name)

    def attribution(self, method: str | None = None, by: Literal["kind", "context", "step"] = "kind") -> Figure:
        """Return lost by kind of decision, by the length of the conversation before it, or by step."""
        candidate = self._one(method)
        if candidate.attribution is None:
            raise ValueError(f"it is not known what the decisions of {candidate.name} cost; acenv attribute finds it")
        return plot_attribution(candidate.attribution, by, candidate.name)

    def cost(self) -> Figure:
        """Return per GB, second and joule, as multiples of the original's."""
        from acenv.analysis.report_data import costs

        return plot_cost(costs(self.data))

    def save(self, folder: str | Path, formats: Sequence[Format] = ("png", "svg")) -> list[Path]:
        """Write all charts of the report into a folder; see :func:`save_charts`."""
        return save_charts(self.data, folder, formats)

    def _one(self, method: str | None) -> Candidate:
        names = [c.name for c in self.data.candidates]
        if not names:
            raise ValueError("there is no compressed model in this report")
        if method is None and len(names) > 1:
            raise ValueError(f"say which method: {', '.join(names)}")
        if method is not None and method not in names:
            raise ValueError(f"there is no method {method!r}; there are {', '.join(names)}")
        return next(c for c in self.data.candidates if method is None or c.name == method)


def save_charts(
    data: ReportData, folder: str | Path, formats: Sequence[Format] = ("png", "svg"), found: Findings | None = None
) -> list[Path]:
    """Write every chart of a report as files, on white, with a line of text about each in ``README.md``.

    Args:
        data: The report.
        folder: Made if it is not there; charts of the same names are written over.
        formats: Of :data:`FORMATS`.
        found: What follows from the data, if that is known already.

    Returns:
        The files of the charts.

    Raises:
        ValueError: An unknown format.
        MissingLibraryError: matplotlib is not installed.
        OSError: The folder cannot be written.
    """
    from acenv.analysis.report_data import Findings as Found

    if unknown := [f for f in formats if f not in FORMATS]:
        raise ValueError(f"charts are written as {', '.join(FORMATS)}, not {unknown[0]!r}")
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    written, lines = [], [f"# {data.title}", ""]
    for chart in charts(data, found or Found(data)):
        figure = chart.draw()
        for form in formats:
            file = path / f"{chart.name}.{form}"
            with _plain_text():
                figure.savefig(file, dpi=200, metadata=_DATELESS[form])
            written.append(file)
        lines += [f"- `{chart.name}`: {chart.caption} {chart.description}"]
    (path / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
    return written


_DATELESS: dict[Format, dict[str, str | None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""The same data give the same files."""


@contextmanager
def _plain_text() -> Iterator[None]:
    """Names are no formulas, their letters need not be in matplotlib's fonts, and text stays text."""
    import matplotlib

    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "acenv", "text.parse_math": False, "pdf.fonttype": 42}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield
