"""Evaluation: every pair of environment and seed becomes an episode, here, in worker processes or on a cluster."""

from __future__ import annotations

import datetime
import platform
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium

import acenv
from acenv.engines.opening import EngineName, open_engine
from acenv.engines.shards import Description
from acenv.lines import Key
from acenv.loop import PolicyError
from acenv.registry import check_installed, resolve_env_ids
from acenv.runs import Results
from acenv.slots import keywords_of
from acenv.starts import Start
from acenv.store import RunStore
from acenv.types import Episode, Policy, Transcript

__all__ = ["PolicyError", "Progress", "evaluate", "versions"]

Progress = Callable[[Episode], None]


def evaluate(
    env_ids: str | Sequence[str],
    policy: Policy | Callable[..., str] | str,
    seeds: Iterable[int] = range(100),
    *,
    slots: int | None = None,
    workers: int | None = None,
    engine: EngineName = "local",
    resources: Mapping[str, float] | None = None,
    policy_options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Let a policy act for one episode of every pair of environment and seed.

    Results do not depend on ``slots``, ``workers`` or ``engine``.

    Args:
        env_ids: Ids or names of suites, such as ``"quick"`` or ``["acenv/Needle-v0"]``.
        policy: A policy, a plain function from messages to text, or a spec for :func:`acenv.load_policy`.
        seeds: Seeds of the episodes, the same for each environment.
        slots: Conversations under way at once; default: as many as the policy takes at once (``policy.capacity``).
            More let environments step while the policy generates. With Ray this is the number in each actor.
        workers: Processes side by side, for environments that keep a core busy; with 1, the default, environments step
            in threads of this process. The policy stays in this process, unless it is ``portable`` as the oracle is
            (see :class:`acenv.types.Policy`): then whole episodes run in the workers. With Ray this is the number of
            actors; default: as many as the cluster has room for.
        engine: ``"ray"`` runs on a Ray cluster, where every actor has a policy of its own. Ray is started on this
            machine unless it is initialised, or ``RAY_ADDRESS`` is set.
        resources: What each Ray actor needs, such as ``{"num_gpus": 1}``; default: one CPU.
        policy_options: Options for :func:`acenv.load_policy`, where the policy is a spec.
        out: Run folder. Finished episodes are appended at once, and a run that was stopped goes on where it was.
            Default: nothing is written, the results live in memory.
        env_kwargs: Keywords for every environment, such as ``{"difficulty": "easy"}``. Under the id of an environment
            stand keywords for this one alone: ``{"acenv/LongBench-v0": {"task": "hotpotqa"}}``.
        progress: Called with each finished episode.

    Returns:
        The results of all episodes of the run, those of an earlier start included.

    Raises:
        ValueError: An unknown environment, or a number that makes no sense.
        MissingSimulatorError: What an environment stands on is not installed.
        RunError: The run folder holds results of other settings, or cannot be written.
        PolicyError: The policy answered with something else than one decision a request.
        EngineError: Workers cannot be started, or cannot go on.
    """
    ids = resolve_env_ids([env_ids] if isinstance(env_ids, str) else list(env_ids))
    wanted = list(dict.fromkeys(int(seed) for seed in seeds))
    if any(seed < 0 for seed in wanted):
        raise ValueError("seeds must be 0 or more")
    for name, number in (("slots", slots), ("workers", workers)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, not {number}")
    keywords = dict(env_kwargs or {})
    _check_environments(ids, keywords)
    keys = [(env_id, seed) for env_id in ids for seed in wanted]
    episodes: dict[Key, Episode] = {}
    transcripts: dict[Key, Transcript] = {}
    with ExitStack() as stack:
        opened = open_engine(
            engine, policy, ids, keywords, slots=slots, workers=workers, resources=resources, options=policy_options
        )
        description, run = stack.enter_context(opened)
        manifest = _manifest(description, ids, wanted, keywords)
        store = stack.enter_context(RunStore(out, manifest)) if out is not None else None
        starts = deque(Start(*key) for key in keys if store is None or key not in store.finished)
        for finished in run(starts):
            episode, transcript = finished.episode, finished.transcript
            if store is not None:
                store.append(episode, transcript)
            else:
                episodes[episode.key] = episode
                transcripts[episode.key] = transcript
            if progress is not None:
                progress(episode)
    if out is not None:
        return Results.load(out)
    ordered = [episodes[key] for key in keys if key in episodes]
    return Results(manifest, ordered, transcripts)


def _check_environments(ids: Sequence[str], keywords: Mapping[str, Any]) -> None:
    """Make sure that they can be made: a keyword that an environment does not take must not cost a run."""
    check_installed(ids)
    for env_id in ids:
        own = keywords_of(env_id, keywords)
        try:
            gymnasium.make(env_id, **own).close()
        except TypeError as error:
            raise ValueError(f"{env_id} cannot be made with {own}: {error}") from error


def _manifest(
    policy: Description, ids: Sequence[str], seeds: Sequence[int], env_kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "policy": {"name": policy.name, **policy.settings},
        "env_ids": list(ids),
        "env_kwargs": {name: _jsonable(value) for name, value in env_kwargs.items()},
        "seeds": [min(seeds), max(seeds), len(seeds)] if seeds else [],
        "versions": dict(policy.versions),
    }


def versions() -> dict[str, str]:
    """Versions of what decides a run's results; a policy's engine says its own in ``describe()``."""
    libraries = ("gymnasium", "numpy", "networkx", "jsonschema")
    return {"python": platform.python_version(), "acenv": acenv.__version__} | {
        n: metadata.version(n) for n in libraries
    }


def _jsonable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None), list, dict)) else repr(value)
