"""The command line: the verbs of the library, with progress for people and ``--json`` for machines.

Exit codes: 0 all is well; 1 it failed, and standard error says why; 2 the command was wrong; 3 it finished, but some
episodes are errors (the same command tries them again); 130 interrupted (the same command goes on).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Annotated, Any

import gymnasium
import typer
from rich.panel import Panel
from rich.table import Table

import acenv
from acenv.analysis.official import official_scores
from acenv.arguments import (
    CALIBRATION,
    Baselines,
    Calibrations,
    Difficulty,
    EnvOptions,
    Jobs,
    Json,
    PolicyOptions,
    SkipMissing,
    env_list,
    one_env,
    options,
    spread,
)
from acenv.compressors.options import CompressionError
from acenv.display import (
    ask_human,
    console,
    errors,
    flat,
    plain_text,
    print_comparisons,
    print_forecast,
    print_json,
    print_results,
    print_sweep,
    progress_bars,
)
from acenv.evaluation import PolicyError
from acenv.registry import missing
from acenv.runs import Results, RunError
from acenv.types import EngineError

EXIT_FAILED, EXIT_USAGE, EXIT_ERRORS, EXIT_INTERRUPTED = 1, 2, 3, 130

app = typer.Typer(
    name="acenv",
    help="Does a compressed LLM still act? Environments, evaluation, compression, comparison.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        app(args=spread(sys.argv[1:] if arguments is None else arguments))
    except (RunError, PolicyError, EngineError, CompressionError, ValueError, ImportError, KeyError, OSError) as error:
        errors.print("[bold red]error:[/] ", end="")
        errors.print(str(error.args[0]) if isinstance(error, KeyError) else str(error), markup=False, highlight=False)
        sys.exit(EXIT_FAILED)
    except BrokenExecutor:
        errors.print(
            "error: a worker process died, perhaps for want of memory; the same command goes on (fewer --jobs?)"
        )
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        errors.print("interrupted; the finished episodes are safe, and the same command goes on")
        sys.exit(EXIT_INTERRUPTED)


def _example(*lines: str) -> str:
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"$ {line}" for line in lines)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.print(f"acenv {acenv.__version__}", highlight=False)
        raise typer.Exit


@app.command(epilog=_example("acenv envs", "acenv envs --json"))
def envs(as_json: Json = False) -> None:
    """List the environments and the suites."""
    ids = acenv.env_ids()
    if as_json:
        todo = {env_id: missing(env_id) for env_id in ids if missing(env_id)}
        print_json({"envs": ids, "suites": acenv.suites, "missing": todo})
        return
    table = Table("environment", "what it is", "to be installed")
    for env_id in ids:
        entry = gymnasium.envs.registration.load_env_creator(str(gymnasium.spec(env_id).entry_point))
        table.add_row(env_id, _first_sentence(entry), plain_text(missing(env_id)))
    console.print(table)
    suites = Table("suite", "environments")
    for name, members in acenv.suites.items():
        suites.add_row(name, ", ".join(members))
    console.print(suites)


@app.command(epilog=_example("acenv play ToolSandbox", "acenv play PDDL --seed 3 --policy nano --difficulty easy"))
def play(
    env: Annotated[str, typer.Argument(help="An environment, such as PDDL or acenv/PDDL-v0.")],
    policy: Annotated[str, typer.Option(help="human, oracle, random, nano, or hf:PATH_OR_ID.")] = "human",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    difficulty: Difficulty = "easy",
    env_option: EnvOptions = None,
    as_json: Json = False,
) -> None:
    """Play one episode: yourself, or watch a policy."""
    env_id = one_env(env)
    actor: Any = ask_human(sys.stdin) if policy == "human" else policy
    results = acenv.evaluate(
        env_id, actor, [seed], env_kwargs={"difficulty": difficulty, **options(env_option, "--env-option")}
    )
    episode = results.episodes[0]
    transcript = results.transcript(episode.key)
    if as_json:
        print_json({"episode": _plain(episode), "messages": list(transcript.messages)})
    elif policy != "human":
        for message in transcript.messages:
            console.print(Panel(plain_text(message["content"]), title=message["role"], title_align="left"))
    else:
        console.print(Panel(plain_text(transcript.messages[-1]["content"]), title=transcript.messages[-1]["role"]))
    if not as_json:
        metrics = ", ".join(f"{name} {value:g}" for name, value in episode.metrics.items())
        console.print(f"return {episode.return_:.3f} in {episode.length} steps: {metrics}", highlight=False)
    _exit_on_errors(results)


@app.command(
    "eval",
    epilog=_example(
        "acenv eval --policy nano --envs quick --difficulty easy --episodes 100 --out runs/nano",
        "acenv eval --policy hf:Qwen/Qwen2.5-7B-Instruct --envs ToolSandbox PDDL --out runs/qwen",
    ),
)
def evaluate_command(
    policy: Annotated[str, typer.Option(help="oracle, random, nano, hf:PATH_OR_ID, gguf:FILE or openai:MODEL@URL.")],
    env_names: Annotated[
        list[str] | None, typer.Option("--envs", "--suite", help="Environment or suite; repeatable.")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes an environment.")] = 100,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode.")] = 0,
    difficulty: Difficulty = "medium",
    out: Annotated[Path | None, typer.Option(help="Run folder; an unfinished run in it is finished.")] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Conversations at once.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads for the environments.")] = None,
    env_option: EnvOptions = None,
    policy_option: PolicyOptions = None,
    skip_missing: SkipMissing = False,
    as_json: Json = False,
) -> None:
    """Let a policy act in environments, and record the episodes."""
    env_ids = env_list(env_names or ["quick"], skip_missing)
    actor = acenv.load_policy(policy, **options(policy_option, "--policy-option"))
    with progress_bars(as_json) as watcher:
        done = watcher.stage(f"{actor.name}: {len(env_ids)} environments", episodes * len(env_ids))
        results = acenv.evaluate(
            env_ids,
            actor,
            range(first_seed, first_seed + episodes),
            slots=slots,
            workers=workers,
            out=out,
            env_kwargs={"difficulty": difficulty, **options(env_option, "--env-option")},
            progress=lambda episode: done(),
        )
    if as_json:
        print_json(
            {
                "policy": actor.name,
                "mean_returns": results.mean_returns(),
                "official": official_scores(results),
                "errors": len(results.errors),
            }
        )
    else:
        print_results(results)
    _exit_on_errors(results)


@app.command(
    epilog=_example(
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
    epilog=_example(
        "acenv bench --model nano --difficulty easy --out runs/bench",
        "acenv bench --model ./my-model --methods gptq:bits=4,group_size=128 wanda --out runs/mine",
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
    jobs: Jobs = 1,
    env_option: EnvOptions = None,
    policy_option: PolicyOptions = None,
    skip_missing: SkipMissing = False,
    as_json: Json = False,
) -> None:
    """Compress a model in several ways, let all versions act, compare them, and write a report."""
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
    )
    with progress_bars(as_json) as watcher:
        data = run_bench(settings, out, watcher, jobs=jobs)
    runs = [data.reference, *(c.results for c in data.candidates)]
    if as_json:
        print_json(
            {"report": str(out / "report.html"), "methods": {c.name: c.comparison.to_dict() for c in data.candidates}}
        )
    else:
        print_comparisons({c.name: c.comparison for c in data.candidates})
        console.print(f"report: {out / 'report.html'}", highlight=False)
    _exit_on_errors(*runs)


@app.command(
    epilog=_example(
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


@app.command(epilog=_example("acenv compare runs/dense runs/gptq4 runs/wanda"))
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


@app.command(epilog=_example("acenv report runs/bench", "acenv report runs/dense runs/gptq4 --out report.html"))
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


# Helpers


def _first_sentence(entry: object) -> str:
    doc = (entry.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(doc.split())


def _run_name(path: Path) -> str:
    return path.resolve().name


def _plain(episode: acenv.Episode) -> dict[str, Any]:
    from dataclasses import asdict

    record = asdict(episode)
    if episode.error is not None:
        record["return_"] = None
    return record


def _exit_on_errors(*runs: Results) -> None:
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
