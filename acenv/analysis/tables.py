"""The figures of a report as tables: one line a fact, for pandas, CSV and LaTeX."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acenv.analysis.analyzers import analysis, analyze, analyzer_names
from acenv.analysis.charts.style import MissingLibraryError
from acenv.analysis.comparison import Comparison, EnvComparison
from acenv.analysis.internals import InternalsSummary
from acenv.analysis.latex import to_latex
from acenv.analysis.report_data import Findings, ReportData, costs
from acenv.analysis.statistics import Interval

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]
"""Values by the name of their column; ``None`` and ``nan`` stand for what is not known."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "verdicts": ("method", "verdict", "ruled_out", "in_noise", "keeps", "sentence"),
    "retention": ("method", "environment", "episodes", "return_original", "return", "difference"),
    "noise": ("changed", "environment", "episodes", "return_original", "return", "difference"),
    "doses": ("method", "family", "bits", "sparsity", "calibration", "measured_bits", "measured_sparsity", "megabytes"),
    "needle": ("method", "length", "depth", "original", "compressed", "difference"),
    "internals": ("method", "environment", "transcripts", "tokens"),
    "kinds": ("method", "environment", "kind", "tokens", "flips", "kl", "energy_shift"),
    "layers": ("method", "layer", "rank_original", "rank", "change"),
    "correlations": ("scope", "internal", "rho", "rho_low", "rho_high", "p_adjusted", "points"),
    "predictions": ("method", "internal", "predicted", "predicted_low", "predicted_high", "lost"),
    "failures": ("method", "environment", "failure", "episodes", "original", "compressed", "p_adjusted"),
    "attribution": ("method", "by", "group", "decisions", "differing", "lost", "lost_low", "lost_high", "share"),
    "costs": ("model", "return"),
}
"""Columns that a table has also where it is empty."""


def table(data: ReportData, name: str) -> pandas.DataFrame:
    """A table of a report as a data frame.

    Args:
        data: The report.
        name: One of :data:`TABLES`.

    Raises:
        ValueError: There is no such table.
        MissingLibraryError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingLibraryError("pandas") from error
    rows = list(rows_of(data, name))
    return pandas.DataFrame(rows, columns=_columns(name, rows))


def table_names() -> tuple[str, ...]:
    """Names of all tables: :data:`TABLES`, and those that other packages add."""
    return (*TABLES, *analyzer_names(TABLES))


def rows_of(data: ReportData, name: str, found: Findings | None = None) -> Iterator[Row]:
    """The lines of a table, without pandas.

    Args:
        data: The report.
        name: One of :data:`TABLES`.
        found: What follows from the data, if that is known already.

    Raises:
        ValueError: There is no such table.
    """
    if name not in (names := table_names()):
        raise ValueError(f"there is no table {name!r}; there are {', '.join(names)}")
    if name not in TABLES:
        return iter(analysis(data, name).rows)
    return TABLES[name](data, found or Findings(data))


def write_tables(data: ReportData, folder: str | Path, found: Findings | None = None) -> list[Path]:
    """Write each table that has a line as ``<name>.csv`` (all digits) and ``<name>.tex`` (three).

    Args:
        data: The report.
        folder: Made if it is not there; tables of the same names are written over.
        found: What follows from the data, if that is known already.

    Returns:
        The files.

    Raises:
        OSError: The folder cannot be written.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    found = found or Findings(data)
    written = []
    added = analyze(data)
    for one in added:
        if one.error:
            warnings.warn(f"the table {one.name} is left out: {one.error}", stacklevel=2)
    tables = [(name, CAPTIONS[name], list(rows_of(data, name, found))) for name in TABLES]
    for name, caption, rows in [*tables, *((one.name, one.caption, list(one.rows)) for one in added)]:
        if not rows:
            continue
        columns = _columns(name, rows)
        with (path / f"{name}.csv").open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_plain(row.get(column)) for column in columns] for row in rows)
        latex = to_latex(rows, columns, caption=caption, label=f"tab:{name}")
        (path / f"{name}.tex").write_text(latex, encoding="utf-8", errors="replace")
        written += [path / f"{name}.csv", path / f"{name}.tex"]
    return written


