"""Spearman's rank correlation where ties are many and points are few: within groups, and between a handful of points.

An undefined correlation (one side does not vary) is ``nan``, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from acenv.analysis.statistics import Floats, Interval, holm, percentile_interval

FEWEST_POINTS = 4
"""Points from which a correlation between points has an interval: the variance has n - 3 below the line."""

_EXACT_UP_TO = 8
_UNDEFINED_SHARE = 0.05
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation.

    Attributes:
        rho: Its value and interval; ``nan`` where it is undefined.
        p_value: Of a permutation test against no relation; ``nan`` where ``rho`` is undefined.
        p_adjusted: The same after Holm's correction over what it was tested together with.
        points: Pairs of numbers that went in; those of groups in which one side does not vary say nothing, and are out.
    """

    rho: Interval
    p_value: float
    p_adjusted: float
    points: int


UNDEFINED = Correlation(Interval(math.nan, math.nan, math.nan), math.nan, math.nan, 0)


def within_groups(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Sequence[str],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Correlation:
    """Do units with a larger x have a larger y, compared with others of their group only?

    Ranks are taken within each series and group and divided by the number of ranks plus one, as van Elteren weights
    strata (Bulletin of the International Statistical Institute 37, 1960); then all are correlated. That groups or
    series differ is no correlation. Bootstrap and permutations treat a unit as one, with all its series (a cluster).

    Args:
        x: Shape [series, units]; what is not finite is missing.
        y: The same shape.
        groups: The group of each unit.
        confidence: Coverage of the interval, an expanded percentile bootstrap over the units of each group. It is
            ``nan`` where more than one resample in twenty has no correlation.
        resamples: Bootstrap samples, and permutations: p = (1 + as extreme) / (1 + permutations), which never is 0
            (Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9, 2010).
        seed: The same seed gives the same numbers.

    Raises:
        ValueError: The shapes do not fit.

    >>> within_groups([[1, 2, 3, 7, 8, 9]], [[0, 1, 2, 0, 1, 2]], list("aaabbb")).rho.estimate
    1.0
    >>> within_groups([[1, 2, 3]], [[0, 0, 0]], list("aaa")).rho.estimate
    nan
    """
    ours, theirs = (np.array(side, dtype=np.float64) for side in (x, y))
    if ours.ndim != 2 or ours.shape != theirs.shape or ours.shape[1] != len(groups):
        raise ValueError(
            f"x and y must be of one shape [series, {len(groups)} units], not {ours.shape} and {theirs.shape}"
        )
    missing = ~(np.isfinite(ours) & np.isfinite(theirs))
    ours[missing] = theirs[missing] = math.inf
    members, sums, points = [], np.zeros(3), 0
    for group in dict.fromkeys(groups):
        unit = np.flatnonzero(np.asarray(groups) == group)
        parts = _sums(ours[:, unit], theirs[:, unit])
        telling = parts[1] > 0
        if telling.any():
            members.append(unit)
            sums += parts.sum(axis=1)
            points += int(np.isfinite(ours[:, unit])[telling].sum())
    if not members:
        return UNDEFINED
    observed = float(_ratio(sums))
    rng = np.random.default_rng(seed)
    drawn, permuted = np.zeros((3, resamples)), np.zeros((3, resamples))
    for unit in members:
        chosen = unit[rng.integers(len(unit), size=(resamples, len(unit)))]
        shuffled = rng.permuted(np.broadcast_to(unit, chosen.shape), axis=1)
        for a, b in zip(ours, theirs, strict=True):
            drawn += _sums(a[chosen], b[chosen])
            # Where a unit misses one side, what is there of the other can be with any unit.
            permuted += _sums(np.broadcast_to(a[unit], chosen.shape), b[shuffled])
    draws, null = _ratio(drawn), _ratio(permuted)
    defined = draws[np.isfinite(draws)]
    if len(defined) < (1 - _UNDEFINED_SHARE) * resamples:
        defined = defined[:0]
    smallest = min(len(unit) for unit in members)
    # What is undefined in a permutation is no evidence against the null.
    extreme = int((np.isnan(null) | (np.abs(null) >= abs(observed) - _TOLERANCE)).sum())
    p = (1 + extreme) / (1 + resamples)
    return Correlation(percentile_interval(observed, defined, smallest, confidence), p, p, points)


def between_points(x: npt.ArrayLike, y: npt.ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> Correlation:
    """The rank correlation of a few points.

    The interval is Fisher's z with the variance (1 + rho²/2) / (n - 3) of Bonett and Wright (Psychometrika 65, 2000),
    which holds its coverage for smaller n and larger rho than others. Where rho is 1 or -1, z is infinite: the inner
    bound is then that of the next smaller value that n ranks without ties can give. The p-value is that of the
    permutation test, over all permutations up to 8 points, and over 10,000 of them beyond.

    Args:
        x: Shape [n]; what is not finite is missing, with its pair.
        y: The same shape.
        confidence: Coverage of the interval.
        seed: Seed of the permutations.

    >>> found = between_points([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    >>> found.rho.estimate, round(found.rho.low, 2), round(found.p_value, 3)
    (1.0, -0.22, 0.017)
    """
    from scipy.stats import permutation_test, rankdata  # takes longer to import than all the rest of acenv

    pairs = np.array([x, y], dtype=np.float64)
    pairs = pairs[:, np.isfinite(pairs).all(axis=0)]
    count = pairs.shape[1]
    if count < FEWEST_POINTS or (np.ptp(pairs, axis=1) == 0).any():
        return replace(UNDEFINED, points=count)
    ranks = rankdata(pairs, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    scale = math.sqrt(float((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    rho = max(-1.0, min(1.0, float((ranks[0] * ranks[1]).sum()) / scale))
    found = permutation_test(
        (ranks[0],),
        lambda drawn, axis: (drawn * ranks[1]).sum(axis=axis).round(9),
        permutation_type="pairings",
        n_resamples=math.factorial(count) if count <= _EXACT_UP_TO else 10_000,
        vectorized=True,
        batch=10_000,
        rng=np.random.default_rng(seed),
    )
    p = min(1.0, float(found.pvalue))
    return Correlation(_bonett_wright(rho, count, confidence), p, p, count)


def adjusted(correlations: Sequence[Correlation]) -> list[Correlation]:
    """The same with Holm's correction over those that are defined."""
    values = iter(holm([c.p_value for c in correlations if not math.isnan(c.p_value)]))
    return [c if math.isnan(c.p_value) else replace(c, p_adjusted=next(values)) for c in correlations]


def spearman(x: Floats, y: Floats) -> float:
    """Spearman's rho, ``nan`` where a side does not vary.

    >>> spearman([1, 2, 3], [1, 3, 2])
    0.5
    """
    return float(_ratio(_sums(np.asarray(x, dtype=np.float64)[None], np.asarray(y, dtype=np.float64)[None]))[0])


def _bonett_wright(rho: float, count: int, confidence: float) -> Interval:
    largest = 1 - 12 / (count * (count**2 - 1))
    z = math.atanh(max(-largest, min(largest, rho)))
    reach = -float(ndtri((1 - confidence) / 2)) * math.sqrt((1 + rho**2 / 2) / (count - 3))
    return Interval(
        rho,
        -1.0 if rho == -1 else math.tanh(z - reach),
        1.0 if rho == 1 else math.tanh(z + reach),
    )


def _sums(x: Floats, y: Floats) -> Floats:
    """Cross product and squares of the centred, scaled ranks of each row; 0 for rows in which a side does not vary.

    Args:
        x: Shape [rows, units]; infinite on both sides where a pair is missing, or on one in a permutation.
        y: The same shape.

    Returns:
        Shape [3, rows].
    """
    from scipy.stats import rankdata

    there = np.isfinite(x) & np.isfinite(y)
    count = there.sum(axis=1, keepdims=True)
    ranks = []
    for side in (x, y):
        # Those that are missing come last, so that they change no other's rank.
        rank = rankdata(np.where(there, side, math.inf), axis=1)
        mean = np.where(there, rank, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
        ranks.append(np.where(there, (rank - mean) / (count + 1), 0.0))
    sums = np.array([(ranks[0] * ranks[1]).sum(1), (ranks[0] ** 2).sum(1), (ranks[1] ** 2).sum(1)])
    sums[:, (sums[1] < _TOLERANCE) | (sums[2] < _TOLERANCE)] = 0.0
    return sums


def _ratio(sums: Floats) -> Floats:
    """The correlations of sums of shape [3] or [3, rows]; ``nan`` where nothing varies."""
    scale = np.sqrt(sums[1] * sums[2])
    result: Floats = np.where(scale > 0, sums[0] / np.where(scale > 0, scale, 1.0), math.nan)
    return np.clip(result, -1.0, 1.0)
