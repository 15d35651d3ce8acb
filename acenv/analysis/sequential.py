"""Intervals and tests that hold whenever somebody looks, so that a comparison may stop as soon as it knows enough.

An ordinary 95% interval is right for a number of episodes that was fixed beforehand. If one looks again and again and
stops when it is narrow, it is wrong far more often. A *confidence sequence* is right at all looks at once.

The one used here bets against each value that the mean might have (Waudby-Smith and Ramdas, *Estimating means of
bounded random variables by betting*, JRSS B 86(1), 2024). For x in [0, 1] and a candidate m for its mean, a gambler who
stakes the share f on "more than m" has after n episodes the capital

    K(m, f) = product of (1 - f + f x / m),

which is a martingale where m is the mean; by Ville's inequality it ever exceeds 1 / alpha with a chance of at most
alpha. All m at which it does are ruled out. It is not known beforehand which share is good, so the stake is spread over
all of them with the arcsine density, as in Cover's universal portfolio (Cover and Ordentlich 1996; Orabona and Jun,
*Tight concentrations and confidence sequences from the regret of universal portfolio*, IEEE Transactions on Information
Theory 70(1), 2024). Where nothing changes at all, shares near 1 win most, and the interval is nearly as narrow as the
"rule of three"; the predictable plug-in bets of the first paper may not go that far. K falls
as m grows, so that the bounds are found by bisection.

The mean over several environments is bounded by betting in all of them at once: the product of the capitals is a
martingale where all the means are right, whatever stopped each of them (the union-of-intersections idea of Spertus and
Stark, *Sweeter than SUITE*, 2022). The least mean whose capitals do not multiply to 1 / alpha is bounded from below by
Lagrangian duality, which can only err towards a wider interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from acenv.analysis.bounded import scale_of
from acenv.analysis.statistics import Floats, Interval, find_root, finite_sample

METHOD = "confidence sequence by betting, arcsine mixture (Waudby-Smith and Ramdas 2024; Orabona and Jun 2024)"

_SHARES = (1.0 - np.cos((2.0 * np.arange(1, 49) - 1.0) * math.pi / 96.0)) / 2.0
"""Chebyshev's nodes on (0, 1), which with equal weights stand for the arcsine density."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What pairs of returns say, at any time; see :class:`acenv.analysis.comparison.EnvComparison`."""

    reference: Interval
    candidate: Interval
    difference: Interval
    retention: Interval | None
    p_value: float


def anytime_mean(values: npt.ArrayLike, *, low: float = -1.0, high: float = 1.0, confidence: float = 0.95) -> Interval:
    """The mean of bounded values, with an interval that holds at all sample sizes at once.

    Args:
        values: Shape [n]; values outside of the range widen it, and then the interval holds no longer for sure.
        low: Least value there can be.
        high: Largest value there can be.
        confidence: The chance that all intervals hold that are computed as values come in.

    Raises:
        ValueError: No values, a value that is not finite, or a confidence out of range.

    >>> interval = anytime_mean([0.0] * 250)
    >>> round(interval.low, 3), round(interval.high, 3)
    (-0.02, 0.02)
    """
    sample = finite_sample(values, "values")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}")
    low, high = min(low, float(sample.min())), max(high, float(sample.max()))
    limit = math.log(2.0 / (1.0 - confidence))
    mean = float(sample.mean())
    bounds = _lower(sample - low, limit) + low, high - _lower(high - sample, limit)
    return Interval(mean, min(bounds[0], mean), max(bounds[1], mean))


def mean_test(values: npt.ArrayLike, *, low: float = -1.0, high: float = 1.0) -> float:
    """The two-sided p-value of "the mean is 0", right whenever one stops: twice the inverse of the larger capital.

    Args:
        values: Shape [n]; none says nothing.
        low: Least value there can be, below 0.
        high: Largest value there can be, above 0.

    >>> mean_test([0.0] * 9), mean_test([-1.0] * 12) < 0.01
    (1.0, True)
    """
    sample = np.asarray(values, dtype=np.float64)
    if not np.any(sample):
        return 1.0
    low, high = min(low, float(sample.min())), max(high, float(sample.max()))
    capital = max(float(_log_capital(sample - low, -low)), float(_log_capital(high - sample, high)))
    return min(1.0, 2.0 * math.exp(-capital))


def paired(strata: Sequence[Floats], *, confidence: float = 0.95) -> Paired:
    """Means, difference and retention of pairs from one environment, or with the same weight from several.

    Args:
        strata: Returns of reference and candidate, shape [n, 2] for each environment, n at least 1.
        confidence: As for :func:`anytime_mean`, for each of the intervals by itself.
    """
    low, high = scale_of(np.concatenate(strata))
    spread = high - low
    alpha = 1.0 - confidence
    differences = [r[:, 1] - r[:, 0] for r in strata]
    difference = _mean_over(differences, -spread, spread, alpha)
    reference = _mean_over([r[:, 0] for r in strata], low, high, alpha)
    candidate = _mean_over([r[:, 1] for r in strata], low, high, alpha)
    retention = None
    if reference.estimate > 0:
        ratio = candidate.estimate / reference.estimate
        retention = (
            _ratio(strata[0], ratio, alpha) if len(strata) == 1 else _overall_ratio(strata, differences, ratio, alpha)
        )
    if len(strata) == 1:
        p_value = mean_test(differences[0], low=-spread, high=spread)
    else:
        p_value = _overall_test(differences, -spread, spread)
    return Paired(reference, candidate, difference, retention, p_value)


