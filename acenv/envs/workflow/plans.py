"""What the generators of medium and hard plans share: steps that need each other, numbered in the one right way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from acenv.envs.base import pick
from acenv.envs.workflow.graph import close_graph
from acenv.envs.workflow.scoring import MAX_SORTED_NODES, topological_orders
from acenv.envs.workflow.task import WorkflowTask, make_task

MOST_STEPS = MAX_SORTED_NODES - 2
"""With more steps, the official node score counts START and END against a perfect answer."""

ALPHABETICAL = "the one whose text comes first in the alphabet"

RULES = """\
- A step needs another one only where the rules above say so; steps that do not need each other stay parallel.
- Draw an edge from a step to every step that needs it directly. Draw an edge from START to every step that needs no \
other, and to END from every step that no other needs.
- Number the nodes from 1, each after all steps that it needs. Where several steps could be next, {first} is next.

Answer with nothing but the workflow, in this format:
Node:
1: first step
2: second step
3: third step
Edge: (START,1) (START,2) (1,3) (2,3) (3,END)"""
"""The end of every system message, with a place for what decides between steps that could be next."""


def plan_task(
    system: str, user: str, needs: Mapping[str, Sequence[str]], kind: str, listed: Sequence[str] | None = None
) -> WorkflowTask | None:
    """A task from the steps of its plan.

    Args:
        system: The system message.
        user: The user message.
        needs: The steps, each with those that it needs; all of them are keys.
        kind: What kind of task it is.
        listed: Of the steps that could be next, the first in this list is next; default: in the alphabet.

    Returns:
        The task, or None where a perfect answer would not get the full official score: too many steps or orders, or two
        steps that consist of the same words.
    """
    if len(needs) > MOST_STEPS or len({tuple(sorted(step.split())) for step in needs}) < len(needs):
        return None
    preference = sorted(needs) if listed is None else [step for step in listed if step in needs]
    order: list[str] = []
    while len(order) < len(needs):
        order.append(next(step for step in preference if step not in order and set(needs[step]) <= set(order)))
    number = {step: i for i, step in enumerate(order, 1)}
    gold = close_graph(order, {(number[a], number[b]) for b, before in needs.items() for a in before})
    return make_task(system, user, gold, kind) if gold.inner in topological_orders(gold) else None


def sentences(rng: np.random.Generator, texts: Sequence[str]) -> str:
    """The sentences of a task in random order."""
    return " ".join(pick(rng, texts, len(texts)))


def choose(rng: np.random.Generator, words: str, count: int) -> list[str]:
    """Different words, or phrases between bars, of a text."""
    chosen: list[str] = pick(rng, words.split("|") if "|" in words else words.split(), count)
    return chosen


def listing(words: Sequence[str]) -> str:
    """Words with commas and a last "and".

    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
