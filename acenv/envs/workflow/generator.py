"""Seeded workflow tasks: what is wanted, a list of APIs, and the workflow that does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.workflow.domains import DOMAINS, LITERALS, Api, Domain
from acenv.envs.workflow.graph import WorkflowGraph, close_graph
from acenv.envs.workflow.scoring import topological_orders
from acenv.envs.workflow.simple_calls import SIMPLE_CALLS, VALUES, in_stages
from acenv.envs.workflow.task import WorkflowTask, make_task

EASY_SYSTEM = """\
Plan the task as a graph of API calls. Answer like this:
Node:
1: api_name value
2: api_name value
Edge: (START,1) (1,2) (2,END)"""

SYSTEM = """\
You plan how a task is done with a set of APIs. You do not call them. You write the workflow: a graph whose nodes \
are API calls, and whose edges say which call needs the result of which.

Rules:
- Use exactly the calls that the task needs, each API at most once. Most lists contain APIs that are not needed.
- Each API is listed as name(parameters) -> result: what it does. A parameter with a kind, such as `day: date`, is a \
value that the task states. A parameter without one is the result of another call, and that call is then needed, \
even if the task does not mention it.
- Draw an edge from a call to every call that has its result as a parameter. Draw an edge from START to every call \
that needs no other call, and to END from every call whose result no other call of the workflow needs.
- The text of a node is the name of the API, a space, and its values from the task in the order of the parameters, \
separated by commas. Results of other calls are not written.
- Number the nodes from 1, each after all calls that it needs. Where several calls could be next, the one that \
stands first in the list of APIs is next.

