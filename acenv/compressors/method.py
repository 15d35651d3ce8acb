"""Method strings such as ``"wanda:pattern=2:4+gptq:bits=4"``: parsed and checked before anything heavy is imported.

A method is one pass, or two with a ``+`` between: pruning, then quantising. A pass is a name, a colon and its options.
``ignore=GLOB|GLOB`` among them leaves layers dense. Each ``@GLOB:option=value,...`` behind them gives some layers
options of their own, or leaves them dense too (``@GLOB:keep``); a layer has those of the last ``@`` that matches it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from acenv.compressors.awq import AWQOptions
from acenv.compressors.eight_bit import FP8Options, SmoothQuantOptions
from acenv.compressors.gptq import GPTQOptions
from acenv.compressors.options import (
    Engine,
    Options,
    PruningOptions,
    RoundingOptions,
    number_text,
    value_problem,
)
from acenv.plugins import COMPRESSORS, PluginError, load, package_of, plugins

METHODS: dict[str, Engine] = {
    "gptq": Engine(GPTQOptions, "acenv.compressors.gptq", "gptqmodel", "gptq", True),
    "awq": Engine(AWQOptions, "acenv.compressors.awq", "gptqmodel", "gptq", True),
    "smoothquant": Engine(SmoothQuantOptions, "acenv.compressors.smoothquant", "llmcompressor", "llmcompressor", True),
    "fp8": Engine(FP8Options, "acenv.compressors.fp8", "llmcompressor", "llmcompressor", False),
    "rtn": Engine(RoundingOptions, "acenv.compressors.rtn", "llmcompressor", "llmcompressor", False),
    "wanda": Engine(PruningOptions, "acenv.compressors.sparse", "llmcompressor", "llmcompressor", True),
    "sparsegpt": Engine(PruningOptions, "acenv.compressors.sparse", "llmcompressor", "llmcompressor", True),
    "magnitude": Engine(PruningOptions, "acenv.compressors.magnitude", "torch", "hf", False),
}
"""Every method of acenv itself, by its name."""

_EXAMPLE = "write it like gptq:bits=4,group_size=128"
_IGNORE, _KEEP = "ignore", "keep"
_LONGEST_SLUG = 60


@dataclass(frozen=True, slots=True)
class Override:
    """Options of some layers.

    Attributes:
        glob: Shell pattern over the names of modules.
        given: What these layers have otherwise than the rest, by the name of the option; ``None`` leaves them dense.
        options: All their options; ``None`` leaves them dense.
    """

    glob: str
    given: tuple[tuple[str, Any], ...] | None
    options: Options | None

    def __str__(self) -> str:
        return f"@{self.glob}:" + (_KEEP if self.given is None else _settings_text(dict(self.given)))


@dataclass(frozen=True, slots=True)
class Pass:
    """One method with all its options set.

    Attributes:
        name: One of :func:`method_names`.
        options: The method's options.
        ignore: Shell patterns over the names of modules, of layers that stay dense.
        overrides: Options of single layers; the last that matches a layer counts.
    """

    name: str
    options: Options
    ignore: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()

    @property
    def engine(self) -> Engine:
        """What carries it out."""
        return engine_of(self.name)

    @property
    def prunes(self) -> bool:
        """Whether it sets weights to zero, and leaves them in their type."""
        return self.options.target().bits is None

    @property
    def settings(self) -> dict[str, Any]:
        """All options by name."""
        return _settings(self.options)

    @property
    def slug(self) -> str:
        """For example ``gptq-4bit-g32``; with a hash behind it where some layers are treated differently."""
        slug = f"{self.name}-{self.options.slug()}"
        return f"{slug}-{_hash(str(self))}" if self.ignore or self.overrides else slug

    def layers(self, linears: Iterable[str], modules: Iterable[str] = ()) -> dict[str, Options]:
        """The options of each layer that is compressed.

        Args:
            linears: Modules that can be compressed.
            modules: Further modules of the model, which are never compressed; it is no mistake to ignore them.

        Raises:
            ValueError: A pattern matches nothing, or no layer is left.
        """
        names = list(linears)
        others = [*modules, "lm_head"]
        for glob in self.ignore:
            _check_glob(self.name, glob, names, others)
        for override in self.overrides:
            _check_glob(self.name, override.glob, names, others if override.options is None else ())
        chosen: dict[str, Options] = {}
        for name in names:
            options: Options | None = self.options
            for override in self.overrides:
                if fnmatchcase(name, override.glob):
                    options = override.options
            if options is not None and not any(fnmatchcase(name, glob) for glob in self.ignore):
                chosen[name] = options
        if not chosen:
            raise ValueError(f"{self.name}: every layer is ignored or kept, so that none is left to compress")
        return chosen

    def __str__(self) -> str:
        text = f"{self.name}:{_settings_text(self.settings)}"
        if self.ignore:
            text += f",{_IGNORE}={'|'.join(self.ignore)}"
        return text + "".join(map(str, self.overrides))


@dataclass(frozen=True, slots=True)
class Method:
    """What is done to a model: one pass or more, the first of them first."""

    passes: tuple[Pass, ...]

    @property
    def needs_calibration(self) -> bool:
        """Whether a pass looks at activations."""
        return any(step.engine.needs_calibration for step in self.passes)

    @property
    def slug(self) -> str:
        """A name for folders and tables, such as ``gptq-4bit-g32`` or ``wanda-2x4-gptq-4bit-g128``."""
        slug = "-".join(step.slug for step in self.passes)
        return slug if len(slug) <= _LONGEST_SLUG else f"{slug[: _LONGEST_SLUG - 9]}-{_hash(str(self))}"

    def check_installed(self) -> None:
        """Raise if an engine is missing.

        Raises:
            ImportError: With the command that installs it.
        """
        for step in self.passes:
            step.engine.check_installed()

    def __str__(self) -> str:
        return "+".join(map(str, self.passes))


def parse(text: str) -> Method:
    """Parse a method string; see the head of this module for its grammar.

    Args:
        text: The method string; options that are left out have their defaults.

    Raises:
        ValueError: It makes no sense; the message says what would.

    >>> str(parse("gptq:bits=3,group_size=32"))
    'gptq:bits=3,group_size=32,desc_act=false,sym=true,damp=0.01'
    >>> parse("wanda:pattern=2:4+rtn:bits=8").slug
    'wanda-2x4-rtn-8bit-g128'
    """
    parts = text.split("+")
    passes = tuple(_parse_pass(part.strip(), text) for part in parts)
    kinds = [step.prunes for step in passes]
    if kinds not in ([True], [False], [True, False]):
        names = {
            kind: ", ".join(name for name, row in METHODS.items() if _prunes(row) is prunes)
            for kind, prunes in (("pruning", True), ("quantising", False))
        }
        raise ValueError(
            f"{_short(text)!r} has the passes {_short(', '.join(step.name for step in passes))}; a method is at most "
            f"one pruning ({names['pruning']}) and then at most one quantising ({names['quantising']}), such as "
            "wanda:pattern=2:4+gptq:bits=4"
        )
    return Method(passes)


def method_names() -> list[str]:
    """The names of all methods, those that other packages add behind acenv's own."""
    return list(METHODS | plugins(COMPRESSORS))


