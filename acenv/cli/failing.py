"""The verb that says why episodes were lost, and the tables of failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from acenv.analysis.failures.kinds import DEFINITIONS, FAILURES
from acenv.cli.app import app, example
from acenv.cli.arguments import Json
from acenv.cli.display import console, plain_text, print_json
from acenv.runs import Results

if TYPE_CHECKING:
    from acenv.analysis.failures import EpisodeFailures, FailureComparison

_LISTED = 20
"""Episodes that are listed where no kind is asked for."""


@app.command(
    epilog=example(
        "acenv failures runs/gptq2",
        "acenv failures runs/bench/runs/gptq-2bit-g32 --reference runs/bench/runs/dense --kind 'wrong argument'",
    )
)
def failures(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    reference: Annotated[
        Path | None, typer.Option(help="Run of the original: where it solved a task, the first other action is named.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="List all episodes lost by this; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Say what the episodes of a run were lost by."""
    from acenv.analysis.failures import list_failures

    for name in kind or ():
        if name not in DEFINITIONS:
            raise ValueError(f"there is no failure named {name!r}: --kind takes one of {', '.join(FAILURES)}")
    found = list(list_failures(Results.load(run), None if reference is None else Results.load(reference)))
    lost = [one for one in found if one.primary is not None and (not kind or one.primary.kind in kind)]
    if as_json:
        print_json({"counts": _counts(found), "episodes": [one.to_dict() for one in lost]})
        return
    _print_counts(found)
    _print_episodes(lost if kind else lost[:_LISTED])
    if not kind and len(lost) > _LISTED:
        console.print(f"and {len(lost) - _LISTED} more: ask for a kind with --kind", style="dim")


def print_failures(compared: Mapping[str, Sequence[FailureComparison]]) -> None:
    """What each candidate lost episodes by, against the reference: over all episodes."""
    for name, comparisons in compared.items():
        if not comparisons or not comparisons[-1].kinds:
            continue
        overall = comparisons[-1]
        lost = f"{overall.reference_lost} > {overall.candidate_lost}"
        title = f"{name}: {lost} of {overall.episodes} episodes lost, and by what"
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for column in ("failure", "lost with it", "mainly by it", "made good", "p"):
            table.add_column(column, no_wrap=True, justify="left" if column == "failure" else "right")
        for count in overall.kinds:
            table.add_row(
                count.kind,
                f"{count.reference} > {count.candidate}",
                f"{count.reference_primary} > {count.candidate_primary}",
                f"{count.reference_recovered} > {count.candidate_recovered}",
                "<.001" if count.p_adjusted < 0.001 else f"{count.p_adjusted:.3f}",
                style="bold" if count.p_adjusted < 0.05 else None,
            )
        console.print(table)
    if any(compared.values()):
        console.print("p: as many lost with it on either side, exact McNemar test, Holm-adjusted", style="dim")


def _counts(found: Sequence[EpisodeFailures]) -> dict[str, dict[str, int]]:
    """Of each kind that was found: episodes lost mainly by it, lost with it, and solved in spite of it."""
    mainly = Counter(one.primary.kind for one in found if one.primary is not None)
    lost = Counter(kind for one in found if one.lost for kind in one.kinds)
    solved = Counter(kind for one in found if not one.lost for kind in one.kinds)
    return {
        kind: {"primary": mainly[kind], "lost": lost[kind], "recovered": solved[kind]}
        for kind in FAILURES
        if lost[kind] or solved[kind]
    }


def _print_counts(found: Sequence[EpisodeFailures]) -> None:
    lost = sum(one.lost for one in found)
    table = Table(title=f"{lost} of {len(found)} episodes lost", title_justify="left", box=box.SIMPLE, pad_edge=False)
    for column in ("failure", "mainly by it", "lost with it", "made good"):
        table.add_column(column, no_wrap=True, justify="left" if column == "failure" else "right")
    for kind, count in _counts(found).items():
        table.add_row(kind, *map(str, count.values()))
    console.print(table)
    for kind in _counts(found):
        console.print(f"{kind}: {DEFINITIONS[kind]}", style="dim", markup=False, highlight=False)


def _print_episodes(lost: Sequence[EpisodeFailures]) -> None:
    if not lost:
        return
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("environment", "seed", "failure", "step"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("seed", "step") else "left")
    table.add_column("what was said", overflow="fold")
    for one in lost:
        if one.primary is not None:
            name, first = one.env_id.removeprefix("acenv/").rsplit("-v", 1)[0], one.primary
            table.add_row(name, str(one.seed), first.kind, str(first.step), plain_text(first.detail))
    console.print(table)