Answer with nothing but the workflow, in this format:
Node:
1: api_name value, value
2: other_api value
3: third_api
Edge: (START,1) (START,2) (1,3) (2,3) (3,END)"""


def generate_task(rng: np.random.Generator, difficulty: Difficulty) -> WorkflowTask:
    """Draw a task.

    Args:
        rng: Gives all the randomness.
        difficulty: ``"easy"``: 2 to 4 calls, the task says their order in plain words. ``"medium"``: 4 to 6 calls,
            mentioned in any order; which needs which follows from parameters and results, and some APIs are not needed.
            ``"hard"``: 6 or 7 calls with at least one fork and one join, calls that the task does not mention, and many
            APIs that are not needed.

    Returns:
        A task whose right answer scores exactly 1 in both official scores.
    """
    draw = _easy if difficulty == "easy" else _medium if difficulty == "medium" else _hard
    while True:
        task = draw(rng)
        # Easy workflows have at most six orders, so that the official score knows all of them.
        if task is not None and (difficulty == "easy" or _is_scored_fairly(task.gold)):
            return task


def _is_scored_fairly(gold: WorkflowGraph) -> bool:
    """Whether the official node score knows the order of the gold workflow: it knows 20 orders, of 7 nodes at most."""
    return gold.inner in topological_orders(gold)


# Easy ----------------------------------------------------------------------------------------------------------------

# A task is a sequence of stages; the calls of a stage happen at the same time, after all calls of the stage before.
_STAGES: tuple[tuple[int, ...], ...] = (
    *((1, 1), (2,), (1, 1, 1), (1, 2), (2, 1), (3,)),
    *((1, 1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (1, 3), (3, 1)),
)


def _easy(rng: np.random.Generator) -> WorkflowTask:
    count = int(rng.integers(2, 5))
    stages = pick(rng, [s for s in _STAGES if sum(s) == count])
    listed = pick(rng, SIMPLE_CALLS, max(3, count + int(rng.integers(2))))
    used = pick(rng, listed, count)
    values = [pick(rng, VALUES[call.parameter]) for call in used]
    clauses, edges = in_stages(stages, [call.phrase.format(value) for call, value in zip(used, values, strict=True)])
    if len(clauses) == 1:
        task = f"{clauses[0]}."
    elif rng.integers(2):
        task = f"first {', then '.join(clauses)}."
    else:
        task = f"first {'. After that '.join(clauses)}."
    task = task[0].upper() + task[1:]
    apis = "\n".join(call.listing for call in listed)
    gold = close_graph([f"{call.name} {value}" for call, value in zip(used, values, strict=True)], edges)
    return make_task(EASY_SYSTEM, f"Task: {task}\nAPIs:\n{apis}", gold, "calls")


# Medium and hard -----------------------------------------------------------------------------------------------------

_OPENINGS = ("Please {}.", "I need you to {}.", "We want to {}.", "Also {}.", "Make sure to {}.", "It is time to {}.")


def _medium(rng: np.random.Generator) -> WorkflowTask | None:
    domain = pick(rng, DOMAINS)
    used = _calls(rng, domain, int(rng.integers(4, 7)))
    if used is None:
        return None
    others = [api for api in domain.apis if api not in used]
    listed = [*used, *pick(rng, others, min(len(others), int(rng.integers(3, 5))))]
    return _compose(rng, domain, used, pick(rng, listed, len(listed)), silent_share=0.0)


def _hard(rng: np.random.Generator) -> WorkflowTask | None:
    domain, other = pick(rng, DOMAINS, 2)
    used = _calls(rng, domain, int(rng.integers(6, 8)))
    if used is None:
        return None
    needs = [output for api in used for output in api.inputs]
    if max(needs.count(output) for output in needs) < 2 or max(len(api.inputs) for api in used) < 2:
        return None
    strangers = pick(rng, other.apis, int(rng.integers(4, 7)))
    listed = [*domain.apis, *strangers]
    return _compose(rng, domain, used, pick(rng, listed, len(listed)), silent_share=0.7)


def _calls(rng: np.random.Generator, domain: Domain, count: int) -> list[Api] | None:
    """So many calls of a field, with all the calls that they need; None if the draw does not come out even."""
    makers = {output: pick(rng, apis) for output, apis in domain.producers.items()}
    used: list[Api] = []
    for goal in pick(rng, domain.apis, len(domain.apis)):
        if goal.output and makers[goal.output] is not goal:
            continue
        added, waiting = [], [goal]
        while waiting:
            api = waiting.pop()
            if api not in used and api not in added:
                added.append(api)
                waiting += [makers[output] for output in api.inputs]
        if len(used) + len(added) <= count:
            used += added
        if len(used) == count:
            return used
    return None


def _compose(
    rng: np.random.Generator, domain: Domain, used: Sequence[Api], listed: Sequence[Api], silent_share: float
) -> WorkflowTask:
    """Put a task into words, and write its workflow.

    Args:
        rng: Gives all the randomness.
        domain: The field of the calls.
        used: The calls that the task needs.
        listed: The APIs on offer, in the order of the list.
        silent_share: How many of the calls that can be inferred are not mentioned: those without values of their own,
            whose result another call needs and no other API gives.
    """
    values = {api.name: {name: pick(rng, LITERALS[kind]) for name, kind in api.literals} for api in used}
    for chosen in values.values():
        if len(set(chosen.values())) < len(chosen):  # a flight from a city to itself
            return _compose(rng, domain, used, listed, silent_share)
    needed = {output for api in used for output in api.inputs}
    sentences: list[str] = []
    for api in used:
        inferable = not api.literals and api.output in needed and len(domain.producers[api.output]) == 1
        if not (inferable and rng.random() < silent_share):
            sentences.append(pick(rng, _OPENINGS).format(api.want.format(**values[api.name])))
    sentences += pick(rng, domain.asides, int(rng.integers(1, 3)))
    text = " ".join(pick(rng, sentences, len(sentences)))

    order = _numbered(used, [api for api in listed if api in used])
    number = {api.output: i for i, api in enumerate(order, 1) if api.output}
    edges = {(number[output], i) for i, api in enumerate(order, 1) for output in api.inputs}
    nodes = [" ".join([api.name, ", ".join(values[api.name].values())]).strip() for api in order]
    apis = "\n".join(f"- {api.listing}" for api in listed)
    return make_task(SYSTEM, f"Task: {text}\n\nAPIs:\n{apis}", close_graph(nodes, edges), "calls")


def _numbered(used: Sequence[Api], listed: Sequence[Api]) -> list[Api]:
    """The calls in the order in which a workflow numbers them: of those that could be next, the one listed first."""
    order: list[Api] = []
    made: set[str] = set()
    while len(order) < len(used):
        ready = next(api for api in listed if api not in order and made.issuperset(api.inputs))
        order.append(ready)
        made.add(ready.output)
    return order
