"""The figures of the report: plots as SVG in the page's own theme, with captions and descriptions in words."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from acenv.analysis import plots
from acenv.analysis.comparison import OVERALL, Comparison
from acenv.analysis.replay import InternalsSummary, Replay
from acenv.analysis.verdict import environment, format_size, short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

_THEME = {
    plots.INK: "var(--ink)",
    plots.MUTED: "var(--muted)",
    plots.LINE: "var(--line)",
    plots.ACCENT: "var(--accent)",
    plots.BAD: "var(--bad)",
    plots.GOOD: "var(--good)",
    "#ffffff": "var(--paper)",
}
"""Each colour of the plots is a colour of the page's theme, by the name of its CSS variable."""

_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A plot on the page; ``svg`` is markup that is safe to insert."""

    svg: str
    caption: str


def return_figures(
    comparisons: Mapping[str, Comparison], env_ids: Sequence[str], noise: Comparison | None
) -> Iterator[PageFigure]:
    """The mean returns, overall and by environment."""
    for number, env_id in enumerate((OVERALL, *env_ids)):
        parts = {name: part for name, c in comparisons.items() if (part := environment(c, env_id)) is not None}
        if not parts:
            continue
        reference = next(iter(parts.values())).reference.estimate
        means = ", ".join(f"{name} {part.candidate.estimate:.2f}" for name, part in parts.items())
        counts = sorted({part.episodes for part in parts.values()})
        episodes = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        yield PageFigure(
            to_svg(
                plots.plot_returns(comparisons, env_id, noise),
                f"Mean returns, {short_name(env_id)}: original {reference:.2f}, {means}.",
                f"r{number}",
            ),
            f"{short_name(env_id)}: {episodes} paired episodes.",
        )


def frontier_figure(checkpoints: Sequence[plots.Checkpoint]) -> PageFigure:
    """Return against size on disk."""
    points = ", ".join(f"{c.name} {format_size(c.megabytes)} MB {c.mean_return.estimate:.2f}" for c in checkpoints)
    return PageFigure(
        to_svg(plots.plot_frontier(checkpoints), f"Mean return against size on disk: {points}.", "frontier"),
        "Size of each checkpoint and its mean return over all environments, with intervals. "
        "The line joins the checkpoints that no smaller one equals.",
    )


def internal_figures(replays: Mapping[str, Replay]) -> Iterator[PageFigure]:
    """The three analyses: effective rank, top-k agreement, energy."""
    summaries = {name: replay.summary().overall for name, replay in replays.items() if replay.episodes}
    if not summaries:
        return
    matrices: tuple[tuple[plots.Matrix, str, str], ...] = (
        ("logits", "logits", "How many directions the next-token distributions use."),
        ("hidden", "last hidden states", "How many directions the model's last layer uses."),
    )
    for matrix, what, caption in matrices:
        figure = plots.plot_effective_rank(replays, matrix)
        pairs = {n: s.erank_logits if matrix == "logits" else s.erank_hidden for n, s in summaries.items()}
        text = ", ".join(f"{name} {base:.1f} to {compressed:.1f}" for name, (base, compressed) in pairs.items())
        yield PageFigure(
            to_svg(figure, f"Effective rank of the {what}, original to compressed: {text}.", matrix), caption
        )
    measures: tuple[tuple[plots.Measure, str], ...] = (
        ("jaccard", "Share of the k likeliest tokens that both models name; 1 is perfect."),
        ("kendall", "Whether both order the original's k likeliest tokens alike, by pairs; 1 is perfect."),
        ("spearman", "The same by ranks; 1 is perfect."),
    )
    for measure, caption in measures:
        text = "; ".join(f"{name} {_by_k(summary, measure)}" for name, summary in summaries.items())
        yield PageFigure(
            to_svg(plots.plot_agreement(replays, measure), f"{measure} at top k: {text}.", measure), caption
        )
    text = ", ".join(f"{name} {summary.energy_shift:.3f}" for name, summary in summaries.items())
    yield PageFigure(
        to_svg(plots.plot_energy(replays), f"Energy histograms; mean shift: {text}.", "energy"),
        "Energies of all positions: a shape that moves or spreads is a model whose outputs have changed scale.",
    )


def to_svg(figure: MatplotlibFigure, description: str, name: str) -> str:
    """An SVG element for a page: themed by CSS variables, its text as text, with a description in words.

    Args:
        figure: Drawn by a function of :mod:`acenv.analysis.plots`; other colours than theirs stay as they are.
        description: For readers who do not see the figure.
        name: Starts the ids inside, so that two figures of a page never share one.
    """
    import matplotlib

    buffer = io.BytesIO()
    text_as_text: Any = {"svg.fonttype": "none", "svg.hashsalt": "acenv", "text.parse_math": False}
    with matplotlib.rc_context(text_as_text), warnings.catch_warnings():
        # The reader's fonts draw the text: it does not matter that matplotlib's lack a glyph.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(buffer, format="svg", transparent=True)
    root = ElementTree.fromstring(_xml_text(buffer.getvalue().decode()))
    used = set(_REFERENCE.findall(ElementTree.tostring(root, encoding="unicode")))
    used |= {v[1:] for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")}
    _clean(root, name, used)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": _printable(description)}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _clean(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Drop namespaces, metadata and style sheets; theme colours; shorten numbers; make ids the figure's own."""
    element.tag = element.tag.rpartition("}")[2]
    if element.tag != "text":
        element.text = None
    element.tail = None
    for key in list(element.attrib):
        value = element.attrib.pop(key)
        key = key.rpartition("}")[2]
        if key == "id" and value not in used:
            continue
        if key == "id":
            value = f"{name}-{value}"
        elif key == "href":
            value = f"#{name}-{value[1:]}"
        elif key == "style":
            value = _themed(value)
        if key in ("d", "transform", "x", "y", "points"):
            value = _NUMBER.sub(lambda m: f"{float(m[0]):.2f}", " ".join(value.split()))
        element.attrib[key] = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
        else:
            _clean(child, name, used)


def _themed(style: str) -> str:
    parts = [p.strip() for p in style.split(";") if p.strip() and not p.strip().startswith("font-family")]
    for color, variable in _THEME.items():
        parts = [p.replace(color, variable) for p in parts]
    return ";".join(parts)


def _xml_text(text: str) -> str:
    """XML forbids most control characters; matplotlib writes those of a name as they are."""
    return "".join(c for c in text if c >= " " or c in "\n\t\r")


def _printable(text: str) -> str:
    return _xml_text(text).replace("\n", " ")


def _by_k(summary: InternalsSummary, measure: plots.Measure) -> str:
    values: Mapping[int, float] = getattr(summary, measure)
    return ", ".join(f"{value:.2f} at {k}" for k, value in values.items())
