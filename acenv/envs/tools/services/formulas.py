"""Formulas of a sheet, evaluated by formualizer within bounds that are checked before it sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import formualizer

from acenv.envs.tools.domains.units import tidy

Cell = str | int | float
"""What a cell of a sheet holds; ``""`` is an empty cell."""

MAX_CHARS = 300
"""Longest formula."""

MAX_NUMBER = 1e15
"""What numbers must stay below, so that they are shown in full."""

MAX_CELLS = 500
"""Cells that all ranges of a formula may hold together."""

FUNCTIONS = frozenset(
    (
        *("ABS", "AND", "AVERAGE", "AVERAGEIF", "CONCAT", "CONCATENATE", "COUNT", "COUNTA", "COUNTIF", "IF", "INDEX"),
        *(
            "INT",
            "LEFT",
            "LEN",
            "LOWER",
            "MATCH",
            "MAX",
            "MEDIAN",
            "MID",
            "MIN",
            "MOD",
            "NOT",
            "OR",
            "PRODUCT",
            "RIGHT",
        ),
        *("ROUND", "SUM", "SUMIF", "SUMPRODUCT", "TRIM", "UPPER", "VLOOKUP"),
    )
)
"""The functions that a formula may call: none reads the clock or draws numbers, and none makes much of little."""

_NODES = frozenset({"Literal", "Reference", "BinaryOp", "UnaryOp", "Function"})
_REFERENCE = re.compile(r"\$?([A-Z])\$?([1-9][0-9]{0,2})(?::\$?([A-Z])\$?([1-9][0-9]{0,2}))?", re.IGNORECASE)
_SHEET = "S"
_SCRATCH = (1, 27)
"""Where the formula stands while it is evaluated: AA1, which no reference can name."""

_ERRORS = {"Div": "#DIV/0!", "Na": "#N/A", "Name": "#NAME?", "Num": "#NUM!", "Ref": "#REF!", "Value": "#VALUE!"}


class FormulaError(ValueError):
    """A formula cannot be evaluated; the message says why, for the agent to read."""


def evaluate(formula: str, rows: Sequence[Sequence[Cell]]) -> Cell:
    """The value of a formula.

    A formula cannot run for long or refer to itself: its length, its functions and the size of its ranges are checked
    first, and it is evaluated outside of the cells that it reads.

    Args:
        formula: Such as ``=SUM(A1:A3)``.
        rows: The cells, from ``A1``; what lies beyond is empty.

    Returns:
        A number (at most six decimals) or a text; booleans are ``"TRUE"`` and ``"FALSE"``.

    Raises:
        FormulaError: It is malformed, out of bounds, or its value is an error such as ``#DIV/0!``.

    >>> evaluate('=IF(SUM(A1:B2)>9, A1&"!", "few")', [["tea", 4], ["jam", 8]])
    'tea!'
    """
    if len(formula) > MAX_CHARS:
        raise FormulaError(f"the formula has {len(formula)} characters, the limit is {MAX_CHARS}")
    try:
        tree = formualizer.parse(formula).to_dict()
    except (formualizer.ParserError, formualizer.TokenizerError, ValueError) as error:
        raise FormulaError(f"the formula cannot be read: {str(error)[:100]}") from None
    cells: set[tuple[int, int]] = set()
    for reference in _references(tree):
        cells.update(_cells(reference))
        if len(cells) > MAX_CELLS:
            raise FormulaError(f"the ranges hold more than {MAX_CELLS} cells")
    workbook = formualizer.Workbook(config=_settings())
    sheet = workbook.sheet(_SHEET)
    for row, column in cells:
        value = rows[row - 1][column - 1] if row <= len(rows) and column <= len(rows[row - 1]) else ""
        if value != "":
            kind = formualizer.LiteralValue
            sheet.set_value(row, column, kind.text(value) if isinstance(value, str) else kind.number(float(value)))
    sheet.set_formula(*_SCRATCH, formula)
    return _plain(workbook.evaluate_cell(_SHEET, *_SCRATCH))


def _references(tree: dict[str, Any]) -> Iterator[str]:
    """The references of a parsed formula.

    Raises:
        FormulaError: It holds something else than operators, literals, references and the allowed functions.
    """
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
            continue
        if not isinstance(node, dict):
            continue
        kind = node.get("node_type")
        if kind not in _NODES:
            raise FormulaError(f"formulas of this sheet know no {kind}")
        if kind == "Function" and node["name"].upper() not in FUNCTIONS:
            raise FormulaError(f"there is no function {node['name'][:40]}; there are {', '.join(sorted(FUNCTIONS))}")
        if kind == "Reference":
            yield node["reference"]
        stack.extend(node.values())


def _cells(reference: str) -> Iterator[tuple[int, int]]:
    """The cells of a reference, as row and column from 1."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise FormulaError(f"{reference[:40]} is no cell or range of this sheet")
    first, last = (_column(found[1]), int(found[2])), (_column(found[3] or found[1]), int(found[4] or found[2]))
    columns, numbers = sorted((first[0], last[0])), sorted((first[1], last[1]))
    if (columns[1] - columns[0] + 1) * (numbers[1] - numbers[0] + 1) > MAX_CELLS:
        raise FormulaError(f"the range {reference[:40]} holds more than {MAX_CELLS} cells")
    for row in range(numbers[0], numbers[1] + 1):
        for column in range(columns[0], columns[1] + 1):
            yield row, column


def _column(letter: str) -> int:
    return ord(letter.upper()) - ord("A") + 1


@cache
def _settings() -> formualizer.WorkbookConfig:
    """One thread and no history: a workbook lives for one formula here, and is made ten times faster so."""
    settings = formualizer.EvaluationConfig()
    settings.enable_parallel = False
    mode = formualizer.WorkbookMode.Ephemeral
    return formualizer.WorkbookConfig(mode=mode, enable_changelog=False, eval_config=settings)


def _plain(value: Any) -> Cell:
    """A result as a cell holds it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        if not abs(value) < MAX_NUMBER:  # NaN too
            raise FormulaError("the formula gives #NUM!")
        return tidy(value)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    kind = value.get("kind", "") if isinstance(value, dict) else ""
    raise FormulaError(f"the formula gives {_ERRORS.get(kind, 'no single value')}")
