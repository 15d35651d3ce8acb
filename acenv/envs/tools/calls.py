"""Tool calls in the text of an assistant, whatever the style of the model that wrote it."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import re
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any

MAX_CALLS = 16
"""Calls that one message may hold."""

MAX_DEPTH = 16
"""How deep the arguments of a call may nest."""

MAX_ATTEMPTS = 64
"""Places of a text at which JSON is looked for; bounds the time that hostile text can cost."""

FORM = 'Call a tool as {"name": "<tool>", "arguments": {...}}, or end with {"name": "finish", "arguments": {}}.'
"""What the agent is told when its text holds no call."""

_OPEN_TAG, _CLOSE_TAG = "<tool_call>", "</tool_call>"
_START = re.compile(r'\{\s*"|\[\s*\{')
_CALL_KEYS = frozenset({"name", "function", "id", "type"})


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call.

    Attributes:
        name: The tool.
        arguments: Its arguments, as JSON values.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The call as an agent writes it.

        >>> Call("send_message", {"to": "Ana", "text": "hi"}).to_json()
        '{"name": "send_message", "arguments": {"to": "Ana", "text": "hi"}}'
        """
        return dump_json({"name": self.name, "arguments": self.arguments})


_WARNINGS_LOCK = threading.Lock()  # the filters of warnings belong to the whole process


def parse_expression(code: str) -> ast.Expression:
    """The syntax tree of a Python expression, which is never evaluated.

    Raises:
        SyntaxError: It is none. ``ValueError``, ``RecursionError`` and ``MemoryError`` say so too.
    """
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parser has opinions on how texts and numbers are written
        return ast.parse(code, mode="eval")


class CallError(ValueError):
    """A text holds no call that could be understood; the message says what was wrong, for the agent to read."""


dump_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
"""JSON with the separators of ``json.dumps`` and plain Unicode."""


def parse_calls(text: str) -> list[Call]:
    """Find the tool calls in an assistant's text.

    Understood are ``{"name", "arguments"}`` objects, one or several, or a list of them; the same in code fences or in
    ``<tool_call>`` tags (Qwen, Hermes); ``parameters`` for ``arguments`` (Llama 3); ``{"function": {"name",
    "arguments"}}`` with the arguments as an object or as JSON text (OpenAI). Prose around the calls is skipped, and so
    is everything up to ``</think>``. The time is linear in the length of the text, times ``MAX_ATTEMPTS`` at worst.

    Raises:
        CallError: No call was found, or one that is malformed.

    >>> parse_calls('Let me look. {"name": "get_contact", "parameters": {"name": "Ana"}}')
    [Call(name='get_contact', arguments={'name': 'Ana'})]
    """
    if text.startswith('{"name": ') and "\\u" not in text:
        # What most messages look like; anything unusual goes the long way.
        with contextlib.suppress(ValueError, RecursionError):
            value, end = _DECODER.raw_decode(text)
            if end == len(text) and _is_call(value):
                return [call_of(value)]
    parts = [text]
    if not text.lstrip().startswith(("{", "[")):  # In a text that is JSON, tags are data.
        talk = text.rpartition("</think>")[2]
        # With tags, what stands outside of them is talk about calls, not a call.
        parts = [p.partition(_CLOSE_TAG)[0] for p in talk.split(_OPEN_TAG)[1:]] if _OPEN_TAG in talk else [talk]
    calls: list[Call] = []
    attempts = MAX_ATTEMPTS
    problem = ""
    for part in parts:
        position = 0
        while attempts and (start := _START.search(part, position)):
            attempts -= 1
            try:
                value, position = _decode(part, start.start())
            except _BrokenJSON as error:
                problem = problem or str(error)
                # What lies inside of a broken call is not a call: go on after it.
                position = max(start.start() + 1, error.position)
                continue
            for item in value if isinstance(value, list) else [value]:
                if _is_call(item):
                    calls.append(call_of(item))
                else:
                    problem = problem or 'The JSON is no call: it needs "name" and "arguments".'
            if len(calls) > MAX_CALLS:
                raise CallError(f"More than {MAX_CALLS} calls in one message. Call one tool a message.")
    if not calls:
        raise CallError(f"{problem or 'No tool call found.'} {FORM}")
    return calls


class _BrokenJSON(CallError):
    """JSON that ends in an error, at ``position``."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def _decode(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that starts at ``start``, and where it ends."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise _BrokenJSON("The JSON is nested too deeply.", len(text)) from None
    except json.JSONDecodeError as error:
        raise _BrokenJSON(f"Not valid JSON: {error.msg} at character {error.pos}.", error.pos) from None
    except ValueError as error:  # a number with thousands of digits, or what the hooks below refuse
        raise _BrokenJSON(f"Not valid JSON: {error}.", len(text)) from None
    if "\\u" in text:
        try:
            dump_json(value).encode()
        except (UnicodeEncodeError, RecursionError):
            raise _BrokenJSON("Not valid JSON: a \\u escape is half a character.", end) from None
    return value, end


def _is_call(item: Any) -> bool:
    """Whether a JSON value is meant as a call, and not, say, a record with a name that the agent quotes."""
    if not isinstance(item, dict) or not ("name" in item or "function" in item):
        return False
    return "arguments" in item or "parameters" in item or item.keys() <= _CALL_KEYS


def call_of(item: dict[str, Any]) -> Call:
    """Read one call object of any known style; the arguments may be JSON text, whose end is passed over.

    Raises:
        CallError: The name is no string, or the arguments are no object, are malformed, or nest too deep.

    >>> call_of({"name": "get_contact", "arguments": '{"name": "Ana"} and so on'})
    Call(name='get_contact', arguments={'name': 'Ana'})
    """
    inner = item.get("function")
    if isinstance(inner, dict):
        item = inner
    name = item.get("name", inner)
    if not isinstance(name, str):
        raise CallError(f"The name of the tool must be a string. {FORM}")
    arguments = item.get("arguments", item.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments, _ = _decode(arguments, len(arguments) - len(arguments.lstrip()))
        except CallError as error:
            raise CallError(f"The arguments of {name[:80]!r}: {error}") from None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise CallError(f"The arguments of {name[:80]!r} must be a JSON object. {FORM}")
    if _too_deep(arguments):
        raise CallError(f"The arguments of {name[:80]!r} are nested more than {MAX_DEPTH} deep.")
    return Call(name, arguments)


def _too_deep(value: Any) -> bool:
    """Whether containers nest more than ``MAX_DEPTH`` deep; goes down level by level, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a key twice: which of the two was meant is anybody's guess."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_refuse_constant)
