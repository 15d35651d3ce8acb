"""Medium and hard tasks: many functions that resemble each other, optional and nested parameters, several turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from acenv.envs.tools.bfcl.build import NO_TOOL, dialogue, one_turn
from acenv.envs.tools.bfcl.catalogue import AREAS
from acenv.envs.tools.bfcl.gold import right_calls
from acenv.envs.tools.bfcl.schemas import to_tool
from acenv.envs.tools.bfcl.tasks import BFCLTask, Turn
from acenv.envs.tools.bfcl.templates import Template
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Draft, choose_tools
from acenv.envs.tools.stories import STORIES, Part, described_person, person

SYSTEM = (
    "Answer the request with calls of the functions, all that it takes in one message and nothing else, one call a "
    'line, as {"name": ..., "arguments": {...}}. Give optional parameters only for what the request says. '
    f"If none of the functions does what is asked, answer {NO_TOOL}."
)
SYSTEM_MULTI_TURN = (
    'Do what the user asks with the functions. Write calls as {"name": ..., "arguments": {...}}, one a line; their '
    "results come back in the next message. Look things up before you change anything: names resemble each other, and "
    "changes cannot be taken back. When a request is done, or cannot be done with the functions there are, say so in a "
    "message without a call; the next request follows."
)

_DRAFT = ("Do not carry it out yet, only save a draft.", "Save it as a draft, it has to be approved first.")
_WITHOUT_SUBSTITUTE = ("order_item", "set_price", "switch_device", "complete_todo", "transfer_money", "send_message")
"""Tools whose work no other tool can do."""


def harder(category: str, r: Random, hard: bool) -> BFCLTask:
    """A task of one of the generated categories."""
    if category == "multi_turn":
        return _multi_turn(r, hard)
    areas = list(AREAS)
    r.shuffle(areas)
    # What takes no more than the number of a thing is a task only beside others.
    demanding = [template for template in AREAS[areas[0]] if not template.follows]
    if category == "irrelevance":
        template = r.choice(demanding)
        request, _ = template.ask(r, hard)
        offered = [t.function() for area in areas[1:] for t in AREAS[area]]
        r.shuffle(offered)
        # Functions for what exists already cannot be of use: the request names nothing of the kind.
        near = [t.function() for t in AREAS[areas[0]] if t.follows]
        offered = offered[: r.randrange(8, 13) if hard else r.randrange(3, 6)] + (near if hard else [])
        return _task(category, request, [], offered, r)
    if category in ("simple", "multiple"):
        chosen = [r.choice(demanding)]
    elif category == "parallel":
        chosen = [r.choice(demanding)] * (r.randrange(3, 5) if hard else r.randrange(2, 4))
    else:
        chosen = [r.choice(AREAS[area]) for area in areas[: r.randrange(3, 5) if hard else r.randrange(2, 4)]]
    requests, right = [], []
    for template in chosen:
        request, values = template.ask(r, hard)
        draft = hard and category == "multiple" and r.random() < 0.4
        if draft:
            request = f"{request} {r.choice(_DRAFT)}"
        requests.append(request)
        right.append({template.function(draft)["name"]: values})
    offered = _offer(chosen, category, r, hard)
    return _task(category, _joined(requests, r), right, offered, r)


def _offer(chosen: Sequence[Template], category: str, r: Random, hard: bool) -> list[dict[str, Any]]:
    """The functions on offer: those of the request, others of their areas, and others of other areas."""
    own = {t.name: t for t in chosen}
    if category in ("simple", "parallel"):
        return [t.function() for t in own.values()]
    near = [t for area in AREAS.values() if own.keys() & {t.name for t in area} for t in area if t.name not in own]
    far = [t for area in AREAS.values() if not own.keys() & {t.name for t in area} for t in area]
    r.shuffle(near)
    r.shuffle(far)
    total = r.randrange(10, 16) if hard else r.randrange(4, 7)
    names = [*own.values(), *near, *far][: max(total, len(own) + 2)]
    functions = [t.function() for t in names]
    if hard and category == "multiple":
        # Doubles that differ in one sentence of the description.
        functions = functions[: total - 2] + [t.function(draft=True) for t in (*own.values(), *near)][:2]
    return functions


def _joined(requests: Sequence[str], r: Random) -> str:
    if len(requests) == 1:
        return requests[0]
    links = ("Also: ", "Besides: ", "And this: ", "")
    return " ".join([requests[0], *(f"{r.choice(links)}{request}" for request in requests[1:])])


def _task(
    category: str,
    request: str,
    right: Sequence[Mapping[str, Mapping[str, Any]]],
    functions: list[dict[str, Any]],
    r: Random,
) -> BFCLTask:
    r.shuffle(functions)
    answer = "\n".join(call.to_json() for call in right_calls(functions, right, "python"))
    return BFCLTask(
        category,
        (Turn(one_turn(request, SYSTEM)),),
        tuple(to_tool(function) for function in functions),
        functions=tuple(functions),
        possible=tuple(right),
        answer=answer or NO_TOOL,
    )


def _multi_turn(r: Random, hard: bool) -> BFCLTask:
    """Jobs, and reports on jobs of earlier turns, in one world."""
    draft = Draft(r, hard=hard)
    requests: list[str] = []
    counts: list[int] = []
    parts: list[Part] = []
    stories = iter(r.sample(STORIES, 3))
    for kind in ("job", "job", "report", "job", "report") if hard else ("job", "report", "job"):
        before = len(draft.steps)
        if kind == "job":
            parts.append(next(stories)(draft))
            requests.append(parts[-1].request)
        else:
            requests.append(_report(draft, parts.pop(0), hard))
        counts.append(sum(not step.optional for step in draft.steps[before:]))
    domains = {TOOLS[step.call.name].domain for step in draft.steps}
    near = [name for name, spec in TOOLS.items() if spec.domain in domains]
    tools = choose_tools(r, draft, [near, list(TOOLS)], r.randrange(16, 23) if hard else r.randrange(10, 15))
    world = draft.task("\n".join(requests), None, tools, filler=r.getrandbits(32))
    task = dialogue(SYSTEM_MULTI_TURN, requests, counts, world)
    return _withhold(task, r) if hard and r.random() < 0.5 else task


def _report(draft: Draft, part: Part, hard: bool) -> str:
    """Tell somebody about a job that was done."""
    name, said = described_person(draft) if hard else (person(draft), "")
    draft.call("send_message", to=name, text=part.value)
    return f"Now send {said or name} a message whose text is just {part.what}."


def _withhold(task: BFCLTask, r: Random) -> BFCLTask:
    """The task with a tool missing in the turn that needs it; a turn in which it turns up follows."""
    users: dict[str, list[int]] = {}
    for i, turn in enumerate(task.turns):
        for name in {call.name for call in turn.calls}:
            users.setdefault(name, []).append(i)
    choices = sorted(name for name in _WITHOUT_SUBSTITUTE if len(users.get(name, ())) == 1)
    if not choices:
        return task
    name = r.choice(choices)
    (i,) = users[name]
    turns = list(task.turns)
    turns[i : i + 1] = [replace(turns[i], calls=()), Turn((), turns[i].calls, (TOOLS[name].schema,))]
    return replace(task, turns=tuple(turns), tools=tuple(t for t in task.tools if t["function"]["name"] != name))
