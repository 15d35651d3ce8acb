"""Values in the notation of Java and JavaScript, for the two categories that have them.

The rules are those of ``java_type_converter.py`` and ``js_type_converter.py`` of the package ``bfcl-eval``: a few
patterns, no grammar. What fits none of them stays the text that it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

JAVA_TYPES: Mapping[str, type] = {
    "byte": int,
    "short": int,
    "integer": int,
    "float": float,
    "double": float,
    "long": int,
    "boolean": bool,
    "char": str,
    "Array": list,
    "ArrayList": list,
    "Set": set,
    "HashMap": dict,
    "Hashtable": dict,
    "Queue": list,
    "Stack": list,
    "String": str,
    "any": str,
}
JAVASCRIPT_TYPES: Mapping[str, type] = {
    "String": str,
    "integer": int,
    "float": float,
    "Bigint": int,
    "Boolean": bool,
    "dict": dict,
    "array": list,
    "any": str,
}

MAX_TEXT = 1000
"""Longer texts are not searched for collections: the patterns take time that grows faster than the text."""

MAX_BRACKETS = 10
"""Closing brackets in rows that hold brackets themselves; the official pattern for these takes exponential time."""

_INTEGER = re.compile(r"^-?\d+$")
_NUMBERS: Mapping[str, re.Pattern[str]] = {
    "float": re.compile(r"^-?\d+(\.\d+)?([eE][+-]?\d+)?[fF]$"),
    "double": re.compile(r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"),
    "long": re.compile(r"^-?\d+[lL]$"),
}
_JS_FLOAT = re.compile(r"^-?\d+(\.\d+)?$")
_JS_BIGINT = re.compile(r"^-?\d+n$")

_AS_LIST = re.compile(r"new\s+ArrayList<\w*>\(Arrays\.asList\((.+?)\)\)")
_ADDED = re.compile(r"new\s+ArrayList<\w*>\(\)\s*\{\{")
_ADD = re.compile(r"add\((.+?)\)")
_NO_LIST = re.compile(r"new\s+ArrayList<\w*>\(\)")
_ARRAY = re.compile(r"new\s+\w+\[\]\s*\{(.*?)\}")
_MAP = re.compile(r"new\s+HashMap<.*?>\s*\(\)\s*\{", re.DOTALL)
_PUT = re.compile(r"put\(\"(.*?)\",\s*(.*?)\)")
_NO_MAP = re.compile(r"new\s+HashMap<.*?>\s*\(\)")

_JS_ROWS = re.compile(r"\[\s*\[.*?\]\s*(,\s*\[.*?\]\s*)*\]|\bnew\s+Array\(\s*\[.*?\]\s*(,\s*\[.*?\]\s*)*\)")
_FLAT = r"\[[^\[\]\n]*\]\s*"
_JS_FLAT_ROWS = re.compile(rf"\[\s*{_FLAT}(,\s*{_FLAT})*\]|\bnew\s+Array\(\s*{_FLAT}(,\s*{_FLAT})*\)")
_JS_ROW = re.compile(r"\[(.*?)\]")
_JS_ARRAY = re.compile(r"\[(.*?)\]|\bnew\s+Array\((.*?)\)")
_JS_OBJECT = re.compile(r"\{(.*?)\}")
_JS_PAIR = re.compile(r"([^:]+):\s*(.*?)(?:,\s*(?=[^,]+:)|$)")


def from_java(text: str, kind: str, element: str | None = None) -> Any:
    """The value of a Java expression.

    Args:
        text: The expression.
        kind: The type of the parameter, by its name in the benchmark.
        element: The type of its elements, where it has some.

    Raises:
        NotImplementedError: A type that the official converter knows by name only.
        ValueError: A type that it does not know.

    >>> from_java("7L", "long"), from_java("new int[]{1, 2}", "Array", "integer"), from_java("x", "integer")
    (7, [1, 2], 'x')
    """
    match kind:
        case "byte" | "short" | "integer":
            return int(text) if _INTEGER.match(text) else text
        case "long":
            return int(text.rstrip("\n")[:-1]) if _NUMBERS[kind].match(text) else text
        case "float":
            return float(text.rstrip("\n")[:-1]) if _NUMBERS[kind].match(text) else text
        case "double":
            return float(text) if _NUMBERS[kind].match(text) else text
        case "boolean":
            return text == "true" if text in ("true", "false") else text
        case "String" | "any" | "char":
            return text
        case "ArrayList":
            return text if len(text) > MAX_TEXT else _java_list(text, element)
        case "Array":
            found = None if len(text) > MAX_TEXT else _ARRAY.search(text)
            if found is None:
                return text
            items = [item.strip() for item in found[1].split(",") if item.strip()]
            return [_java_element(item, element) for item in items]
        case "HashMap":
            return text if len(text) > MAX_TEXT else _java_map(text)
        case "Set" | "Hashtable" | "Queue" | "Stack":
            raise NotImplementedError(f"the official converter reads no {kind}")
    raise ValueError(f"there is no type {kind!r}")


def _java_list(text: str, element: str | None) -> Any:
    if found := _AS_LIST.search(text):
        items = [item.strip() for item in found[1].split(",")]
    elif (inside := _added(text)) is not None:
        items = [item.strip() for item in _ADD.findall(inside)]
    else:
        return [] if _NO_LIST.search(text) else text
    return [item[1:-1] if element in ("char", "String") else _java_element(item, element) for item in items]


def _added(text: str) -> str | None:
    """What stands between the double braces of a list, of which there is at least one character."""
    # A pattern for the whole would take time that grows with the third power of a row of blanks.
    if not (found := _ADDED.search(text)):
        return None
    rest = text[found.end() :]
    body = rest.lstrip()
    end = body.find("}}", 1)
    if end < 0:
        return "" if rest != body and body.startswith("}}") else None
    return body[:end]


def _java_map(text: str) -> Any:
    if (found := _MAP.search(text)) and "}" in text[found.end() :]:
        inside = text[found.end() :].lstrip().removeprefix("{").lstrip()
        inside = inside[: inside.find("}")]
        puts = _PUT.findall(inside[: inside.rfind(")") + 1])
        return {key: _java_value(value.strip()) for key, value in puts}
    return {} if _NO_MAP.search(text) else text


def _java_element(text: str, element: str | None) -> Any:
    return from_java(text, element) if element else _java_value(text)


def _java_value(text: str) -> Any:
    """A value whose type is not known."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"') and text.endswith('"'):
        return text[1:-1]
    for kind in ("long", "float"):
        if _NUMBERS[kind].match(text):
            return from_java(text, kind)
    return _number(text)


