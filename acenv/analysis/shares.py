"""Sums of the shares of many decisions, by what they have in common, with intervals over episodes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from acenv.analysis.bounded import interval_between
from acenv.analysis.deviations import Deviation, EpisodeAttribution
from acenv.analysis.statistics import Floats, Interval

RESAMPLES = 10_000
NEGLIGIBLE = 1e-9
_CHUNK = 2**19
"""Weights drawn at a time; bounds the memory."""
_STEP_GROUPS = ((10, 19), (20, 49))


@dataclass(frozen=True, slots=True)
class Group:
    """All decisions of one kind, environment, context length or step.

    Attributes:
        name: Such as ``"tool name"``, ``"256-383"`` or ``"3"``.
        decisions: Decisions of the compressed model in the group; ``None`` for kinds, which only differing ones have.
        differing: Those in which the base would have decided otherwise.
        cost: Return an episode that they cost, with its interval.
        share: Part of the whole loss; ``nan`` where there is no loss to divide, bounds ``nan`` where it may be 0.
        other_order: ``cost`` by the other order; a large difference says that decisions act together.
        alone: Mean return that mending one of them alone brings back.
    """

    name: str
    decisions: int | None
    differing: int
    cost: Interval
    share: Interval
    other_order: Interval
    alone: float


def mean_loss(episodes: Sequence[EpisodeAttribution], confidence: float = 0.95) -> Interval:
    """Mean return lost an episode; each environment has the same weight.

    Raises:
        ValueError: There is no episode.
    """
    return _intervals(episodes, {"": [e.lost for e in episodes]}, confidence)[""][0]


def group_deviations(
    episodes: Sequence[EpisodeAttribution],
    name_of: Callable[[EpisodeAttribution, Deviation], str],
    names: Iterable[str],
    decisions: Iterable[str] | None = None,
    *,
    confidence: float = 0.95,
) -> tuple[Group, ...]:
    """Sum up differing decisions by name; all are weighted together, so that shares stay shares of the same loss.

    Args:
        episodes: What is summed up.
        name_of: The group of a decision.
        names: All groups, in the order in which they are given back.
        decisions: The group of every decision of the compressed model, where those that do not differ have one too.
        confidence: Coverage of the intervals.
    """
    if not episodes:
        return ()
    names = list(names)
    columns = {"": [e.lost for e in episodes]}
    for order, sums in (
        ("cost", [_total(e, e.path, name_of) for e in episodes]),
        ("other", [_total(e, e.base_path, name_of) for e in episodes]),
    ):
        columns |= {f"{order} {name}": [one.get(name, 0.0) for one in sums] for name in names}
    found = _intervals(episodes, columns, confidence)
    members: dict[str, list[Deviation]] = {name: [] for name in names}
    for episode in episodes:
        for deviation in episode.path:
            members[name_of(episode, deviation)].append(deviation)
    counts = None if decisions is None else Counter(decisions)
    groups = []
    for name in names:
        alone = [d.alone for d in members[name] if not math.isnan(d.alone)]
        cost, share = found[f"cost {name}"]
        groups.append(
            Group(
                name=name,
                decisions=None if counts is None else counts[name],
                differing=len(members[name]),
                cost=cost,
                share=share,
                other_order=found[f"other {name}"][0],
                alone=math.fsum(alone) / len(alone) if alone else math.nan,
            )
        )
    return tuple(groups)


def context_range(length: int) -> tuple[int, int]:
    """The bin of a context length: from a power of two, or one and a half times one, to before the next.

    >>> context_range(0), context_range(100), context_range(300), context_range(400)
    ((0, 63), (96, 127), (256, 383), (384, 511))
    """
    if length < 64:
        return 0, 63
    low = 1 << (length.bit_length() - 1)
    half = low + low // 2
    return (low, half - 1) if length < half else (half, 2 * low - 1)


def range_name(length: int) -> str:
    """The name of a context length's bin, such as ``"256-383"``."""
    low, high = context_range(length)
    return f"{low}-{high}"


