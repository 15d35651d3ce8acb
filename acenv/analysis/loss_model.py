"""From how far a model's internals have moved to the return that it loses: a monotone curve, and how far to trust it.

The curve is an isotonic regression (Barlow et al., *Statistical Inference under Order Restrictions*, 1972) of the mean
loss on one distance: further from the original never means less lost, and no shape is assumed beyond that. It begins
at the original itself, which is at distance 0 and loses 0. Which of the distances is used is decided by their rank
correlation with the loss, among the known methods only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from acenv.analysis.rank_correlation import spearman
from acenv.analysis.records import from_number

FEWEST_KNOWN = 4
"""Methods from which a loss is predicted."""

CONFIDENCE = 0.9
"""Level of the intervals that is aimed at."""

_ANCHOR = 1e9
"""Weight of the original: it is at distance 0 and loses 0, for certain."""


@dataclass(frozen=True, slots=True)
class Point:
    """A method whose loss is known.

    Attributes:
        method: Its name.
        loss: Mean return of the original minus its own.
        distances: How far its internals are from the original's, by the name of the internal.
    """

    method: str
    loss: float
    distances: Mapping[str, float]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Point:
        """The inverse of what ``to_jsonable`` writes."""
        distances = {str(name): from_number(value) for name, value in data["distances"].items()}
        return cls(str(data["method"]), from_number(data["loss"]), distances)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The loss that a method's internals let one expect.

    Attributes:
        method: Its name.
        internal: The distance that was used.
        distance: Its value.
        estimate: The mean return that the method loses.
        low: Lower end of the interval of that.
        high: Upper end.
        level: Coverage that the interval has as a rule, if the method is of the same kind as the known ones.
        guaranteed: Coverage that it has at least then.
        outside: Whether the method is further away than all that are known, so that ``estimate`` may be too low.
        actual: What it really lost; ``nan`` where it has not acted.
    """

    method: str
    internal: str
    distance: float
    estimate: float
    low: float
    high: float
    level: float
    guaranteed: float
    outside: bool
    actual: float = math.nan

    def sentence(self) -> str:
        """What it says, in words."""
        text = (
            f"{self.method} is expected to lose {self.estimate:.3f} of the return, between {self.low:.3f} and "
            f"{self.high:.3f} in {self.level:.0%} of such cases (at least {self.guaranteed:.0%}), judged by "
            f"{self.internal}."
        )
        return text + " It is further off than every known method: it may lose more." if self.outside else text

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prediction:
        """The inverse of what ``to_jsonable`` writes."""
        numbers = ("distance", "estimate", "low", "high", "level", "guaranteed", "actual")
        return cls(**{**data, **{name: from_number(data[name]) for name in numbers}})


def predict(known: Sequence[Point], method: str, distances: Mapping[str, float]) -> Prediction:
    """Predict the loss of a method that has not acted.

    The interval is jackknife+ (Barber et al., *Predictive inference with the jackknife+*, Annals of Statistics 49,
    2021, equation 1.3), with the choice of the distance inside of each fold. Level 1 - a guarantees 1 - 2a (their
    theorem 1), whatever the curve and the distribution, if the method and the known ones are exchangeable: drawn in
    the same way, such as from one grid. With n methods no a below 1 / (n + 1) has a finite interval; a is that, or 0.1.

    Args:
        known: Methods with known losses, 4 at least.
        method: Name of the new one.
        distances: Its distances; those that are ``nan`` are not used.

    Raises:
        ValueError: There are too few known methods, or no distance is known of all of them and of the new one.
    """
    check_known(known)
    names = [n for n, d in distances.items() if math.isfinite(d) and all(math.isfinite(_at(p, n)) for p in known)]
    if not names:
        raise ValueError(f"{method} and the known methods have no internal in common that is defined for all of them")
    curve = _Curve.fit(known, names)
    centres, reaches = [], []
    for i, point in enumerate(known):
        fold = _Curve.fit([p for j, p in enumerate(known) if j != i], names)
        centres.append(fold(distances))
        reaches.append(abs(point.loss - fold(point.distances)))
    count = len(known) + 1
    miss = max(1 - CONFIDENCE, 1 / count)
    rank = max(1, math.floor(miss * count + 1e-9))
    low = sorted(c - r for c, r in zip(centres, reaches, strict=True))[rank - 1]
    high = sorted(c + r for c, r in zip(centres, reaches, strict=True))[-rank]
    estimate = curve(distances)
    return Prediction(
        method=method,
        internal=curve.name,
        distance=distances[curve.name],
        estimate=estimate,
        # Returns are between 0 and 1, so that a loss is between -1 and 1.
        low=max(-1.0, min(low, estimate)),
        high=min(1.0, max(high, estimate)),
        level=1 - miss,
        guaranteed=max(0.0, 1 - 2 * miss),
        outside=distances[curve.name] > curve.x[-1],
    )


