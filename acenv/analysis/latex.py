"""Tables for papers: LaTeX with booktabs, in which any name stays text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from acenv.analysis.words import number


def to_latex(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, caption: str = "", label: str = "") -> str:
    r"""A table for a paper, which needs the packages ``booktabs`` and ``longtable``; names are escaped.

    >>> print(to_latex([{"a_b": "50%", "c": 0.5}], ["a_b", "c"], caption="All."))
    \begin{longtable}{lr}
    \caption{All.}\\
    \toprule
    a\_b & c \\
    \midrule
    \endhead
    50\% & 0.500 \\
    \bottomrule
    \end{longtable}
    <BLANKLINE>
    """
    numeric = {c for c in columns if not any(isinstance(row.get(c), str) for row in rows)}
    head = " & ".join(_escaped(column) for column in columns)
    lines = [f"\\begin{{longtable}}{{{''.join('r' if c in numeric else 'l' for c in columns)}}}"]
    if caption:
        lines.append(f"\\caption{{{_escaped(caption)}}}" + (f"\\label{{{label}}}" if label else "") + "\\\\")
    lines += ["\\toprule", f"{head} \\\\", "\\midrule", "\\endhead"]
    lines += [f"{' & '.join(_latex(row.get(column)) for column in columns)} \\\\" for row in rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{longtable}", ""])


_SPECIAL = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "−": "$-$",
        "–": "--",
    }
)


def _escaped(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)


def _latex(value: Any) -> str:
    if value is None or value == "":
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _escaped(number(value) if isinstance(value, float) else str(value))
