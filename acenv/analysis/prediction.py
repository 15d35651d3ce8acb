"""Do the internals predict the loss? Which episodes are lost, which methods lose more, and what a new one would lose.

Each internal is turned into a distance from the original model: 0 where nothing has changed, larger where more has. So
a positive correlation always means: the further away inside, the more return is lost. Three questions are kept apart:

- *within a method*: are the episodes whose transcripts the method reads most differently those that it loses? Ranks
  are compared within environments only, and, pooled over methods, within methods only;
- *between methods*: do methods that are further away lose more on average?
- *out of sample*: how well is a method's loss predicted from its distances, by methods among which it is not?
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acenv.analysis.loss_model import FEWEST_KNOWN, HeldOut, Point, Prediction, leave_one_out, predict
from acenv.analysis.rank_correlation import FEWEST_POINTS, Correlation, adjusted, between_points, within_groups
from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.replay import EpisodeInternals, Replay
from acenv.analysis.statistics import Floats, Interval

__all__ = [
    "FEWEST_KNOWN",
    "FEWEST_POINTS",
    "K",
    "HeldOut",
    "Point",
    "Prediction",
    "Relation",
    "Relations",
    "distances",
    "known_points",
    "mean_distances",
    "mean_loss",
    "predict_loss",
    "relate",
]

K = 10
"""The k of the top-k internals, where no other is asked for."""

Returns = Mapping[tuple[str, int], float]
"""Returns by environment and seed."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How an internal goes together with the return lost.

    Attributes:
        internal: A name of :func:`distances`.
        rho: Rank correlation of its distance and the loss; ``nan`` where it is undefined, because nothing was lost, or
            the same everywhere.
        p_value: Of a permutation test; ``nan`` likewise.
        p_adjusted: The same after Holm's correction over the internals.
        points: Episodes, pairs of episode and method, or methods that say something.
    """

    internal: str
    rho: Interval
    p_value: float
    p_adjusted: float
    points: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Relation:
        """The inverse of what ``to_jsonable`` writes."""
        rho = Interval(**{name: from_number(value) for name, value in data["rho"].items()})
        p_values = from_number(data["p_value"]), from_number(data["p_adjusted"])
        return cls(str(data["internal"]), rho, *p_values, int(data["points"]))


@dataclass(frozen=True, slots=True)
class Relations:
    """All that the internals of some methods say about their losses.

    Attributes:
        k: The k of the top-k internals.
        episodes: Within each method: a relation for each internal.
        pooled: The same over all methods at once, an episode being one unit whatever the number of methods.
        methods: Between the methods; empty where there are fewer than :data:`FEWEST_POINTS`.
        points: The methods with their losses and distances, from which others are predicted.
        held_out: Each method predicted from the others; ``None`` where there are no more than :data:`FEWEST_KNOWN`.
    """

    k: int
    episodes: Mapping[str, tuple[Relation, ...]]
    pooled: tuple[Relation, ...]
    methods: tuple[Relation, ...]
    points: tuple[Point, ...]
    held_out: HeldOut | None

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: numbers that are ``nan`` become ``None``."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Relations:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe relations.
        """
        try:
            return cls(
                k=int(data["k"]),
                episodes={str(n): tuple(map(Relation.from_dict, rows)) for n, rows in data["episodes"].items()},
                pooled=tuple(map(Relation.from_dict, data["pooled"])),
                methods=tuple(map(Relation.from_dict, data["methods"])),
                points=tuple(map(Point.from_dict, data["points"])),
                held_out=None if data["held_out"] is None else HeldOut.from_dict(data["held_out"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"these are no relations as to_dict() writes them: {error!r}") from error

    def sentences(self) -> tuple[str, ...]:
        """The answers to the three questions, in words."""
        return (self._about_methods(), self._about_predictions(), self._about_episodes())

    def _about_methods(self) -> str:
        count = len(self.points)
        if not self.methods:
            return (
                f"Whether methods that move further lose more takes {FEWEST_POINTS} methods to say; here are {count}."
            )
        best = _strongest(self.methods)
        if best is None:
            return "All methods lost the same, so that no internal can go together with the loss."
        verb = "goes" if best.p_adjusted <= 0.05 else "does not demonstrably go"
        return (
            f"Over {best.points} methods, {best.internal} {verb} with the mean return lost: rank correlation "
            f"{_interval(best.rho)}, p = {best.p_adjusted:.2g}."
        )

    def _about_predictions(self) -> str:
        if self.held_out is None:
            return f"Predicting a method from the others takes {FEWEST_KNOWN + 1} methods; here are {len(self.points)}."
        error, baseline = self.held_out.error, self.held_out.baseline
        verdict = "So the internals help." if error < baseline else "So the internals do not help."
        return (
            f"The mean loss of a method that was left out is predicted from its internals with an error of {error:.3f} "
            f"on average; the mean of the other methods is off by {baseline:.3f}. {verdict}"
        )

    def _about_episodes(self) -> str:
        best = _strongest(self.pooled)
        if best is None:
            return "No method lost anything in the episodes whose transcripts were replayed: which are lost is open."
        if best.p_adjusted > 0.05:
            return (
                "Within a method, no internal demonstrably tells which episodes are lost; the closest is "
                f"{best.internal}, rank correlation {_interval(best.rho)}, p = {best.p_adjusted:.2g}."
            )
        strength = (
            "weakly" if abs(best.rho.estimate) < 0.3 else "moderately" if abs(best.rho.estimate) < 0.6 else "well"
        )
        return (
            f"Within a method, {best.internal} tells {strength} which episodes are lost: rank correlation "
            f"{_interval(best.rho)}, p = {best.p_adjusted:.2g}."
        )


def relate(
    base: Returns,
    methods: Mapping[str, tuple[Returns, Replay]],
    *,
    k: int = K,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Relations:
    """Set the internals of methods against the return that they lose.

    Args:
        base: The original's returns.
        methods: Each method's returns, and the replay of the original's transcripts.
        k: The k of the top-k internals.
        confidence: Coverage of the intervals of the correlations.
        resamples: Bootstrap samples and permutations within methods.
        seed: The same seed gives the same numbers.

    Raises:
        ValueError: There is no method, the replays do not have this k, or a method and the original have no episode in
            common.
    """
    if not methods:
        raise ValueError("there are no internals to set against the losses: no method has been replayed")
    points = known_points(base, methods, k)
    tables = {name: _losses_and_distances(base, returns, replay, k) for name, (returns, replay) in methods.items()}
    keys = sorted({key for table in tables.values() for key in table})
    names = list(points[0].distances)
    losses = np.array([[table.get(key, (math.nan, {}))[0] for key in keys] for table in tables.values()])
    values = {
        n: np.array([[table.get(key, (0.0, {}))[1].get(n, math.nan) for key in keys] for table in tables.values()])
        for n in names
    }

    def within(rows: slice) -> tuple[Relation, ...]:
        found = [
            within_groups(
                values[n][rows],
                losses[rows],
                [env_id for env_id, _ in keys],
                confidence=confidence,
                resamples=resamples,
                seed=seed,
            )
            for n in names
        ]
        return _relations(names, found)

    between: tuple[Relation, ...] = ()
    if len(points) >= FEWEST_POINTS:
        lost = [p.loss for p in points]
        found = [
            between_points([p.distances[n] for p in points], lost, confidence=confidence, seed=seed) for n in names
        ]
        between = _relations(names, found)
    return Relations(
        k=k,
        episodes={name: within(slice(i, i + 1)) for i, name in enumerate(methods)},
        pooled=within(slice(None)),
        methods=between,
        points=points,
        held_out=leave_one_out(points),
    )


def known_points(base: Returns, methods: Mapping[str, tuple[Returns, Replay]], k: int = K) -> tuple[Point, ...]:
    """The methods' mean losses and distances, from which :func:`predict_loss` predicts others; see :func:`relate`.

    Raises:
        ValueError: The replays do not have this k, or a method and the original have no episode in common.
    """
    return tuple(
        Point(name, mean_loss(base, returns, name), mean_distances(replay, k))
        for name, (returns, replay) in methods.items()
    )


def predict_loss(known: Relations | Sequence[Point], replay: Replay, *, k: int | None = None) -> Prediction:
    """What a compressed model would lose, from a replay alone: it does not have to act.

    Args:
        known: Methods of the same original whose losses are known, in the environments of the replay.
        replay: The original and the new model, on transcripts like those of the known ones.
        k: The k of the top-k internals; by default that of ``known``.

    Raises:
        ValueError: There are too few known methods, or the replay does not have this k.
    """
    points = known.points if isinstance(known, Relations) else known
    chosen = k or (known.k if isinstance(known, Relations) else K)
    return predict(points, replay.compressed, mean_distances(replay, chosen))


def distances(internals: EpisodeInternals, k: int = K) -> dict[str, float]:
    """How far the compressed model is from the original on one transcript, by internal.

    ``KL`` in nats, ``top-1 flips`` as the share of tokens, ``energy shift`` in nats; ``effective rank`` of logits and
    hidden states as ``|log(compressed / base)|``; of the top k, one minus the Jaccard overlap, Kendall's tau,
    Spearman's rho; one minus the rank-biased overlap. ``nan`` where it is undefined, or the replay was made before
    there was the internal.

    Raises:
        ValueError: The replay does not have this k.
    """
    found = {
        "KL": internals.kl,
        "top-1 flips": 1.0 - internals.top1_agreement,
        "energy shift": internals.energy_shift,
        "effective rank of logits": _log_ratio(internals.erank_logits),
        "effective rank of hidden states": _log_ratio(internals.erank_hidden),
    }
    for name, agreement in (
        ("overlap", internals.jaccard),
        ("Kendall", internals.kendall),
        ("Spearman", internals.spearman),
    ):
        if k not in agreement:
            raise ValueError(f"the internals have no k = {k}; they have {', '.join(map(str, agreement))}")
        found[f"top-{k} {name}"] = 1.0 - agreement[k]
    found["rank-biased overlap"] = 1.0 - internals.rbo
    return found


def mean_distances(replay: Replay, k: int = K) -> dict[str, float]:
    """Means over the episodes of each environment, then over the environments; see :func:`distances`.

    Raises:
        ValueError: The replay does not have this k, or holds no episode.
    """
    if not replay.episodes:
        raise ValueError(f"the replay of {replay.compressed} holds no episode")
    rows = [(e.env_id, distances(e, k)) for e in replay.episodes]
    return {
        name: _mean(
            [
                _mean([row[name] for env_id, row in rows if env_id == chosen])
                for chosen in sorted({env_id for env_id, _ in rows})
            ]
        )
        for name in rows[0][1]
    }


def mean_loss(base: Returns, returns: Returns, name: str = "the method") -> float:
    """Mean of base - method over the common episodes of each environment, then over the environments.

    Raises:
        ValueError: There is no common episode.

    >>> mean_loss({("a", 0): 1.0, ("a", 1): 1.0, ("b", 0): 0.5}, {("a", 0): 0.0, ("a", 1): 1.0, ("b", 0): 0.5})
    0.25
    """
    common = base.keys() & returns.keys()
    if not common:
        raise ValueError(f"{name} and the original have no finished episode in common")
    env_ids = sorted({env_id for env_id, _ in common})
    return _mean([_mean([base[key] - returns[key] for key in sorted(common) if key[0] == e]) for e in env_ids])


def _losses_and_distances(
    base: Returns, returns: Returns, replay: Replay, k: int
) -> dict[tuple[str, int], tuple[float, dict[str, float]]]:
    """Of the replayed episodes that both have finished."""
    found = {}
    for episode in replay.episodes:
        key = (episode.env_id, episode.seed)
        if key in base and key in returns:
            # Returns are sums of rewards; what differs by less than this is rounding.
            found[key] = (round(base[key] - returns[key], 9), distances(episode, k))
    return found


def _relations(names: Sequence[str], found: Sequence[Correlation]) -> tuple[Relation, ...]:
    return tuple(
        Relation(name, c.rho, c.p_value, c.p_adjusted, c.points) for name, c in zip(names, adjusted(found), strict=True)
    )


def _strongest(relations: Sequence[Relation]) -> Relation | None:
    defined = [r for r in relations if not math.isnan(r.rho.estimate)]
    return max(defined, key=lambda r: (-r.p_adjusted, r.rho.estimate), default=None)


def _interval(value: Interval) -> str:
    if math.isnan(value.low):
        return f"{value.estimate:+.2f} (no interval)"
    return f"{value.estimate:+.2f} [{value.low:+.2f}, {value.high:+.2f}]"


def _log_ratio(pair: tuple[float, float]) -> float:
    base, compressed = pair
    return abs(math.log(compressed / base)) if base > 0 and compressed > 0 else math.nan


def _mean(values: Sequence[float] | Floats) -> float:
    """The mean of what is defined; ``nan`` if nothing is."""
    defined = [float(v) for v in values if math.isfinite(v)]
    return math.fsum(defined) / len(defined) if defined else math.nan
