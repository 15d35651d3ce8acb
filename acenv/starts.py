"""Where an episode begins: at its first step, or behind actions that are given, which makes it a branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from acenv.types import Decision, Episode, Step, Tool, Transcript


@dataclass(frozen=True, slots=True)
class Saved:
    """A state of an episode to which an environment can be put back.

    Attributes:
        snapshot: What the environment's ``restore`` takes.
        steps: Actions that had been taken.
        tools: What was on offer.
        metrics: Scores at that moment.
        labels: What the task is.
    """

    snapshot: Any
    steps: int
    tools: Sequence[Tool]
    metrics: Mapping[str, float]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Start:
    """An episode that is to be run.

    Attributes:
        env_id: The environment.
        seed: Seed of the episode.
        steps: Actions that are taken whatever the policy says. Where a reward is known, the environment must give it
            again, or the episode is an error; ``nan`` stands for one that is not known.
        ask_from: From this step on the policy is asked also where the action is given. ``None``: behind the given ones.
        actor: Handed to the policy in :attr:`acenv.types.Request.actor`.
        sampling_seed: Seed of what a policy draws; that of the episode by default.
        saved: Begin in this state, which the first ``saved.steps`` of ``steps`` lead to, in place of repeating them.
        save: Keep the states from ``ask_from`` on, as far as the environment can give them.
    """

    env_id: str
    seed: int
    steps: Sequence[Step] = ()
    ask_from: int | None = None
    actor: str = ""
    sampling_seed: int | None = None
    saved: Saved | None = None
    save: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a start.

    Attributes:
        start: Where it began.
        episode: Its record; the usage is that of the decisions that were asked for.
        transcript: What was said.
        asked: What the policy would have done where the action was given, from ``ask_from`` on.
        saved: States by the number of actions that lead to them.
    """

    start: Start
    episode: Episode
    transcript: Transcript
    asked: Sequence[Decision] = ()
    saved: Mapping[int, Saved] = field(default_factory=dict)
