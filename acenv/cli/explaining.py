"""Verbs that explain runs: compare them, and write the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acenv.cli.app import app, example
from acenv.cli.arguments import (
    Json,
)
from acenv.cli.display import (
    console,
    print_comparisons,
    print_json,
)
from acenv.runs import Results


@app.command(epilog=example("acenv compare runs/dense runs/gptq4 runs/wanda"))
def compare(
    reference: Annotated[Path, typer.Argument(help="Run folder of the original model.")],
    candidates: Annotated[list[Path], typer.Argument(help="Run folders to compare with it.")],
    as_json: Json = False,
) -> None:
    """Compare runs with a reference, paired on environment and seed."""
    from acenv.analysis.comparison import compare_all

    base = Results.load(reference)
    comparisons = compare_all(base, {_run_name(path): Results.load(path) for path in candidates})
    if as_json:
        print_json({name: comparison.to_dict() for name, comparison in comparisons.items()})
    else:
        print_comparisons(comparisons)


@app.command(epilog=example("acenv report runs/bench", "acenv report runs/dense runs/gptq4 --out report.html"))
def report(
    folders: Annotated[list[Path], typer.Argument(help="A bench folder; or run folders, the reference first.")],
    out: Annotated[Path | None, typer.Option(help="The page; default: report.html in the first folder.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a bench, or of runs, as one HTML file."""
    from acenv.analysis.comparison import compare_all
    from acenv.analysis.report import Candidate, ReportData, write_report
    from acenv.studies.bench import load_bench

    if len(folders) == 1:
        data = load_bench(folders[0])
    else:
        reference = Results.load(folders[0])
        runs = {_run_name(path): Results.load(path) for path in folders[1:]}
        name = reference.manifest.get("policy", {}).get("name", folders[0].name)
        data = ReportData(
            title=f"Compared with {name}",
            model=name,
            settings=", ".join(f"{k} {v}" for k, v in reference.manifest.get("env_kwargs", {}).items()),
            reference=reference,
            candidates=tuple(
                Candidate(name, name, runs[name], comparison)
                for name, comparison in compare_all(reference, runs).items()
            ),
            created=reference.manifest.get("created", ""),
            versions=reference.manifest.get("versions", {}),
        )
    path = write_report(data, out or folders[0] / "report.html")
    if as_json:
        print_json({"report": str(path)})
    else:
        console.print(f"report: {path}", highlight=False)


def _run_name(path: Path) -> str:
    return path.resolve().name