def engine_of(name: str) -> Engine:
    """The engine of a method.

    Raises:
        PluginError: Another package adds the method, and it cannot be loaded.
    """
    if name in METHODS:
        return METHODS[name]
    engine = load(COMPRESSORS, name)
    if not isinstance(engine, Engine):
        raise PluginError(
            f"the method {name!r} of {package_of(plugins(COMPRESSORS)[name])} must be an "
            f"acenv.compressors.options.Engine, and is a {type(engine).__name__}"
        )
    return engine


def _prunes(row: Engine) -> bool:
    return bool(row.options().target().bits is None)


def _parse_pass(text: str, whole: str) -> Pass:
    head, *tails = text.split("@")
    name, colon, rest = head.partition(":")
    name = name.strip().lower()
    known = method_names()
    if name not in known:
        between = " between its + signs" if "+" in whole else ""
        raise ValueError(f"unknown method {_short(name)!r}{between}{_nearest(name, known)}. Known: {', '.join(known)}")
    if colon and not rest.strip():
        raise ValueError(f"{_short(head)!r} ends with a colon: leave it out, or {_EXAMPLE}")
    row = engine_of(name).options
    values = _values(name, row, rest, head) if colon else {}
    ignore = values.pop(_IGNORE, ())
    options = _make(name, row, values)
    overrides = []
    for tail in tails:
        glob, colon, rest = (piece.strip() for piece in tail.partition(":"))
        if not colon or not rest:
            raise ValueError(f"{_short('@' + tail)!r} is no @GLOB:option=value; write it like gptq@*.down_proj:bits=8")
        _check_glob_text(name, glob)
        if rest == _KEEP:
            overrides.append(Override(glob, None, None))
            continue
        given = _values(name, row, rest, "@" + tail)
        if _IGNORE in given:
            raise ValueError(f"{name}: {_IGNORE} is for the whole pass; leave single layers dense with @{glob}:{_KEEP}")
        # What replaces an option that holds for all layers: an override is no contradiction of it.
        replaced = {f.metadata["replaces"] for f in fields(row) if f.name in given}
        kept = {key: value for key, value in _settings(options).items() if key not in replaced}
        order = [f.name for f in fields(row)]
        pairs = tuple(sorted(given.items(), key=lambda pair: order.index(pair[0])))
        overrides.append(Override(glob, pairs, _make(f"{name}@{_short(glob)}", row, {**kept, **given})))
    return Pass(name, options, ignore, tuple(overrides))


