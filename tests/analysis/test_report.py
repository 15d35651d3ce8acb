"""The report as a reader gets it: one page, parsed as HTML."""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


from acenv.analysis.comparison import compare, compare_all
from acenv.analysis.replay import EpisodeInternals, Histogram, Replay
from acenv.analysis.report import Candidate, ReportData, render_report, write_report
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
    sections.remove("episodes")
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
    assert "<script>alert" not in html and "<img" not in html and "<!-- " not in html
    assert ("b", {}) in page.elements  # our own bold text
    assert "bad <b>" in page.text  # and a name that only looks like it
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    assert not any(word in script for script in page.scripts for word in forbidden)


def test_deep_links_lead_to_the_filters(page: Page) -> None:
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert "#method=bad%20%3Cb%3E&env=acenv%2FToolSandbox-v0" in links
    assert "#method=bad%20%3Cb%3E" in links


def test_bare_runs_make_a_page() -> None:
    html = render_report(bare(REFERENCE, run("same", {TOOLS: [1.0] * 60})))
    page = Page(html)
    assert "No episode was lost" in page.text and 'id="episodes"' in html
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
    assert page.text.count("1 episode with a lower return") == 1


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
