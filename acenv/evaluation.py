"""The evaluation loop: environments and a policy in, finished episodes out.

Conversations live in slots. In every round the policy gets the conversations that wait, as many as it takes at once,
and the environments of those that it has decided step in worker threads. A slot is refilled the moment its episode
ends. A slow environment holds up its own slot only, and so does a long answer where the policy streams its decisions
(:class:`acenv.types.StreamingPolicy`); other policies decide for a whole batch at a time.
"""

from __future__ import annotations

import datetime
import math
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium

import acenv
from acenv.lines import Key
from acenv.registry import check_installed, resolve_env_ids
from acenv.runs import Results
from acenv.store import RunStore
from acenv.types import (
    Decision,
    Episode,
    Message,
    Policy,
    Request,
    Step,
    StreamingPolicy,
    Tool,
    Transcript,
    Usage,
)

GRACE_SECONDS = 0.05
"""How long a round waits for environments that are still stepping. Quick ones are always in time, so with them the
batches, and with them the last bits of the logits, are the same in every run."""

Progress = Callable[[Episode], None]


class PolicyError(Exception):
    """A policy broke its contract; the message says how."""


@dataclass(slots=True)
class _Slot:
    """One running episode; a slot keeps its environments from episode to episode."""

    number: int
    envs: dict[str, gymnasium.Env[Any, Any]] = field(default_factory=dict)
    env_id: str = ""
    seed: int = 0
    began: float = 0.0
    messages: Sequence[Message] = ()
    tools: Sequence[Tool] = ()
    steps: list[Step] = field(default_factory=list)
    usage: Usage = Usage()
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    terminated: bool = False
    truncated: bool = False
    error: str | None = None

    @property
    def over(self) -> bool:
        return self.terminated or self.truncated or self.error is not None


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
        for episode, transcript in _run(actor, pending, min(slot_count, max(1, len(pending))), worker_count, keywords):
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


