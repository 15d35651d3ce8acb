"""The evaluation loop: environments and a policy in, finished episodes out.

Conversations live in slots. In every round the policy gets the conversations that wait, as many as it takes at once,
and the environments of those that it has decided step in worker threads. A slot is refilled the moment its episode
ends. A slow environment holds up its own slot only, and so does a long answer where the policy streams its decisions
(:class:`acenv.types.StreamingPolicy`); other policies decide for a whole batch at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from types import TracebackType
from typing import Any, Protocol

import gymnasium

from acenv.slots import EnvironmentLostError, Slot, record, request, reset, step
from acenv.starts import Finished, Start
from acenv.types import Decision, Policy, Request, StreamingPolicy

GRACE_SECONDS = 0.05
"""How long a round waits for environments that are still stepping. Quick ones are always in time, so with them the
batches, and with them the last bits of the logits, are the same in every run."""

THREADS = 4
"""Threads that step the environments of a process; they matter where environments wait for a simulator."""

MOST_LOSSES = 3
"""Times that an episode takes its worker down before it is recorded as an error."""


class PolicyError(Exception):
    """A policy broke its contract; the message says how."""


class Host(Protocol):
    """Where environments are, and step."""

    def submit(self, slot: int, function: Callable[..., None], *arguments: Any) -> Future[None]:
        """Call a function that steps the environment of a slot, beside what else goes on."""
        ...

    def make(self, slot: int, env_id: str, **keywords: Any) -> gymnasium.Env[Any, Any]:
        """Make an environment for a slot, in the place where it will step."""
        ...


class Threads:
    """Environments in this process, stepped in threads; use as a context manager."""

    def __init__(self, threads: int) -> None:
        """Prepare ``threads`` of them."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="acenv-env")

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._pool.shutdown()

    def submit(self, slot: int, function: Callable[..., None], *arguments: Any) -> Future[None]:
        """Call a function in the next thread that is free."""
        return self._pool.submit(function, *arguments)

    def make(self, slot: int, env_id: str, **keywords: Any) -> gymnasium.Env[Any, Any]:
        """Make an environment in this process."""
        return gymnasium.make(env_id, **keywords)


def run(
    policy: Policy, pending: deque[Start], slot_count: int, workers: int | Host, env_kwargs: Mapping[str, Any]
) -> Generator[Finished, None, None]:
    """Run episodes and yield each as it ends; what has ended is yielded before the policy works on.

    Args:
        policy: Acts in all of them.
        pending: What is still to be started; more may be added at any time, also by another thread.
        slot_count: Conversations under way at once.
        workers: Threads that step environments, or where else they are.
        env_kwargs: Keywords for the environments; see :func:`acenv.evaluate`.

    Raises:
        PolicyError: The policy broke its contract.
    """
    actor = stream(policy)
    ready: deque[Slot] = deque()
    deciding: dict[int, Slot] = {}
    stepping: dict[Future[None], Slot] = {}
    with ExitStack() as stack:
        host = stack.enter_context(Threads(workers)) if isinstance(workers, int) else workers
        slots = [Slot(number, partial(host.make, number)) for number in range(slot_count)]
        free = deque(slots)
        try:
            while pending or ready or deciding or stepping:
                while free and pending:
                    slot = free.popleft()
                    slot.losses = 0
                    stepping[host.submit(slot.number, reset, slot, pending.popleft(), env_kwargs)] = slot
                for slot in _completed(stepping, block=not ready and not deciding):
                    if slot.lost and not _given_up(slot, slot.lost):
                        stepping[host.submit(slot.number, reset, slot, slot.start, env_kwargs)] = slot
                    elif slot.over:
                        yield Finished(slot.start, *record(slot), slot.asked, slot.saved)
                        free.append(slot)
                    else:
                        ready.append(slot)
                if free and pending:
                    continue  # Fill the batch before it is run.
                batch = [ready.popleft() for _ in range(min(policy.capacity - len(deciding), len(ready)))]
                if batch:
                    deciding |= {slot.number: slot for slot in batch}
                    actor.submit([request(slot) for slot in batch])
                if not deciding:
                    continue
                # An environment that answers meanwhile must not wait for a long answer in another slot.
                for number, decision in actor.collect(GRACE_SECONDS if stepping else None):
                    slot = _decided(policy, deciding, number, decision)
                    stepping[host.submit(slot.number, step, slot, decision)] = slot
        finally:
            actor.cancel()
            wait(stepping)
            for slot in slots:
                for env in slot.envs.values():
                    env.close()


def stream(policy: Policy) -> StreamingPolicy | WholeBatches:
    """The policy itself where it streams, else something that lets it decide for a batch at a time."""
    return policy if isinstance(policy, StreamingPolicy) else WholeBatches(policy)


class WholeBatches:
    """Lets a policy that decides for a batch at a time stand where a streaming one is expected."""

    def __init__(self, policy: Policy) -> None:
        """Wrap ``policy``."""
        self._policy = policy
        self._waiting: list[Request] = []

    def submit(self, batch: Sequence[Request]) -> None:
        """Take requests for the next batch."""
        self._waiting += batch

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        """Let the policy decide for all that wait."""
        requests, self._waiting = self._waiting, []
        decisions = self._policy.act(requests)
        if len(decisions) != len(requests):
            raise PolicyError(
                f"policy {self._policy.name!r} answered {len(requests)} requests with {len(decisions)} decisions"
            )
        return [(request.slot, decision) for request, decision in zip(requests, decisions, strict=True)]

    def cancel(self) -> None:
        """Forget what waits."""
        self._waiting = []


def _completed(stepping: dict[Future[None], Slot], *, block: bool) -> list[Slot]:
    """Slots whose environment has answered, in the order in which they were sent off."""
    wait(stepping, timeout=GRACE_SECONDS)
    done = [future for future in stepping if future.done()]
    if not done and block and stepping:
        wait(stepping, return_when=FIRST_COMPLETED)
        done = [future for future in stepping if future.done()]
    slots = []
    for future in done:
        future.result()
        slots.append(stepping.pop(future))
    return slots


def _decided(policy: Policy, deciding: dict[int, Slot], number: int, decision: Decision) -> Slot:
    """Take a slot from those that wait for a decision, once it is sure that it has got one."""
    if not isinstance(decision, Decision):
        raise PolicyError(f"policy {policy.name!r} answered with a {type(decision).__name__}, not a Decision")
    if number not in deciding:
        raise PolicyError(f"policy {policy.name!r} decided for slot {number}, which had not asked")
    return deciding.pop(number)


def _given_up(slot: Slot, lost: EnvironmentLostError) -> bool:
    """Whether an episode has taken down too many workers to be begun again."""
    slot.envs.clear()
    slot.losses += lost.blamed
    if slot.losses == MOST_LOSSES:
        slot.error = f"environment: {MOST_LOSSES} times {lost}"
    return slot.losses == MOST_LOSSES