def check_known(known: Sequence[Point]) -> None:
    """Raise where :func:`predict` would, for want of methods.

    Raises:
        ValueError: There are too few.
    """
    if len(known) < FEWEST_KNOWN:
        raise ValueError(
            f"predicting a loss needs {FEWEST_KNOWN} methods with known losses and internals, and there are "
            f"{len(known)}: add methods to the bench"
        )


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Each method predicted from all others.

    Attributes:
        predictions: One a method, with what it really lost.
        error: Mean absolute error.
        baseline: The same of predicting the mean loss of the others.
        covered: Share of the intervals that hold the loss.
    """

    predictions: tuple[Prediction, ...]
    error: float
    baseline: float
    covered: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HeldOut:
        """The inverse of what ``to_jsonable`` writes."""
        numbers = {name: from_number(data[name]) for name in ("error", "baseline", "covered")}
        return cls(tuple(Prediction.from_dict(p) for p in data["predictions"]), **numbers)


def leave_one_out(points: Sequence[Point]) -> HeldOut | None:
    """Predict each method from all others; ``None`` where there are too few (see :func:`predict`)."""
    if len(points) <= FEWEST_KNOWN:
        return None
    predictions, naive = [], []
    for i, point in enumerate(points):
        others = [p for j, p in enumerate(points) if j != i]
        predictions.append(replace(predict(others, point.method, point.distances), actual=point.loss))
        naive.append(abs(point.loss - math.fsum(p.loss for p in others) / len(others)))
    return HeldOut(
        tuple(predictions),
        error=math.fsum(abs(p.estimate - p.actual) for p in predictions) / len(points),
        baseline=math.fsum(naive) / len(points),
        covered=sum(p.low - 1e-12 <= p.actual <= p.high + 1e-12 for p in predictions) / len(points),
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """A monotone curve through the origin, linear between its knots and flat beyond them."""

    name: str
    x: list[float]
    y: list[float]

    @classmethod
    def fit(cls, points: Sequence[Point], names: Sequence[str]) -> _Curve:
        """The curve over the distance that goes best with the loss; of equal ones, over the first."""
        losses = np.array([p.loss for p in points])
        agreement = {n: spearman(np.array([_at(p, n) for p in points]), losses) for n in names}
        name = max(names, key=lambda n: -math.inf if math.isnan(agreement[n]) else round(agreement[n], 9))
        x, inverse = np.unique([0.0, *(_at(p, name) for p in points)], return_inverse=True)
        weights = np.array([_ANCHOR, *np.ones(len(points))])
        total = np.bincount(inverse, weights)
        mean = np.bincount(inverse, weights * np.array([0.0, *losses])) / total
        fitted = isotonic_regression(mean, weights=total).x
        return cls(name, x.tolist(), fitted.tolist())

    def __call__(self, distances: Mapping[str, float]) -> float:
        return float(np.interp(distances[self.name], self.x, self.y))


def _at(point: Point, name: str) -> float:
    return point.distances.get(name, math.nan)
