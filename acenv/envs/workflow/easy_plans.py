"""Easy plans for the workflow environments whose steps are no API calls: short, regular, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from acenv.envs.base import pick
from acenv.envs.tools.words import ADJECTIVES
from acenv.envs.workflow.graph import Edge, close_graph
from acenv.envs.workflow.simple_calls import SIMPLE_CALLS, VALUES, in_stages
from acenv.envs.workflow.task import WorkflowTask, make_task

EASY_SYSTEM = """\
Plan the task as a graph of steps. Answer like this:
Node:
1: step
2: step
Edge: (START,1) (1,2) (2,END)"""

Maker = Callable[[np.random.Generator], WorkflowTask]


def _task(kind: str, user: str, nodes: Sequence[str], edges: set[Edge]) -> WorkflowTask:
    return make_task(EASY_SYSTEM, user, close_graph(list(nodes), edges), kind)


def _chain(numbers: Sequence[int]) -> set[Edge]:
    return set(zip(numbers, numbers[1:], strict=False))


# Embodied ------------------------------------------------------------------------------------------------------------

_HOUSEHOLD_ACTIONS = "take an item from a room\nclean an item\nrepair an item\nput an item in a room"


def easy_household(rng: np.random.Generator) -> WorkflowTask:
    """One or two things are brought from a room to another, perhaps cleaned or repaired on the way."""
    items = pick(rng, VALUES["item"], 1 + int(rng.integers(2)))
    together = bool(rng.integers(2))
    nodes: list[str] = []
    edges: set[Edge] = set()
    wishes: list[str] = []
    places: list[str] = []
    for item in items:
        here, there = pick(rng, VALUES["room"], 2)
        work = pick(rng, ("", "clean", "repair"))
        steps = [f"take {item} from {here}", *([f"{work} {item}"] if work else []), f"put {item} in {there}"]
        numbers = list(range(len(nodes) + 1, len(nodes) + len(steps) + 1))
        edges |= _chain(numbers)
        if nodes and not together:
            edges.add((len(nodes), numbers[0]))
        nodes += steps
        wishes.append(f"{work} the {item} and put it in the {there}" if work else f"put the {item} in the {there}")
        places.append(f"The {item} is in the {here}.")
    task = f"{wishes[0][0].upper()}{wishes[0][1:]}."
    if len(wishes) > 1:
        task += f" {'At the same time' if together else 'After that'} {wishes[1]}."
    return _task("household", f"Task: {task}\n{' '.join(places)}\nActions:\n{_HOUSEHOLD_ACTIONS}", nodes, edges)


def easy_shopping(rng: np.random.Generator) -> WorkflowTask:
    """An item is searched, its options are chosen in any order, and it is bought."""
    item = pick(rng, VALUES["item"])
    options = pick(rng, ADJECTIVES, 1 + int(rng.integers(3)))
    last = len(options) + 2
    edges = {(1, i) for i in range(2, last)} | {(i, last) for i in range(2, last)}
    nodes = [f"search {item}", *(f"choose {option}" for option in options), f"buy {item}"]
    task = f"Task: Buy the {item} that is {' and '.join(options)}."
    return _task("shopping", f"{task}\nActions:\nsearch an item\nchoose an option\nbuy an item", nodes, edges)


# Problem solving -----------------------------------------------------------------------------------------------------

_RELATIONS = ("boss", "friend", "teacher", "doctor", "sister", "brother")
_FIND = "\nOperations:\nfind a value\ncompare two steps"
_COLUMNS = ("city", "person", "item", "topic", "day")


def easy_question(rng: np.random.Generator) -> WorkflowTask:
    """A chain of people, or the comparison of two values."""
    if rng.integers(2):
        a, b = pick(rng, [*VALUES["item"], *VALUES["dish"]], 2)
        value = pick(rng, ("price", "weight", "age"))
        nodes = [f"find {value} of {a}", f"find {value} of {b}", "compare step 1 and step 2"]
        question = f"Which has the higher {value}, the {a} or the {b}?"
        return _task("question", f"Task: {question}{_FIND}", nodes, {(1, 3), (2, 3)})
    relations = pick(rng, _RELATIONS, 2 + int(rng.integers(2)))
    known = pick(rng, VALUES["person"])
    nodes = [f"find {relations[0]} of {known}"]
    nodes += [f"find {relation} of step {i}" for i, relation in enumerate(relations[1:], 1)]
    question = "Who is " + "".join(f"the {relation} of " for relation in reversed(relations)) + known + "?"
    return _task("question", f"Task: {question}{_FIND}", nodes, _chain(range(1, len(nodes) + 1)))


def easy_table(rng: np.random.Generator) -> WorkflowTask:
    """Rows of a table are filtered by one or two columns, perhaps sorted, and a column is shown."""
    shown, sorted_by, *filters = pick(rng, _COLUMNS, 3 + int(rng.integers(2)))
    values = [pick(rng, VALUES[column]) for column in filters]
    nodes = [f"filter {column} {value}" for column, value in zip(filters, values, strict=True)]
    where = " and ".join(f"{column} is {value}" for column, value in zip(filters, values, strict=True))
    task = f"Show {shown} where {where}"
    if rng.integers(2):
        nodes.append(f"sort by {sorted_by}")
        task += f", sorted by {sorted_by}"
    nodes.append(f"show {shown}")
    edges = {(i, len(filters) + 1) for i in range(1, len(filters) + 1)}
    edges |= _chain(range(len(filters) + 1, len(nodes) + 1))
    user = f"Task: {task}.\nOperations:\nfilter a column\nsort by a column\nshow a column"
    return _task("table", user, nodes, edges)


# Open grounded -------------------------------------------------------------------------------------------------------

_STAGES: tuple[tuple[int, ...], ...] = ((1, 1), (2,), (1, 1, 1), (1, 2), (2, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1))


def easy_howto(rng: np.random.Generator) -> WorkflowTask:
    """Actions are picked from a list that holds more, in the order that the task says."""
    stages = pick(rng, _STAGES)
    count = sum(stages)
    calls = pick(rng, SIMPLE_CALLS, count + 2)
    listed = [call.phrase.format(pick(rng, VALUES[call.parameter])) for call in calls]
    used = listed[:count]
    clauses, edges = in_stages(stages, used)
    task = f"first {'. After that '.join(clauses)}." if len(clauses) > 1 else f"{clauses[0]}."
    task = task[0].upper() + task[1:]
    actions = "\n".join(pick(rng, listed, len(listed)))
    return _task("howto", f"Task: {task}\nActions:\n{actions}", used, edges)


EASY_EMBODIED: tuple[Maker, ...] = (easy_household, easy_shopping)
EASY_PROBLEMS: tuple[Maker, ...] = (easy_question, easy_table)
EASY_HOWTO: tuple[Maker, ...] = (easy_howto,)
