"""What a task is, and how one is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from acenv.envs.tools.calls import Call, dump_json
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.tooling import Table, World


@dataclass(frozen=True, slots=True)
class Step:
    """A call of a task's solution.

    Attributes:
        call: The call.
        writes: Whether it changes the world.
        optional: Whether it counts for nothing, because the agent may work the result out by itself.
        needs: The steps that must come before, by their number: what a change rests on has to be read first.
        evidence: For a call that only reads: pieces of JSON; another reading whose result shows them all will do.
    """

    call: Call
    writes: bool
    optional: bool = False
    needs: tuple[int, ...] = ()
    evidence: tuple[str, ...] = ()

    def shown_by(self, observation: str) -> bool:
        """Whether an observation holds all the evidence.

        >>> step = Step(Call("get_item"), False, evidence=('"stock": 4',))
        >>> step.shown_by('{"stock": 4, "price": 1}'), step.shown_by('{"stock": 42}')
        (True, False)
        """
        return bool(self.evidence) and all(any(e + end in observation for end in ",}]") for e in self.evidence)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of the sandbox. Never changed, so copies share it.

    Attributes:
        request: What the user wants.
        tools: Names of the tools on offer, ``finish`` excepted.
        tables: The records that matter to the task, decoys included.
        steps: The calls that solve it.
        answer: What the user asked for; ``None`` if there was no question.
        filler: Seed of the records that have nothing to do with the task; ``None`` for no such records.
        used: Words that those records must not contain.
    """

    request: str
    tools: tuple[str, ...]
    tables: dict[str, Table]
    steps: tuple[Step, ...]
    answer: str | None = None
    filler: int | None = None
    used: frozenset[str] = frozenset()

    def __deepcopy__(self, memo: dict[int, Any]) -> Task:
        return self

    def world(self) -> World:
        """The world of :attr:`tables`, without filler."""
        return World(self.tables).copy()


@dataclass(slots=True)
class Draft:
    """A task in the making.

    Attributes:
        r: All randomness comes from here.
        hard: Whether to add more decoys that resemble the records that matter.
        used: Values that were drawn with :meth:`fresh`.
        reads: The readings that a change made now would rest on.
    """

    r: Random
    hard: bool = False
    tables: dict[str, Table] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    reads: list[int] = field(default_factory=list)

    def put(self, table: str, key: str, /, **record: Any) -> None:
        """Put a record into the world."""
        self.tables.setdefault(table, {})[key] = record

    def call(self, name: str, /, **arguments: Any) -> None:
        """The next call of the solution; a change needs what was read before it in the same part."""
        if TOOLS[name].writes:
            self.steps.append(Step(Call(name, arguments), True, needs=tuple(self.reads)))
        else:
            self.look({}, name, **arguments)

    def look(self, evidence: dict[str, Any], name: str, /, **arguments: Any) -> None:
        """The next call of the solution, one that reads.

        Args:
            evidence: What has to be seen in the result: keys with their values, or ``""`` with a value of any key.
            name: The tool.
            **arguments: Its arguments.
        """
        shown = tuple(dump_json({k: v})[1:-1] if k else dump_json(v) for k, v in evidence.items())
        self.reads.append(len(self.steps))
        self.steps.append(Step(Call(name, arguments), False, evidence=shown))

    def maybe(self, name: str, /, **arguments: Any) -> None:
        """The next call of the solution, one that a clever agent can do without."""
        self.steps.append(Step(Call(name, arguments), False, optional=True))

    def fresh(self, values: Sequence[str]) -> str:
        """A value that was not drawn before."""
        while True:
            value = self.r.choice(values)
            if value not in self.used:
                self.used.add(value)
                return value

    def codes(self, table: str, prefix: str, count: int) -> list[str]:
        """New keys that say nothing about their records."""
        taken = self.tables.get(table, {})
        found: list[str] = []
        while len(found) < count:
            key = f"{prefix}{self.r.randrange(100, 900)}"
            if key not in taken and key not in found:
                found.append(key)
        return found

    def task(self, request: str, answer: str | None, tools: Sequence[str], filler: int | None = None) -> Task:
        """The finished task."""
        return Task(request, tuple(tools), self.tables, tuple(self.steps), answer, filler, frozenset(self.used))


def choose_tools(r: Random, draft: Draft, pools: Sequence[Sequence[str]], total: int) -> list[str]:
    """The tools that the solution needs and others, in random order.

    Args:
        r: Where the randomness comes from.
        draft: The task.
        pools: Where the others come from: each pool gives half of those that are still missing, the last one the rest.
        total: How many tools there are in all.
    """
    tools = list(dict.fromkeys(step.call.name for step in draft.steps))
    for pool in pools:
        missing = max(0, total - len(tools))
        others = [name for name in pool if name not in tools]
        wanted = missing if pool is pools[-1] else (missing + 1) // 2
        tools += r.sample(others, min(wanted, len(others)))
    r.shuffle(tools)
    return tools
