"""The twenty tools of a sheet that AgentBoard names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from acenv.envs.tools.services.formulas import Cell, FormulaError, evaluate
from acenv.envs.tools.services.service import CHECK, Refusal
from acenv.envs.tools.services.sheet import MAX_COLUMNS, MAX_ROWS, MAX_TEXT, SheetWorld, a1, cell_of, place, region
from acenv.envs.tools.tooling import ToolSpec, tool

Position = Annotated[str, {"pattern": "^[A-Z][1-9][0-9]{0,2}$"}]
OptionalPosition = Annotated[str, {"pattern": "^([A-Z][1-9][0-9]{0,2})?$"}]
Value = Annotated[str | float, {"maxLength": MAX_TEXT * 2}]
Index = Annotated[int, {"minimum": 1, "maximum": MAX_ROWS + 1}]
Number = Annotated[int, {"minimum": 1, "maximum": MAX_ROWS}]
Items = Annotated[list[Any], {"items": {}}]
Operator = Literal["SUM", "AVERAGE", "COUNT", "MAX", "MIN", "MINUS", "PRODUCT"]

NONE: list[Any] = []


def _all(world: SheetWorld) -> Any:
    """What a change is answered with: all values, as in AgentBoard, or a word."""
    return "done" if world.brief else _rows(world.sheet.rows)


def _rows(rows: list[list[Cell]]) -> list[list[Cell]]:
    return [row.copy() for row in rows] or [[]]


def _lines(values_list: list[Any], limit: int) -> list[list[Cell]]:
    if not values_list or len(values_list) > limit or not all(isinstance(line, list) for line in values_list):
        raise Refusal("The values_list needs to be a list of lists.")
    if any(len(line) > MAX_ROWS for line in values_list):
        raise Refusal("The values_list is larger than a sheet.")
    return [[cell_of(value) for value in line] for line in values_list]


def open_sheet(world: SheetWorld, name: str) -> Any:
    """Open a sheet of the book; the other tools work on the open one."""
    if name not in world.sheets:
        raise Refusal(f"There is no sheet {name[:60]}. The sheets are: {', '.join(world.sheets) or 'none'}.")
    world.current = name
    return f"{name} is open."


def del_sheet(world: SheetWorld, name: str) -> Any:
    """Delete a sheet for good."""
    if name not in world.sheets:
        raise Refusal(f"There is no sheet {name[:60]}. The sheets are: {', '.join(world.sheets) or 'none'}.")
    del world.sheets[name]
    if world.current == name:
        world.current = ""
    return f"{name} is deleted."


def freeze_data(
    world: SheetWorld, dimension: Literal["rows", "columns"], num: Annotated[int, {"minimum": 0, "maximum": MAX_ROWS}]
) -> Any:
    """Freeze the first rows, which sorting then leaves alone, or the first columns."""
    sheet = world.sheet
    size = sheet.height if dimension == "rows" else sheet.width
    if num >= max(size, 1):
        raise Refusal(f"There are {size} {dimension}, and not all can be frozen.")
    if dimension == "rows":
        sheet.frozen_rows = num
    else:
        sheet.frozen_columns = num
    return "done" if world.brief else f"{num} {dimension} are frozen."


def get_A1_annotation(  # noqa: N802  (AgentBoard's name)
    world: SheetWorld, row: Number, col: Annotated[int, {"minimum": 1, "maximum": MAX_COLUMNS}]
) -> Any:
    """Get the position in A1 notation of a row and a column, both counted from 1."""
    return a1(row - 1, col - 1)


def insert_cols(world: SheetWorld, values_list: Items, col_idx: Index) -> Any:
    """Insert columns, given as a list with one list of values a column, before column col_idx."""
    world.sheet.insert(col_idx - 1, _lines(values_list, MAX_COLUMNS), rows=False)
    return _all(world)


def insert_rows(world: SheetWorld, values_list: Items, row_idx: Index) -> Any:
    """Insert rows, given as a list with one list of values a row, before row row_idx."""
    world.sheet.insert(row_idx - 1, _lines(values_list, MAX_ROWS), rows=True)
    return _all(world)


def delete_batch_data(world: SheetWorld, dimension: Literal["row", "col"], index_list: Items) -> Any:
    """Delete the rows or columns with the given numbers."""
    sheet = world.sheet
    size = sheet.height if dimension == "row" else sheet.width
    if not index_list or not all(type(i) is int and 1 <= i <= size for i in index_list):
        raise Refusal(f"The index_list needs whole numbers from 1 to {size}.")
    indices = {i - 1 for i in index_list}
    if len(indices) >= (size - 1 if dimension == "row" else size):
        raise Refusal("You cannot delete the whole sheet at once.")
    sheet.delete(sorted(indices), rows=dimension == "row")
    return _all(world)


def update_cell(world: SheetWorld, position: Position, value: Value) -> Any:
    """Write a value, or the result of a formula such as =SUM(A1:A3), into a cell."""
    sheet = world.sheet
    row, column = place(position)
    if isinstance(value, str) and value.startswith("=") and len(value) > 1:
        result = _evaluate(world, value)
    else:
        result = cell_of(value)
    sheet.write([(row, column, result)])
    return _all(world)


def _evaluate(world: SheetWorld, formula: str) -> Cell:
    try:
        return cell_of(evaluate(formula, world.sheet.rows))
    except FormulaError as error:
        raise Refusal(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


def _formula(operator: str, start_position: str, end_position: str, position_list: list[Any]) -> str:
    """The formula that the arguments of the two formula tools stand for."""
    if position_list:
        if len(position_list) > 50 or not all(isinstance(p, str) and _is_position(p) for p in position_list):
            raise Refusal("The position_list needs positions in A1 notation.")
        cells = position_list
    elif start_position and end_position:
        top, bottom, left, right = region(start_position, end_position)
        cells = [f"{start_position}:{end_position}"]
        if operator == "MINUS" and (bottom - top + 1) * (right - left + 1) == 2:
            cells = [start_position, end_position]
    else:
        raise Refusal("Give start_position and end_position, or position_list.")
    if operator == "MINUS":
        if len(cells) != 2:
            raise Refusal("MINUS takes two cells.")
        return f"={cells[0]}-{cells[1]}"
    return f"={operator}({','.join(cells)})"


def _is_position(text: str) -> bool:
    return len(text) <= 4 and "A" <= text[:1] <= "Z" and text[1:].isascii() and text[1:].isdecimal() and text[1] != "0"


def update_cell_by_formula(
    world: SheetWorld,
    operator: Operator,
    result_position: Position,
    start_position: OptionalPosition = "",
    end_position: OptionalPosition = "",
    position_list: Items = NONE,
) -> Any:
    """Apply an operator to a range of cells, or to a list of cells, and write the result into a cell."""
    result = _evaluate(world, _formula(operator, start_position, end_position, position_list))
    world.sheet.write([(*place(result_position), result)])
    return _all(world)


def update_range(world: SheetWorld, start_position: Position, end_position: Position, values_list: Items) -> Any:
    """Write a list with one list of values a row into a range of cells."""
    sheet = world.sheet
    top, bottom, left, right = region(start_position, end_position)
    lines = _lines(values_list, MAX_ROWS)
    if len(lines) != bottom - top + 1 or any(len(line) != right - left + 1 for line in lines):
        raise Refusal("The values_list has another shape than the range.")
    if (top, left) == (0, 0) and (bottom + 1, right + 1) == (sheet.height, sheet.width):
        raise Refusal("You cannot update the whole sheet at once.")
    sheet.write((top + r, left + c, value) for r, line in enumerate(lines) for c, value in enumerate(line))
    return _all(world)


def sort_sheet_by_col(world: SheetWorld, col_num: Index, order: Literal["asc", "des"]) -> Any:
    """Sort the rows that are not frozen by a column, ascending or descending."""
    sheet = world.sheet
    if col_num > sheet.width:
        raise Refusal(f"There are {sheet.width} columns.")
    sheet.sort(col_num - 1, descending=order == "des")
    return _all(world)


def merge_cells(world: SheetWorld, start_position: Position, end_position: Position) -> Any:
    """Merge a range of cells into one, which keeps the first value; it cannot be undone."""
    world.sheet.merge(region(start_position, end_position))
    return _all(world)


def update_note(world: SheetWorld, position: Position, content: Annotated[str, {"maxLength": MAX_TEXT}]) -> Any:
    """Put a note on a cell; an empty one removes it."""
    sheet = world.sheet
    at = place(position)
    sheet.notes.pop(at, None)
    if content:
        sheet.notes[at] = content
    return "done" if world.brief else f"The note of {position} is: {content}"


def get_all_values(world: SheetWorld) -> Any:
    """Get all values of the sheet, row by row."""
    return _rows(world.sheet.rows)


def get_range_values(world: SheetWorld, start_position: Position, end_position: Position) -> Any:
    """Get the values of a range of cells, row by row."""
    top, bottom, left, right = region(start_position, end_position)
    sheet = world.sheet
    bottom, right = min(bottom, max(top, sheet.height - 1)), min(right, max(left, sheet.width - 1))
    return [[sheet.value(r, c) for c in range(left, right + 1)] for r in range(top, bottom + 1)]


def get_cell_value(world: SheetWorld, position: Position) -> Any:
    """Get the value of a cell."""
    return world.sheet.value(*place(position))


def get_value_by_formula(
    world: SheetWorld,
    operator: Operator,
    start_position: OptionalPosition = "",
    end_position: OptionalPosition = "",
    position_list: Items = NONE,
) -> Any:
    """Apply an operator to a range of cells, or to a list of cells, and get the result."""
    return _evaluate(world, _formula(operator, start_position, end_position, position_list))


def filter_cells(
    world: SheetWorld,
    query: Annotated[str | float, {"maxLength": MAX_TEXT}],
    in_row: Annotated[int, {"minimum": 0, "maximum": MAX_ROWS}] = 0,
    in_column: Annotated[int, {"minimum": 0, "maximum": MAX_COLUMNS}] = 0,
) -> Any:
    """Find the cells that hold just this value, in one row or column or (0) in all."""
    wanted = cell_of(query)
    return [
        a1(r, c)
        for r, row in enumerate(world.sheet.rows)
        for c, value in enumerate(row)
        if value == wanted and in_row in (0, r + 1) and in_column in (0, c + 1)
    ]


def get_note(world: SheetWorld, position: Position) -> Any:
    """Get the note of a cell; an empty text if it has none."""
    return world.sheet.notes.get(place(position), "")


def finish(world: SheetWorld) -> Any:
    """End the task."""
    return ""


WRITING: tuple[Callable[..., Any], ...] = (
    del_sheet,
    freeze_data,
    insert_cols,
    insert_rows,
    delete_batch_data,
    update_cell,
    update_cell_by_formula,
    update_range,
    sort_sheet_by_col,
    merge_cells,
    update_note,
)
READING: tuple[Callable[..., Any], ...] = (
    open_sheet,
    get_A1_annotation,
    get_all_values,
    get_range_values,
    get_cell_value,
    get_value_by_formula,
    filter_cells,
    get_note,
)

TOOLS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        *(tool(function, writes=True) for function in WRITING),
        *(tool(function) for function in READING),
        CHECK,
        tool(finish),
    )
}
