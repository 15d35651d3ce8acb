"""Method strings such as ``"gptq:bits=4,group_size=32"``: parsed and checked before anything heavy is imported."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from typing import Any

from acenv.compressors.gptq import GPTQOptions
from acenv.compressors.options import Engine, Options, PruningOptions, RoundingOptions, value_problem

METHODS: dict[str, Engine] = {
    "gptq": Engine(GPTQOptions, "acenv.compressors.gptq", "gptqmodel", "gptq", True),
    "rtn": Engine(RoundingOptions, "acenv.compressors.rtn", "llmcompressor", "llmcompressor", False),
    "wanda": Engine(PruningOptions, "acenv.compressors.sparse", "llmcompressor", "llmcompressor", True),
    "sparsegpt": Engine(PruningOptions, "acenv.compressors.sparse", "llmcompressor", "llmcompressor", True),
    "magnitude": Engine(PruningOptions, "acenv.compressors.magnitude", "torch", "hf", False),
}
"""Every method by its name."""

_EXAMPLE = "write it like gptq:bits=4,group_size=128"


@dataclass(frozen=True, slots=True)
class Method:
    """A method with all its options set.

    Attributes:
        name: A key of :data:`METHODS`.
        options: The method's options.
    """

    name: str
    options: Options

    @property
    def engine(self) -> Engine:
        """The row of the table."""
        return METHODS[self.name]

    @property
    def slug(self) -> str:
        """A name for folders and tables, such as ``gptq-4bit-g32``, ``wanda-50`` or ``wanda-2x4``."""
        return f"{self.name}-{self.options.slug()}"

    @property
    def settings(self) -> dict[str, Any]:
        """All options by name."""
        return {f.name: getattr(self.options, f.name) for f in fields(self.engine.options)}

    def __str__(self) -> str:
        return f"{self.name}:" + ",".join(f"{name}={_text(value)}" for name, value in self.settings.items())


def parse(text: str) -> Method:
    """Parse ``"name"`` or ``"name:option=value,option=value"``.

    Args:
        text: The method string; options that are left out have their defaults.

    Raises:
        ValueError: It makes no sense; the message says what would.

    >>> str(parse("gptq:bits=3,group_size=32"))
    'gptq:bits=3,group_size=32,desc_act=false,sym=true'
    >>> parse("wanda:pattern=2:4").slug
    'wanda-2x4'
    """
    name, colon, rest = text.strip().partition(":")
    name = name.strip().lower()
    if name not in METHODS:
        raise ValueError(f"unknown method {_short(name)!r}{_nearest(name, list(METHODS))}. Known: {', '.join(METHODS)}")
    if colon and not rest.strip():
        raise ValueError(f"{_short(text)!r} ends with a colon: leave it out, or {_EXAMPLE}")
    options = METHODS[name].options
    types = {f.name: type(f.default) for f in fields(options)}
    values: dict[str, Any] = {}
    for part in rest.split(",") if colon else ():
        key, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not raw:
            raise ValueError(f"{_short(part)!r} in {_short(text)!r} is no option=value; {_EXAMPLE}")
        if key not in types:
            raise ValueError(
                f"{name} has no option {_short(key)!r}{_nearest(key, list(types))}. It has: {', '.join(types)}"
            )
        if key in values:
            raise ValueError(f"{_short(text)!r} gives {key} twice")
        value = _value(types[key], raw)
        if value is None:
            kind = {int: "a whole number", float: "a number", bool: "true or false"}[types[key]]
            raise ValueError(f"{name}: {key} must be {kind}, not {_short(raw)!r}")
        if problem := value_problem(options, key, value):
            raise ValueError(f"{name}: {key} {problem}, not {_short(raw)}")
        values[key] = value
    method = Method(name, options(**values))
    if problem := method.options.problem():
        raise ValueError(f"{name}: {problem}")
    return method


def _value(kind: type[Any], raw: str) -> Any:
    """``raw`` as a value of ``kind``, or ``None``."""
    if kind is bool:
        return {"true": True, "false": False}.get(raw.lower())
    if kind is int:
        return int(raw) if re.fullmatch(r"[+-]?[0-9]{1,9}", raw) else None
    if kind is float:
        return float(raw) if re.fullmatch(r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})", raw) else None
    return raw


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:40], known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
