"""Which engine runs the episodes of an evaluation, and what it is told."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

from acenv.engines.shards import Description, Job, describe, specs_of
from acenv.loop import THREADS, run
from acenv.starts import Finished, Start
from acenv.types import Policy

EngineName = Literal["local", "ray"]
Run = Callable[[deque[Start]], Iterator[Finished]]


@contextmanager
def open_engine(
    engine: EngineName,
    policy: Policy | Callable[..., str] | str,
    env_ids: Sequence[str],
    env_kwargs: Mapping[str, Any],
    *,
    slots: int | None = None,
    workers: int | None = None,
    resources: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Description, Run]]:
    """Make a policy, here or where it will act, and what runs episodes with it; see :func:`acenv.evaluate`.

    Yields:
        What the policy is, and a function that takes starts and gives each episode as it ends.

    Raises:
        ValueError: There is no such engine, or it takes no resources.
        EngineError: Workers cannot be started.
    """
    if engine not in get_args(EngineName):
        raise ValueError(f"no engine is called {engine!r}; there are {' and '.join(get_args(EngineName))}")
    if engine == "ray":
        with _cluster(policy, env_ids, env_kwargs, slots, workers, resources, dict(options or {})) as opened:
            yield opened
        return
    if resources:
        raise ValueError("resources are for engine='ray'; this machine has what it has")
    from acenv.policies import load_policy

    actor = policy if isinstance(policy, Policy) else load_policy(policy, **dict(options or {}))
    description = describe(actor)
    slot_count = actor.capacity if slots is None else slots
    if workers is None or workers == 1:
        yield description, lambda starts: run(actor, starts, _at_most(slot_count, starts), THREADS, env_kwargs)
    elif getattr(actor, "portable", False):
        from acenv.engines.processes import ProcessPool
        from acenv.engines.spreading import spread

        share = THREADS if slots is None else math.ceil(slots / workers)
        with ProcessPool(Job(actor, env_kwargs, specs_of(env_ids), slots=share)) as pool:
            yield description, lambda starts: spread(pool, workers, starts, share, description)
    else:
        from acenv.engines.environments import EnvironmentProcesses

        with EnvironmentProcesses(workers, specs_of(env_ids)) as processes:
            yield description, lambda starts: run(actor, starts, _at_most(slot_count, starts), processes, env_kwargs)


@contextmanager
def _cluster(
    policy: Policy | Callable[..., str] | str,
    env_ids: Sequence[str],
    env_kwargs: Mapping[str, Any],
    slots: int | None,
    workers: int | None,
    resources: Mapping[str, float] | None,
    options: Mapping[str, Any],
) -> Iterator[tuple[Description, Run]]:
    from acenv.engines.cluster import RayPool
    from acenv.engines.spreading import spread

    with RayPool(Job(policy, env_kwargs, specs_of(env_ids), options, slots), resources) as pool:
        description = pool.describe()
        count, share = workers or pool.room(), slots or description.capacity
        yield description, lambda starts: spread(pool, count, starts, share, description)


def _at_most(slots: int, starts: deque[Start]) -> int:
    return min(slots, max(1, len(starts)))