def step_name(step: int) -> str:
    """The group of a step.

    >>> step_name(3), step_name(12), step_name(70)
    ('3', '10-19', '50+')
    """
    if step < _STEP_GROUPS[0][0]:
        return str(step)
    return next((f"{low}-{high}" for low, high in _STEP_GROUPS if step <= high), f"{_STEP_GROUPS[-1][1] + 1}+")


def _total(
    episode: EpisodeAttribution, path: Iterable[Deviation], name_of: Callable[[EpisodeAttribution, Deviation], str]
) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for deviation in path:
        sums.setdefault(name_of(episode, deviation), []).append(deviation.share)
    return {name: math.fsum(shares) for name, shares in sums.items()}


def _intervals(
    episodes: Sequence[EpisodeAttribution], columns: Mapping[str, Sequence[float]], confidence: float
) -> dict[str, tuple[Interval, Interval]]:
    """Mean of each column and its ratio to the column ``""``, the whole loss.

    As in a comparison (:mod:`acenv.analysis.bounded`): episodes get random weights, environment by environment, and one
    more episode is added that was not seen, at the worst end of the scale. For a share it lost everything, by decisions
    of this group or by others. The draws of one episode are averaged before, since they are not independent.
    """
    if not episodes:
        raise ValueError("there is no episode to average over")
    table: Floats = np.asarray(list(columns.values()), dtype=np.float64).T
    rows: dict[str, dict[int, list[int]]] = {}
    for i, e in enumerate(episodes):
        rows.setdefault(e.env_id, {}).setdefault(e.seed, []).append(i)
    strata = [np.asarray([table[chosen].mean(axis=0) for chosen in clusters.values()]) for clusters in rows.values()]
    smallest = min(map(len, strata))
    mean: Floats = np.mean([values.mean(axis=0) for values in strata], axis=0)
    rng = np.random.default_rng(0)
    parts, masses = zip(*(_weighted_means(values, rng) for values in strata), strict=True)
    drawn: Floats = np.mean(parts, axis=0)
    mass: Floats = np.sum([m * (smallest / len(values)) for m, values in zip(masses, strata, strict=True)], axis=0)
    unseen = rng.standard_exponential(RESAMPLES)
    unseen = unseen / (mass + unseen)
    worst, best = min(-1.0, float(table.min())), max(1.0, float(table.max()))
    names = list(columns)
    whole = names.index("")
    kept = drawn * (1.0 - unseen)[:, None]
    losses = kept[:, whole] + unseen  # with an unseen episode that lost everything
    found = {}
    for i, name in enumerate(names):
        low, high = kept[:, i] + worst * unseen, kept[:, i] + best * unseen
        cost = interval_between(float(mean[i]), low, high, smallest, confidence)
        found[name] = cost, Interval(math.nan, math.nan, math.nan)
    divisible = found[""][0].low > NEGLIGIBLE and bool(np.all(losses > NEGLIGIBLE))
    for i, name in enumerate(names):
        if mean[whole] > NEGLIGIBLE:
            ratio = float(mean[i] / mean[whole])
            share = Interval(ratio, math.nan, math.nan)
            if divisible:  # else the loss may be 0, and a part of it anything
                low, high = kept[:, i] / losses, (kept[:, i] + unseen) / losses
                share = interval_between(ratio, low, high, smallest, confidence)
            found[name] = found[name][0], share
    return found


def _weighted_means(values: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Means of the rows under random weights, ``[resamples, columns]``, and what the weights summed up to."""
    means, mass = np.empty((RESAMPLES, values.shape[1])), np.empty(RESAMPLES)
    step = max(1, _CHUNK // len(values))
    for start in range(0, RESAMPLES, step):
        weights = rng.standard_exponential((min(step, RESAMPLES - start), len(values)))
        mass[start : start + step] = weights.sum(axis=1)
        means[start : start + step] = weights @ values / mass[start : start + step, None]
    return means, mass