def keywords_of(env_id: str, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords for one environment: those for all, and those under its id.

    >>> keywords_of("acenv/A-v0", {"split": "train", "acenv/A-v0": {"task": "x"}, "acenv/B-v0": {"task": "y"}})
    {'split': 'train', 'task': 'x'}
    """
    shared = {name: value for name, value in env_kwargs.items() if "/" not in name}
    own = env_kwargs.get(env_id, {})
    if not isinstance(own, Mapping):
        raise ValueError(f"the keywords of {env_id} must be an object such as {{'task': ...}}, not {own!r}")
    return {**shared, **own}


def _run(
    policy: Policy, keys: Sequence[Key], slot_count: int, workers: int, env_kwargs: Mapping[str, Any]
) -> Iterator[tuple[Episode, Transcript]]:
    """Run the episodes and yield each as it ends; what has ended is yielded before the policy works on."""
    actor = policy if isinstance(policy, StreamingPolicy) else _WholeBatches(policy)
    pending = deque(keys)
    slots = [_Slot(number) for number in range(slot_count)]
    free = deque(slots)
    ready: deque[_Slot] = deque()
    deciding: dict[int, _Slot] = {}
    stepping: dict[Future[None], _Slot] = {}
    with ThreadPoolExecutor(workers, thread_name_prefix="acenv-env") as pool:
        try:
            while pending or ready or deciding or stepping:
                while free and pending:
                    slot = free.popleft()
                    stepping[pool.submit(_reset, slot, pending.popleft(), env_kwargs)] = slot
                for slot in _completed(stepping, block=not ready and not deciding):
                    if slot.over:
                        yield _record(slot)
                        free.append(slot)
                    else:
                        ready.append(slot)
                if free and pending:
                    continue  # Fill the batch before it is run.
                batch = [ready.popleft() for _ in range(min(policy.capacity - len(deciding), len(ready)))]
                if batch:
                    deciding |= {slot.number: slot for slot in batch}
                    actor.submit([_request(slot) for slot in batch])
                if not deciding:
                    continue
                # An environment that answers meanwhile must not wait for a long answer in another slot.
                for number, decision in actor.collect(GRACE_SECONDS if stepping else None):
                    slot = _decided(policy, deciding, number, decision)
                    stepping[pool.submit(_step, slot, decision)] = slot
        finally:
            actor.cancel()
            wait(stepping)
            for slot in slots:
                for env in slot.envs.values():
                    env.close()


class _WholeBatches:
    """Lets a policy that decides for a batch at a time stand where a streaming one is expected."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._waiting: list[Request] = []

    def submit(self, batch: Sequence[Request]) -> None:
        self._waiting += batch

    def collect(self, timeout: float | None = None) -> list[tuple[int, Decision]]:
        requests, self._waiting = self._waiting, []
        decisions = self._policy.act(requests)
        if len(decisions) != len(requests):
            raise PolicyError(
                f"policy {self._policy.name!r} answered {len(requests)} requests with {len(decisions)} decisions"
            )
        return [(request.slot, decision) for request, decision in zip(requests, decisions, strict=True)]

    def cancel(self) -> None:
        self._waiting = []


def _completed(stepping: dict[Future[None], _Slot], *, block: bool) -> list[_Slot]:
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


def _request(slot: _Slot) -> Request:
    return Request(
        slot=slot.number,
        seed=slot.seed,
        step=len(slot.steps),
        messages=slot.messages,
        tools=slot.tools,
        expert=getattr(slot.envs[slot.env_id].unwrapped, "expert_action", None),
    )


def _decided(policy: Policy, deciding: dict[int, _Slot], number: int, decision: Decision) -> _Slot:
    """Take a slot from those that wait for a decision, once it is sure that it has got one."""
    if not isinstance(decision, Decision):
        raise PolicyError(f"policy {policy.name!r} answered with a {type(decision).__name__}, not a Decision")
    if number not in deciding:
        raise PolicyError(f"policy {policy.name!r} decided for slot {number}, which had not asked")
    return deciding.pop(number)


def _reset(slot: _Slot, key: Key, env_kwargs: Mapping[str, Any]) -> None:
    slot.env_id, slot.seed = key
    slot.began = time.perf_counter()
    slot.steps, slot.usage, slot.metrics, slot.labels = [], Usage(), {}, {}
    slot.messages, slot.tools = (), ()
    slot.terminated, slot.truncated, slot.error = False, False, None
    try:
        if slot.env_id not in slot.envs:
            slot.envs[slot.env_id] = gymnasium.make(slot.env_id, **keywords_of(slot.env_id, env_kwargs))
        messages, info = slot.envs[slot.env_id].reset(seed=slot.seed)
        slot.messages, slot.tools, slot.metrics = messages, info.get("tools", ()), info.get("metrics", {})
        slot.labels = info.get("labels", {})
    except Exception as error:
        slot.error = f"environment reset failed: {type(error).__name__}: {error}"


def _step(slot: _Slot, decision: Decision) -> None:
    slot.usage += decision.usage
    if decision.error is not None:
        slot.error = f"policy: {decision.error}"
        return
    if decision.finish == "context":
        slot.truncated = True
        slot.steps.append(Step("", 0.0, "context"))
        return
    try:
        messages, reward, terminated, truncated, info = slot.envs[slot.env_id].step(decision.action)
    except Exception as error:
        slot.error = f"environment step failed: {type(error).__name__}: {error}"
        return
    slot.messages, slot.metrics = messages, info.get("metrics", {})
    slot.steps.append(Step(decision.action, float(reward), decision.finish, decision.logprobs))
    slot.terminated, slot.truncated = terminated, truncated
    if reason := info.get("unscored"):
        slot.error = f"unscored: {reason}"


def _record(slot: _Slot) -> tuple[Episode, Transcript]:
    episode = Episode(
        env_id=slot.env_id,
        seed=slot.seed,
        return_=math.nan if slot.error else math.fsum(step.reward for step in slot.steps),
        length=len(slot.steps),
        terminated=slot.terminated,
        truncated=slot.truncated,
        error=slot.error,
        metrics={name: float(value) for name, value in slot.metrics.items()},
        usage=slot.usage,
        seconds=time.perf_counter() - slot.began,
        labels={name: str(value) for name, value in slot.labels.items()},
    )
    return episode, Transcript(slot.env_id, slot.seed, list(slot.messages), list(slot.tools), slot.steps)


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
