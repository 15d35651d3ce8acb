"""The steps of a plan in which models act, and where they may stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acenv.analysis.sequential import is_narrow, looks
from acenv.evaluation import PolicyError, evaluate
from acenv.policies import load_policy
from acenv.runs import Results
from acenv.studies.baseline import adopt, dense_runs
from acenv.studies.metering import RunMeter
from acenv.studies.plan import DENSE, Arena, Plan, Version
from acenv.types import Episode, Policy
from acenv.workers import Watcher


def looks_of(plan: Plan, arena: Arena) -> tuple[int, ...]:
    """Numbers of episodes at which one looks whether to stop; without stopping the last one alone."""
    return (arena.episodes,) if plan.until_ci is None else looks(plan.until_ci, arena.episodes)


def stopped(plan: Plan, arena: Arena, name: str, most: int | None = None) -> dict[str, int]:
    """After how many seeds each environment of a version is stopped.

    It is found from the returns alone, at the same numbers of episodes whatever there is in the folder: so a run that
    was taken up again, or that holds more episodes than are needed, stops where an undisturbed one does.

    Args:
        plan: Says how narrow the intervals are to be.
        arena: Where the version acts.
        name: The version.
        most: Look only at what is below; an environment that goes on from there has this number.
    """
    sizes = looks_of(plan, arena)
    last = sizes[-1] if most is None else most
    if plan.until_ci is None:
        return dict.fromkeys(arena.env_ids, last)
    ours, theirs = Results.load(arena.run(DENSE)).returns(), Results.load(arena.run(name)).returns()
    found = {}
    for env_id in arena.env_ids:
        both = {s: theirs[e, s] - ours[e, s] for e, s in theirs if e == env_id and (e, s) in ours}
        narrow = (count for count in sizes if is_narrow([d for s, d in both.items() if s < count], plan.until_ci))
        found[env_id] = min(next(narrow, last), last)
    return found


def act_dense(
    watcher: Watcher, plan: Plan, source: Path, arena: Arena, episodes: int, env_ids: Sequence[str] | None = None
) -> None:
    """A step: episodes of the original."""
    _act(watcher, plan, arena, policy_of(source, DENSE, plan), episodes, env_ids)


def act_again(watcher: Watcher, plan: Plan, source: Path, arena: Arena, changed: str) -> None:
    """A step: episodes of the original with something changed that should not matter.

    Another batch size changes the order of the additions and nothing else, another seed what is drawn from the same
    probabilities. Another dtype rounds the whole computation differently.

    Args:
        watcher: Is told about the progress.
        plan: All that is to be done.
        source: The original's checkpoint.
        arena: Where it acts.
        changed: What is changed, of :data:`acenv.studies.plan.NOISES`.
    """
    name = plan.noises[changed]
    dense: Any = policy_of(source, DENSE, plan)
    options: dict[str, dict[str, Any]] = {
        "batch size": {"capacity": max(1, dense.capacity // 2 - 1)},
        "dtype": {"dtype": "bfloat16" if str(dense.dtype) == "torch.float32" else "float32"},
        "sampling seed": {"sampling_seed": int(plan.policy.get("sampling_seed", 0)) + 1},
    }
    policy = load_policy(f"hf:{source}", **{**plan.policy, "name": name, **options[changed]})
    # Where environments may stop early, the original has acted in the first look's episodes for sure.
    episodes = min(looks_of(plan, arena)[0], plan.noise_episodes)
    if plan.baselines:
        evaluate(arena.env_ids, policy, (), out=arena.run(name), env_kwargs=arena.env_kwargs)
        for run in (run for folder in plan.baselines for run in dense_runs(folder, name)):
            adopt(run, arena.run(name), arena.env_ids, range(episodes))
    _act(watcher, plan, arena, policy, episodes)


def act_version(
    watcher: Watcher, plan: Plan, arena: Arena, version: Version, episodes: int, env_ids: Sequence[str] | None = None
) -> None:
    """A step: episodes of a compressed version."""
    policy = policy_of(plan.checkpoint(version.slug), version.slug, plan)
    _act(watcher, plan, arena, policy, episodes, env_ids)


def _act(
    watcher: Watcher, plan: Plan, arena: Arena, policy: Policy, episodes: int, env_ids: Sequence[str] | None = None
) -> None:
    """The first episodes of some environments, of all if none are named."""
    env_ids = arena.env_ids if env_ids is None else env_ids
    total = episodes * len(env_ids)
    what = "tasks" if len(plan.arenas) == 1 else f"{arena.difficulty} tasks"
    done = watcher.stage(f"{policy.name}: {total} {what} in {len(env_ids)} environments", total)
    fresh: list[Episode] = []
    out = arena.run(policy.name)
    device, weight_bytes = _placed(policy)
    meter = RunMeter(out, device, alone=plan.jobs == 1, weight_bytes=weight_bytes)

    def count(episode: Episode) -> None:
        fresh.append(episode)
        meter.finished()
        done()

    try:
        results = evaluate(env_ids, policy, range(episodes), out=out, env_kwargs=arena.env_kwargs, progress=count)
    finally:
        meter.write()
    for _ in range(total - len(fresh)):  # finished by an earlier start
        done()
    if not results.returns():
        raise PolicyError(f"no episode could be finished; the first says: {results.errors[0].error}")


def _placed(policy: Policy) -> tuple[str, int | None]:
    """Where a policy's model is, and the bytes of its weights as they were loaded, packed or not."""
    model = getattr(policy, "model", None)
    if model is None:
        return "unknown", None
    return str(model.device), sum(t.nbytes for tensors in (model.parameters(), model.buffers()) for t in tensors)


_loaded: dict[str, Policy] = {}


def policy_of(checkpoint: Path, name: str, plan: Plan) -> Policy:
    """The policy of a checkpoint; the dense one and the last one stay loaded, and no other."""
    key = f"{checkpoint.resolve()} {name} {dict(plan.policy)}"
    if key not in _loaded:
        for other in [k for k, policy in _loaded.items() if policy.name != DENSE or name == DENSE]:
            del _loaded[other]
        _loaded[key] = load_policy(f"hf:{checkpoint}", **{**plan.policy, "name": name})
    return _loaded[key]
