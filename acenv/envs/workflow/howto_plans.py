"""Medium and hard how-to plans: of a list of actions, those that a goal needs, in a possible order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acenv.envs.base import pick
from acenv.envs.workflow.howto_texts import HOWTO_TEXTS
from acenv.envs.workflow.plans import RULES, plan_task
from acenv.envs.workflow.task import WorkflowTask

_SYSTEM = f"""\
You plan how to reach a goal with actions from a list. You write the plan as a graph.

Rules:
- Use exactly the actions that the goal needs, each once. The list has actions that are not needed.
- An action needs another one if its text refers to what that other one brings about: an action with the washed grapes \
needs the action that says to wash the grapes. All that an action needs belongs to the plan as well.
- The text of a node is the text of the action, letter for letter.
{RULES.format(first="the one that stands first in the list of actions")}"""

_ACTION = re.compile(r"(\w+)(?: < ([\w ]+))?: ([^=]+\.)(?: = (.+))?")


@dataclass(frozen=True, slots=True)
class Action:
    """An action of a how-to.

    Attributes:
        text: What is done, with ``{}`` where the subject goes.
        needs: Keys of the actions that it needs.
        goal: What is reached with it, with ``{}`` where the subject goes; empty if nobody would ask for it.
    """

    text: str
    needs: tuple[str, ...]
    goal: str


@dataclass(frozen=True, slots=True)
class HowTo:
    """Actions around a subject.

    Attributes:
        subjects: What it may be about.
        actions: By key.
    """

    subjects: tuple[str, ...]
    actions: dict[str, Action]


def read_howtos(text: str) -> tuple[HowTo, ...]:
    """Read how-tos from their text form, :data:`~acenv.envs.workflow.howto_texts.HOWTO_TEXTS`.

    Raises:
        ValueError: A line is no action.
    """
    howtos = []
    for part in filter(None, text.split("# ")):
        subjects, *lines = part.strip().splitlines()
        actions = {}
        for line in lines:
            match = _ACTION.fullmatch(line)
            if match is None:
                raise ValueError(f"not an action: {line!r}")
            key, needs, what, goal = match.groups(default="")
            actions[key] = Action(what, tuple(needs.split()), goal)
        howtos.append(HowTo(tuple(subjects.split(", ")), actions))
    return tuple(howtos)


HOWTOS = read_howtos(HOWTO_TEXTS)


def one_howto(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """One or two goals of a how-to, among its other actions and those of others."""
    return _howto(rng, hard, 1)


def two_howtos(rng: np.random.Generator, hard: bool) -> WorkflowTask | None:
    """Goals of two how-tos that have nothing to do with each other."""
    return _howto(rng, hard, 2)


def _howto(rng: np.random.Generator, hard: bool, subjects: int) -> WorkflowTask | None:
    chosen = [(h, pick(rng, h.subjects)) for h in pick(rng, HOWTOS, 4)]
    needs: dict[str, list[str]] = {}
    goals: list[str] = []
    for source, subject in chosen[:subjects]:
        texts = {key: action.text.format(subject) for key, action in source.actions.items()}
        count = 1 + (subjects == 1 and int(rng.integers(2)))
        aims = pick(rng, [key for key, action in source.actions.items() if action.goal], count)
        waiting = [key for aim in aims for key in source.actions[aim].needs]
        if set(aims) & set(_closure(source, waiting)):  # one goal on the way to another
            return None
        for key in _closure(source, aims):
            needs[texts[key]] = [texts[before] for before in source.actions[key].needs]
        goals += [source.actions[aim].goal.format(subject) for aim in aims]
    starts = sum(not before for before in needs.values())
    if not (6 <= len(needs) <= 7 if hard else 4 <= len(needs) <= 6) or starts < 2:
        return None
    extra = [a.text.format(subject) for source, subject in chosen[: 3 + hard] for a in source.actions.values()]
    extra = pick(rng, [text for text in extra if text not in needs], 12 if hard else 6)
    listed = pick(rng, [*needs, *extra], len(needs) + len(extra))
    actions = "\n".join(f"- {text}" for text in listed)
    task = ", and also how to ".join(pick(rng, goals, len(goals)))
    return plan_task(_SYSTEM, f"Task: How to {task}\n\nActions:\n{actions}", needs, "howto", listed)


def _closure(source: HowTo, keys: Sequence[str]) -> list[str]:
    """The actions with these keys and all that they need."""
    found: list[str] = []
    waiting = [*keys]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.append(key)
            waiting += source.actions[key].needs
    return found


HOWTO = (one_howto, two_howtos)
