"""The report as a reader gets it: one page, parsed as HTML."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from hypothesis import given
from hypothesis import strategies as st

from acenv.analysis import charts as plots
from acenv.analysis.charts import to_svg
from acenv.analysis.comparison import Comparison, compare, compare_all
from acenv.analysis.replay import EpisodeInternals, Histogram, Replay
from acenv.analysis.report import Candidate, ReportData, render_report, write_report
from acenv.analysis.statistics import Interval
from acenv.analysis.verdict import judge
from acenv.analysis.viewer import MAX_CHARS, MAX_GAINED, MAX_LOST, abbreviate, build_payload, first_difference
from acenv.runs import Results
from acenv.types import Episode, Message, Step, Transcript

TOOLS, NEEDLE = "acenv/ToolSandbox-v0", "acenv/Needle-v0"
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> & \u2028 'é中🙂' \ud800"
VOID = {"meta", "link", "input", "br", "wbr", "img", "hr"}


class Page(HTMLParser):
    """Fails on tags that do not match, and keeps what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: dict[str, list[list[str]]] = {}
        self.scripts: list[str] = []
        self.text = ""
        self.sections: dict[str, str] = {}
        self._table = ""
        self._section = ""
        self.feed(text)
        self.close()
        assert not self.stack, f"never closed: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "section":
            self._section = dict(attrs).get("id") or ""
        if tag == "table":
            self._table = dict(attrs).get("id") or ""
            self.cells[self._table] = []
        elif tag == "tr":
            self.cells[self._table].append([])
        elif tag in ("td", "th"):
            self.cells[self._table][-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack[-1] == tag, f"</{tag}> closes {self.stack[-3:]}"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if "script" in self.stack:
            self.scripts[-1] += data
        elif "style" not in self.stack:
            self.text += data
            self.sections[self._section] = self.sections.get(self._section, "") + data
        if "td" in self.stack or "th" in self.stack:
            self.cells[self._table][-1][-1] += data + " "

    @property
    def payload(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.scripts[0])
        return loaded


SECTIONS_WITHOUT_DATA = {
    "frontier": "acenv bench",
    "dose": "acenv bench --methods gptq:bits=4 gptq:bits=3",
    "needle": "grid",
    "internals": "acenv replay BENCH",
    "prediction": "acenv replay BENCH",
    "attribution": "acenv attribute BENCH --method c0",
    "cost": "acenv bench",
}
"""What is said where nothing but two runs is there."""


def run(name: str, returns: dict[str, Sequence[float]], text: str = "call", transcripts: bool = True) -> Results:
    episodes, said = [], {}
    for env_id, values in returns.items():
        for seed, value in enumerate(values):
            messages: list[Message] = [
                {"role": "user", "content": f"task {seed}"},
                {"role": "assistant", "content": f"{text} {value}"},
            ]
            episodes.append(Episode(env_id, seed, value, 1, True, False, metrics={"success": float(value == 1.0)}))
            said[env_id, seed] = Transcript(env_id, seed, messages, (), (Step(messages[1]["content"], value),))
    manifest = {"policy": {"name": name, "fingerprint": f"sha-{name}"}, "env_kwargs": {"difficulty": "easy"}}
    return Results(manifest, episodes, said if transcripts else None)


def made_up_replay(name: str) -> Replay:
    agreement = {3: 0.75, 10: 0.8125, 20: 0.875}
    episodes = [
        EpisodeInternals(
            env, 0, 50, (20.0, 15.0), (9.0, 8.0), agreement, agreement, agreement, (-9.0, -8.0), 1.25, 0.5, 0.75
        )
        for env in (TOOLS, NEEDLE)
    ]
    return Replay("dense", name, tuple(episodes), Histogram((-10.0, -9.0, -8.0), (30, 70), (60, 40)))


def manifest(bits: float, size: int) -> dict[str, Any]:
    measured = {"bits_per_weight": bits, "sparsity": 0.5, "disk_bytes": size, "source_disk_bytes": 10_000_000}
    return {"method": "made-up", "measured": measured}


REFERENCE = run("dense", {TOOLS: [1.0] * 60, NEEDLE: [1.0] * 48 + [0.0] * 12})


@pytest.fixture(scope="module")
def data() -> ReportData:
    runs = {
        "bad <b>": run("bad", {TOOLS: [0.0] * 45 + [1.0] * 15, NEEDLE: [1.0] * 60}, text=HOSTILE),
        "good": run("good", {TOOLS: [1.0] * 60, NEEDLE: [1.0] * 48 + [0.0] * 12}),
    }
    compared = compare_all(REFERENCE, runs, resamples=500)
    return ReportData(
        title="Title & <title>",
        model="nano 中",
        settings="difficulty easy",
        reference=REFERENCE,
        candidates=(
            Candidate(
                "bad <b>",
                "rtn:bits=2",
                runs["bad <b>"],
                compared["bad <b>"],
                made_up_replay("bad"),
                manifest(2.5, 2_000_000),
            ),
            Candidate(
                "good", "gptq:bits=4", runs["good"], compared["good"], made_up_replay("good"), manifest(4.25, 3_000_000)
            ),
        ),
        noise={
            "batch size": compare(
                REFERENCE, run("again", {TOOLS: [1.0] * 60, NEEDLE: [1.0] * 47 + [0.0] * 13}), resamples=500
            )
        },
        created="2026-01-02T03:04:05+00:00",
        versions={"torch": "2.13.0"},
    )


@pytest.fixture(scope="module")
def html(data: ReportData) -> str:
    return render_report(data)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def bare(reference: Results, *candidates: Results) -> ReportData:
    listed = tuple(Candidate(f"c{i}", "m", c, compare(reference, c, resamples=50)) for i, c in enumerate(candidates))
    return ReportData("t", "m", "", reference, listed)


# The page -------------------------------------------------------------------------------------------------------------


def test_loads_nothing_and_repeats_no_id(html: str, page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, name, value)
    assert "http://" not in html and "https://" not in html and "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for reference in re.findall(r'(?:url\(|href=")#([\w-]+)["\)]', html):
        assert reference in ids


