"""Verbs that explain runs: compare them, replay their transcripts, price their decisions, and write the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import acenv
from acenv.analysis.records import to_jsonable
from acenv.cli.adding import print_added
from acenv.cli.app import app, example
from acenv.cli.arguments import EnvOptions, Jobs, Json, PolicyOptions, env_list, options
from acenv.cli.display import (
    console,
    print_attribution,
    print_comparisons,
    print_floors,
    print_json,
    print_replays,
    progress_bars,
)
from acenv.cli.failing import print_failures
from acenv.plugins import ANALYZERS, plugins
from acenv.runs import Results


@app.command(
    epilog=example(
        "acenv compare runs/dense runs/gptq4 runs/wanda",
        "acenv compare runs/dense runs/gptq4 --noise runs/dense-again --anytime",
    )
)
def compare(
    reference: Annotated[Path, typer.Argument(help="Run folder of the original model.")],
    candidates: Annotated[list[Path], typer.Argument(help="Run folders to compare with it.")],
    noise: Annotated[
        list[Path] | None, typer.Option(help="Further run of the original, for the noise floor; repeatable.")
    ] = None,
    anytime: Annotated[
        bool, typer.Option("--anytime", help="You looked, and ran more: intervals that hold all the same.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare runs with a reference, paired on environment and seed."""
    from acenv.analysis.analyzers import analyze
    from acenv.analysis.comparison import changed_between, compare_all
    from acenv.analysis.comparison import compare as compare_runs
    from acenv.analysis.failures import compare_failures
    from acenv.analysis.report_data import gather
    from acenv.analysis.verdict import judge

    base = Results.load(reference)
    runs = {_run_name(path): Results.load(path) for path in candidates}
    comparisons = compare_all(base, runs, anytime=anytime)
    failures = {name: compare_failures(base, run) for name, run in runs.items()}
    floors = {}
    for path in noise or ():
        again = Results.load(path)
        floors[changed_between(base.manifest, again.manifest)] = compare_runs(base, again)
    verdicts = {name: judge(name, comparison, floors) for name, comparison in comparisons.items()}
    added = analyze(replace(gather(base, runs), noise=floors)) if plugins(ANALYZERS) else ()
    if as_json:
        found = {
            name: c.to_dict()
            | {"verdict": verdicts[name].sentence, "failures": [one.to_dict() for one in failures[name]]}
            for name, c in comparisons.items()
        }
        extra = {"noise": {name: floor.to_dict() for name, floor in floors.items()}} if floors else {}
        extra |= {"added": {one.name: one.to_dict() for one in added}} if added else {}
        print_json(found | extra)
    else:
        print_comparisons(comparisons)
        print_floors(floors)
        print_failures(failures)
        print_added(added)
        for name, verdict in verdicts.items():
            console.print(f"{name} {verdict.sentence}", markup=False, highlight=False)


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