def looks(until: float, most: int, *, confidence: float = 0.95) -> tuple[int, ...]:
    """The numbers of episodes at which one looks whether to stop.

    The first is the least at which the interval can be narrow enough, which takes that nothing changes; each further
    one is a quarter larger.

    Args:
        until: Half the width of the interval at which to stop.
        most: The last number.
        confidence: Of the interval.

    Raises:
        ValueError: ``until`` is out of range, or ``most`` episodes can never give so narrow an interval.

    >>> looks(0.1, 100)
    (48, 60, 75, 94, 100)
    """
    if not 0.0 < until < 1.0:
        raise ValueError(f"the half-width of an interval must lie between 0 and 1, such as 0.02, not {until!r}")
    least, above = 0, 1
    while _narrowest(above, confidence) > until:
        above *= 2
    while above - least > 1:
        middle = (least + above) // 2
        least, above = (least, middle) if _narrowest(middle, confidence) <= until else (middle, above)
    if above > most:
        raise ValueError(
            f"an interval of ±{until:g} takes at least {above} episodes an environment, even where nothing changes, "
            f"and there are to be {most} at most: allow more episodes or a wider interval"
        )
    sizes = [above]
    while sizes[-1] < most:
        sizes.append(min(most, math.ceil(sizes[-1] * 1.25)))
    return tuple(sizes)


def is_narrow(differences: npt.ArrayLike, until: float, *, confidence: float = 0.95) -> bool:
    """Whether half the width of the interval of the mean difference is at most ``until``."""
    if not np.size(differences):
        return False
    interval = anytime_mean(differences, confidence=confidence)
    return (interval.high - interval.low) / 2.0 <= until