def from_javascript(text: str, kind: str, element: str | None = None) -> Any:
    """The value of a JavaScript expression; the arguments are as for :func:`from_java`.

    Raises:
        ValueError: A type that the official converter does not know.

    >>> from_javascript("['a', 'b']", "array", "String"), from_javascript("{a: 1}", "dict")
    (['a', 'b'], {'a': 1})
    """
    match kind:
        case "String":
            quoted = any(text.startswith(quote) and text.endswith(quote) for quote in "\"'")
            return text[1:-1] if quoted else text
        case "integer":
            return int(text) if _INTEGER.match(text) else text
        case "float":
            return float(text) if _JS_FLOAT.match(text) else text
        case "Bigint":
            return int(text[:-1]) if _JS_BIGINT.match(text) else text
        case "Boolean":
            return text == "true" if text in ("true", "false") else text
        case "dict" | "array":
            code = text.strip()
            if len(code) > MAX_TEXT:
                return code
            return _js_object(code) if kind == "dict" else _js_array(code, element)
        case "any":
            return text
    raise ValueError(f"there is no type {kind!r}")


def _js_array(code: str, element: str | None) -> Any:
    # The first pattern finds what the second, official one does, in linear time.
    if found := _JS_FLAT_ROWS.match(code) or (_JS_ROWS.match(code) if code.count("]") <= MAX_BRACKETS else None):
        rows = []
        for i, row in enumerate(_JS_ROW.findall(found[0])):
            items = row.strip()
            if i == 0 and items.startswith("["):
                items = items[1:]
            rows.append([_js_value(item.strip()) for item in items.split(",")])
        return rows
    found = _JS_ARRAY.match(code)
    if found is None:
        return code
    inside = (found[1] if found[1] is not None else found[2]).strip()
    items = inside.split(",") if inside else []
    try:
        return [from_javascript(i.strip(), element) if element else _js_value(i.strip()) for i in items]
    except ValueError:  # an element whose type is none of JavaScript's
        return code


def _js_object(code: str) -> Any:
    if code == "{}":
        return {}
    found = _JS_OBJECT.match(code)
    if found is None:
        return code
    result: dict[str, Any] = {}
    for key, value in _JS_PAIR.findall(found[1]):
        value = value.strip()
        if value.startswith("[") and value.endswith("]"):
            item = _js_array(value, None)
        elif value.startswith("{") and value.endswith("}"):
            item = _js_object(value)
        else:
            item = _js_value(value.strip("'\""))
        result[key.strip().strip("'\"")] = item
    return result


def _js_value(text: str) -> Any:
    """A value whose type is not known."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    if any(text.startswith(quote) and text.endswith(quote) for quote in "\"'"):
        return text[1:-1]
    return _number(text)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
