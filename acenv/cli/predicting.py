"""Verbs that look ahead: what a checkpoint would lose, which layers cost most, which to keep."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from acenv.analysis.records import to_jsonable
from acenv.cli.app import app, example
from acenv.cli.arguments import Jobs, Json
from acenv.cli.display import console, print_json, progress_bars

if TYPE_CHECKING:
    from acenv.analysis.loss_model import HeldOut
    from acenv.analysis.prediction import Relation, Relations
    from acenv.studies.sensitivity import Sensitivity

_SHADES = ("", "yellow", "bold yellow", "bold red")


@app.command(epilog=example("acenv predict runs/bench", "acenv predict runs/bench --checkpoint ./my-model-gptq"))
def predict(
    bench: Annotated[Path, typer.Argument(help="A finished bench folder.")],
    checkpoint: Annotated[
        str | None, typer.Option(help="Folder or policy spec of a compressed model that has not acted.")
    ] = None,
    k: Annotated[int, typer.Option(help="The k of the top-k internals: 3, 10 or 20.")] = 10,
    as_json: Json = False,
) -> None:
    """Say whether the internals predict the loss, and what a checkpoint would lose, without letting it act."""
    from acenv.studies.bench import load_bench
    from acenv.studies.prediction import predict_checkpoint, relate_bench

    if checkpoint is None:
        relations = relate_bench(load_bench(bench), k)
        if as_json:
            print_json({**relations.to_dict(), "sentences": relations.sentences()})
        else:
            _print_relations(relations)
        return
    with progress_bars(as_json) as watcher:
        prediction = predict_checkpoint(bench, checkpoint, k, watcher)
    if as_json:
        print_json({**to_jsonable(prediction), "sentence": prediction.sentence()})
        return
    console.print(prediction.sentence(), markup=False, highlight=False)
    if not math.isnan(prediction.actual):
        console.print(f"It has acted in this bench, and lost {prediction.actual:.3f}.", highlight=False)


@app.command(
    epilog=example(
        "acenv sensitivity runs/bench --method gptq-2bit-g32",
        "acenv sensitivity runs/bench --method gptq-2bit-g32 --budget 0.1 --act",
        "acenv sensitivity runs/bench --method awq-4bit-g128 --by block",
    )
)
def sensitivity(
    bench: Annotated[Path, typer.Argument(help="A finished bench folder.")],
    method: Annotated[str, typer.Option(help="Name of a method in it, or a method string, which is added to it.")],
    by: Annotated[str, typer.Option(help="Exchange each module, or a block or a kind of layers at a time.")] = "module",
    budget: Annotated[float, typer.Option(help="Share of the compressed weights that the recipe may keep.")] = 0.1,
    extra_bytes: Annotated[
        int | None, typer.Option(help="Bytes that the recipe may add to the files, in place of --budget.")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="Store kept layers in so many bits; default: dense.")] = None,
    transcripts: Annotated[int, typer.Option(min=2, help="Transcripts of the dense run that are read.")] = 32,
    act: Annotated[bool, typer.Option("--act", help="Compress by the recipe, let it act, compare.")] = False,
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """Measure how much of the damage each layer causes, and recommend which to keep."""
    from acenv.studies.recovery import bench_sensitivity, recover

    with progress_bars(as_json) as watcher:
        found = bench_sensitivity(
            bench,
            method,
            transcripts=transcripts,
            watcher=watcher,
            by=by,
            budget=budget,
            extra_bytes=extra_bytes,
            bits=bits,
        )
        name = Path(found.compressed).name
        recovery = None
        if act and found.recipe is not None:
            recovery = recover(bench, name, found.recipe, transcripts=transcripts, watcher=watcher, jobs=jobs)
    if as_json:
        print_json({"sensitivity": found.to_dict(), "recovery": recovery and recovery.to_dict()})
        return
    _print_sensitivity(found)
    if recovery is not None:
        console.print(recovery.sentence(), markup=False, highlight=False)


def _print_relations(relations: Relations) -> None:
    if relations.methods:
        _print_correlations(
            f"between {len(relations.points)} methods: distance and mean return lost", relations.methods
        )
    _print_correlations("within methods: which episodes are lost, all methods together", relations.pooled)
    _print_each(relations.episodes)
    if relations.held_out is not None:
        _print_held_out(relations.held_out)
    for sentence in relations.sentences():
        console.print(sentence, markup=False, highlight=False)


def _print_correlations(title: str, rows: tuple[Relation, ...]) -> None:
    table = _table(title, "internal", "rho [95%]", "p (Holm)", "n")
    for row in rows:
        if math.isnan(row.rho.estimate):
            table.add_row(row.internal, "undefined", "", str(row.points))
            continue
        bounds = "no interval" if math.isnan(row.rho.low) else f"[{row.rho.low:+.2f}, {row.rho.high:+.2f}]"
        p = "<.001" if row.p_adjusted < 0.001 else f"{row.p_adjusted:.3f}"
        table.add_row(row.internal, f"{row.rho.estimate:+.2f} {bounds}", p, str(row.points))
    console.print(table)


def _print_each(episodes: Mapping[str, tuple[Relation, ...]]) -> None:
    """Correlations within each method, without their intervals, which are in the JSON."""
    names = [row.internal for row in next(iter(episodes.values()))]
    table = _table("within each method: rho (* p < .05 after Holm)", "method", *map(_short, names))
    table.padding = (0, 1, 0, 0)  # so many columns in 80 letters
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    table.columns[0].min_width = 13
    for method, rows in episodes.items():
        cells = ["-" if math.isnan(r.rho.estimate) else f"{r.rho.estimate:.2f}{_star(r)}" for r in rows]
        table.add_row(method, *cells)
    console.print(table)


def _star(relation: Relation) -> str:
    return "*" if relation.p_adjusted <= 0.05 else ""


def _short(internal: str) -> str:
    r"""A name on two lines, so that many columns fit.

    >>> _short("effective rank of hidden states"), _short("top-10 Kendall")
    ('erank\nhidden', 'Kendall')
    """
    short = (
        internal.replace("effective rank of ", "erank ").replace("rank-biased overlap", "RBO").removesuffix(" states")
    )
    return re.sub(r"^top-[0-9]+ (?!flips)", "", short).replace(" ", "\n", 1)


def _print_held_out(held_out: HeldOut) -> None:
    first = held_out.predictions[0]
    title = f"each method predicted from the others ({first.level:.0%} intervals, at least {first.guaranteed:.0%})"
    table = _table(title, "method", "by", "predicted", "interval", "lost")
    for p in held_out.predictions:
        estimate = f"{p.estimate:.3f}{'+' if p.outside else ''}"
        table.add_row(p.method, p.internal, estimate, f"[{p.low:.3f}, {p.high:.3f}]", f"{p.actual:.3f}")
    console.print(table)


def _print_sensitivity(found: Sensitivity) -> None:
    cells = found.table()
    kinds = list(dict.fromkeys(kind for row in cells.values() for kind in row))
    worst = max((value for row in cells.values() for value in row.values()), default=0.0)
    table = _table(f"KL regained by keeping, of {found.whole.kl:.4f} nats a token", "block", *kinds)
    for block, row in cells.items():
        table.add_row(block, *(_shaded(row.get(kind, math.nan), worst) for kind in kinds))
    console.print(table)
    if abs(found.checkpoint.kl - found.whole.kl) > 0.1 * found.checkpoint.kl:
        console.print(
            f"The checkpoint itself is at {found.checkpoint.kl:.4f}: it differs in more than these layers.",
            highlight=False,
        )
    if found.recipe is None:
        console.print("Nothing to keep within the budget helps.")
        return
    console.print(found.recipe.sentence(), markup=False, highlight=False)
    console.print(f"recipe: {found.recipe.method}", markup=False, highlight=False, soft_wrap=True)


def _shaded(value: float, worst: float) -> str:
    if math.isnan(value):
        return ""
    share = value / worst if worst > 0 else 0.0
    shade = _SHADES[sum(share > limit for limit in (0.1, 0.3, 0.6))]
    return f"[{shade}]{value:.4f}[/]" if shade else f"{value:.4f}"


def _table(title: str, *columns: str) -> Any:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=True, justify="left" if i == 0 else "right")
    return table
