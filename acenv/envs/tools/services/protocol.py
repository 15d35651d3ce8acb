"""How agents call the tools of a service: AgentBoard's form, and every other form of a tool call."""

from __future__ import annotations

import ast
import json
import re

from acenv.envs.tools.calls import Call, CallError, call_of, dump_json, parse_calls, parse_expression

ERROR = "ERROR | "
"""What the observation of an action that could not be understood starts with; AgentBoard's grounding counts them."""

FORM = 'Write one call, as Action: NAME with Action Input: {"parameter": value}'
"""What the agent is told when its text holds no call."""

MAX_LITERAL_CHARS = 4000
"""Longest arguments that are read as a Python literal; longer ones must be JSON."""

MAX_NAME_CHARS = 200
"""How far before the words ``with Action Input`` the name of the tool may start."""

_INPUT = re.compile(r"\bwith[ \t]+action[ \t]+input[ \t]*:\s*", re.IGNORECASE)
_LABEL = re.compile(r"\baction[ \t]*:[ \t]*", re.IGNORECASE)


def say(call: Call) -> str:
    """A call in AgentBoard's form.

    >>> say(Call("get_elevation", {"latitude": 1.5, "longitude": 2}))
    'Action: get_elevation with Action Input: {"latitude": 1.5, "longitude": 2}'
    """
    return f"Action: {call.name} with Action Input: {dump_json(call.arguments)}"


def parse_action(text: str) -> Call:
    r"""Find the call in an assistant's text.

    Understood are AgentBoard's ``Action: NAME with Action Input: {...}`` (the label ``Action:`` may be missing; the
    arguments are JSON, or else a Python literal) and every form that :func:`~acenv.envs.tools.calls.parse_calls` takes.
    Of several calls the first one counts, since what follows was written without having seen its result. What stands
    up to ``</think>`` is passed over.

    Raises:
        CallError: No call was found, or one that is malformed.

    >>> parse_action("I look.\nAction: get_elevation with Action Input: {'latitude': 1.5}")
    Call(name='get_elevation', arguments={'latitude': 1.5})
    """
    at = text.find(" with Action Input: {")
    if text.startswith("Action: ") and text[8:at].isidentifier() and "</think>" not in text:
        return _call(text[8:at], text[at + 20 :])  # What most messages look like.
    if text.startswith("{"):  # In a text that is JSON, AgentBoard's words are data.
        return _first(text)
    text = text.rpartition("</think>")[2]
    found = _INPUT.search(text)
    if found is None:
        return _first(text)
    before = text[max(0, found.start() - MAX_NAME_CHARS) : found.start()].rpartition("\n")[2]
    labels = list(_LABEL.finditer(before))
    name = (before[labels[-1].end() :] if labels else before).strip(" \t*`\"'")
    if not name:
        raise CallError(f"The name of the tool is missing. {FORM}")
    arguments = text[found.end() :].lstrip("`")
    if not arguments.startswith("{"):
        raise CallError(f"The action input of {name[:80]!r} must be a JSON object, such as {{}}. {FORM}")
    return _call(name, arguments)


def _call(name: str, arguments: str) -> Call:
    try:
        return call_of({"name": name, "arguments": arguments})
    except CallError:
        literal = _literal(arguments)
        if literal is None:
            raise
    return call_of({"name": name, "arguments": literal})


def _first(text: str) -> Call:
    try:
        return parse_calls(text)[0]
    except CallError as error:
        if "No tool call found" in str(error):
            raise CallError(f"No tool call found. {FORM}") from None
        raise


def _literal(text: str) -> str | None:
    """A Python literal at the start of a text as JSON; ``None`` if there is none, or one that JSON cannot say."""
    line = text.partition("\n")[0]
    for part in (line, text):
        part = part[: part.rfind("}") + 1]
        if not part or len(part) > MAX_LITERAL_CHARS:
            continue
        try:
            tree = parse_expression(part)
            if any(_repeats(node) for node in ast.walk(tree)):
                return None
            return json.dumps(ast.literal_eval(tree), allow_nan=False)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _repeats(node: ast.AST) -> bool:
    """Whether a dictionary names a key twice, which JSON would be refused for too."""
    if not isinstance(node, ast.Dict):
        return False
    keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
    return len(set(keys)) != len(keys)
