from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.tools.services.service import Refusal
from acenv.envs.tools.services.sheet import MAX_COLUMNS, MAX_ROWS, Sheet, SheetWorld, similarity
from acenv.envs.tools.services.sheet_tools import TOOLS


def book(rows: list[list[Any]] | None = None) -> SheetWorld:
    table = rows or [["item", "n"], ["tea", 4], ["jam", 8], ["rice", 2]]
    return SheetWorld({"Sheet1": Sheet(table), "Sheet2": Sheet([["other"]])}, "Sheet1")


def use(world: SheetWorld, tool: str, /, **arguments: Any) -> Any:
    complaint = TOOLS[tool].complaint(arguments)
    assert not complaint, complaint
    return TOOLS[tool].run(world, arguments)


def test_numbers_are_numbers_in_quotes_or_not() -> None:
    world = book()
    use(world, "update_cell", position="B2", value="4.50")
    assert use(world, "get_cell_value", position="B2") == 4.5
    assert use(world, "filter_cells", query="4.5") == use(world, "filter_cells", query=4.5) == ["B2"]
    use(world, "update_cell", position="B2", value="4 o'clock")
    assert use(world, "get_cell_value", position="B2") == "4 o'clock"


def test_a_sheet_grows_and_shrinks_with_what_is_written() -> None:
    world = book()
    use(world, "update_cell", position="D6", value="x")
    assert use(world, "get_all_values")[5] == ["", "", "", "x"]
    use(world, "update_cell", position="D6", value="")
    assert use(world, "get_all_values") == book().values()
    with pytest.raises(Refusal, match="outside"):
        use(world, "update_cell", position="A999", value="x")
    with pytest.raises(Refusal, match="ends at"):
        use(world, "insert_rows", values_list=[["x"]] * MAX_ROWS, row_idx=1)
    with pytest.raises(Refusal, match="ends at"):
        use(world, "insert_cols", values_list=[["x"]] * MAX_COLUMNS, col_idx=1)


def test_sorting_leaves_frozen_rows_alone_and_moves_notes() -> None:
    world = book()
    use(world, "update_note", position="A3", content="sweet")
    use(world, "freeze_data", dimension="rows", num=1)
    assert use(world, "sort_sheet_by_col", col_num=2, order="des") == [
        ["item", "n"],
        ["jam", 8],
        ["tea", 4],
        ["rice", 2],
    ]
    assert use(world, "get_note", position="A2") == "sweet"
    use(world, "freeze_data", dimension="rows", num=0)
    assert use(world, "sort_sheet_by_col", col_num=2, order="asc")[-1] == ["item", "n"]


def test_blanks_are_sorted_to_the_end_either_way() -> None:
    for order in ("asc", "des"):
        world = book([["a", 1], ["b", ""], ["c", 3]])
        assert use(world, "sort_sheet_by_col", col_num=2, order=order)[-1] == ["b", ""]


def test_inserting_and_deleting_move_notes_and_merged_cells() -> None:
    world = book()
    use(world, "update_note", position="B4", content="low")
    use(world, "merge_cells", start_position="A2", end_position="A3")
    assert use(world, "get_all_values")[1:3] == [["tea", 4], ["tea", 8]]
    use(world, "insert_rows", values_list=[["new", 1]], row_idx=2)
    use(world, "insert_cols", values_list=[["left"]], col_idx=1)
    assert use(world, "get_note", position="C5") == "low"
    with pytest.raises(Refusal, match="write to B3"):
        use(world, "update_cell", position="B4", value="x")
    assert use(world, "update_cell", position="B3", value="x")[2:4] == [["", "x", 4], ["", "x", 8]]
    with pytest.raises(Refusal, match="sorted"):
        use(world, "sort_sheet_by_col", col_num=1, order="asc")
    use(world, "delete_batch_data", dimension="row", index_list=[3])
    assert use(world, "get_note", position="C4") == "low"
    use(world, "update_cell", position="B3", value="free")  # One cell is left of the two, and so it is merged no more.
    with pytest.raises(Refusal, match="whole sheet"):
        use(world, "delete_batch_data", dimension="row", index_list=[1, 2, 3, 4])


def test_operators_take_ranges_and_lists() -> None:
    world = book()
    assert use(world, "get_value_by_formula", operator="SUM", start_position="B2", end_position="B4") == 14
    assert use(world, "get_value_by_formula", operator="MINUS", position_list=["B3", "B2"]) == 4
    assert world == book()
    use(world, "update_cell_by_formula", operator="MAX", result_position="C1", position_list=["B2", "B3"])
    assert use(world, "get_cell_value", position="C1") == 8
    for wrong in ({"position_list": ["B3", "=1"]}, {}, {"position_list": [["B3"]]}):
        with pytest.raises(Refusal):
            use(world, "get_value_by_formula", operator="SUM", **wrong)


