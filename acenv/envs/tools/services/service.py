"""What a simulated service is: tools over data, and a generator of tasks with one right outcome."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from acenv.envs.base import Difficulty, Split
from acenv.envs.tools.calls import Call, dump_json
from acenv.envs.tools.tooling import ToolError, ToolSpec, tool
from acenv.types import Fault

Level = Literal["easy", "hard"]
"""AgentBoard's split of tasks, by the number of subgoals."""


class Refusal(ToolError):
    """The service took the call and says no, such as that there is no such record.

    Its text is the whole observation. AgentBoard counts such a call as grounded, since it could be carried out, and
    its result as no subgoal.
    """


@dataclass(frozen=True, slots=True)
class ServiceTask:
    """A request to a service.

    Attributes:
        domain: Name of the service.
        goal: The request, in words.
        plan: The expert's calls, the last one ``finish``.
        subgoals: Results that have to be seen, as :meth:`Service.subgoal` gives them (AgentBoard's gold subgoals).
        world: What :meth:`Service.connect` makes the world of: the seed of a database, or tables.
        level: AgentBoard's split.
    """

    domain: str
    goal: str
    plan: tuple[Call, ...]
    subgoals: tuple[Any, ...]
    world: Any
    level: Level


@dataclass(frozen=True, slots=True)
class Reply:
    """What a successful call comes to.

    Attributes:
        result: What the tool returned, as JSON.
        text: The observation.
        subgoal: The result as it is compared.
    """

    result: Any
    text: str
    subgoal: Any


@dataclass(slots=True)
class ServiceState:
    """What changes while a task is worked on.

    Attributes:
        world: What the tools read and change.
        found: What every successful call came to, as a subgoal, in order.
        offered: Names of the tools on offer.
        matched: Which of the task's subgoals are found.
        best: Running maximum of the progress.
        finished: Whether ``finish`` was called.
        answer: What it was called with.
        parse_errors: Messages without a call that could be understood.
        schema_errors: Calls of unknown tools, or with arguments that break the schema.
        tool_errors: Calls that the service refused.
        harm: What was wrong with the first call that changed something and brought nothing.
    """

    world: Any
    offered: tuple[str, ...]
    matched: list[bool]
    found: list[Any] = field(default_factory=list)
    best: float = 0.0
    finished: bool = False
    answer: Any = None
    parse_errors: int = 0
    schema_errors: int = 0
    tool_errors: int = 0
    harm: Fault | Literal[""] = ""


class Service(ABC):
    """A simulated service. It holds nothing that an episode changes; that is in the world that :meth:`connect` makes.

    Attributes:
        name: The domain.
        notes: What an agent has to know about the tools, at ``"medium"`` and ``"hard"``.
        tools: Every tool of the service by name, ``check_valid_actions`` and ``finish`` included.
    """

    name: str
    notes: str = ""
    tools: Mapping[str, ToolSpec]

    @abstractmethod
    def sample(self, rng: random.Random, difficulty: Difficulty, split: Split) -> ServiceTask:
        """Draw a task."""

    @abstractmethod
    def connect(self, task: ServiceTask) -> Any:
        """The world at the start of a task, which the tools take first; it must survive ``copy.deepcopy``."""

    def tools_for(self, task: ServiceTask, difficulty: Difficulty) -> tuple[str, ...]:
        """The tools on offer; all of them by default."""
        del task, difficulty
        return tuple(self.tools)

    def call(self, world: Any, call: Call) -> Any:
        """Carry out a valid call; the result is JSON that nobody may change.

        Raises:
            ToolError: The service does not allow it.
        """
        return self.tools[call.name].run(world, call.arguments)

    def respond(self, world: Any, call: Call) -> Reply:
        """Carry out a valid call, and say what came of it.

        Raises:
            ToolError: The service does not allow it.
        """
        result = self.call(world, call)
        return Reply(result, result if isinstance(result, str) else dump_json(result), self.subgoal(result))

    def subgoal(self, result: Any) -> Any:
        """What a result counts as: the result without what AgentBoard does not compare."""
        return result

    def same(self, result: Any, gold: Any) -> bool:
        """Whether a subgoal that was found is one that is wanted."""
        return bool(result == gold)

    def progress(self, task: ServiceTask, state: ServiceState) -> float:
        """The share of the task that is done, in [0, 1]; the score is its running maximum.

        Asked after every step. By default the share of the subgoals that are found.
        """
        return sum(state.matched) / len(task.subgoals)

    def succeeded(self, task: ServiceTask, state: ServiceState) -> bool:
        """What success asks for beside ``finish`` and full progress."""
        del task, state
        return True

    def next_call(self, task: ServiceTask, state: ServiceState) -> Call:
        """The expert's next call: by default the first one of the plan whose subgoal is missing."""
        for call, found in zip(task.plan, state.matched, strict=True):
            if not found:
                return call
        return task.plan[-1]


def match(service: Service, found: Sequence[Any], gold: Sequence[Any]) -> list[bool]:
    """Which wanted subgoals are found; AgentBoard's matching.

    In order, every wanted subgoal takes the first result that is the same and not yet taken (``update`` of the
    environments in AgentBoard's ``agentboard/environment``).
    """
    left = list(found)
    matched = []
    for wanted in gold:
        for at, result in enumerate(left):
            if result is wanted or service.same(result, wanted):
                del left[at]
                matched.append(True)
                break
        else:
            matched.append(False)
    return matched


# Tools of every service ----------------------------------------------------------------------------------------------


def check_valid_actions(world: Any) -> Any:
    """List the tools that can be called."""
    raise NotImplementedError("the environment answers it")


def finish(world: Any, answer: str | float | list) -> Any:  # type: ignore[type-arg]
    """End the task with the answer."""
    if not isinstance(answer, list):
        return answer
    try:
        return sorted(answer)  # AgentBoard's toolkits sort lists, so their order does not count.
    except TypeError:
        raise ToolError("a list must hold texts only, or numbers only") from None


CHECK = tool(check_valid_actions)
FINISH = tool(finish)
