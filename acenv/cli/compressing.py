"""Verbs that compress: one model once, a bench of methods, a sweep over settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

import acenv
from acenv.cli.adding import print_added
from acenv.cli.app import EXIT_ERRORS, app, example, exit_on_errors
from acenv.cli.arguments import (
    CALIBRATION,
    Baselines,
    Calibrations,
    EnvOptions,
    Jobs,
    Json,
    PolicyOptions,
    SkipMissing,
    env_list,
    options,
)
from acenv.cli.display import (
    console,
    errors,
    flat,
    print_comparisons,
    print_costs,
    print_floors,
    print_forecast,
    print_json,
    print_stopping,
    print_sweep,
    progress_bars,
)


@app.command(
    epilog=example(
        "acenv compress nano gptq:bits=4,group_size=32 --out checkpoints/nano-gptq4",
        "acenv compress ./my-model wanda:pattern=2:4+gptq:bits=4 --out checkpoints/mine --dry-run",
        "acenv compress meta-llama/Llama-3.1-8B-Instruct wanda:pattern=2:4 --out checkpoints/llama-24",
        "acenv compress nano gptq:bits=3,group_size=32 --calibration text:corpus.txt --out checkpoints/nano-corpus",
    )
)
def compress(
    model: Annotated[str, typer.Argument(help="nano, a checkpoint folder, a GGUF file or a hub id.")],
    method: Annotated[str, typer.Argument(help="gptq, rtn, wanda, sparsegpt or magnitude, with options.")],
    out: Annotated[Path, typer.Option(help="The checkpoint folder to make.")],
    calibration: Annotated[str, typer.Option(help=CALIBRATION)] = "transcripts",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would take: time, memory, disk. Loads no weights.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compress a model, load the result again, and measure what it became."""
    from acenv.compressors import MANIFEST

    if dry_run:
        from acenv.dry_run import forecast

        print_forecast(forecast(model, method, out, calibration), as_json)
        return
    with progress_bars(as_json) as watcher:
        done = watcher.stage(f"{method} of {model}")
        folder = acenv.compress(model, method, out, calibration)
        done()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if as_json:
        print_json({"folder": str(folder), **manifest})
        return
    console.print(f"{manifest['method']} -> {folder}", highlight=False)
    table = Table("measured", "value")
    for name, value in flat(manifest["measured"]):
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    console.print(table)


@app.command(
    epilog=example(
        "acenv bench --model nano --difficulty easy --out runs/bench",
        "acenv bench --model ./my-model --methods gptq:bits=4,group_size=128 wanda --out runs/mine",
        "acenv bench --model ./my-model --methods wanda --until-ci 0.02 --episodes 1000 --out runs/sure",
        "acenv bench --methods gptq:bits=3,group_size=32 --calibration transcripts text:corpus.txt --out runs/texts",
    )
)
def bench(
    model: Annotated[str, typer.Option(help="nano, a checkpoint folder, a GGUF file or a hub id.")] = "nano",
    methods: Annotated[list[str] | None, typer.Option(help="Compression method; repeatable. Default: six.")] = None,
    suite: Annotated[
        list[str] | None, typer.Option("--suite", "--envs", help="Suite or environment; repeatable.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Test episodes an environment.")] = 100,
    difficulty: Annotated[str | None, typer.Option(help="Default: easy for nano, else medium.")] = None,
    out: Annotated[Path, typer.Option(help="Bench folder; an unfinished bench in it is finished.")] = Path(
        "runs/bench"
    ),
    calibration: Calibrations = None,
    baseline: Baselines = None,
    until_ci: Annotated[
        float | None,
        typer.Option(help="Stop an environment when the 95% interval of the difference is this much to either side."),
    ] = None,
    noise_episodes: Annotated[
        int, typer.Option(min=0, help="Episodes an environment of each noise floor; 0: none.")
    ] = 25,
    jobs: Jobs = 1,
    env_option: EnvOptions = None,
    policy_option: PolicyOptions = None,
    skip_missing: SkipMissing = False,
    as_json: Json = False,
) -> None:
    """Compress a model in several ways, let all versions act, compare them, and write a report."""
    from acenv.analysis.analyzers import analyze
    from acenv.analysis.report_data import costs
    from acenv.studies.bench import DEFAULT_METHODS, BenchSettings
    from acenv.studies.bench import bench as run_bench

    settings = BenchSettings(
        model=model,
        methods=tuple(methods or DEFAULT_METHODS),
        envs=tuple(env_list(suite or ["quick"], skip_missing)),
        episodes=episodes,
        env_kwargs={
            "difficulty": difficulty or ("easy" if model == "nano" else "medium"),
            **options(env_option, "--env-option"),
        },
        policy=options(policy_option, "--policy-option"),
        calibrations=tuple(calibration or ["transcripts"]),
        baselines=tuple(map(str, baseline or ())),
        noise_episodes=noise_episodes,
        until_ci=until_ci,
    )
    with progress_bars(as_json) as watcher:
        data = run_bench(settings, out, watcher, jobs=jobs)
    runs = [data.reference, *(c.results for c in data.candidates)]
    if as_json:
        print_json(
            {
                "report": str(out / "report.html"),
                "methods": {c.name: c.comparison.to_dict() for c in data.candidates},
                "noise": {changed: floor.to_dict() for changed, floor in data.noise.items()},
                "costs": {name: cost.to_dict() for name, cost in costs(data).items()},
                "stopping": data.stopping and data.stopping.to_dict(),
                "added": {one.name: one.to_dict() for one in analyze(data)},
            }
        )
    else:
        print_comparisons({c.name: c.comparison for c in data.candidates}, data.noise)
        print_floors(data.noise)
        print_costs(costs(data))
        print_added(analyze(data))
        if data.stopping is not None:
            print_stopping(data.stopping)
        console.print(f"report: {out / 'report.html'}", highlight=False)
    exit_on_errors(*runs)


