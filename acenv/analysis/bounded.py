"""Means of returns, with intervals and a test that hold for few episodes and for differences that are mostly 0.

Returns lie in [0, 1], so that a paired difference lies in [-1, 1], and most differences are exactly 0. A bootstrap can
only show what it has seen: where 25 pairs hold no change, all its samples are equal, and its interval is [0, 0]. Here
one more pair is added that was *not* seen, at the worst end of the scale, and all pairs get random weights, which are
uniform over the simplex (the gaps between uniform order statistics). The quantiles of the weighted mean are the bounds
of Gaffke (*Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable*,
Mathematical Methods of Statistics 14(4), 2005), found again by Learned-Miller and Thomas (*A new confidence interval
for the mean of a bounded random variable*, arXiv 1905.06208, 2019).

What speaks for them: on returns that are 0 or 1 they *are* the exact ones. The bounds of a mean are those of Clopper
and Pearson, n pairs without a change give the bound 1 - (alpha/2)^(1/n) (the "rule of three"), and the test of the
mean difference is the exact McNemar test. On graded returns no case is known in which they cover less than they say,
and there is no proof. For the mean over several environments they are an approximation, since one unseen pair stands
for all. ``docs/statistics.md`` has what simulations say (``benchmarks/coverage.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from acenv.analysis.statistics import Floats, Interval, find_root, finite_sample

_CHUNK = 2**19
"""Values drawn at a time; bounds the memory."""

_STEP, _BLOCK, _NODES = 0.04, 64, 512
"""Nodes of the integral in :func:`chance_above_zero`, and how many are added at a time until they do not matter."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Mean returns under random weights.

    Attributes:
        means: Reference and candidate, shape [resamples, 2].
        mass: What weights sum up to before they are normalised, about the number of pairs; shape [resamples].
        unseen: The mass of the pair that was not seen, shape [resamples].
        scale: Least and largest return there can be.
    """

    means: Floats
    mass: Floats
    unseen: Floats
    scale: tuple[float, float]

    @property
    def lost(self) -> Floats:
        """The means with the unseen pair, in which the reference got everything and the candidate nothing."""
        return self._with(self.scale[::-1])

    @property
    def gained(self) -> Floats:
        """The means with the unseen pair, in which it was the other way round."""
        return self._with(self.scale)

    def _with(self, pair: tuple[float, float]) -> Floats:
        share = (self.unseen / (self.mass + self.unseen))[:, None]
        means: Floats = (1.0 - share) * self.means + share * np.asarray(pair)
        return means


def scale_of(returns: npt.ArrayLike) -> tuple[float, float]:
    """The ends of the scale: 0 and 1, or further out where returns are."""
    values = np.asarray(returns, dtype=np.float64)
    return min(0.0, float(values.min(initial=0.0))), max(1.0, float(values.max(initial=1.0)))


def draw_means(pairs: npt.ArrayLike, resamples: int, rng: np.random.Generator, *, alone: bool = True) -> Draws:
    """Weighted mean returns of both sides.

    Args:
        pairs: Returns of reference and candidate, shape [n, 2]. Their order does not matter.
        resamples: How many.
        rng: Where the weights come from.
        alone: Whether the unseen pair is added to these pairs alone. Under uniform weights the mean spreads too little
            by n - 1 : n + 1, which the unseen pair makes good. Where several environments share one unseen pair, the
            weights of each are made uneven instead, Dirichlet with the parameter 1 - 2 / n, so that the variance is the
            unbiased one (with the Bayesian bootstrap's, overall means of 20 environments with 2 to 10 episodes were
            covered by 80% to 93% of the intervals that should cover by 95%).

    Raises:
        ValueError: There are no pairs, or ``resamples`` is below 1.
    """
    rows = np.asarray(pairs, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1:] != (2,) or not len(rows):
        raise ValueError(f"expected at least one pair of shape [n, 2], not an array of {rows.shape}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    # Equal pairs share a weight: a sum of exponentials is a gamma.
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    means, mass = np.empty((resamples, 2)), rng.standard_gamma(len(rows), size=resamples)
    evenness = 1.0 if alone or len(rows) < 2 else 1.0 - 2.0 / len(rows)
    step = max(1, _CHUNK // len(kinds))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        if evenness:
            weights = rng.standard_gamma(evenness * counts, size=(size, len(kinds)))
        else:  # Of two pairs, the limit is to take one.
            weights = rng.multinomial(1, counts / len(rows), size=size).astype(np.float64)
        means[start : start + step] = (weights @ kinds) / weights.sum(axis=1)[:, None]
    return Draws(means, mass, rng.standard_exponential(resamples), scale_of(rows))


def mean_of_strata(strata: Sequence[Draws], counts: Sequence[int]) -> Draws:
    """The mean over several environments, each with the same weight, and one unseen pair for all of them together.

    A pair of the environment with the fewest pairs counts most in the mean; the unseen one counts as much as that.

    Args:
        strata: Draws of each environment, not ``alone`` where there are several.
        counts: Pairs of each environment.
    """
    fewest = min(counts)
    return Draws(
        np.mean([s.means for s in strata], axis=0),
        np.sum([s.mass * (fewest / count) for s, count in zip(strata, counts, strict=True)], axis=0),
        strata[0].unseen,
        (min(s.scale[0] for s in strata), max(s.scale[1] for s in strata)),
    )


def interval_between(estimate: float, low: Floats, high: Floats, count: int, confidence: float) -> Interval:
    """The interval from the lower quantile of ``low`` to the upper one of ``high``.

    Args:
        estimate: The statistic of the sample itself.
        low: The statistic under random weights, with the unseen pair that lowers it, shape [resamples].
        high: The same with the one that raises it.
        count: Pairs; less than two leave nothing to say.
        confidence: Coverage, between 0 and 1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}")
    if count < 2 or not low.size:
        return Interval(estimate, np.nan, np.nan)
    tail = (1.0 - confidence) / 2.0
    bounds = float(np.quantile(low, tail)), float(np.quantile(high, 1.0 - tail))
    return Interval(estimate, min(bounds[0], estimate), max(bounds[1], estimate))


