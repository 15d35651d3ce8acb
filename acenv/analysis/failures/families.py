"""What is to be known of the environments: how their actions are read, and how two actions differ.

Environments say themselves what was wrong with an action (:attr:`acenv.types.Step.fault`). What is here serves runs
that were recorded before they did, and comparisons with another transcript of the same task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acenv.envs.commands import command_line
from acenv.envs.tools.bfcl.blame import breach
from acenv.envs.tools.bfcl.parsing import parse_answer
from acenv.envs.tools.calls import Call, CallError, parse_calls
from acenv.envs.tools.services.protocol import parse_action
from acenv.envs.workflow.graph import edge_labels, node_texts
from acenv.types import Tool

Reader = Callable[[str], Sequence[Call]]


@dataclass(frozen=True, slots=True)
class Family:
    """Environments whose actions are read in one way.

    Attributes:
        name: What they are.
        wrong_end: What an episode was lost by that its last action has ended, where nothing else is known.
        fault: What is wrong with an action, by its text and the tools on offer alone; empty if nothing is.
        difference: How an action differs from the one that another agent took in its place: ``"wrong tool"``, ``"wrong
            argument"``, or empty where they are the same, or where a difference says nothing.
    """

    name: str
    wrong_end: str
    fault: Callable[[str, Sequence[Tool]], str]
    difference: Callable[[str, str], str]


def family_of(env_id: str) -> Family:
    """The family of an environment; one that acenv does not know is taken for one of answers.

    >>> family_of("acenv/PDDL-v0").name, family_of("mine/Chess-v3").name
    ('commands', 'answers')
    """
    name = env_id.rpartition("/")[2].rsplit("-v", 1)[0]
    return FAMILIES.get(name, _ANSWERS)


def _calls(read: Reader) -> Callable[[str, Sequence[Tool]], str]:
    def fault(action: str, tools: Sequence[Tool]) -> str:
        try:
            calls = read(action)
        except CallError:
            return "unparsable"
        return next((found for call in calls if (found := breach(call, tools))), "")

    return fault


def _calls_differ(read: Reader) -> Callable[[str, str], str]:
    def difference(ours: str, theirs: str) -> str:
        try:
            mine, right = read(ours), read(theirs)
        except CallError:
            return ""
        if [call.name for call in mine] != [call.name for call in right]:
            return "wrong tool"
        return "wrong argument" if mine != right else ""

    return difference


def _function_fault(action: str, tools: Sequence[Tool]) -> str:
    """Text without a call may be right there, and tools may have been added in the course of the conversation."""
    try:
        calls = parse_answer(action)
    except CallError:
        return ""
    return "schema violation" if any(breach(call, tools) == "schema violation" for call in calls) else ""


def _command_fault(action: str, tools: Sequence[Any]) -> str:
    del tools
    return "" if command_line(action) else "unparsable"


def _commands_differ(ours: str, theirs: str) -> str:
    mine, right = (command_line(text).lower().strip(" .!").partition(" ")[::2] for text in (ours, theirs))
    if not (mine[0] and right[0]) or mine == right:
        return ""
    return "wrong tool" if mine[0] != right[0] else "wrong argument"


def _answer_fault(action: str, tools: Sequence[Any]) -> str:
    del tools
    return "" if action.strip() else "unparsable"


def _graph_fault(action: str, tools: Sequence[Any]) -> str:
    del tools
    return "" if node_texts(action) or edge_labels(action) or "finish" in action.lower() else "unparsable"


def _no_difference(ours: str, theirs: str) -> str:
    del ours, theirs
    return ""


def _one(text: str) -> list[Call]:
    return [parse_action(text)]


_ANSWERS = Family("answers", "wrong answer", _answer_fault, _no_difference)
_COMMANDS = Family("commands", "dead end", _command_fault, _commands_differ)
_PURCHASES = Family("commands", "wrong answer", _command_fault, _commands_differ)
_GRAPHS = Family("graphs", "wrong graph", _graph_fault, _no_difference)
_TOOLS = Family("calls", "wrong answer", _calls(parse_calls), _calls_differ(parse_calls))
_SERVICES = Family("service calls", "wrong answer", _calls(_one), _calls_differ(_one))
_FUNCTIONS = Family("functions", "wrong argument", _function_fault, _calls_differ(parse_answer))

FAMILIES: Mapping[str, Family] = {
    "ToolSandbox": _TOOLS,
    "BFCL": _FUNCTIONS,
    "ToolQuery": _SERVICES,
    "ToolOperation": _SERVICES,
    **dict.fromkeys(
        ("ToolInstruct", "ToolPlan", "ToolReason", "ToolRetrieve", "ToolUnderstand", "ToolReview"), _ANSWERS
    ),
    **dict.fromkeys(("Needle", "Ruler", "LongBench", "LongGenBench"), _ANSWERS),
    **dict.fromkeys(
        ("WorkflowFunctionCall", "WorkflowEmbodied", "WorkflowProblemSolving", "WorkflowOpenGrounded"), _GRAPHS
    ),
    **dict.fromkeys(("Shop", "MiniWoB"), _PURCHASES),
    **dict.fromkeys(
        ("PDDL", "Household", "BabyAI", "ScienceWorld", "TextWorld", "TextWorldExpress", "ALFWorld", "Jericho"),
        _COMMANDS,
    ),
}
"""The families of acenv's environments, by name without version."""
