"""A book of sheets: its state, and what can be done to it. Here rows and columns count from 0."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from acenv.envs.tools.domains.units import tidy
from acenv.envs.tools.services.formulas import MAX_NUMBER, Cell
from acenv.envs.tools.services.service import Refusal

MAX_ROWS, MAX_COLUMNS = 200, 26
"""How far a sheet can grow: from A1 to Z200."""

MAX_TEXT = 200
"""Longest text in a cell or a note."""

Place = tuple[int, int]
"""Row and column."""

Region = tuple[int, int, int, int]
"""First and last row, first and last column."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,6})?")


def a1(row: int, column: int) -> str:
    """The name of a place.

    >>> a1(1, 2)
    'C2'
    """
    return f"{chr(ord('A') + column)}{row + 1}"


def place(position: str) -> Place:
    """The place that a name stands for; the tools' schema has checked its form.

    Raises:
        Refusal: It lies outside of the sheet.

    >>> place("C2")
    (1, 2)
    """
    row, column = int(position[1:]) - 1, ord(position[0]) - ord("A")
    if row >= MAX_ROWS:
        raise Refusal(f"{position} lies outside of the sheet, which ends at {a1(MAX_ROWS - 1, MAX_COLUMNS - 1)}.")
    return row, column


def region(start_position: str, end_position: str) -> Region:
    """The places between two corners."""
    (top, left), (bottom, right) = place(start_position), place(end_position)
    if top > bottom or left > right:
        raise Refusal(f"{start_position} must be above and to the left of {end_position}.")
    return top, bottom, left, right


def cell_of(value: Any) -> Cell:
    """A value as a cell holds it: numbers in quotes become numbers.

    Raises:
        Refusal: It is no text or number, or too long or too large.

    >>> cell_of("4.50"), cell_of("tea"), cell_of(3.0)
    (4.5, 'tea', 3)
    """
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise Refusal(f"A cell takes {MAX_TEXT} characters, not {len(value)}.")
        if _NUMBER.fullmatch(value) is None:
            return value
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refusal("A cell takes a text or a number.")
    if not abs(value) < MAX_NUMBER:
        raise Refusal("The number is too large.")
    return tidy(value)


