"""What a compression method can be asked for: option classes, their checks, and the row that describes an engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

GROUP_SIZES = (16, 32, 64, 128, 256, 512, 1024, -1)
"""Weights that share a scale, along the inputs; -1 is one scale for a whole row."""

PATTERNS = ("unstructured", "2:4", "4:8")
"""``"2:4"``: of every 4 neighbours along the inputs, at least 2 are zero."""


class CompressionError(RuntimeError):
    """The engine failed, or what it wrote did not pass the checks."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the compressed weights have to look like; ``None`` where a method does not say.

    Attributes:
        bits: At most ``2 ** bits`` distinct values in a group.
        group_size: Weights in a group, -1 for a whole row.
        sparsity: Share of zeros, over all pruned layers.
        pattern: ``(zeros, of)`` of an N:M pattern.
    """

    bits: int | None = None
    group_size: int = -1
    sparsity: float | None = None
    pattern: tuple[int, int] | None = None


class Options(Protocol):
    """The options of a method: a frozen dataclass, one field an option, made with :func:`option`."""

    def problem(self) -> str | None:
        """Why these values cannot go together, or ``None``."""
        ...

    def slug(self) -> str:
        """The options as a part of a folder name."""
        ...

    def target(self) -> Target:
        """What the result has to look like."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """One row of the table of methods.

    Attributes:
        options: The dataclass of the method's options.
        module: Module with ``run(job)``, ``load(folder, dtype)`` and ``dense_weight(module)``, imported when it is
            used.
        package: What has to be importable.
        extra: The extra of acenv that installs it.
        needs_calibration: Whether the method looks at activations.
    """

    options: type[Any]
    module: str
    package: str
    extra: str
    needs_calibration: bool

    def check_installed(self) -> None:
        """Raise if the engine is missing.

        Raises:
            ImportError: With the command that installs it.
        """
        missing = [name for name in ("torch", "transformers", self.package) if importlib.util.find_spec(name) is None]
        if missing:
            raise ImportError(f'this method needs {" and ".join(missing)}: pip install "acenv[{self.extra}]"')


def option(default: Any, *, allowed: Sequence[Any] = (), above: float | None = None, below: float | None = None) -> Any:
    """A dataclass field with a default and the values that it may have (a list, or an open interval)."""
    return field(default=default, metadata={"allowed": tuple(allowed), "above": above, "below": below})


def value_problem(options: type[Any], name: str, value: Any) -> str | None:
    """Why ``value`` is no value for the option ``name``, or ``None``."""
    rules = next(f.metadata for f in fields(options) if f.name == name)
    if rules["allowed"] and value not in rules["allowed"]:
        return f"must be one of {', '.join(map(str, rules['allowed']))}"
    if rules["above"] is not None and not rules["above"] < value < rules["below"]:
        return f"must be above {rules['above']:g} and below {rules['below']:g}"
    return None


@dataclass(frozen=True, slots=True)
class RoundingOptions:
    """Options of methods that store weights in few bits."""

    bits: int = option(4, allowed=(2, 3, 4, 8))
    group_size: int = option(128, allowed=GROUP_SIZES)

    def problem(self) -> str | None:
        """All combinations are possible."""
        return None

    def slug(self) -> str:
        """``4bit-g128``, or ``4bit-row`` with one scale a row."""
        return f"{self.bits}bit-{'row' if self.group_size == -1 else f'g{self.group_size}'}"

    def target(self) -> Target:
        """Few levels in each group."""
        return Target(bits=self.bits, group_size=self.group_size)


@dataclass(frozen=True, slots=True)
class PruningOptions:
    """Options of methods that set weights to zero."""

    sparsity: float = option(0.5, above=0.0, below=1.0)
    pattern: str = option("unstructured", allowed=PATTERNS)

    def problem(self) -> str | None:
        """An N:M pattern fixes the sparsity."""
        if self.pattern != "unstructured" and self.sparsity != 0.5:
            return f"pattern={self.pattern} always means sparsity=0.5; leave one of the two out"
        return None

    def slug(self) -> str:
        """``50`` (percent) or ``2x4``."""
        return f"{100 * self.sparsity:g}" if self.pattern == "unstructured" else self.pattern.replace(":", "x")

    def target(self) -> Target:
        """A share of zeros, and the pattern."""
        if self.pattern == "unstructured":
            return Target(sparsity=self.sparsity)
        zeros, size = map(int, self.pattern.split(":"))
        return Target(sparsity=zeros / size, pattern=(zeros, size))
