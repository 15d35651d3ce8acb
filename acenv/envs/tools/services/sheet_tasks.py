"""Tasks for a sheet: one to four jobs on a small table, each with one right outcome."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from acenv.envs.base import Difficulty
from acenv.envs.tools import words
from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.formulas import Cell
from acenv.envs.tools.services.querying import RedrawError, only
from acenv.envs.tools.services.sheet import Sheet, SheetWorld, a1
from acenv.envs.tools.services.sheet_tools import TOOLS


@dataclass(slots=True)
class SheetDraft:
    """A task in the making: every call is carried out at once, so that the next job sees what it led to.

    Attributes:
        rng: Where all choices come from.
        start: The book at the start.
        world: The book after the calls so far.
        calls: The plan so far.
        route: The book at the start, and after every call that changes it.
        results: What the calls that change the book gave.
        request: The task in words.
    """

    rng: random.Random
    start: SheetWorld
    world: SheetWorld
    calls: list[Call] = field(default_factory=list)
    route: list[SheetWorld] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    request: str = ""

    @classmethod
    def of(cls, rng: random.Random, world: SheetWorld) -> SheetDraft:
        """A task that starts with this book."""
        return cls(rng, world, world.copy(), route=[world])

    @property
    def sheet(self) -> Sheet:
        """The open sheet, as it is after the calls so far."""
        return self.world.sheet

    def call(self, name: str, **arguments: Any) -> Any:
        """Add a call to the plan and carry it out.

        Raises:
            RedrawError: It changes nothing, though it should.
        """
        result = TOOLS[name].run(self.world, arguments)
        self.calls.append(Call(name, arguments))
        if TOOLS[name].writes:
            if self.world == self.route[-1]:
                raise RedrawError
            self.route.append(self.world.copy())
            self.results.append(result)
        return result


# Easy ----------------------------------------------------------------------------------------------------------------


def _phrase(rng: random.Random) -> str:
    return f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.NOUNS)}"


def _tiny(rng: random.Random) -> SheetDraft:
    """Three rows of a word and two numbers."""
    nouns, numbers = rng.sample(words.NOUNS, 3), rng.sample(range(10, 100), 6)
    rows: list[list[Cell]] = [[noun, numbers[2 * i], numbers[2 * i + 1]] for i, noun in enumerate(nouns)]
    return SheetDraft.of(rng, SheetWorld({"Sheet1": Sheet(rows)}, "Sheet1", brief=True))


def _a_place(rng: random.Random, first_column: int = 0) -> str:
    return a1(rng.randrange(3), rng.randrange(first_column, 3))


def _set_cell(d: SheetDraft) -> None:
    position = _a_place(d.rng)
    value: Cell = d.rng.choice((d.rng.randrange(10, 100), _phrase(d.rng)))
    d.call("update_cell", position=position, value=value)
    d.request = f"Set {position} to {value}."


def _copy_cell(d: SheetDraft) -> None:
    source, target = _a_place(d.rng), _a_place(d.rng)
    if source == target:
        raise RedrawError
    d.call("update_cell", position=target, value=d.call("get_cell_value", position=source))
    d.request = f"Copy {source} to {target}."


def _replace(d: SheetDraft) -> None:
    row = d.rng.choice(d.sheet.rows)
    found, value = row[0], d.rng.choice(words.NOUNS)
    (position,) = d.call("filter_cells", query=found)
    d.call("update_cell", position=position, value=value)
    d.request = f"Find the cell with {found} and set it to {value}."


def _total(d: SheetDraft) -> None:
    column = d.rng.choice("BC")
    first, last = d.rng.choice((("1", "2"), ("2", "3"), ("1", "3")))
    target = f"{'C' if column == 'B' else 'B'}{d.rng.randrange(1, 4)}"
    operator = d.rng.choice(("SUM", "MAX", "MIN"))
    d.call(
        "update_cell_by_formula",
        operator=operator,
        result_position=target,
        start_position=column + first,
        end_position=column + last,
    )
    d.request = f"Write the {operator} of {column}{first} to {column}{last} to {target}."


def _delete_row(d: SheetDraft) -> None:
    row = d.rng.choice((1, 2))
    noun, first, second = d.sheet.rows[row - 1]
    d.call("delete_batch_data", dimension="row", index_list=[row])
    d.request = f"Delete row {row} with {noun}, {first}, {second}."


def _insert_row(d: SheetDraft) -> None:
    row, number = d.rng.choice((1, 2, 3)), d.rng.randrange(10, 100)
    line: list[Cell] = [d.rng.choice(words.NOUNS), number, d.rng.randrange(10, 100)]
    d.call("insert_rows", values_list=[line], row_idx=row)
    d.request = f"Insert row {row} with {line[0]}, {line[1]}, {line[2]}."


def _note_cell(d: SheetDraft) -> None:
    position, value, note = _a_place(d.rng, 1), d.rng.randrange(10, 100), _phrase(d.rng)
    d.call("update_cell", position=position, value=value)
    d.call("update_note", position=position, content=note)
    d.request = f"Set {position} to {value} with the note: {note}"


EASY: tuple[Callable[[SheetDraft], None], ...] = (
    _set_cell,
    _copy_cell,
    _replace,
    _total,
    _delete_row,
    _insert_row,
    _note_cell,
)


# Medium and hard: jobs on a table ------------------------------------------------------------------------------------

HEADER = ("item", "team", "owner", "stock", "price")


def _table(rng: random.Random, count: int) -> list[list[Cell]]:
    """A header and ``count`` rows; items, stocks and prices differ from each other."""
    adjectives, nouns = rng.sample(words.ADJECTIVES, count), rng.sample(words.NOUNS, count)
    teams, owners = rng.sample(words.TEAMS, 3), rng.sample(words.NAMES, 3)
    stocks, prices = rng.sample(range(3, 90), count), rng.sample(range(4, 160), count)
    rows: list[list[Cell]] = [list(HEADER)]
    for i in range(count):
        price: Cell = prices[i] // 2 if prices[i] % 2 == 0 else prices[i] / 2
        # Items share a word with their neighbours, so that one has to look twice.
        item = f"{adjectives[i // 2]} {nouns[(i + 1) // 2]}"
        rows.append([item, rng.choice(teams), rng.choice(owners), stocks[i], price])
    body = rows[1:]
    rng.shuffle(body)
    return [rows[0], *body]


def _book(rng: random.Random, sheets: int, count: int) -> SheetDraft:
    """Several sheets with tables, one of them open."""
    numbers = sorted(rng.sample(range(1, 30), sheets))
    names = [f"Sheet{number}" for number in numbers]
    tables = {name: Sheet(_table(rng, count)) for name in names}
    return SheetDraft.of(rng, SheetWorld(tables, rng.choice(names)))


def _column(d: SheetDraft, name: str) -> int:
    """Where a column is, from 0."""
    return d.sheet.rows[0].index(name)


def _body(d: SheetDraft) -> list[tuple[int, list[Cell]]]:
    """The rows below the header, with their numbers from 0."""
    return list(enumerate(d.sheet.rows))[1:]


def _job_set(d: SheetDraft) -> str:
    """Change a text where another column has some value."""
    where, what = d.rng.choice((("team", "owner"), ("owner", "team")))
    value = d.rng.choice(_body(d))[1][_column(d, where)]
    old = {row[_column(d, what)] for _, row in _body(d)}
    new = d.rng.choice([v for v in (words.TEAMS if what == "team" else words.NAMES) if v not in old])
    rows = [r for r, row in _body(d) if row[_column(d, where)] == value]
    if not 1 <= len(rows) <= 3:
        raise RedrawError
    for r in rows:
        d.call("update_cell", position=a1(r, _column(d, what)), value=new)
    return f"set the {what} of every row with the {where} {value} to {new}"


def _job_restock(d: SheetDraft) -> str:
    """Change a number where it is below a bound."""
    bound, new = d.rng.randrange(10, 40), d.rng.randrange(90, 200)
    rows = [r for r, row in _body(d) if isinstance(row[3], (int, float)) and row[3] < bound]
    if not 1 <= len(rows) <= 3:
        raise RedrawError
    for r in rows:
        d.call("update_cell", position=a1(r, _column(d, "stock")), value=new)
    return f"set every stock below {bound} to {new}"


def _job_delete(d: SheetDraft) -> str:
    where = d.rng.choice(("team", "owner"))
    value = d.rng.choice(_body(d))[1][_column(d, where)]
    rows = [r + 1 for r, row in _body(d) if row[_column(d, where)] == value]
    if any(d.sheet.rows[r - 1] not in d.start.sheet.rows for r in rows):
        raise RedrawError  # What was just changed is not thrown away.
    if not 1 <= len(rows) <= 3 or len(rows) > len(_body(d)) - 3:
        raise RedrawError
    d.call("delete_batch_data", dimension="row", index_list=rows)
    return f"delete every row with the {where} {value}"


def _job_insert(d: SheetDraft) -> str:
    row = d.rng.randrange(2, len(d.sheet.rows) + 1)
    line: list[Cell] = [
        _phrase(d.rng),
        d.rng.choice(words.TEAMS),
        d.rng.choice(words.NAMES),
        d.rng.randrange(200, 300),
        d.rng.randrange(200, 300),
    ]
    d.call("insert_rows", values_list=[line], row_idx=row)
    return f"insert the row {', '.join(map(str, line))} as row {row}"


def _job_column(d: SheetDraft) -> str:
    values: list[Cell] = ["shelf", *(f"{d.rng.choice('ABC')}{d.rng.randrange(10, 100)}" for _ in _body(d))]
    number = d.rng.randrange(2, 6)
    d.call("insert_cols", values_list=[values], col_idx=number)
    return f"insert a column as column {number}, with the values {', '.join(map(str, values))} from top to bottom"


def _job_value(d: SheetDraft) -> str:
    """A new column, computed row by row."""
    if len(_body(d)) > 6:
        raise RedrawError
    column = d.sheet.width
    d.call("update_cell", position=a1(0, column), value="value")
    for r, _ in _body(d):
        cells = [a1(r, _column(d, "stock")), a1(r, _column(d, "price"))]
        d.call("update_cell_by_formula", operator="PRODUCT", result_position=a1(r, column), position_list=cells)
    return "add a column named value after the last one, with stock times price in every row"


def _job_sort(d: SheetDraft) -> str:
    name, order = d.rng.choice(("item", "stock", "price")), d.rng.choice(("asc", "des"))
    values = [row[_column(d, name)] for _, row in _body(d)]
    if len(set(values)) < len(values):
        raise RedrawError
    d.call("freeze_data", dimension="rows", num=1)
    d.call("sort_sheet_by_col", col_num=_column(d, name) + 1, order=order)
    return f"freeze the first row and then sort by {name}, {'a' if order == 'asc' else 'de'}scending"


def _job_note(d: SheetDraft) -> str:
    name, best = d.rng.choice(("stock", "price")), d.rng.choice(("highest", "lowest"))
    values = [float(row[_column(d, name)]) for _, row in _body(d)]
    row = 1 + only(values, max(values) if best == "highest" else min(values))
    note = _phrase(d.rng)
    d.call("update_note", position=a1(row, _column(d, name)), content=note)
    return f'put the note "{note}" on the cell with the {best} {name}'


def _job_conditional(d: SheetDraft) -> str:
    """A formula over the rows with some value, to the right of the table."""
    where, what = d.rng.choice(("team", "owner")), d.rng.choice(("stock", "price"))
    value = d.rng.choice(_body(d))[1][_column(d, where)]
    last = len(d.sheet.rows)
    ranges = {name: f"{a1(1, _column(d, name))}:{a1(last - 1, _column(d, name))}" for name in (where, what)}
    function, said = d.rng.choice((("SUMIF", "sum"), ("AVERAGEIF", "average"), ("COUNTIF", "number")))
    target = a1(0, d.sheet.width + 1)
    rest = "" if function == "COUNTIF" else f",{ranges[what]}"
    d.call("update_cell", position=target, value=f'={function}({ranges[where]},"{value}"{rest})')
    if function == "COUNTIF":
        return f"write the number of rows with the {where} {value} into {target}"
    return f"write the {said} of the {what} of the rows with the {where} {value} into {target}"


def _job_summary(d: SheetDraft) -> str:
    what = d.rng.choice(("stock", "price"))
    operator, said = d.rng.choice((("SUM", "sum"), ("AVERAGE", "average"), ("MAX", "maximum")))
    last, column = len(d.sheet.rows), _column(d, what)
    d.call("update_cell", position=a1(last, 0), value=said)
    d.call(
        "update_cell_by_formula",
        operator=operator,
        result_position=a1(last, column),
        start_position=a1(1, column),
        end_position=a1(last - 1, column),
    )
    return (
        f"add a row below the last one, with the word {said} in column A and the {said} of all rows of the table in "
        f"the column {what}"
    )


def _job_title(d: SheetDraft) -> str:
    row, title = len(d.sheet.rows) + 1, _phrase(d.rng)
    d.call("update_cell", position=a1(row, 0), value=title)
    d.call("merge_cells", start_position=a1(row, 0), end_position=a1(row, 2))
    return f"write {title} into {a1(row, 0)} and merge {a1(row, 0)} to {a1(row, 2)}"


JOBS: tuple[tuple[Callable[[SheetDraft], str], ...], ...] = (
    (_job_set, _job_restock),
    (_job_delete, _job_insert),
    (_job_column, _job_value),
    (_job_sort,),
    (_job_note, _job_conditional),
    (_job_summary, _job_title),
)
"""Jobs by the place that they take in a request: those behind find the table as those before leave it."""

CALLS = {"easy": (2, 3), "medium": (4, 8), "hard": (8, 15)}
"""Fewest and most calls of a plan, ``finish`` included."""


def _jobs(d: SheetDraft, count: int) -> None:
    d.call("get_all_values")
    groups = sorted(d.rng.sample(range(len(JOBS)), count))
    clauses = [d.rng.choice(JOBS[group])(d) for group in groups]
    listed = "; ".join(f"{number}) {clause}" for number, clause in enumerate(clauses, 1))
    d.request = f'In the sheet "{d.world.current}", which is open, do this in order: {listed}.'


def draw(rng: random.Random, difficulty: Difficulty) -> SheetDraft:
    """A task of a difficulty, with its plan up to ``finish``."""
    family = rng.choice(EASY)
    least, most = CALLS[difficulty]
    while True:
        if difficulty == "easy":
            draft = _tiny(rng)
        else:
            draft = _book(rng, 2, rng.randrange(4, 6)) if difficulty == "medium" else _book(rng, 3, rng.randrange(6, 9))
        try:
            if difficulty == "easy":
                family(draft)
            else:
                _jobs(draft, 2 if difficulty == "medium" else rng.choice((3, 4)))
        except RedrawError:
            continue
        draft.call("finish")
        if least <= len(draft.calls) <= most:
            return draft