def test_is_accessible(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert ("html", {"lang": "en"}) in page.elements
    assert tags.count("caption") == tags.count("table") >= 4
    assert all(a.get("scope") in ("row", "col") for tag, a in page.elements if tag == "th")
    drawings = [a for tag, a in page.elements if tag == "svg"]
    # Overall, two environments, the frontier; two ranks, three rankings, the energy; failures of both; the cost.
    assert len(drawings) == 12
    assert all(a.get("role") == "img" and len(a.get("aria-label") or "") > 20 for a in drawings)
    headings = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(headings, headings[1:], strict=False))


def test_sections_come_in_order(page: Page) -> None:
    sections = [a["id"] for tag, a in page.elements if tag == "section"]
    evidence = ["internals", "prediction", "failures", "attribution", "cost"]
    sections.remove(next(name for name in ("viewer", "episodes") if name in sections))
    assert sections == ["verdict", "retention", "frontier", "dose", "needle", *evidence, "made"]


def test_verdict_comes_first_and_names_the_checkpoint_to_take(page: Page) -> None:
    assert "May be deployed for what was tested: good (3.00 MB, 30% of the original)." in page.text
    assert page.text.index("good") < page.text.index("bad <b> loses")
    assert "inside the noise floor" in page.text and "outside the noise floor" in page.text


def test_table_equals_the_comparison(page: Page, data: ReportData) -> None:
    header, reference, noise, *rows = page.cells["retention-table"]
    names = ["Overall", "Tool Sandbox", "Needle"]
    assert [" ".join(cell.split()) for cell in header[1:4]] == names
    assert "0.900" in reference[1] and "1.000" in reference[2] and "0.800" in reference[3]
    assert "10.0" in reference[-1]
    assert noise[2].startswith("±0.060")  # 60 pairs without a change: a change in 6% of them is not ruled out
    assert [row[0].split()[0] for row in rows] == ["good", "bad"]
    by_name = {c.name: c for c in data.candidates}
    for row, name in zip(rows, ("good", "bad <b>"), strict=True):
        comparison = by_name[name].comparison
        # The comparison sorts its environments; the page keeps the order of the run.
        parts = [comparison.overall, *sorted(comparison.environments, key=lambda e: e.env_id, reverse=True)]
        for cell, part in zip(row[1:4], parts, strict=True):
            assert part.retention is not None
            assert f"{part.retention.estimate:.1%}" in cell
            for value in (part.difference.estimate, part.difference.low, part.difference.high):
                assert f"{value:+.3f}".replace("-", "−") in cell or round(value, 3) == 0
            assert f"{part.episodes} pairs" in cell
            assert f"{len(part.lost)} lost, {len(part.gained)} gained" in cell
            p = part.p_difference_adjusted
            assert ("p < 0.001" if p < 0.001 else f"p = {p:.3f}") in cell
            assert ("▼" in cell) == (p < 0.05 and part.difference.estimate < 0)
    assert [cell.strip() for cell in rows[1][4:]] == ["2.50", "50.0%", "2.00"]


def test_internals_are_given_in_figures_too(page: Page) -> None:
    row = [cell.strip() for cell in page.cells["internals-table"][1]]
    assert row[1:] == ["20.0 → 15.0", "9.0 → 8.0", "75.0%", "0.812", "0.812", "0.812", "1.250", "0.5000"]


