"""The fault of calls that are not the right ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from acenv.envs.base import UnscorableError
from acenv.envs.tools.bfcl.checker import Function, Possible, check, same_name
from acenv.envs.tools.bfcl.tasks import Language
from acenv.envs.tools.calls import Call
from acenv.envs.tools.faults import compare_names
from acenv.types import Fault


def blame(
    calls: Sequence[Call],
    functions: Sequence[Function],
    possible: Sequence[Possible],
    language: Language = "python",
) -> Fault:
    """What is wrong with an answer that :func:`.checker.check` has found to be wrong.

    Args:
        calls: The calls of the answer.
        functions: What was on offer.
        possible: The right calls; empty where no call is right.
        language: Whose types the functions have.

    >>> add = {"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    >>> [blame([call], [add], [{"add": {"n": [1]}}]) for call in (Call("sum"), Call("add"), Call("add", {"n": 3}))]
    ['hallucinated tool', 'schema violation', 'wrong argument']
    """
    for call in calls:
        if fault := breach(call, [{"function": function} for function in functions]):
            return fault
    ours = Counter(call.name.replace(".", "_") for call in calls)
    fault = compare_names(ours, Counter(next(iter(right), "").replace(".", "_") for right in possible))
    if fault == "gave up early" and not all(_is_right(call, functions, possible, language) for call in calls):
        return "wrong argument"  # there are too few calls, and these are not right either
    return fault


def _is_right(call: Call, functions: Sequence[Function], possible: Sequence[Possible], language: Language) -> bool:
    """Whether a call is one of the right ones."""
    for right in possible:
        name = next(iter(right), "")
        own = [function for function in functions if function["name"] == name]
        with suppress(UnscorableError):
            if same_name(call.name, name) and not check("simple", [call], own, [right], language):
                return True
    return False


def breach(call: Call, tools: Iterable[Mapping[str, Any]]) -> Fault | Literal[""]:
    """Whether a call is of no tool on offer, or has other arguments than its tool.

    Args:
        call: What the agent called.
        tools: The tools on offer, as chat APIs take them.
    """
    functions = (tool.get("function") for tool in tools)
    known = (f for f in functions if isinstance(f, Mapping) and isinstance(f.get("name"), str))
    function = next((f for f in known if same_name(call.name, f["name"])), None)
    if function is None:
        return "hallucinated tool"
    return "schema violation" if _breaks(call, function.get("parameters")) else ""


def _breaks(call: Call, parameters: Any) -> bool:
    """Whether arguments are missing that the function needs, or given that it does not have."""
    if not isinstance(parameters, Mapping):
        return False
    known, needed = parameters.get("properties") or {}, parameters.get("required") or ()
    if not isinstance(known, Mapping) or not isinstance(needed, (list, tuple)):  # a foreign schema
        return False
    return any(name not in known for name in call.arguments) or any(name not in call.arguments for name in needed)