def _values(name: str, row: type[Any], text: str, whole: str) -> dict[str, Any]:
    """The options in ``"option=value,option=value"``, and ``ignore``."""
    types = {f.name: type(f.default) for f in fields(row)}
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not raw:
            raise ValueError(f"{_short(part)!r} in {_short(whole)!r} is no option=value; {_EXAMPLE}")
        if key not in types and key != _IGNORE:
            known = [*types, _IGNORE]
            raise ValueError(f"{name} has no option {_short(key)!r}{_nearest(key, known)}. It has: {', '.join(known)}")
        if key in values:
            raise ValueError(f"{_short(whole)!r} gives {key} twice")
        if key == _IGNORE:
            globs = [glob.strip() for glob in raw.split("|")]
            for glob in globs:
                _check_glob_text(name, glob)
            values[key] = tuple(dict.fromkeys(globs))
            continue
        value = _value(types[key], raw)
        if value is None:
            kind = {int: "a whole number", float: "a number", bool: "true or false"}[types[key]]
            raise ValueError(f"{name}: {key} must be {kind}, not {_short(raw)!r}")
        if problem := value_problem(row, key, value):
            raise ValueError(f"{name}: {key} {problem}, not {_short(raw)}")
        values[key] = value
    return values


def _make(name: str, row: type[Any], values: Mapping[str, Any]) -> Options:
    options: Options = row(**values)
    if problem := options.problem():
        raise ValueError(f"{name}: {problem}")
    return options


def _settings(options: Any) -> dict[str, Any]:
    return {f.name: getattr(options, f.name) for f in fields(options)}


def _settings_text(settings: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={_text(value)}" for name, value in settings.items())


def _value(kind: type[Any], raw: str) -> Any:
    """``raw`` as a value of ``kind``, or ``None``."""
    if kind is bool:
        return {"true": True, "false": False}.get(raw.lower())
    if kind is int:
        return int(raw) if re.fullmatch(r"-?[0-9]{1,9}", raw) else None
    if kind is float:
        return float(raw) if re.fullmatch(r"-?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})", raw) else None
    return raw


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return number_text(value) if isinstance(value, float) else str(value)


def _check_glob_text(name: str, glob: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_.*?\[\]!-]+", glob):
        raise ValueError(
            f"{name}: {_short(glob)!r} is no pattern over the names of modules; write it like *.down_proj or "
            "model.layers.0.*"
        )


def _check_glob(name: str, glob: str, linears: list[str], others: Iterable[str]) -> None:
    if any(fnmatchcase(module, glob) for module in (*linears, *others)):
        return
    # Layers repeat, so that what is common to them says more than a long list.
    patterns = list(dict.fromkeys(f"*.{module.rpartition('.')[2]}" for module in linears))
    near = difflib.get_close_matches(glob[:80], [*patterns, *linears], n=3, cutoff=0.5) or [*patterns[:2], linears[0]]
    raise ValueError(f"{name}: {_short(glob)!r} matches no layer of this model; it has {', '.join(near)} and others")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:40], known, n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
