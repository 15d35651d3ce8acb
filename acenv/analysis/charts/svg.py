"""Charts as SVG for a page: in its theme, light or dark, with their text as text, and described in words."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from acenv.analysis.charts import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MatplotlibFigure

_THEME = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.LINE: "var(--line)",
    style.ACCENT: "var(--accent)",
    style.BAD: "var(--bad)",
    style.GOOD: "var(--good)",
    "#ffffff": "var(--paper)",
}
"""Each colour of the charts is a colour of the page's theme, by the name of its CSS variable."""

_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def to_svg(figure: MatplotlibFigure, description: str, name: str) -> str:
    """An SVG element for a page: themed by CSS variables, its text as text, with a description in words.

    Args:
        figure: Drawn by a function of :mod:`acenv.analysis.charts`; other colours than theirs stay as they are.
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


def _themed(declarations: str) -> str:
    parts = [p.strip() for p in declarations.split(";") if p.strip() and not p.strip().startswith("font-family")]
    for color, variable in _THEME.items():
        parts = [p.replace(color, variable) for p in parts]
    return ";".join(parts)


def _xml_text(text: str) -> str:
    """XML forbids most control characters; matplotlib writes those of a name as they are."""
    return "".join(c for c in text if c >= " " or c in "\n\t\r")


def _printable(text: str) -> str:
    return _xml_text(text).replace("\n", " ")