def mean_interval(values: npt.ArrayLike, *, low: float = -1.0, high: float = 1.0, confidence: float = 0.95) -> Interval:
    """The mean with its interval, computed by integration: 0 lies outside where :func:`mean_test` is significant.

    Args:
        values: Shape [n].
        low: Least value there can be.
        high: Largest value there can be.
        confidence: Coverage, between 0 and 1.

    Raises:
        ValueError: No values, a value that is not finite, or a confidence out of range.

    >>> mean_interval([0.0] * 25).high == 1 - 0.025 ** (1 / 25)
    True
    """
    sample = finite_sample(values, "values")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}")
    mean, tail = float(sample.mean()), (1.0 - confidence) / 2.0
    if sample.size < 2:
        return Interval(mean, np.nan, np.nan)
    upper = _upper_bound(sample, high, tail), -_upper_bound(-sample, -low, tail)
    return Interval(mean, min(upper[1], mean), max(upper[0], mean))


def _upper_bound(sample: Floats, top: float, tail: float) -> float:
    """The value that the weighted mean, with an unseen value at the top, exceeds with the chance ``tail``."""
    bottom, count = float(sample.min()), len(sample)
    if bottom == sample.max():  # One value and the top: a beta distribution.
        return bottom + (top - bottom) * (1.0 - float(tail ** (1.0 / count)))
    extended = np.append(sample, top)

    def excess(bound: float) -> float:
        return chance_above_zero(extended - bound) - tail

    return find_root(excess, bottom, top, 1e-9) if top > bottom else top


def mean_test(differences: npt.ArrayLike, *, low: float = -1.0, high: float = 1.0) -> float:
    """The two-sided p-value of "the mean difference is 0".

    Twice the smaller of the chances that the weighted mean lies on the other side of 0; a difference is significant at
    5% where the 95% interval excludes 0. Computed by integration, not by drawing.

    Args:
        differences: Candidate - reference of each pair, shape [n].
        low: Least difference there can be.
        high: Largest difference there can be.

    >>> round(mean_test([-1, -1, -1, -1, -1, 0, 0, 0]), 12)  # as the exact McNemar test: 2 / 2**5
    0.0625
    >>> mean_test([0.0, 0.0])
    1.0
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if not values.size:
        return 1.0
    no_loss = chance_above_zero(np.append(values, high))
    no_gain = chance_above_zero(-np.append(values, low))
    return min(1.0, 2.0 * min(no_loss, no_gain))


def chance_above_zero(coefficients: Floats) -> float:
    """The chance that a sum of independent standard exponentials, each times its coefficient, is above 0.

    The moment generating function is inverted along a line through its saddle point; with ``t = w sinh(u)`` the
    trapezoidal rule converges exponentially, so that small chances are as exact as large ones.

    Args:
        coefficients: Shape [k].

    >>> round(chance_above_zero(np.array([1.0, -1.0, -1.0])), 12)  # the first of three to toss a head
    0.25
    """
    values, counts = np.unique(coefficients, return_counts=True)
    largest = float(np.abs(values).max(initial=0.0))
    values = np.where(np.abs(values) < 1e-15 * largest, 0.0, values / (largest or 1.0))  # What is left of rounding.
    if values[-1] <= 0:
        return 0.0
    if values[0] >= 0:
        return 1.0
    if counts @ values > 0:  # Integrate on the side where the chance is small.
        return 1.0 - _tail(-values, counts)
    return _tail(values, counts)


def _tail(values: Floats, counts: npt.NDArray[np.int64]) -> float:
    """The chance that the sum is above 0, where its mean is not; ``counts`` of each value."""
    pole = 1.0 / float(values.max())

    def slope(s: float) -> float:
        return float(np.sum(counts * values / (1.0 - values * s)))

    # A mean of 0 is rounded to either side.
    saddle = find_root(slope, 0.0, pole * (1 - 1e-12)) if slope(0.0) < 0 else 0.0
    # Not too near the pole of 1/s at 0, where the mean is nearly 0.
    s = max(saddle, min(0.5 * pole, 0.5 / float(np.sqrt(counts @ values**2))))
    width = 1.0 / float(np.sqrt(np.sum(counts * (values / (1.0 - values * s)) ** 2)))
    total, first = 0.0, 0.0
    for start in range(0, _NODES, _BLOCK):
        u = np.arange(start, start + _BLOCK) * _STEP
        y = width * np.sinh(u)
        rise, kept = values[:, None] * y, 1.0 - values[:, None] * s
        sizes = np.log(width * np.cosh(u)) - 0.5 * (np.log(s**2 + y**2) + counts @ np.log(kept**2 + rise**2))
        turns = counts @ np.arctan2(rise, kept) - np.arctan2(y, s)
        part = np.exp(sizes) * np.cos(turns)
        if not start:
            first = float(np.exp(sizes[0]))
            part[0] /= 2
        total += float(part.sum())
        if np.exp(sizes[-1]) < 1e-18 * first:  # From here on it only falls.
            break
    return total * _STEP / float(np.pi)
