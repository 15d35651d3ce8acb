"""The tables that other packages add, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from acenv.analysis.analyzers import Added, cell
from acenv.cli.display import console, plain_text


def print_added(tables: Sequence[Added]) -> None:
    """The tables that other packages add."""
    for added in tables:
        if added.error:
            console.print(plain_text(added.error), style="yellow")
            continue
        table = Table(title=plain_text(added.caption), title_justify="left", box=box.SIMPLE, pad_edge=False)
        for column in added.columns:
            words = any(isinstance(values.get(column), str) for values in added.rows)
            table.add_column(plain_text(column), justify="left" if words else "right")
        for values in added.rows:
            table.add_row(*(plain_text(cell(values.get(column))) for column in added.columns))
        console.print(table)
