"""Verbs for those who extend acenv."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acenv.cli.app import app, example
from acenv.cli.arguments import Json
from acenv.cli.display import console, print_json
from acenv.scaffold import KINDS
from acenv.scaffold import new as write


@app.command(epilog=example("acenv new env tic-tac-toe", "acenv new policy my-engine --out engines/mine"))
def new(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}.")],
    name: Annotated[str, typer.Argument(help="What it is to be called.")],
    out: Annotated[Path | None, typer.Option(help="The folder to make; default: one of that name here.")] = None,
    as_json: Json = False,
) -> None:
    """Begin a package with an environment, a policy, a compression method or an analyzer of your own, and its test."""
    folder = write(kind, name, out)
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    if as_json:
        print_json({"folder": str(folder), "files": written})
        return
    console.print(f"{folder}: {', '.join(written)}", highlight=False)
    console.print(f"next: cd {folder} && pip install -e '.\\[dev]' && pytest", highlight=False)
