from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.tools.services.formulas import MAX_CHARS, Cell, FormulaError, evaluate

ROWS: list[list[Cell]] = [["item", "team", "n"], ["tea", "x", 4], ["jam", "y", 8], ["rice", "x", 2.5]]


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("=SUM(C2:C4)", 14.5),
        ("=AVERAGE(C2:C4)", 4.833333),
        ("=COUNT(A1:C4)", 3),
        ("=PRODUCT(C2,C3)", 32),
        ("=C3-C2", 4),
        ('=SUMIF(B2:B4,"x",C2:C4)', 6.5),
        ('=COUNTIF(B2:B4,"x")', 2),
        ('=VLOOKUP("jam",A2:C4,3,FALSE)', 8),
        ("=INDEX(A2:A4,MATCH(MAX(C2:C4),C2:C4,0))", "jam"),
        ('=IF(C2>3,"much","little")', "much"),
        ('=LEFT(A2,2)&"é"', "teé"),
        ("=C2=4", "TRUE"),
        ("=$C$2*2%", 0.08),
        ("=SUM(D1:Z9)", 0),
    ],
)
def test_values_are_those_of_a_spreadsheet(formula: str, value: Cell) -> None:
    assert evaluate(formula, ROWS) == value


@pytest.mark.parametrize(
    ("formula", "complaint"),
    [
        ("=1/0", "#DIV/0!"),
        ("=AVERAGE(D1:D9)", "#DIV/0!"),
        ("=1e999", "#NUM!"),
        ("=10^200", "#NUM!"),
        ('=MATCH("no",A1:A4,0)', "#N/A"),
        ("=SUM(A1:Z999)", "more than"),
        ("=SUM(A1:Z19,A20:Z38)", "more than"),
        ("=A1:ZZ1000000", "no cell or range"),
        ("=SUM(A:A)", "no cell or range"),
        ("=Sheet2!A1", "no cell or range"),
        ("='[/etc/passwd]S'!A1", "no cell or range"),
        ("=AA1", "no cell or range"),
        ('=REPT("x",1000000000)', "no function REPT"),
        ('=WEBSERVICE("http://x")', "no function WEBSERVICE"),
        ('=INDIRECT("A1")', "no function INDIRECT"),
        ("=NOW()", "no function NOW"),
        ("=RAND()", "no function RAND"),
        ("=SEQUENCE(100000,10000)", "no function SEQUENCE"),
        ("={1,2}", "Array"),
        ("=" + "(" * 140 + "1" + ")" * 140, "cannot be read"),
        ("=" + "-" * (MAX_CHARS - 2) + "1", "cannot be read"),
        ("=" + "1+" * MAX_CHARS + "1", "characters"),
        ("=SUM(", "cannot be read"),
        ("=", "cannot be read"),
        ("=foo", "no cell or range"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_a_reason(formula: str, complaint: str) -> None:
    with pytest.raises(FormulaError, match=complaint):
        evaluate(formula, ROWS)


@pytest.mark.usefixtures("no_collections")
def test_the_cost_is_bounded_where_patterns_and_ranges_multiply() -> None:
    rows: list[list[Cell]] = [["a" * 200] * 26 for _ in range(200)]
    for formula in (
        '=COUNTIF(A1:Z19,"' + "*a" * 100 + 'b")',
        "=SUMPRODUCT(COUNTIF(A1:Z19,A1:Z19))",
        "=SUMPRODUCT((A1:A200=A1:Z1)*(A1:A200=A1:Z1)*(A1:A200=A1:Z1))",
        "=" + "+".join(["SUM(A1:Z19)"] * 24),
    ):
        began = time.thread_time()
        with contextlib.suppress(FormulaError):
            evaluate(formula, rows)
        assert time.thread_time() - began < 0.1


_PIECES = st.lists(
    st.sampled_from(
        [
            *("SUM(", "IF(", "COUNTIF(", "VLOOKUP(", "LEFT(", ")", "(", ",", ";", ":", "+", "-", "*", "/", "^", "&"),
            *("=", "<>", ">", "%", "A1", "B2", "C4", "$A$1", "A1:C4", "A0", "ZZ9", "S!A1", "1", "2.5", "1e9", "1e999"),
            *('"x"', '"*"', '"', "{", "}", "#", "#REF!", "TRUE", "@", "[", "]", "'", "é", "🙂"),
        ]
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(_PIECES.map("".join), st.text(max_size=40)))
def test_any_text_gives_a_cell_or_a_reason_and_changes_nothing(text: str) -> None:
    rows = [row.copy() for row in ROWS]
    try:
        value = evaluate(f"={text}", rows)
    except FormulaError as error:
        assert str(error)
    else:
        assert isinstance(value, (str, int, float))
        assert not isinstance(value, bool)
        assert evaluate(f"={text}", rows) == value
    assert rows == ROWS