@dataclass(frozen=True, slots=True)
class Stopping:
    """Where a bench stopped.

    Attributes:
        until: Half the width of the interval of the mean difference at which an environment was stopped.
        most: Episodes at which it would have stopped anyway.
        episodes: Episodes that each method was given, by method and environment.
        method: Name of the confidence sequence.
    """

    until: float
    most: int
    episodes: Mapping[str, Mapping[str, int]]
    method: str = METHOD

    @property
    def planned(self) -> int:
        """Episodes that there would have been without stopping, those of the original included."""
        envs = {env_id for by_env in self.episodes.values() for env_id in by_env}
        return self.most * (sum(map(len, self.episodes.values())) + len(envs))

    @property
    def saved(self) -> int:
        """Episodes that were not needed; the original acts as often as the method that needs most."""
        own = [(env_id, count) for by_env in self.episodes.values() for env_id, count in by_env.items()]
        longest = {env_id: max(c for e, c in own if e == env_id) for env_id, _ in own}
        return self.planned - sum(count for _, count in own) - sum(longest.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON, the number of saved episodes included."""
        return asdict(self) | {"saved": self.saved, "planned": self.planned}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stopping:
        """The inverse of :meth:`to_dict`."""
        return cls(data["until"], data["most"], data["episodes"], data["method"])


def _narrowest(count: int, confidence: float) -> float:
    return anytime_mean(np.zeros(count), confidence=confidence).high


def _log_capital(gaps: Floats, mean: float | Floats) -> Floats:
    """Logarithm of K of the mixture, for values that are ``gaps`` above the least; ``mean`` likewise, one or many."""
    kinds, counts = np.unique(gaps, return_counts=True)
    means = np.atleast_1d(np.asarray(mean, dtype=np.float64))
    logs = np.zeros((len(means), len(_SHARES)))
    for kind, count in zip(kinds, counts, strict=True):
        logs += count * np.log1p(_SHARES * ((kind / means)[:, None] - 1.0))
    found: Floats = logsumexp(logs, axis=1) - math.log(len(_SHARES))
    return found if np.ndim(mean) else found[0]


def _lower(gaps: Floats, limit: float) -> float:
    """The least mean that is not ruled out: the capital falls in it, from infinity."""
    top = float(gaps.mean())
    if top <= 0.0:
        return 0.0
    kinds, counts = np.unique(gaps, return_counts=True)
    weight = math.log(len(_SHARES)) + limit

    def excess(mean: float) -> float:
        logs = counts @ np.log1p(_SHARES * (kinds[:, None] / mean - 1.0))
        peak = logs.max()
        return float(peak + math.log(np.exp(logs - peak).sum()) - weight)

    low = top / 2.0
    while excess(low) <= 0.0:
        low /= 2.0
    # The last digits are given to the interval.
    return max(0.0, find_root(excess, low, top, 1e-10) - 1e-9)


def _mean_over(strata: Sequence[Floats], low: float, high: float, alpha: float) -> Interval:
    if len(strata) == 1:
        return anytime_mean(strata[0], low=low, high=high, confidence=1.0 - alpha)
    limit = math.log(2.0 / alpha)
    mean = float(np.mean([s.mean() for s in strata]))
    below, above = _both_sides(strata, low, high, limit)
    return Interval(mean, min(below.least(limit), mean), max(-above.least(limit), mean))


def _both_sides(strata: Sequence[Floats], low: float, high: float, limit: float) -> tuple[_Side, _Side]:
    """The lower side, and the upper one as its mirror image."""
    return _Side.of(strata, low, high, limit), _Side.of([-s for s in strata], -high, -low, limit)


@dataclass(frozen=True, slots=True)
class _Side:
    """Bounds the mean over strata from below.

    For every price of capital, the least of (mean + price * log K), added up over the strata, - price * limit is below
    the least total of the means for which the logs of the capitals add up to ``limit`` at most; the best price is used.
    Means are on a grid, finer around the estimate; a cell counts with its smaller mean and its smaller capital.
    """

    prices: Floats
    totals: Floats
    strata: int
    low: float

    @classmethod
    def of(cls, strata: Sequence[Floats], low: float, high: float, limit: float) -> _Side:
        width = high - low
        prices: Floats = np.geomspace(1e-5, 1.0, 120, dtype=np.float64) * width
        totals = np.zeros_like(prices)
        for gaps in (s - low for s in strata):
            centre = float(gaps.mean())
            reach = 3.0 * (centre - _lower(gaps, limit)) + 1e-6 * width
            fine = np.linspace(max(1e-9 * width, centre - reach), min(width, centre + reach), 300)
            grid = np.unique(np.concatenate([np.linspace(1e-9 * width, width, 100), fine]))
            smaller = np.append(0.0, grid[:-1])
            totals += np.min(smaller + prices[:, None] * _log_capital(gaps, grid), axis=1)
        return cls(prices, totals, len(strata), low)

    def least(self, limit: float) -> float:
        """The least mean that the capital does not rule out."""
        return self.low + max(0.0, float((self.totals - self.prices * limit).max())) / self.strata


def _bisect(ruled_out: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where what is ruled out ends; of the last two values the one that is ruled out, so that nothing is cut off."""
    for _ in range(40):
        middle = (outside + inside) / 2.0
        if ruled_out(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _ratio(returns: Floats, ratio: float, alpha: float) -> Interval:
    """The ratio r of two means: a bet on candidate - r * reference, whose mean is 0."""
    limit = math.log(2.0 / alpha)
    kinds, counts = np.unique(returns, axis=0, return_counts=True)

    def capital(r: float, gain: Callable[[Floats, Floats, float], Floats]) -> float:
        factors = 1.0 + _SHARES * gain(kinds[:, :1], kinds[:, 1:], r)
        return float(logsumexp(counts @ np.log(factors))) - math.log(len(_SHARES))

    # Each gain is -1 at least, for returns in [0, 1].
    low = 0.0
    if ratio > 0:
        low = _bisect(lambda r: capital(r, lambda a, b, r: np.maximum(b / r - a, -1.0)) > limit, 0.0, ratio)
    far = max(1.0, ratio)
    while capital(far, lambda a, b, r: np.maximum(r * a - b, -1.0)) <= limit and far < 1e6:
        far *= 2.0
    high = _bisect(lambda r: capital(r, lambda a, b, r: np.maximum(r * a - b, -1.0)) > limit, far, ratio)
    return Interval(ratio, min(low, ratio), max(high, ratio))


def _overall_ratio(strata: Sequence[Floats], differences: Sequence[Floats], ratio: float, alpha: float) -> Interval:
    """1 + difference / reference, from intervals of both that hold together with the chance 1 - alpha."""
    scale = scale_of(np.concatenate(strata))
    spread = scale[1] - scale[0]
    change = _mean_over(differences, -spread, spread, 0.8 * alpha)
    reference = _mean_over([r[:, 0] for r in strata], *scale, 0.2 * alpha)
    below = change.low / max(reference.low if change.low < 0 else reference.high, 1e-9)
    above = change.high / max(reference.low if change.high > 0 else reference.high, 1e-9)
    return Interval(ratio, min(max(0.0, 1.0 + below), ratio), max(1.0 + above, ratio))


def _overall_test(strata: Sequence[Floats], low: float, high: float) -> float:
    """The least level at which the interval of the mean over several environments excludes 0."""
    sides = _both_sides(strata, low, high, math.log(40.0))

    def excludes(log_level: float) -> bool:
        return any(side.least(math.log(2.0) - log_level) > 0.0 for side in sides)

    kept, excluded = -60.0, 0.0
    if not excludes(excluded):
        return 1.0
    for _ in range(40):
        middle = (kept + excluded) / 2.0
        kept, excluded = (kept, middle) if excludes(middle) else (middle, excluded)
    return math.exp(excluded)