def test_provenance_is_on_the_page(page: Page) -> None:
    for fact in ("torch 2.13.0", "sha-dense", "sha-bad", "0–59", "2026-01-02", '"difficulty": "easy"', "Gaffke"):
        assert fact in page.text


def test_hostile_transcripts_stay_text(html: str, page: Page) -> None:
    assert len(page.scripts) == 2
    assert "<script>alert" not in html and "<img" not in html and "<!-- " not in html
    assert any(text.startswith(HOSTILE.replace("\ud800", "?")) for text in page.payload["texts"])
    assert ("b", {}) in page.elements  # our own bold text
    assert "bad <b>" in page.text  # and a name that only looks like it
    script = page.scripts[1]
    assert not any(
        word in script for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    )


def test_deep_links_lead_to_the_filters(page: Page) -> None:
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert "#bad%20%3Cb%3E/acenv%2FToolSandbox-v0" in links
    assert "#bad%20%3Cb%3E/" in links


def test_bare_runs_make_a_page() -> None:
    page = Page(render_report(bare(REFERENCE, run("same", {TOOLS: [1.0] * 60}))))
    assert "No episode was lost" in page.text and not page.scripts
    assert "noise floor (" not in page.text
    for section, command in SECTIONS_WITHOUT_DATA.items():
        assert command in page.sections[section], section
    assert page.cells["retention-table"][2][-3:] == ["– ", "– ", "– "]
    assert page.cells["retention-table"][2][3].strip() == "not run"
    assert "its size on disk was not recorded" in page.text


def test_page_without_candidates() -> None:
    page = Page(render_report(bare(REFERENCE)))
    assert "No compressed model was compared" in page.text
    assert "0.900" in page.cells["retention-table"][1][1]


def test_one_episode_errors_and_missing_transcripts() -> None:
    reference = run("dense", {TOOLS: [1.0, 1.0], NEEDLE: [0.0]})
    candidate = run("c", {TOOLS: [0.5], NEEDLE: [0.0]}, transcripts=False)
    failed = Episode(TOOLS, 1, float("nan"), 0, False, False, error="out of memory")
    candidate = Results(candidate.manifest, [*candidate.episodes, failed])
    page = Page(render_report(bare(reference, candidate)))
    assert "nan" not in page.text
    assert "0 of the original's, 1 of the method's" in page.text
    assert page.payload["episodes"] == [[0, 1, 0, 1.0, 0.5, -1, -1, 0, 0]]


def test_names_must_differ(data: ReportData) -> None:
    twice = (data.candidates[0], data.candidates[0])
    with pytest.raises(ValueError, match="a name of its own"):
        render_report(ReportData("t", "m", "", REFERENCE, twice))


def test_write_report_makes_folders_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = write_report(bare(REFERENCE), tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"{library} is not installed.*acenv\[report\]"):
        render_report(bare(REFERENCE, run("same", {TOOLS: [1.0]})))


# The episodes that it carries -----------------------------------------------------------------------------------------


def test_payload_is_capped_shares_texts_and_counts_what_is_left_out(data: ReportData) -> None:
    payload = build_payload(REFERENCE, {c.name: (c.results, c.comparison) for c in data.candidates})
    assert (payload.lost, payload.gained) == (45, 12)
    assert payload.left_out == 45 - MAX_LOST + 12 - MAX_GAINED
    assert len(payload.data["episodes"]) == MAX_LOST + MAX_GAINED
    assert len(set(payload.data["texts"])) == len(payload.data["texts"])
    method, env, seed, before, after, base, other, fork, step = payload.data["episodes"][-1]
    assert (method, payload.data["envs"][env], before, after, fork, step) == (0, TOOLS, 1.0, 0.0, 1, 1)
    assert payload.data["texts"][payload.data["transcripts"][base][1][1]] == "call 1.0"
    assert payload.data["transcripts"][other][1][2] == 0.0


def test_largest_losses_are_kept() -> None:
    reference = run("dense", {TOOLS: [1.0] * 50})
    candidate = run("c", {TOOLS: [0.99 - 0.01 * i for i in range(50)]})
    payload = build_payload(reference, {"c": (candidate, compare(reference, candidate, resamples=50))})
    assert [row[2] for row in payload.data["episodes"]] == list(range(49, 49 - MAX_LOST, -1))


