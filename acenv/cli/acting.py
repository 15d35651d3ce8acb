"""Verbs that act: list the environments, play an episode, evaluate a policy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import gymnasium
import typer
from rich.panel import Panel
from rich.table import Table

import acenv
from acenv.analysis.official import official_scores
from acenv.cli.app import app, example, exit_on_errors
from acenv.cli.arguments import (
    Difficulty,
    EnvOptions,
    Json,
    PolicyOptions,
    SkipMissing,
    env_list,
    one_env,
    options,
)
from acenv.cli.display import (
    ask_human,
    console,
    plain_text,
    print_json,
    print_results,
    progress_bars,
)
from acenv.registry import missing


@app.command(epilog=example("acenv envs", "acenv envs --json"))
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


@app.command(epilog=example("acenv play ToolSandbox", "acenv play PDDL --seed 3 --policy nano --difficulty easy"))
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
    exit_on_errors(results)


@app.command(
    "eval",
    epilog=example(
        "acenv eval --policy nano --envs quick --difficulty easy --episodes 100 --out runs/nano",
        "acenv eval --policy hf:Qwen/Qwen2.5-7B-Instruct --envs ToolSandbox PDDL --out runs/qwen",
        "acenv eval --policy oracle --envs worlds --workers 8",
        "acenv eval --policy hf:Qwen/Qwen2.5-7B-Instruct --engine ray --resource num_gpus=1 --out runs/qwen",
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
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes for environments that keep a core busy; Ray: actors.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: on a Ray cluster, a policy in every actor.")] = "local",
    resource: Annotated[
        list[str] | None, typer.Option("--resource", help="NAME=AMOUNT that a Ray actor needs: num_gpus=1; repeatable.")
    ] = None,
    env_option: EnvOptions = None,
    policy_option: PolicyOptions = None,
    skip_missing: SkipMissing = False,
    as_json: Json = False,
) -> None:
    """Let a policy act in environments, and record the episodes."""
    env_ids = env_list(env_names or ["quick"], skip_missing)
    with progress_bars(as_json) as watcher:
        done = watcher.stage(f"{policy}: {len(env_ids)} environments", episodes * len(env_ids))
        results = acenv.evaluate(
            env_ids,
            policy,
            range(first_seed, first_seed + episodes),
            slots=slots,
            workers=workers,
            engine=cast(Any, engine),
            resources=options(resource, "--resource"),
            policy_options=options(policy_option, "--policy-option"),
            out=out,
            env_kwargs={"difficulty": difficulty, **options(env_option, "--env-option")},
            progress=lambda episode: done(),
        )
    if as_json:
        print_json(
            {
                "policy": results.manifest["policy"]["name"],
                "mean_returns": results.mean_returns(),
                "official": official_scores(results),
                "errors": len(results.errors),
            }
        )
    else:
        print_results(results)
    exit_on_errors(results)


def _first_sentence(entry: object) -> str:
    doc = (entry.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(doc.split())


def _plain(episode: acenv.Episode) -> dict[str, Any]:
    from dataclasses import asdict

    record = asdict(episode)
    if episode.error is not None:
        record["return_"] = None
    return record
