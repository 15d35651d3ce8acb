"""Whether calls are right: the checks of the Berkeley Function Calling Leaderboard on their syntax trees.

Everything here follows ``ast_checker.py`` of the package ``bfcl-eval``, oddities included: how strings are compared,
that types are compared without regard to inheritance, that the elements of an optional array may have any type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from acenv.envs.base import UnscorableError
from acenv.envs.tools.bfcl.converters import JAVA_TYPES, JAVASCRIPT_TYPES, from_java, from_javascript
from acenv.envs.tools.bfcl.tasks import Kind, Language
from acenv.envs.tools.calls import Call

Function = Mapping[str, Any]
"""A function in the benchmark's own format: ``name``, ``description`` and ``parameters``."""

Possible = Mapping[str, Mapping[str, Any]]
"""A right call: its function to its parameters to their right values."""

PYTHON_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}

_PUNCTUATION = re.compile(r"[ ,./\-_*^]")


def check(
    kind: Kind,
    calls: Sequence[Call],
    functions: Sequence[Function],
    possible: Sequence[Possible],
    language: Language = "python",
) -> str:
    """Why an answer is wrong; empty if it is right.

    Args:
        kind: How the category is scored.
        calls: The calls of the answer.
        functions: What was on offer.
        possible: The right calls; of no account where no call, or just any, is right.
        language: Whose types the functions have. Values of Java and JavaScript come as texts in their notation.

    Raises:
        UnscorableError: The official evaluator raises an error.

    >>> add = {"name": "add", "parameters": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    >>> check("simple", [Call("add", {"n": 2})], [add], [{"add": {"n": [1, 2]}}])
    ''
    >>> check("simple", [Call("add", {"n": 3})], [add], [{"add": {"n": [1, 2]}}])
    "3 is not a right value for 'n'"
    """
    if kind == "irrelevance":
        return "there is a call, but none of the functions fits" if calls else ""
    if kind == "relevance":
        return "" if calls else "there is no call"
    if len(calls) != len(possible):
        return f"there should be {len(possible)} calls, not {len(calls)}"
    try:
        if kind == "simple":
            return _check_call(functions[0], calls[0], possible[0], language)
        return _match(functions, calls, possible, language)
    except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError, RecursionError) as error:
        raise UnscorableError(f"{type(error).__name__}: {error}") from error


def same_name(name: str, wanted: str) -> bool:
    """Whether two names are of the same function; chat APIs allow no dots, so these are offered as underscores.

    >>> same_name("math_add", "math.add"), same_name("math.add", "math.add"), same_name("math.add", "math_add")
    (True, True, False)
    """
    return name == wanted or name == wanted.replace(".", "_")


def _match(
    functions: Sequence[Function], calls: Sequence[Call], possible: Sequence[Possible], language: Language
) -> str:
    """Each right call, in order, takes the first call left that agrees with it."""
    left = list(calls)
    for right in possible:
        name = next(iter(right))
        function = next(f for f in functions if f["name"] == name)
        problem = ""
        for i, call in enumerate(left):
            problem = _check_call(function, call, right, language)
            if not problem:
                del left[i]
                break
        if problem:
            return problem if len(possible) == 1 else f"no call agrees with the right call of {name!r}"
    return ""


def _check_call(function: Function, call: Call, right: Possible, language: Language) -> str:
    values = next(iter(right.values()))
    properties = function["parameters"]["properties"]
    required = function["parameters"]["required"]
    if not same_name(call.name, function["name"]):
        return f"the function should be {function['name']!r}, not {call.name!r}"
    for name in required:
        if name not in call.arguments:
            return f"the parameter {name!r} is missing"
    for name, value in call.arguments.items():
        if name not in properties or name not in values:
            return f"there is no parameter {name!r}" if name not in properties else f"{name!r} should be left out"
        if problem := _check_argument(name, value, properties[name], values[name], language):
            return problem
    for name, accepted in values.items():
        if name not in call.arguments and "" not in accepted:
            return f"the parameter {name!r} is missing"
    return ""


def _check_argument(name: str, value: Any, schema: Mapping[str, Any], accepted: Any, language: Language) -> str:
    kind = schema["type"]
    inner: type | None = None
    if language == "python":
        expected = PYTHON_TYPES[kind]
        if expected is list:
            inner = PYTHON_TYPES[schema["items"]["type"]]
        if kind == "tuple" and type(value) is tuple:
            value = list(value)
        elif kind == "float" and type(value) is int:
            value = float(value)
    else:
        types, convert = (JAVA_TYPES, from_java) if language == "java" else (JAVASCRIPT_TYPES, from_javascript)
        expected = types[kind]
        if type(value) is not str:
            return f"{name!r} should be a text in the notation of the language"
        element = schema["items"]["type"] if kind in ("Array", "ArrayList", "array") else None
        inner = None if element is None else types[element]
        value = convert(value, kind, element)
    fits, variable = _check_type(value, accepted, expected, inner)
    if not fits:
        return f"{name!r} should be of type {kind}, not {type(value).__name__}"
    if variable:
        right = value in accepted
    elif expected is dict:
        right = _object_in(value, accepted)
    elif expected is list and inner is dict:
        right = _objects_in(value, accepted)
    elif expected is str:
        right = standardize(value) in [standardize(choice) for choice in accepted if type(choice) is str]
    elif expected is list:
        right = _standard(value) in [_standard(choice) for choice in accepted]
    else:
        right = value in accepted
    return "" if right else f"{_short(value)} is not a right value for {name!r}"


def _check_type(value: Any, accepted: Any, expected: type, inner: type | None) -> tuple[bool, bool]:
    """Whether the type is right, and whether the value is to be compared as it is.

    A value may also have the type of the first right value, which differs from that of the parameter where the right
    value is a variable.
    """
    accepted_type: Any = next((type(choice) for choice in accepted if choice != ""), None)
    variable = accepted_type is not None and accepted_type is not expected
    if type(value) is not expected:
        return accepted_type is not None and type(value) is accepted_type, True
    if inner is None:
        return True, variable
    items: Any = value
    for choice in accepted:
        if type(choice) is not list or all(_check_type(item, choice, inner, None)[0] for item in items):
            return True, variable
    return False, variable


def standardize(text: str) -> str:
    """A string without blanks, case and the punctuation ``,./-_*^``, and with double quotes only.

    >>> standardize("April 1, 2024") == standardize("april 1 2024")
    True
    """
    return _PUNCTUATION.sub("", text).lower().replace("'", '"')


def _standard(values: Any) -> list[Any]:
    """A list whose strings are standardised."""
    # By index, for what is no list in the data raises here in the official evaluator too.
    items = [values[i] for i in range(len(values))]
    return [standardize(item) if type(item) is str else item for item in items]


def _object_in(value: Any, accepted: Any) -> bool:
    return any(choice != "" and _same_object(value, choice) for choice in accepted)


def _same_object(value: Any, choice: Any) -> bool:
    """Whether an object has right values under all its keys, and lacks no key that it needs."""
    right = True
    for key, item in value.items():
        if key not in choice or (standardize(item) if type(item) is str else item) not in _standard(choice[key]):
            right = False
            break
    for key, items in choice.items():
        if key not in value and "" not in items:
            return False
    return right


def _objects_in(value: Any, accepted: Any) -> bool:
    """Whether a list of objects agrees with one of the right lists, element by element."""
    return any(
        len(value) == len(choice) and all(_object_in(item, [choice[i]]) for i, item in enumerate(value))
        for choice in accepted
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
