"""``acenv attribute``: where a compressed model leaves the original's path, and what each of its decisions cost."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acenv.analysis.attribution import Attribution
from acenv.analysis.deviations import Excluded
from acenv.compression import dense_folder
from acenv.policies import load_policy
from acenv.registry import check_installed, resolve_env_ids
from acenv.runs import Results, RunError
from acenv.studies.bench import load_bench, load_settings
from acenv.studies.branches import SIDES
from acenv.studies.notes import Notes, case_key
from acenv.studies.plan import DENSE
from acenv.studies.pricing import Job, Loader, measure_of, price, price_apart
from acenv.types import Policy
from acenv.workers import Silent, Watcher

Model = Policy | Callable[..., str] | str

MAX_BRANCHES = 16
"""Differing decisions of a path that get branches of their own, by default."""

_ACTING = (
    *("temperature", "top_p", "top_k", "sampling_seed"),
    *("max_new_tokens", "stop", "dtype", "kv_bits"),
)
"""What a run folder says of its policy that :func:`acenv.load_policy` takes too."""

_HARMLESS = frozenset(("name", "versions", "device"))
"""What may differ between the policy of a run and one that is to go on from its episodes."""


def attribute(
    base: Model,
    compressed: Model,
    env_ids: str | Sequence[str] = "quick",
    seeds: Iterable[int] = range(100),
    *,
    runs: tuple[Results, Results] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    policy_options: Mapping[str, Any] | None = None,
    max_branches: int | None = MAX_BRANCHES,
    replicates: int = 1,
    jobs: int = 1,
    workers: int = 4,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Attribution:
    """Find the first divergence of two models in every episode, and what each differing decision costs.

    See :mod:`acenv.analysis.attribution` for the estimator and what it assumes.

    Args:
        base: The original model: a policy, or a spec for :func:`acenv.load_policy`.
        compressed: The compressed one.
        env_ids: Ids or names of suites.
        seeds: Seeds of the episodes.
        runs: Results of both, whose episodes are not run again. They must be those of these very policies.
        env_kwargs: Keywords for the environments, as :func:`acenv.evaluate` takes them; those of ``runs`` by default.
        policy_options: Options of models that are given as specs, such as ``{"max_new_tokens": 64}``.
        max_branches: Differing decisions of a path that get branches of their own; the decisions between two of them
            share a loss evenly. ``None`` for no bound.
        replicates: Draws of every episode, for policies that sample; greedy ones need one.
        jobs: Processes side by side, each with its share of the cores; more than one pays for small models, which must
            then be given as specs.
        workers: Threads of a process that step environments.
        out: A JSON file to write. What is finished is kept beside it, so that the same call goes on after an
            interruption; the file itself appears when all is done.
        watcher: Is told about the progress.

    Raises:
        ValueError: A setting makes no sense, or the runs are of other environments, policies or settings.
        RunError: The file cannot be written.
        PolicyError: A policy broke its contract.
    """
    if jobs > 1 and not (isinstance(base, str) and isinstance(compressed, str)):
        raise ValueError("processes cannot share a policy: give specs such as 'hf:PATH', or jobs=1")
    return _attribute(
        (_loader(base, policy_options), _loader(compressed, policy_options)),
        env_ids,
        seeds,
        runs=runs,
        env_kwargs=env_kwargs,
        max_branches=max_branches,
        replicates=replicates,
        jobs=jobs,
        workers=workers,
        out=out,
        watcher=watcher,
    )


def attribute_runs(
    base_run: str | Path,
    compressed_run: str | Path,
    base: Model,
    compressed: Model,
    env_ids: Sequence[str] = (),
    episodes: int | None = None,
    *,
    policy_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Attribution:
    """Attribute the loss between two run folders; their episodes are not run again, only branches of them.

    Args:
        base_run: Run folder of the original.
        compressed_run: Run folder of the compressed model.
        base: The original model; a spec gets the options with which the folder was made (dtype, sampling, limits).
        compressed: The compressed one, likewise.
        env_ids: Ids or suites, of those in both folders; none for all.
        episodes: Seeds, at most; ``None`` for all that are in both.
        policy_options: Further options for specs.
        options: See :func:`attribute`.

    Raises:
        RunError: One is no run folder.
        ValueError: They have no episode in common, or were made by other models.
    """
    runs = Results.load(base_run), Results.load(compressed_run)
    keys = [{*results.returns(), *(e.key for e in results.errors)} for results in runs]
    there = sorted({env_id for env_id, _ in keys[0] & keys[1]})
    if not there:
        raise ValueError(f"{base_run} and {compressed_run} have no episode in common")
    ids = _chosen(env_ids, there, f"{base_run} and {compressed_run}")
    seeds = sorted({seed for env_id, seed in keys[0] & keys[1] if env_id in ids})
    loaders = tuple(
        _loader(model, {**_acted_with(results), **(policy_options or {})})
        for model, results in zip((base, compressed), runs, strict=True)
    )
    return _attribute((loaders[0], loaders[1]), ids, seeds[:episodes], runs=runs, **options)


def attribute_bench(
    folder: str | Path,
    method: str | None = None,
    *,
    envs: Sequence[str] = (),
    episodes: int | None = None,
    **options: Any,
) -> Attribution:
    """Attribute the loss of one method of a finished bench; writes ``attribution/<method>.json`` in its folder.

    Args:
        folder: The bench folder.
        method: Name of a method in it; it may be left out where there is one only.
        envs: Ids or suites, of the bench's; none for all.
        episodes: Episodes an environment, at most; ``None`` for all.
        options: ``max_branches``, ``replicates``, ``jobs``, ``workers`` and ``watcher``, see :func:`attribute`.

    Raises:
        RunError: It is no finished bench folder, or holds no method of that name.
        ValueError: See :func:`attribute`.
    """
    path, settings = Path(folder), load_settings(folder)
    known = [candidate.name for candidate in load_bench(folder).candidates]
    if method is None and len(known) == 1:
        method = known[0]
    if method not in known:
        problem = "name a method" if method is None else f"{path} has no method {method}"
        raise RunError(f"{problem}; it has {', '.join(known)}")
    ids = _chosen(envs, resolve_env_ids(list(settings.envs)), str(path))
    dense = dense_folder(settings.model, path / "checkpoints" / DENSE)
    return _attribute(
        (
            _loader(f"hf:{dense}", {**settings.policy, "name": DENSE}),
            _loader(f"hf:{path / 'checkpoints' / method}", {**settings.policy, "name": method}),
        ),
        ids,
        range(min(settings.episodes, episodes or settings.episodes)),
        runs=(Results.load(path / "runs" / DENSE), Results.load(path / "runs" / method)),
        out=path / "attribution" / f"{method}.json",
        **options,
    )


def _attribute(
    loaders: tuple[Loader, Loader],
    env_ids: str | Sequence[str],
    seeds: Iterable[int],
    *,
    runs: tuple[Results, Results] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    max_branches: int | None = MAX_BRANCHES,
    replicates: int = 1,
    jobs: int = 1,
    workers: int = 4,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
) -> Attribution:
    numbers = {"replicates": replicates, "max_branches": max_branches, "jobs": jobs, "workers": workers}
    if wrong := [f"{name} = {number}" for name, number in numbers.items() if number is not None and number < 1]:
        raise ValueError(f"must be at least 1: {', '.join(wrong)}")
    ids = resolve_env_ids([env_ids] if isinstance(env_ids, str) else list(env_ids))
    wanted = list(dict.fromkeys(int(seed) for seed in seeds))
    if not wanted or min(wanted) < 0:
        raise ValueError("there must be seeds, and all of them 0 or more")
    check_installed(ids)
    job = Job(loaders, runs, _keywords(runs, env_kwargs), max_branches, workers)
    models = job.load()
    policies = [_describe(models[side]) for side in SIDES]
    for policy, results in zip(policies, runs or (), strict=False):
        _check_made_by(policy, results)
    unit, _ = measure_of(models["compressed"])
    settings = {"policies": policies, "env_kwargs": job.env_kwargs, "max_branches": max_branches, "unit": unit}
    keys = [(env_id, seed, r) for env_id in ids for seed in wanted for r in range(replicates)]
    title = f"{models['base'].name} and {models['compressed'].name}: {len(keys)} episodes, and branches of them"
    step = (watcher or Silent()).stage(title, len(keys))
    excluded: list[Excluded] = []
    with Notes(Path(out) if out else None, settings) as notes:
        left = [key for key in keys if key not in notes.keys]
        for _ in range(len(keys) - len(left)):
            step()
        for found in price(job, models, left) if jobs == 1 or not left else price_apart(job, left, jobs):
            if isinstance(found, Excluded):
                excluded.append(found)
            else:
                notes.append(*found)
            step()
        order = {key: i for i, key in enumerate(keys)}
        attribution = Attribution(
            base=models["base"].name,
            compressed=models["compressed"].name,
            episodes=tuple(
                sorted((e for e in notes.episodes if case_key(e) in order), key=lambda e: order[case_key(e)])
            ),
            excluded=tuple(sorted(excluded, key=lambda e: (ids.index(e.env_id), e.seed))),
            unit=unit,
            max_branches=max_branches,
            replicates=replicates,
            sampled=any(map(_samples, policies)),
            effort=notes.effort,
        )
        notes.finish(attribution)
    return attribution


def _loader(model: Model, options: Mapping[str, Any] | None) -> Loader:
    if isinstance(model, Policy):
        return lambda: model
    return functools.partial(load_policy, model, **(options or {}))


def _chosen(names: Sequence[str], there: Sequence[str], where: str) -> list[str]:
    """The environments that are wanted, all of those that are there by default."""
    ids = resolve_env_ids(list(names)) if names else list(there)
    if other := [env_id for env_id in ids if env_id not in there]:
        raise ValueError(f"{where} did not run {', '.join(other)}; it has {', '.join(there)}")
    return ids


def _keywords(runs: tuple[Results, Results] | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Keywords of the environments; those of runs must be the same."""
    found = [dict(results.manifest.get("env_kwargs") or {}) for results in runs or ()]
    if given is not None:
        found.append(json.loads(json.dumps(dict(given), default=repr)) if found else dict(given))
    if any(one != found[0] for one in found):
        raise ValueError(f"the episodes are not the same tasks: {' and '.join(map(str, found))}")
    return found[-1] if found else {}


def _acted_with(results: Results) -> dict[str, Any]:
    """Options with which the policy of a run was made, as far as a checkpoint takes them."""
    policy = results.manifest.get("policy") or {}
    return {name: policy[name] for name in _ACTING if name in policy} if policy.get("policy") == "hf" else {}


def _check_made_by(policy: Mapping[str, Any], results: Results) -> None:
    """Branches of episodes that another model has played would be priced as this one's."""
    played = results.manifest.get("policy") or {}
    other = [n for n in policy if n in played and n not in _HARMLESS and policy[n] != played[n]]
    if other:
        differences = "; ".join(f"{n} was {played[n]!r}, and is {policy[n]!r}" for n in other)
        raise ValueError(
            f"the episodes of {played.get('name', 'a run')} were not played by the model that is given for them "
            f"({policy['name']}): {differences}. Give the same checkpoint and options, or leave the run out"
        )


def _describe(policy: Policy) -> dict[str, Any]:
    describe = getattr(policy, "describe", None)
    return {"name": policy.name, **(describe() if describe is not None else {})}


def _samples(policy: Mapping[str, Any]) -> bool:
    temperature = policy.get("temperature", 0.0)
    return isinstance(temperature, (int, float)) and not math.isclose(temperature, 0.0)
