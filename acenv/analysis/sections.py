"""The sections of the report: their tables and sentences, as the template shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from acenv.analysis.analyzers import analyze, cell
from acenv.analysis.attribution import Attribution
from acenv.analysis.charts.catalog import env_ids
from acenv.analysis.comparison import OVERALL
from acenv.analysis.cost import Cost
from acenv.analysis.failures import FAILURES, FailureCount
from acenv.analysis.kinds import KINDS
from acenv.analysis.prediction import Relation, Relations
from acenv.analysis.replay import Replay
from acenv.analysis.report_data import Findings, ReportData, costs
from acenv.analysis.verdict import LEVEL, environment, short_name
from acenv.analysis.words import bounded, count, number, p_value, percent


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it says.
        notes: Smaller lines below it.
        mark: A class of the style sheet.
    """

    text: str
    notes: Sequence[str] = ()
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of the page.

    Attributes:
        id: Unique on the page.
        caption: What it shows.
        label: Name of the region that scrolls.
        columns: Heads of the columns.
        rows: Each with its head first.
        kind: A class of the style sheet.
    """

    id: str
    caption: str
    label: str
    columns: Sequence[str]
    rows: Sequence[tuple[str | Cell, ...]]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A section, or a part of one.

    Attributes:
        sentences: What was found.
        tables: The figures.
        title: Of the part; empty for the section itself.
    """

    sentences: Sequence[str] = ()
    tables: Sequence[Grid] = ()
    title: str = ""


_MOST_ROWS = 200
"""Lines of an added table that the page shows."""


def added(data: ReportData) -> list[Part]:
    """The tables that other packages add."""
    parts = []
    for i, one in enumerate(analyze(data)):
        shown, columns = one.rows[:_MOST_ROWS], one.columns or ("",)
        rows = [
            tuple(Cell(cell(row.get(column))) if j else cell(row.get(column)) for j, column in enumerate(columns))
            for row in shown
        ]
        told = [one.error or f"By {one.package}." if one.rows or one.error else f"{one.package} found nothing."]
        if len(shown) < len(one.rows):
            told.append(f"The first {len(shown):,} of {len(one.rows):,} lines; acenv report --tables writes all.")
        grids = [Grid(f"added-{i}", one.caption, one.name, columns, rows)] if rows else []
        parts.append(Part(told, grids, one.name))
    return parts


def _cells(*texts: str) -> tuple[Cell, ...]:
    return tuple(map(Cell, texts))


# The three analyses ---------------------------------------------------------------------------------------------------


