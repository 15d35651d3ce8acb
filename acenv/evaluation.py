"""The evaluation loop: environments and a policy in, finished episodes out.

Conversations live in slots. In every round the policy gets the conversations that wait, as many as it takes at once,
and the environments of those that it has decided step in worker threads. A slot is refilled the moment its episode
ends. A slow environment holds up its own slot only, and so does a long answer where the policy streams its decisions
(:class:`acenv.types.StreamingPolicy`); other policies decide for a whole batch at a time.
"""

from __future__ import annotations

import datetime
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium

import acenv
from acenv.lines import Key
from acenv.registry import check_installed, resolve_env_ids
from acenv.runs import Results
from acenv.slots import Slot, keywords_of, record, request, reset, step
from acenv.starts import Finished, Start
from acenv.store import RunStore
from acenv.types import (
    Decision,
    Episode,
    Policy,
    Request,
    StreamingPolicy,
    Transcript,
)

GRACE_SECONDS = 0.05
"""How long a round waits for environments that are still stepping. Quick ones are always in time, so with them the
batches, and with them the last bits of the logits, are the same in every run."""

Progress = Callable[[Episode], None]


class PolicyError(Exception):
    """A policy broke its contract; the message says how."""


def evaluate(
    env_ids: str | Sequence[str],
    policy: Policy | Callable[..., str] | str,
    seeds: Iterable[int] = range(100),
    *,
    slots: int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Let a policy act for one episode of every pair of environment and seed.

    Args:
        env_ids: Ids or names of suites, such as ``"quick"`` or ``["acenv/Needle-v0"]``.
        policy: A policy, a plain function from messages to text, or a spec for :func:`acenv.load_policy`.
        seeds: Seeds of the episodes, the same for each environment.
        slots: Conversations under way at once; default: as many as the policy takes at once (``policy.capacity``).
            More let environments step while the policy generates.
        workers: Threads that step environments; default 4.
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
    """
    from acenv.policies import load_policy

    actor: Policy = policy if isinstance(policy, Policy) else load_policy(policy)
    ids = resolve_env_ids([env_ids] if isinstance(env_ids, str) else list(env_ids))
    wanted = list(dict.fromkeys(int(seed) for seed in seeds))
    if any(seed < 0 for seed in wanted):
        raise ValueError("seeds must be 0 or more")
    slot_count = actor.capacity if slots is None else slots
    worker_count = 4 if workers is None else workers
    if slot_count < 1 or worker_count < 1:
        raise ValueError(f"slots and workers must be at least 1, not {slot_count} and {worker_count}")
    keywords = dict(env_kwargs or {})
    check_installed(ids)
    for env_id in ids:  # A keyword that an environment does not take must not cost a run.
        own = keywords_of(env_id, keywords)
        try:
            gymnasium.make(env_id, **own).close()
        except TypeError as error:
            raise ValueError(f"{env_id} cannot be made with {own}: {error}") from error
    manifest = _manifest(actor, ids, wanted, keywords)
    keys = [(env_id, seed) for env_id in ids for seed in wanted]
    episodes: dict[Key, Episode] = {}
    transcripts: dict[Key, Transcript] = {}
    with ExitStack() as stack:
        store = stack.enter_context(RunStore(out, manifest)) if out is not None else None
        pending = [key for key in keys if store is None or key not in store.finished]
        starts = deque(Start(*key) for key in pending)
        for finished in run(actor, starts, min(slot_count, max(1, len(pending))), worker_count, keywords):
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


def run(
    policy: Policy, pending: deque[Start], slot_count: int, workers: int, env_kwargs: Mapping[str, Any]
) -> Iterator[Finished]:
    """Run episodes and yield each as it ends; what has ended is yielded before the policy works on.

    Args:
        policy: Acts in all of them.
        pending: What is still to be started; more may be added whenever an episode is yielded.
        slot_count: Conversations under way at once.
        workers: Threads that step environments.
        env_kwargs: Keywords for the environments; see :func:`evaluate`.

    Raises:
        PolicyError: The policy broke its contract.
    """
    actor = stream(policy)
    slots = [Slot(number) for number in range(slot_count)]
    free = deque(slots)
    ready: deque[Slot] = deque()
    deciding: dict[int, Slot] = {}
    stepping: dict[Future[None], Slot] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="acenv-env") as pool:
        try:
            while pending or ready or deciding or stepping:
                while free and pending:
                    slot = free.popleft()
                    stepping[pool.submit(reset, slot, pending.popleft(), env_kwargs)] = slot
                for slot in _completed(stepping, block=not ready and not deciding):
                    if slot.over:
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
                    stepping[pool.submit(step, slot, decision)] = slot
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


def _manifest(
    policy: Policy, ids: Sequence[str], seeds: Sequence[int], env_kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    describe = getattr(policy, "describe", None)
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "policy": {"name": policy.name, **(describe() if describe is not None else {})},
        "env_ids": list(ids),
        "env_kwargs": {name: _jsonable(value) for name, value in env_kwargs.items()},
        "seeds": [min(seeds), max(seeds), len(seeds)] if seeds else [],
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what decides a run's results; a policy's engine says its own in ``describe()``."""
    libraries = ("gymnasium", "numpy", "networkx", "jsonschema")
    return {"python": platform.python_version(), "acenv": acenv.__version__} | {
        n: metadata.version(n) for n in libraries
    }


def _jsonable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None), list, dict)) else repr(value)
