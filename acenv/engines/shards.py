"""A share of the episodes of a run, worked off in a process of its own, whatever machine that is on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from acenv.loop import THREADS, run
from acenv.starts import Start
from acenv.types import Episode, Policy, Transcript


@dataclass(frozen=True, slots=True)
class Description:
    """What a policy is, and what runs it: all that must be the same in every worker of a run.

    Attributes:
        name: How reports call the policy.
        capacity: Conversations that it takes at once.
        settings: What it says of itself in ``describe()``.
        versions: Of the libraries that decide results.
    """

    name: str
    capacity: int
    settings: Mapping[str, Any]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker has to know; it travels to the worker once.

    Attributes:
        policy: What acts: a policy or a function that travels along, or a spec from which the worker makes its own.
        env_kwargs: Keywords for the environments; see :func:`acenv.evaluate`.
        specs: The environments, so that they are known also where only this process has registered them.
        policy_options: For :func:`acenv.load_policy`.
        slots: Conversations under way at once in one worker; ``None`` for as many as the policy takes.
    """

    policy: Any
    env_kwargs: Mapping[str, Any]
    specs: Sequence[EnvSpec]
    policy_options: Mapping[str, Any] = field(default_factory=dict)
    slots: int | None = None


def describe(policy: Policy) -> Description:
    """What a policy of this process is."""
    from acenv.evaluation import versions

    say = getattr(policy, "describe", None)
    return Description(policy.name, policy.capacity, say() if say is not None else {}, versions())


def specs_of(env_ids: Sequence[str]) -> list[EnvSpec]:
    """How the environments are made, for a process that may not know them."""
    return [gymnasium.spec(env_id) for env_id in env_ids]


def register(specs: Sequence[EnvSpec]) -> None:
    """Make environments known in this process."""
    for spec in specs:
        gymnasium.registry.setdefault(spec.id, spec)


class Shard:
    """Runs the episodes that it is given, from one thread, while another hands it more."""

    def __init__(self, job: Job) -> None:
        """Take on a job; the policy is made when the work begins."""
        self._job = job
        self._pending: deque[Start] = deque()
        self._changed = threading.Condition()
        self._ended = False

    def give(self, starts: Sequence[Start]) -> None:
        """Add episodes to what is to be run."""
        with self._changed:
            self._pending.extend(starts)
            self._changed.notify()

    def end(self) -> None:
        """Say that there is nothing more to come."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def work(self) -> Iterator[Description | tuple[Episode, Transcript]]:
        """Give what the policy is, and then every episode as it ends, until :meth:`end` is called."""
        from acenv.policies import load_policy

        job = self._job
        register(job.specs)
        policy = job.policy if isinstance(job.policy, Policy) else load_policy(job.policy, **job.policy_options)
        yield describe(policy)
        while self._more():
            with closing(run(policy, self._pending, job.slots or policy.capacity, THREADS, job.env_kwargs)) as episodes:
                for finished in episodes:
                    yield finished.episode, finished.transcript

    def _more(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._pending) or self._ended)
            return bool(self._pending)
