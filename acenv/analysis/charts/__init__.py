"""Charts of comparisons, failures and internals, as matplotlib figures: for notebooks, for files, and for the page.

Every ``plot_*`` function takes data and returns a new :class:`matplotlib.figure.Figure`. ``data.plot`` of a report has
them by name, :func:`save_charts` writes them all, and :func:`charts` lists them with captions and descriptions.
"""

from acenv.analysis.charts.catalog import Chart, charts
from acenv.analysis.charts.causes import plot_attribution, plot_cost, plot_failures, plot_prediction
from acenv.analysis.charts.internals import plot_agreement, plot_effective_rank, plot_energy, plot_layers
from acenv.analysis.charts.needles import NeedleGrid, needle_grid, plot_needle
from acenv.analysis.charts.notebook import FORMATS, Plots, save_charts
from acenv.analysis.charts.returns import Checkpoint, frontier, plot_dose, plot_frontier, plot_retention
from acenv.analysis.charts.style import MissingLibraryError
from acenv.analysis.charts.svg import to_svg

__all__ = [
    "FORMATS",
    "Chart",
    "Checkpoint",
    "MissingLibraryError",
    "NeedleGrid",
    "Plots",
    "charts",
    "frontier",
    "needle_grid",
    "plot_agreement",
    "plot_attribution",
    "plot_cost",
    "plot_dose",
    "plot_effective_rank",
    "plot_energy",
    "plot_failures",
    "plot_frontier",
    "plot_layers",
    "plot_needle",
    "plot_prediction",
    "plot_retention",
    "save_charts",
    "to_svg",
]
