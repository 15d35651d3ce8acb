"""The root of the command line, and what its verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

import acenv
from acenv.cli.display import console, errors
from acenv.runs import Results

EXIT_FAILED, EXIT_USAGE, EXIT_ERRORS, EXIT_INTERRUPTED = 1, 2, 3, 130

app = typer.Typer(
    name="acenv",
    help="Does a compressed LLM still act? Environments, evaluation, compression, comparison.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.print(f"acenv {acenv.__version__}", highlight=False)
        raise typer.Exit


def example(*lines: str) -> str:
    """What a verb's help ends with."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"$ {line}" for line in lines)


def exit_on_errors(*runs: Results) -> None:
    """Say how many episodes are errors, and leave with the code for that; does nothing if there are none."""
    failed = [episode for results in runs for episode in results.errors]
    if failed:
        first = failed[0]
        errors.print(
            f"{len(failed)} episodes are errors and not scored; "
            f"the first: {first.env_id} seed {first.seed}: {first.error}",
            markup=False,
            highlight=False,
        )
        raise typer.Exit(EXIT_ERRORS)
