"""Sums of the shares of many decisions, by what they have in common, with intervals over episodes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from acenv.analysis.deviations import Deviation, EpisodeAttribution
from acenv.analysis.statistics import Floats, Interval, percentile_interval, resampled_means

RESAMPLES = 10_000
NEGLIGIBLE = 1e-9
_STEP_GROUPS = ((10, 19), (20, 49))


@dataclass(frozen=True, slots=True)
class Group:
    """All decisions of one kind, context length or step.

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
    name_of: Callable[[Deviation], str],
    names: Iterable[str],
    decisions: Iterable[str] | None = None,
    *,
    confidence: float = 0.95,
) -> tuple[Group, ...]:
    """Sum up differing decisions by name; all are resampled together, so that shares stay shares of the same loss.

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
    for name in names:
        columns[f"cost {name}"] = [_total(e.path, name_of, name) for e in episodes]
        columns[f"other {name}"] = [_total(e.base_path, name_of, name) for e in episodes]
    found = _intervals(episodes, columns, confidence)
    members: dict[str, list[Deviation]] = {name: [] for name in names}
    for deviation in (d for e in episodes for d in e.path):
        members[name_of(deviation)].append(deviation)
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


def _total(path: Iterable[Deviation], name_of: Callable[[Deviation], str], name: str) -> float:
    return math.fsum(d.share for d in path if name_of(d) == name)


def _intervals(
    episodes: Sequence[EpisodeAttribution], columns: Mapping[str, Sequence[float]], confidence: float
) -> dict[str, tuple[Interval, Interval]]:
    """Mean of each column and its ratio to the column ``""``; episodes are resampled whole, by environment.

    The draws of one episode are averaged before, since they are not independent of each other.
    """
    if not episodes:
        raise ValueError("there is no episode to average over")
    table: Floats = np.asarray(list(columns.values()), dtype=np.float64).T
    rows: dict[str, dict[int, list[int]]] = {}
    for i, e in enumerate(episodes):
        rows.setdefault(e.env_id, {}).setdefault(e.seed, []).append(i)
    means, draws, smallest = [], [], len(episodes)
    for clusters in rows.values():
        values = np.asarray([table[chosen].mean(axis=0) for chosen in clusters.values()])
        means.append(values.mean(axis=0))
        draws.append(resampled_means(values, RESAMPLES, np.random.default_rng(0)))
        smallest = min(smallest, len(values))
    mean: Floats = np.asarray(means, dtype=np.float64).mean(axis=0)
    drawn: Floats = np.asarray(draws, dtype=np.float64).mean(axis=0)
    whole = list(columns).index("")
    divisible = drawn[:, whole] > NEGLIGIBLE
    found = {}
    for i, name in enumerate(columns):
        interval = percentile_interval(float(mean[i]), drawn[:, i], smallest, confidence)
        share = Interval(math.nan, math.nan, math.nan)
        if mean[whole] > NEGLIGIBLE:
            ratio = float(mean[i] / mean[whole])
            share = Interval(ratio, math.nan, math.nan)
            if float(np.mean(divisible)) > confidence:  # else the loss may be 0, and a part of it anything
                ratios = drawn[divisible, i] / drawn[divisible, whole]
                share = percentile_interval(ratio, ratios, smallest, confidence)
        found[name] = (interval, share)
    return found
