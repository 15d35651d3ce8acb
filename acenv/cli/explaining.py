"""Verbs that explain runs: compare them, replay their transcripts, and write the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import acenv
from acenv.analysis.records import to_jsonable
from acenv.cli.app import app, example
from acenv.cli.arguments import Json, PolicyOptions, options
from acenv.cli.display import console, print_comparisons, print_json, print_replays, progress_bars
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


@app.command(
    epilog=example(
        "acenv replay runs/bench --method gptq-4bit-g32 --limit 200",
        "acenv replay runs/dense --base hf:./my-model --compressed hf:./my-model-gptq --out internals.json",
    )
)
def replay(
    folder: Annotated[Path, typer.Argument(help="A finished bench folder, or the original's run folder.")],
    method: Annotated[list[str] | None, typer.Option(help="Method of a bench; repeatable. Default: all.")] = None,
    base: Annotated[str | None, typer.Option(help="Of a run folder: the original, such as hf:PATH.")] = None,
    compressed: Annotated[str | None, typer.Option(help="Of a run folder: the compressed model.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Transcripts, of each environment in turn.")] = None,
    out: Annotated[Path | None, typer.Option(help="Of a run folder: where to write what is found (JSON).")] = None,
    policy_option: PolicyOptions = None,
    as_json: Json = False,
) -> None:
    """Let both models read the same transcripts, and say on which kinds of token they part."""
    from acenv.studies.replays import replay_bench
    from acenv.studies.steps import replay_into

    with progress_bars(as_json) as watcher:
        if (folder / "bench.json").exists():
            if base or compressed or out:
                raise ValueError(f"{folder} is a bench, which knows its models: leave out --base, --compressed, --out")
            found = replay_bench(folder, method or (), limit=limit, watcher=watcher)
        elif base is None or compressed is None or out is None:
            raise ValueError(f"{folder} is no bench folder: name the models with --base and --compressed, and --out")
        else:
            given = options(policy_option, "--policy-option")
            reference = Results.load(folder)
            ours, theirs = (acenv.load_policy(spec, **given) for spec in (base, compressed))
            done = watcher.stage("both models on the same transcripts")
            found = {theirs.name: replay_into(out, reference, ours, theirs, limit)}
            done()
    if as_json:
        print_json({name: to_jsonable(one.summary()) for name, one in found.items()})
    else:
        print_replays(found)


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
