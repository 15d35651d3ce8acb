"""Made-up runs whose true means are known, and how often intervals and tests are right about them.

Whether a 95% interval covers in 95 of 100 cases cannot be seen in one comparison. Here a model and a compressed version
of it act in environments that are nothing but chances: the same functions that compare real runs compare these, again
and again, and their answers are held against the truth. The tests do so with fixed seeds, ``benchmarks/coverage.py`` at
length; ``docs/statistics.md`` has what it printed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from acenv.analysis.comparison import OVERALL, Comparison, EnvComparison, compare
from acenv.analysis.verdict import LEVEL, judge
from acenv.runs import Results
from acenv.types import Episode


@dataclass(frozen=True, slots=True)
class World:
    """An environment made of chances.

    A pair of episodes begins equal: the candidate's return is the reference's. With the chance ``noise`` it is drawn
    anew from the same distribution, as where the order of additions tips a token over; so far the two are exchangeable,
    and no mean differs. Then, with the chance ``loss``, the candidate is left with the share ``keep`` of its return.

    Attributes:
        returns: Returns that there can be.
        chances: Their chances for the reference.
        noise: Chance that the return of a pair is drawn anew.
        loss: Chance that compression costs something in an episode.
        keep: Share of the return that it leaves then.
    """

    returns: tuple[float, ...]
    chances: tuple[float, ...]
    noise: float = 0.1
    loss: float = 0.0
    keep: float = 0.0

    @property
    def mean(self) -> float:
        """The reference's true mean return."""
        return math.fsum(r * c for r, c in zip(self.returns, self.chances, strict=True))

    @property
    def retention(self) -> float:
        """The true share of it that the candidate keeps."""
        return 1.0 - self.loss * (1.0 - self.keep)

    def draw(self, episodes: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Returns of reference and candidate, shape [episodes, 2]."""
        reference, again = rng.choice(self.returns, p=self.chances, size=(2, episodes))
        candidate = np.where(rng.random(episodes) < self.noise, again, reference)
        candidate = np.where(rng.random(episodes) < self.loss, self.keep * candidate, candidate)
        return np.stack([reference, candidate], axis=1)


_HUNDREDTHS = tuple(i / 100 for i in range(101))

WORLDS: Mapping[str, World] = {
    "solved or not": World((0.0, 1.0), (0.4, 0.6), noise=0.1),
    "few differences": World((0.0, 1.0), (0.3, 0.7), noise=0.01),
    "all equal": World((0.0, 1.0), (0.3, 0.7), noise=0.0),
    "near 1": World((0.0, 1.0), (0.03, 0.97), noise=0.1),
    "near 0": World((0.0, 1.0), (0.97, 0.03), noise=0.1),
    "graded, many ties": World((0.0, 0.25, 0.5, 0.75, 1.0), (0.1, 0.1, 0.2, 0.2, 0.4), noise=0.3),
    "graded, no ties": World(_HUNDREDTHS, tuple(r / 50.5 for r in _HUNDREDTHS), noise=1.0),
    "rare and large": World((0.0, 0.9, 1.0), (0.02, 0.58, 0.4), noise=0.5),
}
"""Kinds of returns that occur in the environments, with the noise of another batch size and no loss."""


def simulate(
    worlds: Mapping[str, World], episodes: int | Mapping[str, int], rng: np.random.Generator
) -> tuple[Results, Results]:
    """The run of a reference and that of a candidate.

    Args:
        worlds: By the ids of their environments.
        episodes: Pairs, in each or by id.
        rng: Where the chances come from.
    """
    runs: tuple[list[Episode], list[Episode]] = ([], [])
    for env_id, world in worlds.items():
        count = episodes if isinstance(episodes, int) else episodes[env_id]
        drawn = world.draw(count, rng)
        for column, run in enumerate(runs):
            for seed, return_ in enumerate(map(float, drawn[:, column])):
                run.append(Episode(env_id, seed, return_, 1, True, False, metrics={"success": float(return_ >= 1.0)}))
    reference, candidate = (
        Results({"policy": {"name": name}}, run) for name, run in zip(("reference", "candidate"), runs, strict=True)
    )
    return reference, candidate


FIGURES = ("reference", "candidate", "difference", "retention")
"""What has an interval."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What repeated comparisons said.

    Attributes:
        repetitions: How many there were.
        covered: By environment and ``"overall"``, and then for each of :data:`FIGURES`: in how many repetitions the
            interval held the truth. An interval that does not exist (retention of a mean of 0, bounds from a single
            pair) claims nothing, and counts as covering.
        differs: In how many the overall test of the mean difference was significant.
        flips: In how many McNemar's overall test was significant.
        accused: In how many the verdict was a loss, overall or in some environment.
        width: Mean width of the overall interval of the difference.
    """

    repetitions: int
    covered: Mapping[str, Mapping[str, int]]
    differs: int
    flips: int
    accused: int
    width: float

    @property
    def least(self) -> float:
        """The least coverage of all, as a share of the repetitions."""
        return min(count for by_name in self.covered.values() for count in by_name.values()) / self.repetitions


def tally(
    worlds: Mapping[str, World],
    episodes: int | Mapping[str, int],
    repetitions: int,
    *,
    seed: int = 0,
    resamples: int = 1000,
    anytime: bool = False,
) -> Tally:
    """Compare made-up runs many times.

    Args:
        worlds: By the ids of their environments.
        episodes: Pairs, in each or by id.
        repetitions: How many comparisons.
        seed: Of the runs.
        resamples: Of each comparison.
        anytime: As in :func:`acenv.analysis.comparison.compare`.
    """
    rng = np.random.default_rng(seed)
    truths = {env_id: (w.mean, w.mean * w.retention) for env_id, w in worlds.items()}
    truths[OVERALL] = (
        math.fsum(before for before, _ in truths.values()) / len(worlds),
        math.fsum(after for _, after in truths.values()) / len(worlds),
    )
    covered = {env_id: dict.fromkeys(FIGURES, 0) for env_id in truths}
    differs = flips = accused = 0
    width = 0.0
    for _ in range(repetitions):
        found = compare(*simulate(worlds, episodes, rng), resamples=resamples, anytime=anytime)
        for part in (*found.environments, found.overall):
            for name in FIGURES:
                covered[part.env_id][name] += _holds(part, name, *truths[part.env_id])
        differs += found.overall.p_difference < LEVEL
        flips += found.overall.p_value < LEVEL
        accused += is_accused(found)
        width += found.overall.difference.high - found.overall.difference.low
    return Tally(repetitions, covered, differs, flips, accused, width / repetitions)


def is_accused(comparison: Comparison) -> bool:
    """Whether the verdict is a loss, overall or in some environment."""
    return judge("candidate", comparison).kind in ("loses", "mixed")


def _holds(comparison: EnvComparison, name: str, before: float, after: float) -> bool:
    interval = getattr(comparison, name)
    truth = {"reference": before, "candidate": after, "difference": after - before}.get(name, after / before)
    # Bounds that are computed, such as 1 of 1: the last digits do not count.
    return interval is None or math.isnan(interval.low) or interval.low - 1e-9 <= truth <= interval.high + 1e-9
