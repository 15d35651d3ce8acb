"""Calls in an assistant's text, in Python's notation or as JSON. They are parsed, never evaluated."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from acenv.envs.tools.calls import MAX_CALLS, Call, CallError, parse_calls, parse_expression

_MAX_SIZE = 1e15
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def parse_answer(text: str) -> list[Call]:
    """The calls of a message.

    Understood are ``[f(a=1), g(b="x")]`` and ``f(a=1)``, where that is the whole text (fences, ``</think>`` and what is
    before it aside), and the JSON notations of :func:`acenv.envs.tools.calls.parse_calls`, also amid prose.

    In Python's notation a name stands for itself as a text, as the official decoder has it, and so does a call without
    arguments by keyword; arguments by position are passed over. Sums, products and powers of numbers are worked out.

    Raises:
        CallError: There is no call, or one that is malformed.

    >>> parse_answer("[add(a=1, b=-2)]")
    [Call(name='add', arguments={'a': 1, 'b': -2})]
    """
    code = _unwrapped(text)
    if code[-1:] in (")", "]") and "(" in code and not code.startswith(("{", "[{")):
        body = _parsed(code)
        if body is not None:
            return python_calls(body)
    return parse_calls(text)


def python_calls(body: ast.expr, parameters: Callable[[str], Sequence[str]] | None = None) -> list[Call]:
    """The calls of an expression.

    Args:
        body: A call, or a list or tuple of calls.
        parameters: Gives the names of a function's parameters, for arguments by position; without it they are passed
            over, as the official decoder of answers does.

    Raises:
        CallError: It is something else, or more than ``MAX_CALLS`` calls.
    """
    items = [body] if isinstance(body, ast.Call) else body.elts if isinstance(body, (ast.List, ast.Tuple)) else []
    if not items:
        raise CallError("No call found.")
    if len(items) > MAX_CALLS:
        raise CallError(f"More than {MAX_CALLS} calls in one message.")
    calls = []
    for item in items:
        if not isinstance(item, ast.Call):
            raise CallError("A list of calls holds something that is no call.")
        name, arguments = _read(item)
        if item.args and parameters is not None:
            arguments = dict(zip(parameters(name), map(_value, item.args), strict=False)) | arguments
        calls.append(Call(name, arguments))
    return calls


def parse_gold(text: str, parameters: Callable[[str], Sequence[str]]) -> Call:
    """A call of a data set, in Python's notation.

    Raises:
        CallError: It is something else.

    >>> parse_gold("sort('a.txt')", lambda name: ["file_name"])
    Call(name='sort', arguments={'file_name': 'a.txt'})
    """
    body = _parsed(text.strip())
    if not isinstance(body, ast.Call):
        raise CallError("It is no call in Python's notation.")
    return python_calls(body, parameters)[0]


def _unwrapped(text: str) -> str:
    """The text without what came before ``</think>``, without a fence, and without quotes around it."""
    code = text.rpartition("</think>")[2].strip()
    if code.startswith("```") and code.endswith("```") and len(code) > 6:
        first, _, rest = code[3:-3].partition("\n")
        code = (rest if first.strip().isalnum() else code[3:-3]).strip()
    return code.strip("'").strip()


def _parsed(code: str) -> ast.expr | None:
    """The expression, or ``None`` where the text is none."""
    try:
        return parse_expression(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _read(call: ast.Call) -> tuple[str, dict[str, Any]]:
    """The name of the function, dots included, and the arguments by keyword."""
    parts: list[str] = []
    function = call.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        raise CallError("The name of a function must be a plain name.")
    arguments = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise CallError("Arguments must be written out.")
        arguments[keyword.arg] = _value(keyword.value)
    return ".".join([function.id, *reversed(parts)]), arguments


def _value(node: ast.expr) -> Any:
    """A value; what is not data stands for itself as text."""
    try:
        return _data(node)
    except RecursionError:
        raise CallError("The arguments are nested too deeply.") from None


def _data(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is Ellipsis:
            return "..."
        case ast.Constant(value=value) if value is None or isinstance(value, (str, int, float)):
            return _writable(value)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _number(_data(operand))
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _reckon(_OPERATORS[type(op)], _number(_data(left)), _number(_data(right)))
        case ast.List(elts=items):
            return [_data(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_data(item) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {_key(key): _data(value) for key, value in zip(keys, values, strict=True)}
        case ast.Name(id=name):
            return name
        case ast.Call(keywords=keywords) if keywords:
            name, arguments = _read(node)
            return {name: arguments}
        case ast.Call() | ast.Subscript():
            return _writable(ast.unparse(node))
    raise CallError("An argument is neither a value nor a name.")


def _key(node: ast.expr | None) -> Any:
    if isinstance(node, (ast.Constant, ast.Name)):
        return _data(node)
    raise CallError("A key of an object must be a plain value.")


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise CallError("A text holds half a character.") from None
    elif isinstance(value, float) and not abs(value) < float("inf"):
        raise CallError("A number is too large.")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise CallError("Only numbers can be reckoned with.")


def _reckon(operation: Callable[[Any, Any], Any], left: int | float, right: int | float) -> int | float:
    """The result, where neither it nor the way to it is large."""
    if max(abs(left), abs(right)) > _MAX_SIZE or (operation is operator.pow and abs(right) > 64):
        raise CallError("A number is too large.")
    try:
        value = operation(left, right)
    except (ArithmeticError, ValueError):
        raise CallError("A number cannot be worked out.") from None
    if isinstance(value, complex) or not abs(value) < float("inf"):
        raise CallError("A number cannot be worked out.")
    return value  # type: ignore[no-any-return]
