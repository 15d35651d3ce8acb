"""What a compression method can be asked for: option classes, their checks, and the row that describes an engine."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

GROUP_SIZES = (16, 32, 64, 128, 256, 512, 1024, -1)
"""Weights that share a scale, along the inputs; -1 is one scale for a whole row."""

LONGEST_PATTERN = 16
"""Largest M of an N:M pattern."""


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
            used; where the engine cannot do all that can be asked for, also ``check(source, options, layers, pruned)``.
        package: What has to be importable.
        extra: The extra of acenv that installs it; empty for what comes from elsewhere.
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
            how = f'"acenv[{self.extra}]"' if self.extra else f'"acenv[hf]" {self.package}'
            raise ImportError(f"this method needs {' and '.join(missing)}: pip install {how}")

    def check(self, source: Any, options: Any, layers: Mapping[str, Any], pruned: bool) -> None:
        """Raise if the engine cannot do what is asked for, before anything is loaded.

        Args:
            source: The dense checkpoint.
            options: The method's options.
            layers: Options of each layer to compress.
            pruned: Whether zeros have to stay zero, because a pass before this one pruned them.

        Raises:
            ValueError: With what to do.
            ImportError: With the command that installs what is missing.
        """
        if (check := getattr(importlib.import_module(self.module), "check", None)) is not None:
            check(source, options, layers, pruned)


def option(
    default: Any,
    *,
    allowed: Sequence[Any] = (),
    above: float | None = None,
    below: float | None = None,
    replaces: str | None = None,
) -> Any:
    """A dataclass field: an option of a method.

    Args:
        default: Its type (``int``, ``float``, ``bool`` or ``str``) is the option's.
        allowed: The values that it may have.
        above: Bound that its values must exceed.
        below: Bound that its values must stay under; it goes with ``above``.
        replaces: Another option, which has its default again in a layer that is given this one.
    """
    rules = {"allowed": tuple(allowed), "above": above, "below": below, "replaces": replaces}
    return field(default=default, metadata=rules)


def value_problem(options: type[Any], name: str, value: Any) -> str | None:
    """Why ``value`` is no value for the option ``name``, or ``None``."""
    rules = next(f.metadata for f in fields(options) if f.name == name)
    if rules["allowed"] and value not in rules["allowed"]:
        return f"must be one of {', '.join(map(str, rules['allowed']))}"
    if rules["above"] is not None and not rules["above"] < value < rules["below"]:
        return f"must be above {rules['above']:g} and below {rules['below']:g}"
    return None


def group_slug(group_size: int) -> str:
    """``g128``, or ``row`` with one scale a row."""
    return "row" if group_size == -1 else f"g{group_size}"


def number_text(value: float) -> str:
    """A number as the shortest decimal with up to nine digits after the point, never with an exponent.

    >>> number_text(0.5), number_text(0.00001), number_text(50.0)
    ('0.5', '0.00001', '50')
    """
    return f"{value:.9f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class RoundingOptions:
    """Options of methods that store weights in few bits.

    Attributes:
        bits: Bits of a code.
        group_size: Inputs that share a scale, -1 for all.
    """

    bits: int = option(4, allowed=(2, 3, 4, 5, 6, 7, 8))
    group_size: int = option(128, allowed=GROUP_SIZES)

    def problem(self) -> str | None:
        """All combinations are possible."""
        return None

    def slug(self) -> str:
        """For example ``4bit-g128``."""
        return f"{self.bits}bit-{group_slug(self.group_size)}"

    def target(self) -> Target:
        """Few levels in each group."""
        return Target(bits=self.bits, group_size=self.group_size)


@dataclass(frozen=True, slots=True)
class PruningOptions:
    """Options of methods that set weights to zero.

    Attributes:
        sparsity: Share of the weights of a layer; 0 stands for what the pattern says, and a half without a pattern.
        pattern: ``"2:4"``: of every 4 neighbours along the inputs, at least 2 are zero.
    """

    sparsity: float = option(0.0, above=0.0, below=1.0, replaces="pattern")
    pattern: str = option("unstructured", replaces="sparsity")

    def __post_init__(self) -> None:
        """Set the sparsity that was left out."""
        if self.sparsity == 0.0:
            zeros, of = self._split() or (1, 2)
            object.__setattr__(self, "sparsity", round(zeros / of, 9))

    def problem(self) -> str | None:
        """An N:M pattern fixes the sparsity."""
        if self.pattern == "unstructured":
            return None
        split = self._split()
        if split is None or not 0 < split[0] < split[1] <= LONGEST_PATTERN:
            return (
                "pattern must be unstructured, or N:M for N zeros in every M neighbours, such as 2:4, with N below M "
                f"and M at most {LONGEST_PATTERN}, not {self.pattern[:40]!r}"
            )
        share = round(split[0] / split[1], 9)
        if self.sparsity != share:
            return f"pattern={self.pattern} always means sparsity={number_text(share)}; leave one of the two out"
        return None

    def slug(self) -> str:
        """``50`` (percent) or ``2x4``."""
        return number_text(100 * self.sparsity) if self._split() is None else self.pattern.replace(":", "x")

    def target(self) -> Target:
        """A share of zeros, and the pattern."""
        return Target(sparsity=self.sparsity, pattern=self._split())

    def _split(self) -> tuple[int, int] | None:
        match = re.fullmatch(r"([1-9][0-9]?):([1-9][0-9]?)", self.pattern)
        return (int(match[1]), int(match[2])) if match else None
