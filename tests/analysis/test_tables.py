"""Tables for pandas, CSV and LaTeX."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.analysis.latex import to_latex
from acenv.analysis.report_data import ReportData, gather
from acenv.analysis.tables import TABLES, rows_of, write_tables
from tests.analysis.reports import DOSES, NEEDLE, TOOLS, full_report, made_run


@pytest.fixture(scope="module")
def data() -> ReportData:
    return full_report()


def test_a_table_holds_what_the_comparison_says(data: ReportData) -> None:
    pytest.importorskip("pandas")
    frame = data.table("retention")
    assert list(frame.method.unique()) == [f"gptq-{bits}" for bits in DOSES]
    row = frame[(frame.method == "gptq-2") & (frame.environment == TOOLS)].iloc[0]
    part = next(e for e in data.candidates[-1].comparison.environments if e.env_id == TOOLS)
    assert row["difference"] == part.difference.estimate and row["difference_low"] == part.difference.low
    assert row["lost"] == len(part.lost) and row["p_adjusted"] == part.p_difference_adjusted
    assert "gptq-2" in frame.to_latex() and "gptq-2" in frame.to_csv()


def test_every_table_of_a_full_report_has_lines(data: ReportData) -> None:
    assert data.tables == tuple(TABLES)
    empty = [name for name in TABLES if not list(rows_of(data, name))]
    assert empty == []
    failures = [r for r in rows_of(data, "failures") if r["method"] == "gptq-2" and r["environment"] == TOOLS]
    assert [(r["failure"], r["original"], r["compressed"]) for r in failures] == [("wrong tool", 0, 16)]
    needles = [r for r in rows_of(data, "needle") if r["method"] == "gptq-2"]
    assert len(needles) == 6 and all(r["difference"] == r["compressed"] - r["original"] for r in needles)
    assert {r["bits"] for r in rows_of(data, "doses")} == set(DOSES)
    assert {r["model"] for r in rows_of(data, "costs")} == {"original", *(f"gptq-{bits}" for bits in DOSES)}


def test_tables_without_data_are_empty_and_keep_their_columns() -> None:
    pytest.importorskip("pandas")
    bare = gather(made_run("dense", {TOOLS: [1.0]}), {"c": made_run("c", {TOOLS: [1.0]})})
    for name in ("internals", "needle", "attribution", "predictions", "noise"):
        frame = bare.table(name)
        assert len(frame) == 0 and "method" in {*frame.columns, "method" if name == "noise" else ""}
    with pytest.raises(ValueError, match="no table 'nothing'; there are verdicts"):
        bare.table("nothing")


def test_files_say_the_same_as_the_tables(data: ReportData, tmp_path: Path) -> None:
    written = write_tables(data, tmp_path / "new")
    assert {p.name for p in written} == {f"{name}.{form}" for name in TABLES for form in ("csv", "tex")}
    with (tmp_path / "new" / "retention.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    rows = list(rows_of(data, "retention"))
    assert len(read) == len(rows)
    assert all(float(a["difference"]) == b["difference"] for a, b in zip(read, rows, strict=True))
    latex = (tmp_path / "new" / "failures.tex").read_text(encoding="utf-8")
    assert r"\begin{longtable}" in latex and "wrong tool & " in latex and NEEDLE in latex
    assert not list((tmp_path / "new").glob("*.tmp"))


def test_tables_of_runs_without_anything_are_left_out(tmp_path: Path) -> None:
    bare = gather(made_run("dense", {TOOLS: [1.0]}), {"c": made_run("c", {TOOLS: [1.0]})})
    names = {p.name for p in write_tables(bare, tmp_path)}
    assert "retention.csv" in names and "internals.csv" not in names


@given(st.text(max_size=40), st.one_of(st.none(), st.booleans(), st.floats(), st.integers()))
def test_latex_stays_one_row_whatever_a_name_says(name: str, value: float | None) -> None:
    rows = [{"name": name, "value": value}]
    latex = to_latex(rows, ["name", "value"], caption=name)
    body = latex.split("\\endhead\n")[1].split("\\bottomrule")[0]
    assert body.count("&") - body.count("\\&") == 1
    for special in "%$#_":
        assert body.replace("$-$", "").count(special) == body.replace("$-$", "").count(f"\\{special}")
    unescaped = body.replace(r"\{", "").replace(r"\}", "")
    assert unescaped.count("{") == unescaped.count("}")
    assert len(body.splitlines()) == 1
    assert ("--" in body) or not (value is None or (isinstance(value, float) and math.isnan(value)))