def _plain(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _columns(name: str, rows: list[Row]) -> list[str]:
    return list(dict.fromkeys([*COLUMNS.get(name, ()), *(column for row in rows for column in row)]))


# The tables -----------------------------------------------------------------------------------------------------------


def _interval(name: str, value: Interval | None) -> Row:
    known = value or Interval(math.nan, math.nan, math.nan)
    return {name: known.estimate, f"{name}_low": known.low, f"{name}_high": known.high}


def _compared(comparison: Comparison) -> Iterator[Row]:
    part: EnvComparison
    for part in (comparison.overall, *comparison.environments):
        yield {
            "environment": part.env_id,
            "episodes": part.episodes,
            "return_original": part.reference.estimate,
            "return": part.candidate.estimate,
            **_interval("difference", part.difference),
            **_interval("retained", part.retention),
            "p": part.p_difference,
            "p_adjusted": part.p_difference_adjusted,
            "p_success_adjusted": part.p_adjusted,
            "lost": len(part.lost),
            "gained": len(part.gained),
            "errors_original": part.reference_errors,
            "errors": part.candidate_errors,
        }


def _retention(data: ReportData, found: Findings) -> Iterator[Row]:
    for candidate in data.candidates:
        yield from ({"method": candidate.name, **row} for row in _compared(candidate.comparison))


def _noise(data: ReportData, found: Findings) -> Iterator[Row]:
    for changed, floor in data.noise.items():
        yield from ({"changed": changed, **row} for row in _compared(floor))


def _verdicts(data: ReportData, found: Findings) -> Iterator[Row]:
    for verdict in found.verdicts:
        yield {
            "method": verdict.name,
            "verdict": verdict.kind,
            "ruled_out": verdict.ruled_out,
            "in_noise": verdict.in_noise,
            "keeps": " ".join(verdict.keeps),
            "sentence": verdict.sentence,
        }


def _doses(data: ReportData, found: Findings) -> Iterator[Row]:
    for point in found.points:
        yield {
            "method": point.version,
            "family": point.series,
            "bits": point.bits,
            "sparsity": point.sparsity,
            "calibration": point.calibration,
            "measured_bits": point.measured_bits,
            "measured_sparsity": point.measured_sparsity,
            "megabytes": point.megabytes,
            **_interval("retained", point.retention),
        }


def _needle(data: ReportData, found: Findings) -> Iterator[Row]:
    for name, grid in found.needles.items():
        for (top, bottom), base, compressed in zip(grid.depths, grid.base, grid.compressed, strict=True):
            for (left, right), ours, theirs in zip(grid.lengths, base, compressed, strict=True):
                yield {
                    "method": name,
                    "length": left if left == right else f"{left:g}-{right:g}",
                    "depth": top if top == bottom else f"{top:g}-{bottom:g}",
                    "original": ours,
                    "compressed": theirs,
                    "difference": theirs - ours,
                }


def _summaries(data: ReportData) -> Iterator[tuple[str, InternalsSummary]]:
    for name, replay in data.replays.items():
        summary = replay.summary()
        yield from ((name, part) for part in (summary.overall, *summary.environments))


def _internals(data: ReportData, found: Findings) -> Iterator[Row]:
    for name, part in _summaries(data):
        yield {
            "method": name,
            "environment": part.env_id,
            "transcripts": part.episodes,
            "tokens": part.tokens,
            "rank_logits_original": part.erank_logits[0],
            "rank_logits": part.erank_logits[1],
            "rank_hidden_original": part.erank_hidden[0],
            "rank_hidden": part.erank_hidden[1],
            **{f"jaccard_{k}": value for k, value in part.jaccard.items()},
            **{f"kendall_{k}": value for k, value in part.kendall.items()},
            **{f"spearman_{k}": value for k, value in part.spearman.items()},
            "rank_biased_overlap": part.rbo,
            "energy_original": part.energy[0],
            "energy": part.energy[1],
            "energy_shift": part.energy_shift,
            "kl": part.kl,
            "flips": 1.0 - part.top1_agreement,
        }


def _kinds(data: ReportData, found: Findings) -> Iterator[Row]:
    for name, part in _summaries(data):
        for kind, values in part.kinds.items():
            yield {
                "method": name,
                "environment": part.env_id,
                "kind": kind,
                "tokens": values.tokens,
                "flips": values.flips,
                "kl": values.kl,
                "energy_shift": values.energy_shift,
            }


def _layers(data: ReportData, found: Findings) -> Iterator[Row]:
    for name, replay in data.replays.items():
        for layer, (base, compressed) in enumerate(replay.summary().overall.erank_layers):
            change = compressed / base - 1 if base > 0 else math.nan
            yield {"method": name, "layer": layer, "rank_original": base, "rank": compressed, "change": change}


def _correlations(data: ReportData, found: Findings) -> Iterator[Row]:
    relations = found.relations
    if relations is None:
        return
    for scope, family in (("methods", relations.methods), ("episodes", relations.pooled), *relations.episodes.items()):
        for relation in family:
            yield {
                "scope": scope,
                "internal": relation.internal,
                **_interval("rho", relation.rho),
                "p_adjusted": relation.p_adjusted,
                "points": relation.points,
            }


def _predictions(data: ReportData, found: Findings) -> Iterator[Row]:
    held_out = found.relations.held_out if found.relations is not None else None
    for p in held_out.predictions if held_out is not None else ():
        yield {
            "method": p.method,
            "internal": p.internal,
            **_interval("predicted", Interval(p.estimate, p.low, p.high)),
            "lost": p.actual,
        }


def _failures(data: ReportData, found: Findings) -> Iterator[Row]:
    for name, comparisons in found.failures.items():
        for compared in comparisons:
            for kind in compared.kinds:
                yield {
                    "method": name,
                    "environment": compared.env_id,
                    "failure": kind.kind,
                    "episodes": compared.episodes,
                    "original": kind.reference,
                    "compressed": kind.candidate,
                    "original_first": kind.reference_primary,
                    "compressed_first": kind.candidate_primary,
                    "original_recovered": kind.reference_recovered,
                    "compressed_recovered": kind.candidate_recovered,
                    "p": kind.p_value,
                    "p_adjusted": kind.p_adjusted,
                }


def _attribution(data: ReportData, found: Findings) -> Iterator[Row]:
    for candidate in data.candidates:
        own = candidate.attribution
        if own is None or not own.episodes:
            continue
        for by, groups in (("kind", own.by_kind()), ("context", own.by_context()), ("step", own.by_step())):
            for group in groups:
                yield {
                    "method": candidate.name,
                    "by": by,
                    "group": group.name,
                    "decisions": group.decisions,
                    "differing": group.differing,
                    **_interval("lost", group.cost),
                    **_interval("share", group.share),
                    "lost_other_order": group.other_order.estimate,
                    "mended_alone": group.alone,
                }


def _costs(data: ReportData, found: Findings) -> Iterator[Row]:
    for model, cost in costs(data, "original").items():
        values = cost.to_dict()
        yield {"model": model, "return": values.pop("mean_return"), **values}


TABLES: Mapping[str, Callable[[ReportData, Findings], Iterator[Row]]] = {
    "verdicts": _verdicts,
    "retention": _retention,
    "noise": _noise,
    "doses": _doses,
    "needle": _needle,
    "internals": _internals,
    "kinds": _kinds,
    "layers": _layers,
    "correlations": _correlations,
    "predictions": _predictions,
    "failures": _failures,
    "attribution": _attribution,
    "costs": _costs,
}
"""What makes each table."""

CAPTIONS: Mapping[str, str] = {
    "verdicts": "Verdict on each compressed model.",
    "retention": "Mean returns on paired episodes, with 95% intervals and Holm-adjusted p-values.",
    "noise": "The original against itself.",
    "doses": "Strength of each method, and the return that is kept.",
    "needle": "Mean score by length of the text and depth of the fact.",
    "internals": "Internals of both models on the same transcripts.",
    "kinds": "Where the models part, by what a token is.",
    "layers": "Effective rank of the hidden states behind each layer.",
    "correlations": "Rank correlations of internals with the return lost.",
    "predictions": "The loss of each method, predicted from the others.",
    "failures": "Lost episodes by kind of failure.",
    "attribution": "Return lost by decisions.",
    "costs": "What each model takes, and returns for it.",
}
"""What stands above each table in a paper."""
