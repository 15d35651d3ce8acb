"""Putting generated tasks together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.envs.tools.bfcl.tasks import BFCLTask, Turn
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Draft, Task
from acenv.envs.tools.tooling import ToolError, World
from acenv.types import Message, Tool

NO_TOOL = "none"
"""What the expert answers where no tool fits; any text without a call is as right."""

DONE = "done"
"""With what the expert ends a turn; any text without a call does."""

_TYPES = {"string": "string", "integer": "integer", "number": "float", "boolean": "boolean"}


def one_turn(request: str, system: str = "") -> tuple[Message, ...]:
    """The messages of a request."""
    user: Message = {"role": "user", "content": request}
    return ({"role": "system", "content": system}, user) if system else (user,)


def single_turn(category: str, system: str, request: str, draft: Draft, tools: Sequence[str]) -> BFCLTask:
    """A task whose right calls are those of a draft; none is right in the category ``irrelevance``."""
    calls = [] if category == "irrelevance" else [step.call for step in draft.steps]
    schemas = tuple(TOOLS[name].schema for name in tools)
    return BFCLTask(
        category,
        (Turn(one_turn(request, system)),),
        schemas,
        functions=tuple(function_of(schema) for schema in schemas),
        possible=tuple({call.name: {key: [value] for key, value in call.arguments.items()}} for call in calls),
        answer="\n".join(call.to_json() for call in calls) or NO_TOOL,
    )


def function_of(tool: Tool) -> dict[str, Any]:
    """A flat tool in the benchmark's own format."""
    function = tool["function"]
    parameters = function["parameters"]
    properties = {key: {**value, "type": _TYPES[value["type"]]} for key, value in parameters["properties"].items()}
    return {**function, "parameters": {"type": "dict", "properties": properties, "required": parameters["required"]}}


def together(drafts: Sequence[Draft]) -> Draft | None:
    """Several drafts as one, with all their records and steps; ``None`` if two of them have a record in common."""
    whole = Draft(drafts[0].r)
    for draft in drafts:
        for name, table in draft.tables.items():
            records = whole.tables.setdefault(name, {})
            if records.keys() & table.keys():
                return None
            records.update(table)
        whole.steps += draft.steps
        whole.used |= draft.used
    world = World(whole.tables).copy()
    try:
        for step in whole.steps:
            TOOLS[step.call.name].run(world, step.call.arguments)
    except ToolError:  # a time that is taken, a title that is there already
        return None
    return whole


def dialogue(system: str, requests: Sequence[str], counts: Sequence[int], world: Task) -> BFCLTask:
    """A multi-turn task.

    Args:
        system: The system message.
        requests: What the user says in each turn.
        counts: How many of the steps belong to each turn, those aside that an agent can do without.
        world: The world, with the steps of all turns.
    """
    calls = [step.call for step in world.steps if not step.optional]
    turns = []
    for i, request in enumerate(requests):
        start = sum(counts[:i])
        turns.append(Turn(one_turn(request, system if i == 0 else ""), tuple(calls[start : start + counts[i]])))
    return BFCLTask("multi_turn", tuple(turns), tuple(TOOLS[name].schema for name in world.tools), backend=world)
