"""What stands in the sections of the report, and whether it is what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acenv.analysis import sections
from acenv.analysis.comparison import OVERALL
from acenv.analysis.report_data import Findings, ReportData, gather
from acenv.analysis.sections import Cell, Grid
from acenv.analysis.sequential import Stopping
from tests.analysis.reports import NEEDLE, TOOLS, full_report, made_run


@pytest.fixture(scope="module")
def data() -> ReportData:
    return full_report(60)


@pytest.fixture(scope="module")
def found(data: ReportData) -> Findings:
    return Findings(data)


def cells(table: Grid) -> dict[str, dict[str, Cell]]:
    """Cells by row and column."""
    return {
        str(row[0]): {c: v for c, v in zip(table.columns[1:], row[1:], strict=True) if isinstance(v, Cell)}
        for row in table.rows
    }


def test_for_what_a_model_may_be_deployed(data: ReportData, found: Findings) -> None:
    table = sections.environments_kept(data, found)
    assert table is not None and list(table.columns) == ["Method", "ToolSandbox", "Needle"]
    by_method = cells(table)
    assert [v.name for v in found.verdicts] == list(by_method)
    for candidate in data.candidates:
        for name, env_id in (("ToolSandbox", TOOLS), ("Needle", NEEDLE)):
            cell = by_method[candidate.name][name]
            part = next(e for e in candidate.comparison.environments if e.env_id == env_id)
            significant = part.p_difference_adjusted < 0.05 and part.difference.estimate < 0
            kept = not significant and part.difference.low >= -0.05
            assert cell.mark == ("lost" if significant else "kept" if kept else "open")
    marks = {cell.mark for row in by_method.values() for cell in row.values()}
    assert marks == {"kept", "lost", "open"}


def test_failures_stand_side_by_side_with_a_test(data: ReportData, found: Findings) -> None:
    parts = sections.failures(data, found)
    assert [part.title for part in parts] == ["Overall", "ToolSandbox", "Needle"]
    tools = cells(parts[1].tables[0])
    compared = next(c for c in found.failures["gptq-2"] if c.env_id == TOOLS)
    wrong = next(k for k in compared.kinds if k.kind == "wrong tool")
    assert tools["wrong tool"]["gptq-2"].text == f"0 → {wrong.candidate} ▲"
    assert tools["wrong tool"]["gptq-2"].notes == ["p < 0.001"]
    assert tools["wrong tool"]["gptq-8"] == Cell("0 → 0", mark="none")
    lost = cells(parts[0].tables[0])["all lost episodes"]["gptq-2"]
    overall = next(c for c in found.failures["gptq-2"] if c.env_id == OVERALL)
    assert lost.text == f"{overall.reference_lost} → {overall.candidate_lost}"


def test_prediction_tells_both_correlations(found: Findings) -> None:
    part = sections.prediction(found.relations)
    assert part is not None and len(part.sentences) == 3
    table = part.tables[0]
    assert table.columns[1] == "Over 5 methods: which lose more"
    assert cells(table)["KL"][table.columns[1]].text.startswith("+1.00")


def test_what_decisions_cost(data: ReportData) -> None:
    (part,) = sections.attributions(data)
    assert part.title == "gptq-2"
    rows = cells(part.tables[0])
    assert list(rows) == ["tool name", "argument"]
    assert rows["tool name"]["share"].text == "75%" and rows["argument"]["return lost"].text.startswith("+0.083")


def test_cost_shows_what_is_known_and_says_why_the_rest_is_not(data: ReportData) -> None:
    part = sections.cost(data)
    assert part is not None
    columns = part.tables[0].columns
    assert "Return per second" in columns and not any("joule" in column for column in columns)
    assert "No joules: the run was not metered." in part.sentences
    rows = cells(part.tables[0])
    assert rows["original"]["Seconds an episode"].text == "2" and rows["gptq-2"]["MB on disk"].text == "2"
    stopping = Stopping(0.02, 60, {c.name: {TOOLS: 30, NEEDLE: 60} for c in data.candidates})
    assert stopping.saved > 0
    stopped = sections.cost(replace(data, stopping=stopping))
    assert stopped is not None and f"{stopping.saved} of {stopping.planned} episodes" in stopped.sentences[-1]


def test_kinds_of_token_are_in_the_order_of_the_replay(data: ReportData) -> None:
    part = sections.internals(data.replays)
    assert part is not None
    kinds = part.tables[1]
    assert list(kinds.columns) == ["Method", "tool name (120)", "argument (240)"]
    assert cells(kinds)["gptq-2"]["tool name (120)"] == Cell("25.00%", ["0.5000"])


def test_nothing_is_said_of_what_is_not_there() -> None:
    bare = gather(made_run("dense", {TOOLS: [1.0]}), {"c": made_run("c", {TOOLS: [1.0]})})
    found = Findings(bare)
    assert sections.internals({}) is None and sections.prediction(found.relations) is None
    assert sections.cost(bare) is None and sections.attributions(bare) == [] and sections.failures(bare, found) == []
    alone = gather(made_run("dense", {TOOLS: [1.0]}), {})
    assert sections.environments_kept(alone, Findings(alone)) is None