@app.command(
    epilog=example(
        "acenv attribute runs/bench --method gptq-2bit-g32",
        "acenv attribute runs/dense runs/gptq --base hf:./my-model --compressed hf:./my-model-gptq",
        "acenv attribute --base nano --compressed hf:./nano-gptq --difficulty easy --jobs 2 --out attribution.json",
    )
)
def attribute(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="A finished bench folder; or two run folders, the original's first.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Of a bench: name of the method. Default: its only one.")] = None,
    base: Annotated[str | None, typer.Option(help="Without a bench: the original, such as hf:PATH.")] = None,
    compressed: Annotated[str | None, typer.Option(help="Without a bench: the compressed model.")] = None,
    env_names: Annotated[
        list[str] | None, typer.Option("--envs", "--suite", help="Environment or suite; repeatable.")
    ] = None,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Episodes an environment; default: those of the folders, else 25.")
    ] = None,
    max_branches: Annotated[
        int, typer.Option(min=0, help="Differing decisions of a path that get branches of their own; 0 for all.")
    ] = 16,
    replicates: Annotated[int, typer.Option(min=1, help="Draws of each episode, for policies that sample.")] = 1,
    difficulty: Annotated[str | None, typer.Option(help="Without folders: easy, medium or hard.")] = None,
    out: Annotated[Path | None, typer.Option(help="Without a bench: a JSON file to write.")] = None,
    env_option: EnvOptions = None,
    policy_option: PolicyOptions = None,
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """Find where a compressed model leaves the original's path, and what each of its decisions cost."""
    from acenv.studies.attribute import attribute as attribute_models
    from acenv.studies.attribute import attribute_bench, attribute_runs

    paths = folders or []
    is_bench = len(paths) == 1
    if len(paths) > 2:
        raise ValueError(f"give a bench folder, or two run folders, not {len(paths)} folders")
    if paths and (difficulty or env_option):
        raise ValueError("folders know their tasks: leave out --difficulty and --env-option")
    if is_bench and (base or compressed or out or policy_option):
        raise ValueError(
            f"{paths[0]} has to be a bench, which knows its models: leave out --base, --compressed, --out and "
            "--policy-option, or name two run folders"
        )
    if not is_bench and (method or base is None or compressed is None):
        raise ValueError("name a bench folder with --method, or two models with --base and --compressed")
    given = options(policy_option, "--policy-option")
    with progress_bars(as_json) as watcher:
        common: dict[str, Any] = {
            "max_branches": max_branches or None,
            "replicates": replicates,
            "jobs": jobs,
            "watcher": watcher,
        }
        if is_bench:
            found = attribute_bench(paths[0], method, envs=env_names or (), episodes=episodes, **common)
        elif paths:
            found = attribute_runs(
                *(paths[0], paths[1], base or "", compressed or "", env_names or (), episodes),
                policy_options=given,
                out=out,
                **common,
            )
        else:
            found = attribute_models(
                base or "",
                compressed or "",
                env_list(env_names or ["quick"], False),
                range(episodes or 25),
                env_kwargs={"difficulty": difficulty or "medium", **options(env_option, "--env-option")},
                policy_options=given,
                out=out,
                **common,
            )
    if as_json:
        print_json(found.to_dict())
    else:
        print_attribution(found)


@app.command(
    epilog=example(
        "acenv report runs/bench",
        "acenv report runs/bench --figures paper/figures --tables paper/tables",
        "acenv report runs/dense runs/gptq4 --out report.html",
    )
)
def report(
    folders: Annotated[list[Path], typer.Argument(help="A bench folder; or run folders, the reference first.")],
    out: Annotated[Path | None, typer.Option(help="The page; default: report.html in the first folder.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Folder for the charts as PNG and SVG.")] = None,
    tables: Annotated[Path | None, typer.Option(help="Folder for the tables as CSV and LaTeX.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a bench, or of runs, as one HTML file; its charts and tables as files too, if asked."""
    from acenv.analysis.charts import save_charts
    from acenv.analysis.report import write_report
    from acenv.analysis.report_data import Findings, gather
    from acenv.analysis.tables import write_tables
    from acenv.studies.bench import load_bench

    if len(folders) == 1:
        data = load_bench(folders[0])
    else:
        names = [_run_name(path) for path in folders[1:]]
        if len(set(names)) < len(names):
            raise ValueError(f"the run folders need names of their own in a report, not {', '.join(names)}")
        data = gather(Results.load(folders[0]), dict(zip(names, map(Results.load, folders[1:]), strict=True)))
    found = Findings(data)
    written = {"report": write_report(data, out or folders[0] / "report.html", found)}
    if figures is not None:
        save_charts(data, figures, found=found)
        written["figures"] = figures
    if tables is not None:
        write_tables(data, tables, found)
        written["tables"] = tables
    if as_json:
        print_json({name: str(path) for name, path in written.items()})
    else:
        for name, path in written.items():
            console.print(f"{name}: {path}", highlight=False)


def _run_name(path: Path) -> str:
    return path.resolve().name