@dataclass(slots=True)
class Sheet:
    """One sheet.

    Attributes:
        rows: The cells, all rows equally long; no empty row or column at the end. Merged cells all hold the value of
            their first one, which is what reading them gives.
        frozen_rows: Rows at the top that sorting leaves alone.
        frozen_columns: Columns at the left that stay in view.
        notes: Notes on cells.
        merges: Merged regions.
    """

    rows: list[list[Cell]]
    frozen_rows: int = 0
    frozen_columns: int = 0
    notes: dict[Place, str] = field(default_factory=dict)
    merges: list[Region] = field(default_factory=list)

    def copy(self) -> Sheet:
        """An independent copy."""
        return Sheet(
            [row.copy() for row in self.rows],
            self.frozen_rows,
            self.frozen_columns,
            self.notes.copy(),
            self.merges.copy(),
        )

    @property
    def height(self) -> int:
        """Rows in use."""
        return len(self.rows)

    @property
    def width(self) -> int:
        """Columns in use."""
        return len(self.rows[0]) if self.rows else 0

    def value(self, row: int, column: int) -> Cell:
        """What a cell holds."""
        return self.rows[row][column] if row < self.height and column < self.width else ""

    def write(self, values: Iterable[tuple[int, int, Cell]]) -> None:
        """Fill cells.

        Raises:
            Refusal: One of them is a merged cell, but not the first of them; then nothing is written.
        """
        values = list(values)
        for row, column, _ in values:
            merged = self.merged(row, column)
            if merged is not None and (merged[0], merged[2]) != (row, column):
                raise Refusal(f"{a1(row, column)} is merged: write to {a1(merged[0], merged[2])} instead.")
        for row, column, value in values:
            merged = self.merged(row, column) or (row, row, column, column)
            self._fill(merged, value)
        self._trim()

    def merged(self, row: int, column: int) -> Region | None:
        """The merged region that a cell belongs to."""
        return next((m for m in self.merges if m[0] <= row <= m[1] and m[2] <= column <= m[3]), None)

    def merge(self, area: Region) -> None:
        """Make one cell of several; only the first value stays."""
        top, bottom, left, right = area
        if any(m[0] <= bottom and top <= m[1] and m[2] <= right and left <= m[3] for m in self.merges):
            raise Refusal("Some of these cells are merged already.")
        if top == bottom and left == right:
            raise Refusal("One cell alone cannot be merged.")
        self._fill(area, self.value(top, left))
        self.merges.append(area)
        self.merges.sort()
        self._trim()

    def insert(self, at: int, lines: list[list[Cell]], *, rows: bool) -> None:
        """Put new rows, or columns, before row or column ``at``."""
        if not rows:
            self._transpose()
        limit, across = (MAX_ROWS, MAX_COLUMNS) if rows else (MAX_COLUMNS, MAX_ROWS)
        try:
            kind = "row" if rows else "column"
            if at > self.height:
                raise Refusal(f"There are {self.height} {kind}s: the new ones can come at 1 to {self.height + 1}.")
            width = max([self.width, *map(len, lines)])
            if self.height + len(lines) > limit or width > across:
                raise Refusal(f"The sheet ends at {a1(MAX_ROWS - 1, MAX_COLUMNS - 1)}.")
            self.rows[at:at] = [line.copy() for line in lines]
            for row in self.rows:
                row.extend([""] * (width - len(row)))
            count = len(lines)
            self.notes = {(r + count * (r >= at), c): note for (r, c), note in self.notes.items()}
            self.merges = [(t + count * (t >= at), b + count * (b >= at), le, ri) for t, b, le, ri in self.merges]
            for top, bottom, left, right in self.merges:
                self._fill((top, bottom, left, right), self.value(top, left))
        finally:
            if not rows:
                self._transpose()
        self._trim()

    def delete(self, indices: list[int], *, rows: bool) -> None:
        """Remove rows, or columns."""
        if not rows:
            self._transpose()
        gone = set(indices)
        self.rows = [row for i, row in enumerate(self.rows) if i not in gone]

        def shifted(i: int) -> int:
            return i - sum(g < i for g in gone)

        self.notes = {(shifted(r), c): note for (r, c), note in self.notes.items() if r not in gone}
        kept = []
        for top, bottom, left, right in self.merges:
            left_over = [i for i in range(top, bottom + 1) if i not in gone]
            if left_over and (len(left_over) > 1 or right > left):
                kept.append((shifted(left_over[0]), shifted(left_over[-1]), left, right))
        self.merges = kept
        if rows:
            self.frozen_rows = min(shifted(self.frozen_rows), len(self.rows))
        else:
            self.frozen_columns = min(shifted(self.frozen_columns), len(self.rows))
            self._transpose()
        self._trim()

    def sort(self, column: int, *, descending: bool) -> None:
        """Sort the rows that are not frozen: numbers before texts, or after them if descending, and blanks last."""
        if any(m[1] >= self.frozen_rows for m in self.merges):
            raise Refusal("Rows with merged cells cannot be sorted.")

        def key(row: int) -> tuple[bool, float, str]:
            value = self.rows[row][column]
            return (True, 0.0, value.lower()) if isinstance(value, str) else (False, float(value), "")

        numbers = range(min(self.frozen_rows, self.height), self.height)
        filled = sorted((i for i in numbers if self.rows[i][column] != ""), key=key, reverse=descending)
        order = [*range(numbers.start), *filled, *(i for i in numbers if self.rows[i][column] == "")]
        self.rows = [self.rows[i] for i in order]
        at = {old: new for new, old in enumerate(order)}
        self.notes = {(at.get(r, r), c): note for (r, c), note in self.notes.items()}
        self._trim()

    # Inside

    def _fill(self, area: Region, value: Cell) -> None:
        top, bottom, left, right = area
        if value != "":
            width = max(self.width, right + 1)
            for row in self.rows:
                row.extend([""] * (width - len(row)))
            self.rows.extend([""] * width for _ in range(bottom + 1 - self.height))
        for row in self.rows[top : bottom + 1]:
            for column in range(left, min(right + 1, len(row))):
                row[column] = value

    def _transpose(self) -> None:
        self.rows = [list(column) for column in zip(*self.rows, strict=True)]
        self.notes = {(c, r): note for (r, c), note in self.notes.items()}
        self.merges = sorted((left, right, top, bottom) for top, bottom, left, right in self.merges)

    def _trim(self) -> None:
        rows = self.rows
        while rows and not any(value != "" for value in rows[-1]):
            rows.pop()
        if rows:
            width = max(i + 1 for row in rows for i, value in enumerate(row) if value != "")
            if width < len(rows[0]):
                for row in rows:
                    del row[width:]


