"""What a function-calling task is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from acenv.envs.tools.calls import Call
from acenv.envs.tools.draft import Task as SandboxTask
from acenv.types import Message, Tool

Kind = Literal["simple", "multiple", "parallel", "irrelevance", "relevance", "multi_turn"]
"""How a category is scored; of the official evaluator, whose choice goes by parts of the category's name."""

Language = Literal["python", "java", "javascript"]
"""Whose types the functions have, and in whose notation values are written."""

GENERATED_CATEGORIES = ("simple", "multiple", "parallel", "parallel_multiple", "irrelevance", "multi_turn")
"""The categories of the generator."""

SINGLE_TURN_CATEGORIES = (
    "simple_python",
    "simple_java",
    "simple_javascript",
    "multiple",
    "parallel",
    "parallel_multiple",
    "irrelevance",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "live_irrelevance",
    "live_relevance",
)
MULTI_TURN_CATEGORIES = (
    "multi_turn_base",
    "multi_turn_miss_func",
    "multi_turn_miss_param",
    "multi_turn_long_context",
)
OFFICIAL_CATEGORIES = SINGLE_TURN_CATEGORIES + MULTI_TURN_CATEGORIES
"""The official categories that are read; those of the agents with a memory or a web search are not."""


def kind_of(category: str) -> Kind:
    """How a category is scored.

    >>> kind_of("live_parallel_multiple"), kind_of("simple_java"), kind_of("live_irrelevance")
    ('parallel', 'simple', 'irrelevance')
    """
    kinds: tuple[Kind, ...] = ("multi_turn", "irrelevance", "relevance", "parallel", "multiple")
    return next((kind for kind in kinds if kind in category), "simple")


def language_of(category: str) -> Language:
    """Whose types the functions of a category have.

    >>> language_of("simple_javascript"), language_of("live_simple")
    ('javascript', 'python')
    """
    return "javascript" if "javascript" in category else "java" if "java" in category else "python"


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user says at once, and what should be done about it.

    Attributes:
        messages: One message mostly.
        calls: Right calls, in order; none where nothing can be done. Empty also in single-turn tasks, which have
            :attr:`BFCLTask.possible` answers.
        added: Tools that there are from this turn on.
    """

    messages: tuple[Message, ...]
    calls: tuple[Call, ...] = ()
    added: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """The first state of the official backends of a multi-turn task.

    Attributes:
        classes: The backends, by the names of their classes.
        config: Name of a class to its first state.
        functions: The methods that may be called: those that the data documents.
        long_context: Whether the backends are to give long results.
    """

    classes: tuple[str, ...]
    config: Mapping[str, Any]
    functions: frozenset[str]
    long_context: bool


@dataclass(frozen=True, slots=True)
class BFCLTask:
    """One task. Never changed, so copies share it.

    Attributes:
        name: The official id of a record; empty for generated tasks.
        category: One of the categories of its source.
        turns: What the user says; exactly one turn except in multi-turn categories.
        tools: The tools on offer from the first turn on, as chat APIs take them.
        functions: The same functions in the benchmark's own format, whose types decide what is right.
        possible: For each right call: its function to its parameters to the values that are right; ``""`` among them
            means that the parameter may be left out.
        answer: A right answer of a single-turn task, as text.
        backend: What the calls of a multi-turn task act on.
        unscorable: Why the official evaluator can score no answer; empty for sound records.
    """

    category: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...]
    name: str = ""
    functions: tuple[Mapping[str, Any], ...] = ()
    possible: tuple[Mapping[str, Mapping[str, Any]], ...] = ()
    answer: str = ""
    backend: SandboxTask | Scenario | None = None
    unscorable: str = ""

    def __deepcopy__(self, memo: dict[int, Any]) -> BFCLTask:
        return self

    @property
    def kind(self) -> Kind:
        """How it is scored."""
        return kind_of(self.category)
