"""What each piece of an action is: a tool's name, an argument, mere syntax, a node, an edge, a thought, or other text.

The rules read the forms in which acenv's environments are answered, finished or broken:

- JSON calls (``{"name": …, "arguments": {…}}``, T-Eval's with their own keys, lists of them, in fences or tags);
- Python calls (``[find(city="Rome")]``);
- ``Thought:`` / ``Action: NAME with Action Input: {…}``;
- workflow graphs (``Node:`` … ``Edge: (START,1)``);
- commands of worlds (``take knife from bed``, ``search[blue shoes]``): the verb stands for the tool's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from acenv.types import Tool

Kind = Literal["tool name", "argument", "syntax", "node", "edge", "thought", "text", "end"]

KINDS: tuple[Kind, ...] = ("tool name", "argument", "syntax", "node", "edge", "thought", "text", "end")
"""All kinds; ``"end"`` is the token that ends a turn, which is no text and so is never given by :func:`mark`."""

COMMANDS = frozenset(
    f"acenv/{name}-v0"
    for name in (
        *("PDDL", "Household", "Shop", "BabyAI", "ScienceWorld", "TextWorld", "TextWorldExpress"),
        *("Jericho", "ALFWorld", "MiniWoB"),
    )
)
"""Environments in which an action is a command of a world."""

_NAME_KEYS = frozenset(("name", "tool", "function", "call", "api", "action", "tool_name", "api_name"))
_THOUGHT_KEYS = frozenset(("thought", "reason", "reasoning", "goal", "purpose", "think"))
_ARGUMENT_KEYS = frozenset(("arguments", "args", "parameters", "values", "data", "input", "action_input", "kwargs"))

# Possessive and bounded: no text makes any of these go back.
_LEXEME = re.compile(r'"(?:[^"\\]|\\.)*+"?|[{}\[\]:,]|[^\s{}\[\]:,"]++', re.DOTALL)
_LABEL = re.compile(r"(?:thought|action input|action|observation|answer)[ \t]*+:[ \t]*+", re.IGNORECASE)
_WITH_INPUT = re.compile(r"[ \t]++with action input:[ \t]*+", re.IGNORECASE)
_PYTHON_CALL = re.compile(r"\s*+\[?\s*+[A-Za-z_][\w.]{0,200}+\(")
_CALLED = re.compile(r"[A-Za-z_][\w.]{0,200}+(?=\()")
_BRACKETED = re.compile(r"\s*+([A-Za-z]{1,30}+)(\[)([^\]\n]*+)(\]?)")
_GRAPH = re.compile(r"^[ \t]*+(?:nodes?|edges?)[ \t]*+:", re.IGNORECASE | re.MULTILINE)
_NODE_HEAD = re.compile(r"[ \t]*+nodes?[ \t]*+:[ \t]*+", re.IGNORECASE)
_EDGE_HEAD = re.compile(r"[ \t]*+edges?[ \t]*+:[ \t]*+", re.IGNORECASE)
_NUMBER = re.compile(r"[ \t]*+\d{1,9}+[ \t]*+[:.)][ \t]*+")
_WORD = re.compile(r"\s*+(\S++)")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text, ``text[start:end]``, and what it is."""

    start: int
    end: int
    kind: Kind


def mark(text: str, tools: Sequence[Tool] = (), *, commands: bool = False) -> list[Span]:
    """Divide an action into pieces by what they are, in time that grows with its length alone.

    Args:
        text: The action; any text, broken JSON included.
        tools: What was on offer; a string that equals a tool's name is one.
        commands: Whether text without any structure is a command of a world (see :data:`COMMANDS`).

    Returns:
        Spans in order that cover the whole text without overlap; neighbours differ in kind.

    >>> [(s.kind, '{"name": "go", "arguments": {"to": "x"}}'[s.start : s.end]) for s in mark(
    ...     '{"name": "go", "arguments": {"to": "x"}}')]  # doctest: +NORMALIZE_WHITESPACE
    [('syntax', '{"name": "'), ('tool name', 'go'), ('syntax', '", "arguments": {"'), ('argument', 'to'),
     ('syntax', '": "'), ('argument', 'x'), ('syntax', '"}}')]
    """
    return list(_joined(text, _pieces(text, {_tool_name(tool) for tool in tools} - {""}, commands)))


def _tool_name(tool: Tool) -> str:
    function = tool.get("function", tool)
    return str(function.get("name", "")) if isinstance(function, dict) else ""


def _pieces(text: str, names: set[str], commands: bool) -> Iterator[Span]:
    """Pieces in order; what lies between them is other text."""
    start = 0
    opened = text.find("<think>")
    if opened >= 0:
        closed = text.find("</think>", opened)
        closed = len(text) if closed < 0 else closed
        yield Span(opened, min(opened + 7, len(text)), "syntax")
        yield Span(min(opened + 7, closed), closed, "thought")
        start = min(closed + 8, len(text))
        yield Span(closed, start, "syntax")
    if _GRAPH.search(text, start):
        yield from _graph(text, start)
    elif _PYTHON_CALL.match(text, start):
        yield from _python(text, start)
    elif found := _BRACKETED.match(text, start):
        yield Span(found.start(1), found.end(1), "tool name")
        yield Span(found.start(2), found.end(2), "syntax")
        yield Span(found.start(3), found.end(3), "argument")
        yield Span(found.start(4), found.end(4), "syntax")
    elif commands and "{" not in text and not _LABEL.match(text, start):
        if found := _WORD.match(text, start):
            yield Span(found.start(1), found.end(1), "tool name")
            yield Span(found.end(1), len(text), "argument")
    else:
        yield from _lines(text, start, names, commands)