@app.command(
    epilog=example(
        "acenv sweep --methods gptq:group_size=32 rtn:group_size=32 --bits 2 3 4 8 --difficulty easy --out runs/bits",
        "acenv sweep --model ./my-model --methods wanda sparsegpt --sparsity 0.3 0.5 0.7 --suite toolcalling worlds",
        "acenv sweep --methods gptq --bits 3 --calibration transcripts text:corpus.txt --baseline runs/bits",
    )
)
def sweep(
    methods: Annotated[list[str], typer.Option(help="Compression method; what it says itself is not varied.")],
    model: Annotated[str, typer.Option(help="nano, a checkpoint folder, a GGUF file or a hub id.")] = "nano",
    bits: Annotated[list[int] | None, typer.Option(help="Bits of a weight, for methods that take them.")] = None,
    sparsity: Annotated[list[float] | None, typer.Option(help="Share of zeros, for methods that take it.")] = None,
    calibration: Calibrations = None,
    suite: Annotated[
        list[str] | None, typer.Option("--suite", "--envs", help="Suite or environment, each summed up by itself.")
    ] = None,
    difficulty: Annotated[
        list[str] | None, typer.Option(help="easy, medium, hard; repeatable. Default: easy for nano, else medium.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Test episodes an environment.")] = 50,
    out: Annotated[Path, typer.Option(help="Sweep folder; an unfinished sweep in it is finished.")] = Path(
        "runs/sweep"
    ),
    baseline: Baselines = None,
    jobs: Jobs = 1,
    env_option: EnvOptions = None,
    policy_option: PolicyOptions = None,
    skip_missing: SkipMissing = False,
    as_json: Json = False,
) -> None:
    """Compress a model by a grid of methods, bits, sparsity and calibrations, and see how much of it still acts."""
    suites = {name: env_list([name], skip_missing) for name in suite or ["quick"]}
    with progress_bars(as_json) as watcher:
        found = acenv.sweep(
            model,
            methods,
            out,
            bits=bits or (),
            sparsity=sparsity or (),
            calibrations=calibration or ["transcripts"],
            suites=suites,
            difficulties=difficulty or ["easy" if model == "nano" else "medium"],
            episodes=episodes,
            env_kwargs=options(env_option, "--env-option"),
            policy=options(policy_option, "--policy-option"),
            baselines=baseline or (),
            watcher=watcher,
            jobs=jobs,
        )
    if as_json:
        print_json({"report": str(out / "report.html"), **found.to_dict()})
    else:
        print_sweep(found)
        console.print(f"report: {out / 'report.html'}, table: {out / 'sweep.csv'}", highlight=False)
    for version, reason in found.failed.items():
        errors.print(f"failed: {version}: {reason}", markup=False, highlight=False)
    for line in found.left_out:
        errors.print(f"left out: {line}", markup=False, highlight=False)
    if failed := sum(point.errors for point in found.points):
        errors.print(f"{failed} episodes are errors and not scored", highlight=False)
    if found.failed or failed:
        raise typer.Exit(EXIT_ERRORS)
