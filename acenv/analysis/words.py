"""Figures in words, as the pages write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from acenv.analysis.comparison import EnvComparison
from acenv.analysis.statistics import Interval


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "episode"), count(2000, "pair")
    ('1 episode', '2,000 pairs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def number(value: float | None, form: str = ".3f") -> str:
    """A number, or a dash where it is not known.

    >>> number(0.25), number(math.nan), number(-0.5, "+.2f"), number(None)
    ('0.250', '–', '−0.50', '–')
    """
    return "–" if value is None or math.isnan(value) else format(value, form).replace("-", "−")


def percent(value: float) -> str:
    """A share, with one digit after the point where that says more.

    >>> percent(0.034), percent(0.5), percent(math.nan)
    ('3.4%', '50%', '–')
    """
    return "–" if math.isnan(value) else f"{value:.1%}" if abs(value) < 0.0995 else f"{value:.0%}"


def p_value(value: float) -> str:
    """A p-value with its sign.

    >>> p_value(0.0001), p_value(0.04)
    ('p < 0.001', 'p = 0.040')
    """
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def bounded(value: Interval, form: str = "+.2f") -> str:
    """An estimate with its bounds, as far as there are any.

    >>> bounded(Interval(0.5, 0.25, 0.75)), bounded(Interval(0.5, math.nan, math.nan))
    ('+0.50 [+0.25, +0.75]', '+0.50')
    """
    text = number(value.estimate, form)
    return text if math.isnan(value.low) else f"{text} [{number(value.low, form)}, {number(value.high, form)}]"


def changed(part: EnvComparison) -> str:
    """How many episodes fell and rose."""
    return f"{len(part.lost):,} lost, {len(part.gained):,} gained"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def ranges(seeds: Sequence[int]) -> str:
    """Whole numbers as ranges, in order.

    >>> ranges([3, 1, 2, 7])
    '1–3, 7'
    """
    spans: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if spans and seed == spans[-1][1] + 1:
            spans[-1][1] = seed
        else:
            spans.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)
