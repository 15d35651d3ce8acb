"""Actors on a Ray cluster, each with a policy of its own and a share of the episodes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from acenv.engines.shards import Description, Job, Shard
from acenv.engines.spreading import Done, Lost, Ready
from acenv.starts import Start
from acenv.types import EngineError, Episode, Transcript

START_SECONDS = 600.0
"""How long the first actor may take to be placed and to load its policy."""

_OWN_RESOURCES = ("num_cpus", "num_gpus", "memory")
"""What Ray knows by itself; other names are those of the cluster's custom resources."""


class RayPool:
    """Actors that run whole episodes; use as a context manager. See :class:`acenv.engines.spreading.Pool`.

    Every node has to have acenv, and what the policy and the environments stand on, in the same versions: an actor
    that has others is refused. Files are named by paths, which have to be the same everywhere.
    """

    def __init__(self, job: Job, resources: Mapping[str, float] | None = None) -> None:
        """Prepare for actors that do ``job``.

        Args:
            job: What they do; a policy that is an object is copied into each.
            resources: What each needs: ``num_cpus`` (1 by default), ``num_gpus``, ``memory`` in bytes, or a custom
                resource of the cluster.

        Raises:
            ImportError: Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            raise ImportError('engine "ray" needs Ray: pip install "acenv[ray]"')
        self._needs = {"num_cpus": 1.0, **(resources or {})}
        if wrong := [name for name, amount in self._needs.items() if not amount >= 0]:
            raise ValueError(f"a worker cannot need {self._needs[wrong[0]]} of {wrong[0]}")
        self._job = job
        self._actors: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}
        self._early: list[Ready] = []
        self._own = False

    def __enter__(self) -> RayPool:
        import ray

        if not ray.is_initialized():
            ray.init(include_dashboard=False)
            self._own = True
        self._shared = ray.put(self._job)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        import ray

        for actor in self._actors.values():
            ray.kill(actor)
        if self._own:
            ray.shutdown()

    def describe(self) -> Description:
        """Start the first actor, and have it say what its policy is.

        Raises:
            EngineError: It does not start, because the policy cannot be made or nothing has room for it.
        """
        import ray

        self.start(0)
        placed, _ = ray.wait([self._streams[0]], timeout=START_SECONDS)
        if not placed:
            raise EngineError(
                f"no worker was ready after {START_SECONDS:g} seconds; it needs {self._needs}, "
                f"and the cluster has {_resources()}"
            )
        event = self._event(0)
        if not isinstance(event, Ready):
            raise EngineError(f"the first worker was lost: {getattr(event, 'reason', event)}")
        self._early = [event]
        return event.description

    def room(self) -> int:
        """How many actors the cluster has room for, at least 1."""
        there = _resources()
        names = {"num_cpus": "CPU", "num_gpus": "GPU"}
        rooms = [there.get(names.get(name, name), 0.0) // need for name, need in self._needs.items() if need]
        return max(1, int(min(rooms, default=1)))

    def start(self, worker: int) -> None:
        """Start an actor, unless it is the first one and has been asked already."""
        import ray

        if worker == 0 and self._early:
            return
        custom = {name: need for name, need in self._needs.items() if name not in _OWN_RESOURCES}
        own = {name: need for name, need in self._needs.items() if name in _OWN_RESOURCES}
        # One thread works, another takes in what is to be run next.
        actor: Any = ray.remote(ShardActor).options(max_concurrency=2, resources=custom, **own).remote(self._shared)
        self._actors[worker] = actor
        self._streams[worker] = actor.work.remote()

    def give(self, worker: int, starts: Sequence[Start]) -> None:
        """Hand episodes to an actor."""
        self._actors[worker].give.remote(starts)

    def wait(self) -> list[Ready | Done | Lost]:
        """Wait until an actor has something to tell, or is gone."""
        import ray

        if self._early:
            early, self._early = self._early, []
            return list(early)
        numbers = {stream: number for number, stream in self._streams.items()}
        ready, _ = ray.wait(list(numbers), num_returns=1)
        return [self._event(numbers[stream]) for stream in ready]

    def _event(self, number: int) -> Ready | Done | Lost:
        import ray

        try:
            message = ray.get(next(self._streams[number]))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise EngineError(f"a worker on Ray failed: {type(cause).__name__}: {cause}") from error
        except (ray.exceptions.RayError, StopIteration) as error:
            return Lost(number, " ".join(str(error).split()) or "it ended")
        if isinstance(message, Description):
            return Ready(number, message)
        return Done(number, *message)


def _resources() -> dict[str, float]:
    import ray

    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return there


class ShardActor:
    """What runs on the cluster: a share of the episodes."""

    def __init__(self, job: Job) -> None:
        """Take on a job; the policy is made when the work begins."""
        self._shard = Shard(job)

    def give(self, starts: Sequence[Start]) -> None:
        """Add episodes to what is to be run."""
        self._shard.give(starts)

    def work(self) -> Iterator[Description | tuple[Episode, Transcript]]:
        """Give what the policy is, and then every episode as it ends."""
        yield from self._shard.work()
