"""One running episode: how it begins, what an action does to it, and its record at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gymnasium

from acenv.starts import Saved, Start
from acenv.types import Decision, Episode, Message, Request, Step, Tool, Transcript, Usage


class EnvironmentLostError(Exception):
    """The process that has an environment is gone, and with it the state of the episode, which has to begin again."""

    def __init__(self, message: str, *, blamed: bool) -> None:
        """``blamed`` says whether it died while it was busy with this very environment."""
        super().__init__(message)
        self.blamed = blamed


@dataclass(slots=True)
class Slot:
    """One running episode; a slot keeps its environments from episode to episode."""

    number: int
    make: Callable[..., gymnasium.Env[Any, Any]] = gymnasium.make
    envs: dict[str, gymnasium.Env[Any, Any]] = field(default_factory=dict)
    start: Start = Start("", 0)
    began: float = 0.0
    messages: Sequence[Message] = ()
    tools: Sequence[Tool] = ()
    steps: list[Step] = field(default_factory=list)
    asked: list[Decision] = field(default_factory=list)
    saved: dict[int, Saved] = field(default_factory=dict)
    usage: Usage = Usage()
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    terminated: bool = False
    truncated: bool = False
    error: str | None = None
    lost: EnvironmentLostError | None = None
    losses: int = 0

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated or self.error is not None

    @property
    def env(self) -> gymnasium.Env[Any, Any]:
        """The environment of the present episode."""
        return self.envs[self.start.env_id]

    @property
    def given(self) -> Step | None:
        """The action that is taken next whatever the policy says."""
        return self.start.steps[len(self.steps)] if len(self.steps) < len(self.start.steps) else None


def request(slot: Slot) -> Request:
    """What the policy is asked."""
    start = slot.start
    return Request(
        slot=slot.number,
        seed=start.seed if start.sampling_seed is None else start.sampling_seed,
        step=len(slot.steps),
        messages=slot.messages,
        tools=slot.tools,
        expert=getattr(slot.env.unwrapped, "expert_action", None),
        actor=start.actor,
    )


def reset(slot: Slot, start: Start, env_kwargs: Mapping[str, Any]) -> None:
    """Begin another episode; what the environment raises becomes its error."""
    slot.start = start
    slot.began = time.perf_counter()
    slot.steps, slot.asked, slot.saved, slot.usage, slot.metrics, slot.labels = [], [], {}, Usage(), {}, {}
    slot.messages, slot.tools = (), ()
    slot.terminated, slot.truncated, slot.error, slot.lost = False, False, None, None
    try:
        if start.env_id not in slot.envs:
            slot.envs[start.env_id] = slot.make(start.env_id, **keywords_of(start.env_id, env_kwargs))
        if saved := start.saved:
            slot.messages = slot.env.unwrapped.restore(saved.snapshot)  # type: ignore[attr-defined]
            slot.tools, slot.metrics, slot.labels = saved.tools, saved.metrics, saved.labels
            slot.steps = list(start.steps[: saved.steps])
        else:
            messages, info = slot.env.reset(seed=start.seed)
            slot.messages, slot.tools, slot.metrics = messages, info.get("tools", ()), info.get("metrics", {})
            slot.labels = info.get("labels", {})
    except EnvironmentLostError as lost:
        slot.lost = lost
        return
    except Exception as error:
        slot.error = f"environment reset failed: {type(error).__name__}: {error}"
        return
    while (
        (given := slot.given)
        and not slot.over
        and not slot.lost
        and (start.ask_from is None or len(slot.steps) < start.ask_from)
    ):
        _give(slot, given)
    _save(slot)


def step(slot: Slot, decision: Decision) -> None:
    """Carry out what was decided, or what is given in place of it."""
    slot.usage += decision.usage
    if decision.error is not None:
        slot.error = f"policy: {decision.error}"
    elif given := slot.given:
        slot.asked.append(decision)
        _give(slot, given)
        _save(slot)
    else:
        _take(slot, decision)


def _give(slot: Slot, given: Step) -> None:
    """Take the action that is given, and make sure that it leads where it did before."""
    _take(slot, Decision(given.action, finish=given.finish, logprobs=given.logprobs))
    if slot.error is not None or slot.lost is not None:
        return
    index, reward = len(slot.steps) - 1, slot.steps[-1].reward
    if abs(reward - given.reward) > 1e-9:  # never so where the reward is not known (nan)
        slot.error = f"the environment did not repeat itself: step {index} gave {reward}, and {given.reward} before"
    elif slot.over and slot.given is not None:
        slot.error = f"the environment did not repeat itself: it ended after {index + 1} steps"


def _take(slot: Slot, decision: Decision) -> None:
    if decision.finish == "context":
        slot.truncated = True
        slot.steps.append(Step("", 0.0, "context"))
        return
    try:
        messages, reward, terminated, truncated, info = slot.env.step(decision.action)
    except EnvironmentLostError as lost:
        slot.lost = lost
        return
    except Exception as error:
        slot.error = f"environment step failed: {type(error).__name__}: {error}"
        return
    slot.messages, slot.metrics = messages, info.get("metrics", {})
    fault = str(info.get("fault", ""))
    slot.steps.append(Step(decision.action, float(reward), decision.finish, decision.logprobs, fault))
    slot.terminated, slot.truncated = terminated, truncated
    if reason := info.get("unscored"):
        slot.error = f"unscored: {reason}"


def _save(slot: Slot) -> None:
    """Keep the state, where that is wanted and the environment can."""
    snapshot = getattr(slot.env.unwrapped, "snapshot", None) if slot.start.save and not slot.over else None
    if snapshot is None:
        return
    # An environment that refuses is put back by repeating the actions.
    with suppress(Exception):
        slot.saved[len(slot.steps)] = Saved(snapshot(), len(slot.steps), slot.tools, slot.metrics, slot.labels)


def record(slot: Slot) -> tuple[Episode, Transcript]:
    """The records of an episode that has ended."""
    episode = Episode(
        env_id=slot.start.env_id,
        seed=slot.start.seed,
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
    return episode, Transcript(slot.start.env_id, slot.start.seed, list(slot.messages), list(slot.tools), slot.steps)


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
