"""The grid of a sweep: each method with each number of bits and each share of zeros that it takes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from acenv.compressors import Method, parse
from acenv.compressors.method import engine_of


@dataclass(frozen=True, slots=True)
class GridPoint:
    """One method with all its options.

    Attributes:
        method: What it stands for.
        series: The method as it was asked for, without what is varied.
    """

    method: Method
    series: str

    @property
    def bits(self) -> int | None:
        """Bits of a weight that are asked for, ``None`` where weights keep their type."""
        return next((t.bits for step in self.method.passes if (t := step.options.target()).bits is not None), None)

    @property
    def sparsity(self) -> float | None:
        """Share of zeros that is asked for, ``None`` where nothing is pruned."""
        targets = (step.options.target() for step in self.method.passes)
        return next((t.sparsity for t in targets if t.sparsity is not None), None)


def expand(
    methods: Sequence[str], bits: Sequence[int], sparsity: Sequence[float]
) -> tuple[tuple[GridPoint, ...], tuple[str, ...]]:
    """All combinations; what a method string says itself is not varied.

    Args:
        methods: Method strings, such as ``"gptq:group_size=32"`` or ``"wanda+gptq"``.
        bits: Numbers of bits, for methods that take ``bits``; none: each has its own.
        sparsity: Shares of zeros, for methods that take ``sparsity``; none: each has its own.

    Returns:
        The points, each once, and in words the combinations that a method does not know.

    Raises:
        ValueError: A method string makes no sense, or a value fits none of the methods.

    >>> points, left_out = expand(["rtn:group_size=32", "wanda"], [3, 4], [0.5])
    >>> [point.method.slug for point in points], left_out
    (['rtn-3bit-g32', 'rtn-4bit-g32', 'wanda-50'], ())
    """
    points: dict[str, GridPoint] = {}
    left_out: list[str] = []
    used: set[tuple[str, Any]] = set()
    wanted: dict[str, list[Any]] = {"bits": list(dict.fromkeys(bits)), "sparsity": list(dict.fromkeys(sparsity))}
    for text in methods:
        parse(text)  # A typing mistake is told as it is, before values of the grid are put in.
        parts = text.split("+")
        varied = [(i, name) for i, part in enumerate(parts) for name in _varied(part) if wanted[name]]
        for values in itertools.product(*(wanted[name] for _, name in varied)):
            filled = list(parts)
            for (i, name), value in zip(varied, values, strict=True):
                filled[i] = _with(filled[i], name, value)
            try:
                method = parse("+".join(filled))
            except ValueError as error:
                left_out.append(f"{'+'.join(filled)}: {error}")
                continue
            used |= {(name, value) for (_, name), value in zip(varied, values, strict=True)}
            points.setdefault(str(method), GridPoint(method, text.strip()))
    unused = [f"{name} {value:g}" for name in wanted for value in wanted[name] if (name, value) not in used]
    if unused:
        reasons = "".join(f"\n  {line}" for line in left_out)
        raise ValueError(f"none of the methods can be asked for {' or '.join(unused)}; leave that out{reasons}")
    return tuple(points.values()), tuple(left_out)


def _varied(part: str) -> list[str]:
    """What of bits and sparsity a pass takes, and does not say itself."""
    head = part.partition("@")[0]
    name, _, options = head.partition(":")
    given = {option.partition("=")[0].strip() for option in options.split(",")}
    known = {f.name for f in fields(engine_of(name.strip().lower()).options)}
    if "pattern" in given:  # It fixes the share of zeros.
        given.add("sparsity")
    return [name for name in ("bits", "sparsity") if name in known - given]


def _with(part: str, name: str, value: float) -> str:
    """A pass with one more option, in front of what is said of single layers."""
    head, at, layers = part.partition("@")
    return f"{head.strip()}{',' if ':' in head else ':'}{name}={value:g}{at}{layers}"
