"""Charts, in a notebook and as files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.analysis.charts import (
    Checkpoint,
    charts,
    frontier,
    needle_grid,
    plot_frontier,
    plot_needle,
    plot_retention,
    save_charts,
    to_svg,
)
from acenv.analysis.dose import families, points_of
from acenv.analysis.report_data import Findings, ReportData, gather
from acenv.analysis.statistics import Interval
from acenv.types import Episode
from tests.analysis.reports import DOSES, NEEDLE, TOOLS, full_report, made_manifest, made_run


@pytest.fixture(scope="module")
def data() -> ReportData:
    return full_report()


def texts(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def test_every_section_has_its_charts_with_words_for_those_who_do_not_see_them(data: ReportData) -> None:
    found = list(charts(data, Findings(data)))
    sections = list(dict.fromkeys(chart.section for chart in found))
    assert sections == [
        *("retention", "frontier", "dose", "needle", "internals", "prediction", "failures", "attribution", "cost")
    ]
    names = [chart.name for chart in found]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[a-z0-9.-]+", name) for name in names)
    assert all(len(chart.description) > 40 and chart.caption for chart in found)
    retention = next(c for c in found if c.name == "retention-toolsandbox")
    assert "original 1.00" in retention.description and "gptq-2 0.33" in retention.description


def test_the_same_charts_in_a_notebook(data: ReportData) -> None:
    from matplotlib.figure import Figure

    plot = data.plot
    figures = [
        plot.retention(), plot.retention(TOOLS), plot.frontier(), plot.frontier("seconds"), plot.dose("bits"),
        plot.needle("gptq-2"), plot.layers(), plot.effective_rank("hidden"), plot.agreement("kendall"), plot.energy(),
        plot.prediction(), plot.failures("gptq-2"), plot.failures("gptq-2", NEEDLE), plot.attribution("gptq-2"),
        plot.attribution("gptq-2", by="step"), plot.cost(),
    ]  # fmt: skip
    assert all(isinstance(figure, Figure) for figure in figures)
    assert all(f"gptq-{bits}" in texts(figures[0]) for bits in DOSES)
    shown = figures[0]._repr_svg_()  # type: ignore[attr-defined]
    assert "<svg" in shown and "gptq-2" in shown


def test_a_notebook_is_told_what_is_missing(data: ReportData) -> None:
    with pytest.raises(ValueError, match="say which method: gptq-8, gptq-6"):
        data.plot.needle()
    with pytest.raises(ValueError, match="no method 'awq'; there are gptq-8"):
        data.plot.failures("awq")
    with pytest.raises(ValueError, match="acenv attribute"):
        data.plot.attribution("gptq-8")
    with pytest.raises(ValueError, match="two values of sparsity"):
        data.plot.dose("sparsity")
    alone = made_run("dense", {TOOLS: [1.0, 0.0]})
    with pytest.raises(ValueError, match="no compressed model"):
        alone.plot.failures()
    bare = gather(alone, {"c": made_run("c", {TOOLS: [1.0, 1.0]})})
    assert "c" in texts(bare.plot.retention())
    for draw in (bare.plot.frontier, bare.plot.layers, bare.plot.energy, bare.plot.prediction, bare.plot.cost):
        with pytest.raises(ValueError):
            draw()
    with pytest.raises(ValueError, match="grid"):
        bare.plot.needle()


def test_files(data: ReportData, tmp_path: Path) -> None:
    written = save_charts(data, tmp_path / "new", ("png", "svg"))
    assert {p.suffix for p in written} == {".png", ".svg"} and all(p.stat().st_size > 500 for p in written)
    assert (tmp_path / "new" / "retention-overall.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "new" / "frontier.svg").read_text(encoding="utf-8")
    assert "gptq-2" in svg and "var(--" not in svg
    index = (tmp_path / "new" / "README.md").read_text(encoding="utf-8")
    assert all(f"`{p.stem}`" in index for p in written)
    before = svg
    save_charts(data, tmp_path / "new", ("svg",))
    assert (tmp_path / "new" / "frontier.svg").read_text(encoding="utf-8") == before
    with pytest.raises(ValueError, match="png, svg, pdf"):
        save_charts(data, tmp_path, ("gif",))  # type: ignore[arg-type]


# Retention ------------------------------------------------------------------------------------------------------------


def test_marks_are_hollow_where_the_interval_holds_the_original(data: ReportData) -> None:
    axes = plot_retention(data.comparisons, TOOLS, data.noise).axes[0]
    filled = {}
    for line in axes.lines:
        if line.get_marker() == "o":
            filled[int(line.get_ydata()[0])] = line.get_markerfacecolor() == line.get_color()
    expected = [c.comparison.environments[1].difference.high < 0 for c in data.candidates]
    assert [filled[row] for row in sorted(filled)] == expected and any(expected) and not all(expected)


def test_an_original_that_scores_nothing_is_drawn_all_the_same() -> None:
    data = gather(made_run("dense", {TOOLS: [0.0] * 5}), {"c": made_run("c", {TOOLS: [0.0] * 4 + [1.0]})})
    assert "mean return (line: original)" in texts(data.plot.retention())


# The frontier ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.1, 100.0), st.floats(0.0, 1.0)), min_size=1, max_size=12))
def test_nothing_on_the_frontier_is_beaten_by_something_smaller(spots: list[tuple[float, float]]) -> None:
    models = [Checkpoint(f"m{i}", size, Interval(mean, mean, mean)) for i, (size, mean) in enumerate(spots)]
    best = frontier(models)
    assert best and max(m.mean_return.estimate for m in models) == best[-1].mean_return.estimate
    for on in best:
        assert not any(m.amount <= on.amount and m.mean_return.estimate > on.mean_return.estimate for m in models)
    for off in models:
        if off not in best:
            assert any(b.amount <= off.amount and b.mean_return.estimate >= off.mean_return.estimate for b in best)


def test_any_name_stays_text_and_colours_follow_the_page() -> None:
    names = ["a$b$", "<b>&\x00", "中🙂", "long " * 20]
    spots = [Checkpoint(name, 2.0 + i, Interval(0.5, 0.4, 0.6)) for i, name in enumerate(names)]
    svg = to_svg(plot_frontier(spots), 'says "so" <b>', "x")
    assert "var(--ink)" in svg and "font-family" not in svg and not re.search("#[0-9a-f]{6}", svg)
    assert "&lt;b&gt;&amp;" in svg and "中🙂" in svg and "a$b$" in svg
    assert len(svg) < 20_000


def test_colours_of_charts_are_colours_of_the_page(data: ReportData) -> None:
    from acenv.analysis.page import resource

    root = resource("report.css").split("}")[0]
    for chart in charts(data, Findings(data)):
        used = re.findall(r"var\((--\w+)\)", to_svg(chart.draw(), chart.description, chart.name))
        # Each has a light and a dark side.
        assert used and all(f"{name}: light-dark(" in root for name in used), chart.name


# Doses ----------------------------------------------------------------------------------------------------------------


def test_families_are_read_off_the_manifests(data: ReportData) -> None:
    overall = data.candidates[0].comparison.overall
    versions: dict[str, Any] = {f"gptq-{bits}": (made_manifest(bits), overall) for bits in (2, 3, 4)}
    versions["rtn-4"] = (made_manifest(4, "rtn"), overall)
    versions["strange"] = ({"passes": [None, {"name": 3, "settings": "?"}], "measured": None}, overall)
    found = points_of(versions)
    assert {name: [p.bits for p in line] for name, line in families(found, "bits").items()} == {"gptq": [2, 3, 4]}
    assert found[-1].bits is None and found[-1].version == "strange"
    versions["gptq-g64"] = (made_manifest(8), overall)
    versions["gptq-g64"][0]["passes"][0]["settings"]["group_size"] = 64
    assert set(families(points_of(versions), "bits")) == {"gptq:group_size=32"}


# Needles --------------------------------------------------------------------------------------------------------------


def needle(seed: int, length: float, depth: float, value: float) -> Episode:
    return Episode(NEEDLE, seed, value, 1, True, False, metrics={"length": length, "depth": depth})


def test_heat_maps_are_means_of_the_pairs() -> None:
    base = [needle(0, 100, 0, 1.0), needle(1, 100, 0, 0.0), needle(2, 200, 50, 1.0), needle(3, 200, 0, 1.0)]
    other = [needle(0, 100, 0, 1.0), needle(1, 100, 0, 1.0), needle(2, 200, 50, 0.25)]
    grid = needle_grid(base, other)
    assert grid is not None and grid.episodes == 3
    assert grid.base[0][0] == 0.5 and grid.compressed[0][0] == 1.0 and grid.difference[1][1] == -0.75
    assert str(grid.base[0][1]) == "nan"  # the third has no partner
    assert grid.worst() == ("200", "50", -0.75)
    shown = texts(plot_needle(grid, "c"))
    assert "−.75" in shown and "–" in shown and "original" in shown
    assert needle_grid([Episode(NEEDLE, 0, 1.0, 1, True, False)], other) is None


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([float(n) for n in range(40)]), st.floats(0, 100), st.floats(0, 1)),
        min_size=1,
        max_size=80,
    )
)
def test_large_grids_are_pooled_and_lose_no_episode(cells: list[tuple[float, float, float]]) -> None:
    episodes = [needle(seed, *cell) for seed, cell in enumerate(cells)]
    grid = needle_grid(episodes, episodes)
    assert grid is not None and grid.episodes == len(cells)
    assert len(grid.lengths) <= 10 and len(grid.depths) <= 10
    assert all(a[1] < b[0] for a, b in zip(grid.lengths, grid.lengths[1:], strict=False))
    assert grid.worst() is None
