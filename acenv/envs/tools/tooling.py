"""Plain typed functions as tools: their JSON Schema, their validation, and the world that they change."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from jsonschema import Draft202012Validator

from acenv.types import Tool

Record = dict[str, Any]
"""A flat record: field name to string, number or boolean."""

Table = dict[str, Record]
"""Records by their key."""


class ToolError(Exception):
    """A call that could not be carried out; the message is what the agent is told."""


@dataclass(slots=True)
class World:
    """Everything that tools can read and change.

    Attributes:
        tables: Table name to records. Tools of a domain touch the tables of that domain only.
        created: Records made so far; new keys never repeat old ones, also after deletions.
    """

    tables: dict[str, Table]
    created: int = 0

    def table(self, name: str) -> Table:
        """The records of one table; an empty one is made where there is none."""
        return self.tables.setdefault(name, {})

    def add(self, table: str, prefix: str, record: Record) -> str:
        """Store a new record under a fresh key, which is returned."""
        self.created += 1
        key = f"{prefix}{900 + self.created}"
        self.table(table)[key] = record
        return key

    def __deepcopy__(self, memo: dict[int, Any]) -> World:
        return self.copy()

    def copy(self) -> World:
        """An independent copy."""
        return World({t: {k: r.copy() for k, r in table.items()} for t, table in self.tables.items()}, self.created)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that agents can call.

    Attributes:
        name: The function's name.
        domain: The module that it comes from.
        function: Takes the world and the arguments, returns JSON; raises :class:`ToolError`.
        writes: Whether it can change the world.
        schema: The tool as chat APIs take it.
    """

    name: str
    domain: str
    function: Callable[..., Any]
    writes: bool
    schema: Tool
    _checks: dict[str, _Check] = field(repr=False)
    _required: frozenset[str] = field(repr=False)
    _integers: tuple[str, ...] = field(repr=False)
    _validator: Any = field(repr=False)

    def complaint(self, arguments: dict[str, Any]) -> str:
        """Why the arguments break the tool's schema; empty if they do not.

        jsonschema decides. Arguments that satisfy every keyword that occurs in these flat schemas by a direct test are
        valid by jsonschema too (a property that the tests check), so only the others pay for it.
        """
        checks = self._checks
        if arguments.keys() >= self._required:
            for key, value in arguments.items():
                check = checks.get(key)
                if check is None or not check.surely_valid(value):
                    break
            else:
                return ""
        return self._explain(arguments)

    def _explain(self, arguments: dict[str, Any]) -> str:
        errors = sorted(self._validator.iter_errors(arguments), key=lambda e: (list(map(str, e.path)), e.message))
        if not errors:
            return ""
        error = errors[0]
        where = "".join(f" {p}:" for p in error.path)
        message = error.message if len(error.message) <= 200 else f"{error.message[:200]}..."
        return f"{self.name}:{where} {message}. Parameters: {', '.join(self._describe())}."

    def _describe(self) -> list[str]:
        return [
            f"{name} ({c.describe()}{'' if name in self._required else ', optional'})"
            for name, c in self._checks.items()
        ]

    def run(self, world: Any, arguments: dict[str, Any]) -> Any:
        """Carry out a call whose arguments are valid; ``world`` is whatever the function takes first.

        Raises:
            ToolError: The world does not allow it.
        """
        for key in self._integers:
            # JSON Schema counts 3.0 as an integer.
            if type(arguments.get(key)) is float:
                arguments = {**arguments, key: int(arguments[key])}
        return self.function(world, **arguments)


