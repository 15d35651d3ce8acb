"""How the functions of medium and hard tasks are written down, with the requests that call for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from acenv.envs.tools.bfcl import values as v

STRING: Mapping[str, Any] = {"type": "string"}
LINES: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "dict",
        "properties": {"item": {"type": "string"}, "quantity": {"type": "integer"}},
        "required": ["item", "quantity"],
    },
}
ADDRESS: Mapping[str, Any] = {
    "type": "dict",
    "properties": {
        "street": {"type": "string", "description": "The name of the street, without the number."},
        "number": {"type": "integer"},
        "city": {"type": "string"},
    },
    "required": ["street", "number", "city"],
}
NAMES: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function.

    Attributes:
        name: Its name.
        schema: Its type, in the benchmark's format.
        description: What it is.
        draw: Draws a value with its words.
        default: What it is if left out; ``None`` for a parameter that is required.
        say: For an optional parameter: the sentence that gives its value.
    """

    name: str
    schema: Mapping[str, Any]
    description: str
    draw: v.Draw
    default: Any = None
    say: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A function, and requests that call for it.

    Attributes:
        name: The function's name.
        description: What it does.
        requests: Requests, with the required parameters in braces.
        parameters: Its parameters.
        follows: Whether it needs the number of something that exists already, so that it can never do by itself what
            another function of its area does.
    """

    name: str
    description: str
    requests: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    follows: bool = False

    def function(self, draft: bool = False) -> dict[str, Any]:
        """It in the benchmark's format, or its double that only saves a draft."""
        properties = {}
        for p in self.parameters:
            properties[p.name] = {**p.schema, "description": p.description}
            if p.default is not None:
                properties[p.name]["default"] = p.default
        description = self.description
        if draft:
            description = f"{description} It is not carried out, but saved as a draft for approval."
        return {
            "name": f"{self.name}_draft" if draft else self.name,
            "description": description,
            "parameters": {
                "type": "dict",
                "properties": properties,
                "required": [p.name for p in self.parameters if p.default is None],
            },
        }

    def ask(self, r: Random, hard: bool) -> tuple[str, dict[str, list[Any]]]:
        """A request, and the right values of each parameter."""
        said: dict[str, str] = {}
        right: dict[str, list[Any]] = {}
        extra = []
        for p in self.parameters:
            if p.default is not None and r.random() < 0.5:
                right[p.name] = ["", p.default]
                continue
            value = p.draw(r, hard)
            while value.right == p.default:
                value = p.draw(r, hard)
            right[p.name] = [value.right]
            if p.default is None:
                said[p.name] = value.words
            else:
                extra.append(p.say.format(value.words))
        r.shuffle(extra)
        return " ".join([r.choice(self.requests).format(**said), *extra]), right


def text(name: str, description: str, draw: v.Draw) -> Parameter:
    """A required string."""
    return Parameter(name, STRING, description, draw)


def date(name: str = "date", what: str = "The date") -> Parameter:
    """A required date."""
    return Parameter(name, STRING, f"{what}, as YYYY-MM-DD.", v.date)


def time(name: str = "time", what: str = "The time") -> Parameter:
    """A required time."""
    return Parameter(name, STRING, f"{what}, as HH:MM from 00:00 to 23:59.", v.clock)


def choice(name: str, description: str, choices: Mapping[str, str], default: str, say: str) -> Parameter:
    """An optional value of an enumeration."""
    return Parameter(name, {"type": "string", "enum": list(choices)}, description, v.one_of(choices), default, say)


def flag(name: str, description: str, say: str) -> Parameter:
    """An optional value that is false by default."""
    return Parameter(name, {"type": "boolean"}, description, v.yes, False, say)


MINUTES = Parameter("minutes", {"type": "integer"}, "How long, in minutes.", v.minutes)
PEOPLE = Parameter("attendees", NAMES, "Full names, in the order in which they are named.", v.several(v.person))