def internals(replays: Mapping[str, Replay]) -> Part | None:
    """Means of the three analyses, and where the models part by kind of token."""
    if not replays:
        return None
    means = {name: replay.summary().overall for name, replay in replays.items()}
    first = next(iter(means.values()))
    rows: list[tuple[str | Cell, ...]] = []
    for name, overall in means.items():
        k = sorted(overall.jaccard)[len(overall.jaccard) // 2] if overall.jaccard else 0
        arrows = [f"{base:.1f} → {compressed:.1f}" for base, compressed in (overall.erank_logits, overall.erank_hidden)]
        ranking = [number(v.get(k)) for v in (overall.jaccard, overall.kendall, overall.spearman)]
        shift, kl = number(overall.energy_shift), number(overall.kl, ".4f")
        rows.append((name, *_cells(*arrows, f"{overall.top1_agreement:.1%}", *ranking, shift, kl)))
    tables = [
        Grid(
            "internals-table",
            "Means over all environments; rankings at the middle k",
            "Internals in figures",
            ["Method", "Effective rank, logits", "Effective rank, hidden", "Same top token"]
            + ["Jaccard", "Kendall", "Spearman", "Energy shift", "KL (nats)"],
            rows,
        )
    ]
    kinds = [kind for kind in KINDS if any(kind in overall.kinds for overall in means.values())]
    if kinds:
        tokens = {k: max(o.kinds[k].tokens for o in means.values() if k in o.kinds) for k in kinds}
        tables.append(
            Grid(
                "kinds-table",
                "Flips, and below them KL in nats, by what a token is: where the compressed model would have chosen "
                "another one",
                "Flips by kind of token",
                ["Method", *(f"{kind} ({tokens[kind]:,})" for kind in kinds)],
                [
                    (
                        name,
                        *(
                            Cell(f"{o.kinds[k].flips:.2%}", [number(o.kinds[k].kl, ".4f")])
                            if k in o.kinds
                            else Cell("–")
                            for k in kinds
                        ),
                    )
                    for name, o in means.items()
                ],
            )
        )
    sentence = (
        f"Both models read the same {count(first.episodes, 'transcript')} of the original ({first.tokens:,} tokens), "
        "so every difference comes from the weights."
    )
    return Part([sentence], tables)


# Prediction -----------------------------------------------------------------------------------------------------------


def prediction(relations: Relations | None) -> Part | None:
    """Whether the internals tell the loss: between methods, and between the episodes of a method."""
    if relations is None:
        return None
    columns, families = ["Internal"], []
    if relations.methods:
        columns.append(f"Over {relations.methods[0].points} methods: which lose more")
        families.append({r.internal: r for r in relations.methods})
    columns.append("Within methods: which episodes are lost")
    families.append({r.internal: r for r in relations.pooled})
    rows: list[tuple[str | Cell, ...]] = [
        (r.internal, *(_correlation(family.get(r.internal)) for family in families)) for r in relations.pooled
    ]
    caption = "Rank correlation of each internal's distance from the original with the return lost, with intervals and "
    table = Grid("prediction-table", caption + "adjusted p-values", "Rank correlations", columns, rows)
    return Part(relations.sentences(), [table])


def _correlation(relation: Relation | None) -> Cell:
    if relation is None or math.isnan(relation.rho.estimate):
        return Cell("–")
    mark = "found" if relation.p_adjusted < LEVEL else ""
    return Cell(bounded(relation.rho), [f"{p_value(relation.p_adjusted)} · n = {relation.points:,}"], mark)


# Failures -------------------------------------------------------------------------------------------------------------


def failures(data: ReportData, found: Findings) -> list[Part]:
    """Lost episodes by kind of failure, base and compressed side by side: overall, then by environment."""
    parts: list[Part] = []
    for env_id in (OVERALL, *env_ids(data)):
        compared = {
            name: comparison
            for name, comparisons in found.failures.items()
            if (comparison := next((c for c in comparisons if c.env_id == env_id), None)) is not None
        }
        counts = {name: {k.kind: k for k in c.kinds if k.reference or k.candidate} for name, c in compared.items()}
        kinds = [kind for kind in FAILURES if any(kind in by_kind for by_kind in counts.values())]
        if not kinds:
            continue
        rows: list[tuple[str | Cell, ...]] = [
            (kind, *(_failure(by_kind.get(kind)) for by_kind in counts.values())) for kind in kinds
        ]
        lost = (Cell(f"{c.reference_lost} → {c.candidate_lost}", [f"of {c.episodes}"]) for c in compared.values())
        rows.append(("all lost episodes", *lost))
        name = short_name(env_id)
        parts.append(
            Part(
                (),
                [
                    Grid(
                        f"failures-{len(parts)}-table",
                        f"{name}: lost episodes that show each kind of failure, original → compressed, with the exact "
                        "McNemar test after Holm's correction",
                        f"Failures, {name}",
                        ["Failure", *compared],
                        rows,
                        "counts",
                    )
                ],
                name,
            )
        )
    return parts


def _failure(kind: FailureCount | None) -> Cell:
    if kind is None:
        return Cell("0 → 0", mark="none")
    significant = kind.p_adjusted < LEVEL
    mark = "" if not significant else "worse" if kind.candidate > kind.reference else "better"
    sign = {"worse": " ▲", "better": " ▼"}.get(mark, "")
    return Cell(f"{kind.reference} → {kind.candidate}{sign}", [p_value(kind.p_adjusted)], mark)


# Attribution ----------------------------------------------------------------------------------------------------------


def attributions(data: ReportData) -> list[Part]:
    """What the decisions of each model of which it is known cost."""
    known = [(c.name, c.attribution) for c in data.candidates if c.attribution is not None]
    return [_attribution(name, found, i) for i, (name, found) in enumerate(known)]


def _attribution(name: str, found: Attribution, index: int) -> Part:
    groups = found.by_kind() if found.episodes else ()
    rows: list[tuple[str | Cell, ...]] = [
        (
            g.name,
            *_cells(
                f"{g.differing:,}",
                bounded(g.cost, "+.3f"),
                number(g.share.estimate, ".0%"),
                number(g.other_order.estimate, "+.3f"),
                number(g.alone, "+.3f"),
            ),
        )
        for g in groups
    ]
    table = Grid(
        f"attribution-{index}-table",
        f"{name}: return lost an episode by kind of decision, with 95% intervals; in the other order, the compressed "
        "model takes over from the original; mended alone, one decision of the original stands in its place",
        f"Decisions of {name}",
        ["Decision", "differ", "return lost", "share", "other order", "mended alone"],
        rows,
    )
    return Part(found.sentences(), [table] if rows else [], name)


# Cost -----------------------------------------------------------------------------------------------------------------

_COSTS: Mapping[str, str] = {
    "disk_mb": "MB on disk",
    "memory_mb": "MB in memory",
    "seconds": "Seconds an episode",
    "joules": "Joules an episode",
    "per_gb_on_disk": "Return per GB on disk",
    "per_gb_in_memory": "Return per GB in memory",
    "per_second": "Return per second",
    "per_joule": "Return per joule",
}


def cost(data: ReportData) -> Part | None:
    """What each model takes, and returns for it; what nothing is known of is left out."""
    found = costs(data, "original")
    known = {name: title for name, title in _COSTS.items() if any(getattr(c, name) for c in found.values())}
    if not known:
        return None
    rows: list[tuple[str | Cell, ...]] = [
        (model, Cell(number(c.mean_return)), *(Cell(_amount(getattr(c, name))) for name in known))
        for model, c in found.items()
    ]
    table = Grid("cost-table", "Mean return, and what it takes", "Cost", ["Model", "Return", *known.values()], rows)
    return Part(list(_cost_sentences(data, found, known)), [table])


def _cost_sentences(data: ReportData, found: Mapping[str, Cost], known: Mapping[str, str]) -> Iterator[str]:
    clocks = sorted({c.clock for c in found.values() if c.clock})
    if "seconds" in known:
        yield f"Seconds are {' or '.join(clocks)} time." if clocks else "Seconds are measured."
    if "joules" in known:
        yield f"Joules: {', '.join(sorted({c.energy_source for c in found.values() if c.energy_source}))}."
    else:
        reasons = sorted({c.no_energy for c in found.values() if c.no_energy})
        if reasons:
            yield f"No joules: {'; '.join(reasons)}."
    if data.stopping is not None:
        yield (
            f"Environments were stopped as soon as the interval of the difference was ±{data.stopping.until:g}: "
            f"{data.stopping.saved:,} of {data.stopping.planned:,} episodes were not needed."
        )


def _amount(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# Which model for what -------------------------------------------------------------------------------------------------


def environments_kept(data: ReportData, found: Findings) -> Grid | None:
    """For each model and environment, whether it may be deployed there: the answer to "for what"."""
    ids = env_ids(data)
    if not data.candidates or not ids:
        return None
    rows: list[tuple[str | Cell, ...]] = []
    for verdict in found.verdicts:
        comparison = next(c.comparison for c in data.candidates if c.name == verdict.name)
        cells = []
        for env_id in ids:
            part = environment(comparison, env_id)
            if part is None:
                cells.append(Cell("not run"))
            elif env_id in verdict.keeps:
                cells.append(Cell("✓ keeps", [_excluded(-part.difference.low, part.reference.estimate)], "kept"))
            elif part.p_difference_adjusted < LEVEL and part.difference.estimate < 0:
                share = percent(1 - part.retention.estimate) if part.retention else number(-part.difference.estimate)
                cells.append(Cell("✗ loses", [share], "lost"))
            else:
                allowed = -part.difference.low
                note = "too few episodes" if math.isnan(allowed) else f"up to {max(0.0, allowed):.3f} possible"
                cells.append(Cell("? open", [note], "open"))
        rows.append((verdict.name, *cells))
    return Grid(
        "verdict-table",
        "For what it may be deployed: in an environment that a model keeps, a loss of more than 0.05 of mean return is "
        "ruled out; in one that it loses, the fall is significant; in one that is open, more episodes decide",
        "Verdict by environment",
        ["Method", *map(short_name, ids)],
        rows,
        "matrix",
    )


def _excluded(loss: float, reference: float) -> str:
    return "nothing to lose" if reference == 0 else f"loss below {max(0.0, loss):.3f}"