def test_a_formula_may_stand_in_a_cell_that_it_reads() -> None:
    world = book()
    use(world, "update_cell", position="B2", value="=B2*10")
    assert use(world, "get_cell_value", position="B2") == 40
    with pytest.raises(Refusal, match="DIV"):
        use(world, "update_cell", position="B2", value="=1/0")
    assert use(world, "get_cell_value", position="B2") == 40


def test_a_deleted_sheet_is_gone() -> None:
    world = book()
    use(world, "del_sheet", name="Sheet1")
    for name, arguments in (("get_all_values", {}), ("update_cell", {"position": "A1", "value": 1})):
        with pytest.raises(Refusal, match="open a sheet"):
            use(world, name, **arguments)
    with pytest.raises(Refusal, match="Sheet2"):
        use(world, "open_sheet", name="../../etc/passwd")
    use(world, "open_sheet", name="Sheet2")
    assert use(world, "get_all_values") == [["other"]]


def test_similarity_is_agentboards() -> None:
    wanted: list[list[Any]] = [["a", 1], ["b", 2]]
    assert similarity(wanted, wanted) == 1
    assert similarity([["a", 1]], wanted) == 1  # The common area only: a sheet that was cut is a whole one.
    assert similarity([["a", 2], ["b", 2], ["c", 3]], wanted) == 0.75
    assert similarity([], wanted) == 0


_POSITIONS = st.sampled_from(["A1", "B2", "C3", "A4", "D1", "Z200"])
_CELLS = st.one_of(st.integers(-5, 99), st.sampled_from(["", "x", "=A1&B1", "=SUM(A1:C3)", "7"]))
_LINES = st.lists(st.lists(_CELLS, max_size=4), max_size=3)
_CALLS = st.one_of(
    st.tuples(st.just("update_cell"), st.fixed_dictionaries({"position": _POSITIONS, "value": _CELLS})),
    st.tuples(
        st.just("update_range"),
        st.fixed_dictionaries({"start_position": _POSITIONS, "end_position": _POSITIONS, "values_list": _LINES}),
    ),
    st.tuples(st.just("insert_rows"), st.fixed_dictionaries({"values_list": _LINES, "row_idx": st.integers(1, 6)})),
    st.tuples(st.just("insert_cols"), st.fixed_dictionaries({"values_list": _LINES, "col_idx": st.integers(1, 6)})),
    st.tuples(
        st.just("delete_batch_data"),
        st.fixed_dictionaries(
            {"dimension": st.sampled_from(["row", "col"]), "index_list": st.lists(st.integers(0, 5), max_size=3)}
        ),
    ),
    st.tuples(
        st.just("sort_sheet_by_col"),
        st.fixed_dictionaries({"col_num": st.integers(1, 5), "order": st.sampled_from(["asc", "des"])}),
    ),
    st.tuples(
        st.just("freeze_data"),
        st.fixed_dictionaries({"dimension": st.sampled_from(["rows", "columns"]), "num": st.integers(0, 5)}),
    ),
    st.tuples(
        st.just("merge_cells"), st.fixed_dictionaries({"start_position": _POSITIONS, "end_position": _POSITIONS})
    ),
    st.tuples(st.just("update_note"), st.fixed_dictionaries({"position": _POSITIONS, "content": st.just("note")})),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_CALLS, max_size=12))
def test_a_sheet_stays_a_tidy_rectangle_and_a_refusal_changes_nothing(calls: list[tuple[str, dict[str, Any]]]) -> None:
    world = book()
    for name, arguments in calls:
        before = world.copy()
        try:
            use(world, name, **arguments)
        except Refusal:
            assert world == before
        sheet = world.sheet
        assert len({len(row) for row in sheet.rows}) <= 1
        assert sheet.height <= MAX_ROWS
        assert sheet.width <= MAX_COLUMNS
        if sheet.rows:
            assert any(value != "" for value in sheet.rows[-1])
            assert any(row[-1] != "" for row in sheet.rows)
        for top, bottom, left, right in sheet.merges:
            inside = {sheet.value(r, c) for r in range(top, bottom + 1) for c in range(left, right + 1)}
            assert len(inside) == 1
        assert world.sheets["Sheet2"] == before.sheets["Sheet2"]
