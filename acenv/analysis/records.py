"""From dataclasses to strict JSON, which has neither ``nan`` nor infinities nor tuples."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Dataclasses become dicts, tuples lists, numbers that are not finite ``None``; keys become text.

    >>> to_jsonable({3: (1.0, float("nan"))})
    {'3': [1.0, None]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): to_jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def from_number(value: float | None) -> float:
    """The number that :func:`to_jsonable` wrote; ``None`` stands for ``nan``."""
    return math.nan if value is None else float(value)