def test_worked_examples_in_the_prompt_are_no_steps() -> None:
    def talk(last: str) -> Results:
        messages: list[Message] = [
            {"role": "user", "content": "example"},
            {"role": "assistant", "content": "answer"},
            {"role": "user", "content": "task"},
            {"role": "assistant", "content": last},
        ]
        value = float(last == "right")
        said = {(TOOLS, 0): Transcript(TOOLS, 0, messages, (), (Step(last, value),))}
        return Results({}, [Episode(TOOLS, 0, value, 1, True, False)], said)

    reference, candidate = talk("right"), talk("wrong")
    payload = build_payload(reference, {"c": (candidate, compare(reference, candidate, resamples=50))})
    assert payload.data["episodes"][0][-2:] == [3, 1]
    assert [len(message) for message in payload.data["transcripts"][0]] == [2, 2, 2, 3]


@given(st.text(max_size=60), st.integers(2, 40))
def test_abbreviated_text_says_how_much_is_gone(text: str, limit: int) -> None:
    short = abbreviate(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        assert short.startswith(text[: limit // 2]) and short.endswith(text[-(limit - limit // 2) :])
        assert f"{len(text) - limit:,} characters left out" in short


def test_long_messages_are_cut_and_counted() -> None:
    reference, candidate = (run(n, {TOOLS: [v]}, text="x" * (MAX_CHARS + 500)) for n, v in (("a", 1.0), ("b", 0.0)))
    payload = build_payload(reference, {"c": (candidate, compare(reference, candidate, resamples=50))})
    assert payload.cut == 2
    assert max(map(len, payload.data["texts"])) < MAX_CHARS + 100


@given(st.lists(st.text(max_size=3), max_size=5), st.lists(st.text(max_size=3), max_size=5))
def test_first_difference_is_first(a: list[str], b: list[str]) -> None:
    ours, theirs = ([Message(role="assistant", content=t) for t in texts] for texts in (a, b))
    index = first_difference(ours, theirs)
    if index is None:
        assert a == b
    else:
        assert a[:index] == b[:index] and a[index : index + 1] != b[index : index + 1]


# Words and plots ------------------------------------------------------------------------------------------------------


def compared(reference: Sequence[float], candidate: Sequence[float]) -> Comparison:
    return compare(run("dense", {TOOLS: reference}), run("c", {TOOLS: candidate}), resamples=500)


def test_verdicts() -> None:
    close = judge("m", compared([1.0] * 100, [1.0] * 100))
    assert (close.kind, close.in_noise) == ("close", None)
    assert judge("m", compared([1.0] * 100, [1.0] * 60 + [0.0] * 40)).kind == "loses"
    # Graded losses flip no success: the interval alone finds them.
    assert judge("m", compared([1.0] * 100, [0.9] * 100)).kind == "loses"
    assert judge("m", compared([1.0] * 6, [1.0] * 5 + [0.0])).kind == "undecided"
    assert judge("m", compared([1.0], [0.0])).kind == "undecided"
    zero = judge("m", compared([0.0] * 20, [0.0] * 20))
    assert zero.kind == "close" and "nan" not in zero.sentence
    fall = compared([1.0] * 100, [0.9] * 100)
    assert judge("m", fall, noise={"batch size": fall}).kind == "undecided"


def test_a_loss_in_one_environment_is_not_hidden_by_a_gain_in_another() -> None:
    reference = run("dense", {TOOLS: [1.0] * 50, NEEDLE: [0.0] * 40 + [1.0] * 10})
    candidate = run("c", {TOOLS: [0.0] * 20 + [1.0] * 30, NEEDLE: [1.0] * 21 + [0.0] * 19 + [1.0] * 10})
    verdict = judge("m", compare(reference, candidate, resamples=500))
    assert verdict.kind == "mixed" and "ToolSandbox" in verdict.sentence


def test_svg_follows_the_theme_and_keeps_any_name_as_text() -> None:
    names = ["a$b$", "<b>&\x00", "中🙂", "long " * 20]
    points = [plots.Checkpoint(name, 2.0 + i, Interval(0.5, 0.4, 0.6)) for i, name in enumerate(names)]
    svg = to_svg(plots.plot_frontier(points), 'says "so" <b>', "x")
    page = Page(svg)
    assert "var(--ink)" in svg and "font-family" not in svg and not re.search("#[0-9a-f]{6}", svg)
    assert all(name in page.text for name in ("a$b$", "<b>&", "中🙂", "long"))
    assert page.elements[0][1]["aria-label"] == 'says "so" <b>'
    assert len(svg) < 20_000


def test_plots_refuse_to_be_empty() -> None:
    for draw in (plots.plot_frontier, plots.plot_energy, plots.plot_effective_rank, plots.plot_retention):
        with pytest.raises(ValueError):
            draw([] if draw is plots.plot_frontier else {})  # type: ignore[operator]