def _lines(text: str, start: int, names: set[str], commands: bool) -> Iterator[Span]:
    """Labelled lines, and JSON from its first bracket on."""
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end + 1
        label = _LABEL.match(text, start, end)
        brackets = [at for at in (text.find(opening, start, end) for opening in ("[{", "{", '["')) if at >= 0]
        if label and label[0].lower().startswith("thought"):
            yield Span(start, label.end(), "syntax")
            yield Span(label.end(), end, "thought")
        elif label and label[0].lower().startswith("action"):
            yield Span(start, label.end(), "syntax")
            given = label[0].lower().startswith("action input")
            if not given:
                behind = _WITH_INPUT.search(text, label.end(), end)
                name_end = behind.start() if behind else len(text[label.end() : end].rstrip()) + label.end()
                if commands and not behind:
                    first = _WORD.match(text, label.end(), name_end)
                    yield Span(label.end(), first.end() if first else name_end, "tool name")
                    yield Span(first.end() if first else name_end, name_end, "argument")
                else:
                    yield Span(label.end(), name_end, "tool name")
                if behind:
                    yield Span(behind.start(), behind.end(), "syntax")
                given, start = behind is not None, behind.end() if behind else end
            else:
                start = label.end()
            if given:
                yield from _json(text, start, names, arguments=True)
                return
            continue
        elif brackets:
            yield from _json(text, min(brackets), names, arguments=False)
            return
        start = end


def _json(text: str, start: int, names: set[str], *, arguments: bool) -> Iterator[Span]:
    """JSON, whole or cut off; ``arguments`` says that the outermost object holds a call's arguments."""
    inside: list[tuple[bool, bool]] = []  # for each bracket that is open: an object? among arguments?
    key, is_key, under = "", True, arguments
    for lexeme in _LEXEME.finditer(text, start):
        piece, at, end = lexeme[0], lexeme.start(), lexeme.end()
        if piece in "{[":
            under = under or key.lower() in _ARGUMENT_KEYS
            inside.append((piece == "{", under))
            is_key, key = piece == "{", "" if piece == "{" else key
        elif piece in "}]":
            if inside:
                inside.pop()
            under = inside[-1][1] if inside else arguments
            is_key, key = False, ""
        elif piece == ":":
            is_key = False
        elif piece == ",":
            is_key = bool(inside) and inside[-1][0]
        else:
            quoted = piece.startswith('"')
            low, high = at + quoted, max(at + quoted, end - (quoted and len(piece) > 1 and piece.endswith('"')))
            content = text[low:high]
            if not inside:  # before the first bracket, and behind the last one
                yield Span(at, end, "syntax" if content.startswith(("`", "<")) else "text")
                continue
            if is_key:
                key = content
                kind: Kind = "argument" if under else "syntax"
            elif content in names or (key.lower() in _NAME_KEYS and not under):
                kind = "tool name"
            elif key.lower() in _THOUGHT_KEYS and not under:
                kind = "thought"
            else:
                kind = "argument"
            if quoted:
                yield Span(at, low, "syntax")
            yield Span(low, high, kind)
            yield Span(high, end, "syntax")
            continue
        yield Span(at, end, "syntax")


def _python(text: str, start: int) -> Iterator[Span]:
    """Calls as Python writes them: names before brackets, and everything inside as arguments."""
    position = start
    for call in _CALLED.finditer(text, start):
        yield Span(position, call.start(), "argument")
        yield Span(call.start(), call.end(), "tool name")
        yield Span(call.end(), call.end() + 1, "syntax")
        position = call.end() + 1
    end = len(text.rstrip().rstrip(")]"))
    yield Span(position, max(position, end), "argument")
    yield Span(max(position, end), len(text), "syntax")


def _graph(text: str, start: int) -> Iterator[Span]:
    """A workflow: numbered nodes, and pairs of numbers."""
    where: Kind = "text"
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end + 1
        if head := _NODE_HEAD.match(text, start, end):
            where = "node"
        elif head := _EDGE_HEAD.match(text, start, end):
            where = "edge"
        elif where == "node":
            head = _NUMBER.match(text, start, end)
        if head:
            yield Span(start, head.end(), "syntax")
            start = head.end()
        body = len(text[start:end].rstrip()) + start
        yield Span(start, body, where)
        yield Span(body, end, "syntax")
        start = end


def _joined(text: str, pieces: Iterator[Span]) -> Iterator[Span]:
    """Fill what lies between pieces, and join neighbours of one kind; blanks go with what stands before them."""
    last: Span | None = None
    position = 0

    def all_pieces() -> Iterator[Span]:
        nonlocal position
        for piece in pieces:
            if piece.start > position:
                blank = position > 0 and text[position : piece.start].isspace()
                yield Span(position, piece.start, last.kind if blank and last is not None else "text")
            if piece.end > max(position, piece.start):
                yield Span(max(position, piece.start), piece.end, piece.kind)
                position = piece.end
        if position < len(text):
            blank = last is not None and text[position:].isspace()
            yield Span(position, len(text), last.kind if blank and last is not None else "text")

    for piece in all_pieces():
        if last is None:
            last = piece
        elif piece.kind == last.kind:
            last = Span(last.start, piece.end, last.kind)
        else:
            yield last
            last = piece
    if last is not None:
        yield last