@dataclass(frozen=True, slots=True)
class _Check:
    """A direct test of the keywords of one flat property; a list is left to jsonschema."""

    types: tuple[type, ...]
    enum: frozenset[str] | None
    pattern: re.Pattern[str] | None
    low: float
    high: float
    min_length: int
    max_length: int

    def surely_valid(self, value: Any) -> bool:
        """Whether the value is valid beyond doubt; ``False`` only means that jsonschema has to look."""
        kind = type(value)
        if kind not in self.types or kind is list:
            return False
        if kind is str:
            if self.enum is not None:
                return value in self.enum
            return self.min_length <= len(value) <= self.max_length and (
                self.pattern is None or self.pattern.search(value) is not None
            )
        if kind is bool:
            return True
        return bool(self.low <= value <= self.high)

    def describe(self) -> str:
        if self.enum is not None:
            return "one of " + ", ".join(sorted(self.enum))
        text = " or ".join(dict.fromkeys(_NAMES[t] for t in self.types if t is not int or float not in self.types))
        if self.pattern is not None:
            text += f" matching {self.pattern.pattern}"
        if self.low > float("-inf"):
            text += f" from {self.low:g}"
        if self.high < float("inf"):
            text += f" to {self.high:g}"
        return text


_JSON_TYPES: dict[Any, tuple[str, tuple[type, ...]]] = {
    str: ("string", (str,)),
    int: ("integer", (int,)),
    float: ("number", (int, float)),
    bool: ("boolean", (bool,)),
    list: ("array", (list,)),
}
_NAMES = {types[-1]: name for name, types in _JSON_TYPES.values()}
MAX_TEXT = 2000
"""Longest string that a tool takes, in characters."""


def tool(function: Callable[..., Any], *, writes: bool = False) -> ToolSpec:
    """Make a tool of a function.

    The function's first parameter is the world; the others are annotated with ``str``, ``int``, ``float``, ``bool``,
    ``list``, a union of these, ``Literal`` strings, or ``Annotated[type, {JSON Schema keywords}]``. The first line of
    its docstring is the tool's description. Parameters with a default are optional.
    """
    hints = get_type_hints(function, include_extras=True)
    properties: dict[str, dict[str, Any]] = {}
    checks: dict[str, _Check] = {}
    required: list[str] = []
    for name, parameter in list(inspect.signature(function).parameters.items())[1:]:
        properties[name], checks[name] = _property(hints[name])
        if parameter.default is inspect.Parameter.empty:
            required.append(name)
        else:
            properties[name]["default"] = parameter.default
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    description = (inspect.getdoc(function) or "").split("\n", 1)[0]
    schema = {
        "type": "function",
        "function": {"name": function.__name__, "description": description, "parameters": parameters},
    }
    Draft202012Validator.check_schema(parameters)
    return ToolSpec(
        name=function.__name__,
        domain=function.__module__.rpartition(".")[2],
        function=function,
        writes=writes,
        schema=schema,
        _checks=checks,
        _required=frozenset(required),
        _integers=tuple(n for n, p in properties.items() if p["type"] == "integer"),
        _validator=Draft202012Validator(parameters),
    )


def _property(hint: Any) -> tuple[dict[str, Any], _Check]:
    keywords: dict[str, Any] = {}
    if get_origin(hint) is Annotated:
        hint, keywords = get_args(hint)[0], dict(get_args(hint)[1])
    enum: frozenset[str] | None = None
    if get_origin(hint) is Literal:
        keywords = {"enum": list(get_args(hint)), **keywords}
        enum = frozenset(get_args(hint))
        hint = str
    members = (list,) if get_origin(hint) is list else get_args(hint) or (hint,)
    json_types = [_JSON_TYPES[member][0] for member in members]
    python_types = tuple(kind for member in members for kind in _JSON_TYPES[member][1])
    if str in members and enum is None:
        keywords.setdefault("maxLength", MAX_TEXT)
    check = _Check(
        types=python_types,
        enum=enum,
        pattern=re.compile(keywords["pattern"]) if "pattern" in keywords else None,
        low=keywords.get("minimum", float("-inf")),
        high=keywords.get("maximum", float("inf")),
        min_length=keywords.get("minLength", 0),
        max_length=keywords.get("maxLength", MAX_TEXT),
    )
    return {"type": json_types[0] if len(json_types) == 1 else json_types, **keywords}, check
