"""Bootstrap intervals, the exact McNemar test and Holm's correction.

The intervals are *expanded percentile* bootstrap intervals. A percentile interval (Efron and Tibshirani, *An
Introduction to the Bootstrap*, 1993, chapter 13) stays inside the range of what it estimates, so a mean return never
gets a bound above 1, and it follows monotone transformations, so the interval of a ratio is as good as that of its
logarithm. Its known fault is that it is too narrow for small samples; the expansion of Hesterberg, *What Teachers
Should Know About the Bootstrap* (The American Statistician 69(4), 2015) replaces the normal quantile by that of
Student's t and the standard deviation by the unbiased one. BCa was not taken: its bias correction and acceleration are
estimated from the very sample, and are erratic or undefined where nearly all differences are 0, the usual case here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, ndtr, stdtrit

Floats = npt.NDArray[np.float64]

_CHUNK = 2**19
"""Values drawn at a time; bounds the memory of a bootstrap, whatever the sample and the number of resamples."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    ``low`` and ``high`` are ``nan`` where one value or none leaves nothing to say about the spread.
    """

    estimate: float
    low: float
    high: float


def bootstrap_mean(
    values: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The mean and its expanded percentile bootstrap interval.

    Args:
        values: Numbers, shape [n].
        confidence: Coverage that is aimed at, between 0 and 1.
        resamples: Bootstrap samples to draw.
        seed: The same seed gives the same interval.

    Raises:
        ValueError: No values, a value that is not finite, or a setting out of range.

    >>> bootstrap_mean([0.5, 0.5, 0.5])
    Interval(estimate=0.5, low=0.5, high=0.5)
    >>> bootstrap_mean([0.25])
    Interval(estimate=0.25, low=nan, high=nan)
    """
    sample = finite_sample(values, "values")
    means = resampled_means(sample[:, None], resamples, np.random.default_rng(seed))[:, 0]
    return percentile_interval(float(sample.mean()), means, sample.size, confidence)


def paired_bootstrap(
    differences: npt.ArrayLike, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The mean paired difference and its interval; see :func:`bootstrap_mean`.

    Args:
        differences: Candidate minus reference for each pair, shape [n]. Resampling whole pairs keeps what the two sides
            have in common (the difficulty of an episode) out of the interval.
        confidence: Coverage that is aimed at, between 0 and 1.
        resamples: Bootstrap samples to draw.
        seed: The same seed gives the same interval.

    Raises:
        ValueError: No differences, one that is not finite, or a setting out of range.
    """
    sample = finite_sample(differences, "differences")
    return bootstrap_mean(sample, confidence=confidence, resamples=resamples, seed=seed)


def mcnemar_exact(gained: int, lost: int) -> float:
    """The two-sided exact McNemar test: do as many pairs flip one way as the other?

    Under the null hypothesis the flips are fair coin tosses, so the p-value is twice the smaller binomial tail, at most
    1 (McNemar, Psychometrika 12, 1947, in its exact form). Pairs without a flip say nothing.

    Args:
        gained: Pairs in which only the candidate succeeded.
        lost: Pairs in which only the reference succeeded.

    Raises:
        ValueError: A count is negative or no whole number.

    >>> mcnemar_exact(0, 5)
    0.0625
    >>> mcnemar_exact(0, 0)
    1.0
    """
    for name, count in (("gained", gained), ("lost", lost)):
        if count != count or count < 0 or int(count) != count:
            raise ValueError(f"{name} must be a number of pairs, a whole number of at least 0, not {count!r}")
    flips = int(gained) + int(lost)
    return min(1.0, 2.0 * float(bdtr(min(gained, lost), flips, 0.5))) if flips else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm in the family stays below the level.

    Holm's step-down method (Scandinavian Journal of Statistics 6, 1979); it needs no independence of the tests.

    Args:
        p_values: One for each test of the family, in any order.

    Returns:
        The adjusted values, in the same order.

    Raises:
        ValueError: A value outside [0, 1].

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    for i, p in enumerate(p_values):
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"p-value {i} must be between 0 and 1, not {p!r}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * float(p_values[i])))
        adjusted[i] = largest
    return adjusted


def resampled_means(values: npt.ArrayLike, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of bootstrap samples; the rows are resampled whole, so columns stay paired.

    Args:
        values: Shape [n, columns].
        resamples: Bootstrap samples to draw.
        rng: Where the draws come from.

    Returns:
        Shape [resamples, columns]. Peak memory does not grow with ``resamples`` beyond that.

    Raises:
        ValueError: There are no rows, or ``resamples`` is below 1.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or not len(rows):
        raise ValueError(f"a bootstrap needs at least one row of shape [n, columns], not an array of {rows.shape}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    count = len(rows)
    means = np.empty((resamples, rows.shape[1]))
    step = max(1, _CHUNK // count)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        chosen = rng.integers(count, size=(stop - start, count))
        for column, values_of_column in enumerate(np.ascontiguousarray(rows.T)):  # much faster than taking whole rows
            means[start:stop, column] = values_of_column.take(chosen).mean(axis=1)
    return means


def percentile_interval(estimate: float, draws: Floats, count: int, confidence: float) -> Interval:
    """The expanded percentile interval of a statistic.

    Args:
        estimate: The statistic of the sample itself.
        draws: The statistic of the bootstrap samples, shape [resamples].
        count: Size of the sample (of the smallest stratum, if there are several).
        confidence: Coverage that is aimed at, between 0 and 1.

    Raises:
        ValueError: ``confidence`` is not between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, such as 0.95, not {confidence!r}")
    if count < 2 or not draws.size:
        return Interval(estimate, math.nan, math.nan)
    tail = float(ndtr(math.sqrt(count / (count - 1)) * stdtrit(count - 1, (1.0 - confidence) / 2.0)))
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    # Sums in another order round differently; without this a constant sample could lie outside its own interval.
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate))


def find_root(function: Callable[[float], float], low: float, high: float, tolerance: float = 2e-12) -> float:
    """Where a continuous function is 0, between two numbers at which its signs differ (Brent's method)."""
    from scipy.optimize import brentq  # Takes longer to import than all the rest of the command line.

    return float(brentq(function, low, high, xtol=tolerance))


def finite_sample(values: npt.ArrayLike, name: str) -> Floats:
    """The values as a float64 vector.

    Raises:
        ValueError: Not a flat list, empty, or with a value that is not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1:
        raise ValueError(f"{name} must be a flat list of numbers, not an array of shape {sample.shape}")
    if not sample.size:
        raise ValueError(f"{name} is empty: there is nothing to estimate from")
    bad = np.flatnonzero(~np.isfinite(sample))
    if bad.size:
        raise ValueError(
            f"{bad.size} of the {name} are not finite, the first at position {bad[0]} ({sample[bad[0]]}): "
            "leave out what was not measured"
        )
    return sample
