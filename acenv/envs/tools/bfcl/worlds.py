"""What the calls of a multi-turn task act on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from acenv.envs.tools.calls import Call, dump_json
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Task
from acenv.envs.tools.furnish import furnish
from acenv.envs.tools.tooling import ToolError, World

MAX_RESULT = 4000
"""Longest result of a call that an agent is shown, in characters."""


class Backend(Protocol):
    """Something that calls act on; survives :func:`copy.deepcopy`."""

    def run(self, call: Call) -> tuple[str, bool]:
        """Carry out a call: what the agent is told, and whether it could be carried out. Never raises."""
        ...

    def state(self) -> Any:
        """All that calls can change, to be compared."""
        ...


@dataclass(slots=True)
class SandboxBackend:
    """The world of a generated task.

    Attributes:
        world: It.
        tools: Names of the tools that may be called.
    """

    world: World
    tools: Collection[str]

    @classmethod
    def of(cls, task: Task) -> SandboxBackend:
        """The world of a task at the start."""
        return cls(furnish(task), task.tools)

    def run(self, call: Call) -> tuple[str, bool]:
        """Validate the arguments and carry out a call."""
        if call.name not in self.tools:
            return dump_json({"error": f"There is no tool named {call.name[:60]!r}."}), False
        spec = TOOLS[call.name]
        if complaint := spec.complaint(call.arguments):
            return dump_json({"error": complaint}), False
        try:
            result = dump_json(spec.run(self.world, call.arguments))
        except ToolError as error:
            return dump_json({"error": str(error)}), False
        if len(result) > MAX_RESULT:
            result = dump_json({"error": f"the result has {len(result)} characters: ask for less."})
        return result, True

    def state(self) -> Any:
        """The tables, with new records by their content, since their keys go by the order of the calls."""
        return {
            name: sorted((k if not _fresh(k) else "", sorted(map(repr, r.items()))) for k, r in table.items())
            for name, table in self.world.tables.items()
            if table  # to look into a table makes an empty one
        }


def _fresh(key: str) -> bool:
    """Whether a key is one of those that :meth:`World.add` gives."""
    return key[1:].isdecimal() and len(key[1:]) == 3 and key[1:] >= "900"