@dataclass(slots=True)
class Standing:
    """How a book compares with the wanted one.

    Attributes:
        right: Facts to change that are as wanted.
        broken: Other facts that are not as they should be.
        similarity: AgentBoard's score of the open sheet.
        best: Its running maximum over the steps that AgentBoard evaluates.
    """

    right: int = 0
    broken: int = 0
    similarity: float = 0.0
    best: float = 0.0


@dataclass(slots=True)
class SheetWorld:
    """A book.

    Attributes:
        sheets: By name.
        current: Name of the open sheet; empty if it was deleted.
        brief: Whether changes are answered with ``done``, and not with all values.
        standing: How it compares with the wanted book; no part of what two books are compared by.
    """

    sheets: dict[str, Sheet]
    current: str
    brief: bool = False
    standing: Standing = field(default_factory=Standing, compare=False)

    def copy(self) -> SheetWorld:
        """An independent copy."""
        sheets = {name: sheet.copy() for name, sheet in self.sheets.items()}
        return SheetWorld(sheets, self.current, self.brief, replace(self.standing))

    def __deepcopy__(self, memo: dict[int, Any]) -> SheetWorld:
        return self.copy()

    @property
    def sheet(self) -> Sheet:
        """The open sheet.

        Raises:
            Refusal: None is open.
        """
        if self.current not in self.sheets:
            raise Refusal("Please open a sheet before you operate on it.")
        return self.sheets[self.current]

    def values(self) -> list[list[Cell]]:
        """All values of the open sheet; none if no sheet is open."""
        return self.sheets[self.current].rows if self.current in self.sheets else []


def similarity(rows: list[list[Cell]], wanted: list[list[Cell]]) -> float:
    """AgentBoard's score of a sheet: the share of equal cells in the area that both have.

    ``get_match_score`` of ``agentboard/environment/sheet_env.py``.

    >>> similarity([["tea", 4], ["jam", 8]], [["tea", 5]])
    0.5
    """
    width = min(len(rows[0]) if rows else 0, len(wanted[0]) if wanted else 0)
    height = min(len(rows), len(wanted))
    if not width or not height:
        return 0.0
    equal = sum(a == b for mine, theirs in zip(rows, wanted, strict=False) for a, b in zip(mine, theirs, strict=False))
    return equal / (width * height)


def facts(sheet: Sheet | None) -> dict[Any, Any]:
    """Everything that holds of a sheet, one entry a cell, note, merged region and frozen edge; None: there is none."""
    if sheet is None:
        return {}
    found: dict[Any, Any] = {
        (r, c): value for r, row in enumerate(sheet.rows) for c, value in enumerate(row) if value != ""
    }
    found.update((("note", at), note) for at, note in sheet.notes.items())
    found.update((("merge", area), True) for area in sheet.merges)
    found["rows"], found["columns"] = sheet.frozen_rows, sheet.frozen_columns
    return found


def differences(now: dict[str, Sheet], wanted: dict[str, Sheet]) -> set[Any]:
    """The facts in which two books differ, each with the name of its sheet."""
    found: set[Any] = set()
    for name in now.keys() | wanted.keys():
        mine, theirs = now.get(name), wanted.get(name)
        if mine != theirs:  # Most sheets are equal, which is cheap to see.
            a, b = facts(mine), facts(theirs)
            found.update((name, key) for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    return found
