"""What a candidate costs against a reference, episode by episode.

Two runs are compared on the episodes that both finished: the same environment, the same seed. Differences and
retention are estimated on those pairs, so that easy and hard episodes cancel out. Three things are kept apart:

- the *size* of the difference: mean returns and their paired bootstrap intervals;
- the *test*: the exact McNemar test on episodes whose ``success`` flipped, corrected by Holm over all tests made;
- the *lists*: ``gained`` and ``lost`` name every episode whose return rose or fell, also where success did not flip.

A candidate whose returns change but which never flips success has p = 1: graded changes show in the interval.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.statistics import (
    Floats,
    Interval,
    holm,
    mcnemar_exact,
    percentile_interval,
    resampled_means,
)
from acenv.types import Episode

OVERALL = "overall"
"""The ``env_id`` of the mean over all environments."""

_TOLERANCE = 1e-9
"""Returns are sums of rewards; smaller differences are rounding."""

Key = tuple[str, int]


class Run(Protocol):
    """What is compared: a finished run, such as ``acenv.runs.Results``."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What produced the run; ``policy.name`` and ``env_kwargs`` are read."""
        ...

    @property
    def episodes(self) -> Sequence[Episode]:
        """The episodes, those that failed with an error included."""
        ...


@dataclass(frozen=True, slots=True)
class EnvComparison:
    """Reference and candidate on the common episodes of one environment, or of all (``env_id`` is ``"overall"``).

    Attributes:
        episodes: Pairs that were compared. Where errors left none, the intervals are ``nan``.
        reference: Mean return of the reference.
        candidate: Mean return of the candidate.
        difference: Mean of candidate - reference over the pairs.
        retention: Candidate's mean return / reference's; ``None`` if the latter is 0. Bootstrap samples in which the
            reference's mean is 0 have no ratio and are left out of the interval.
        p_value: Exact McNemar test on the episodes whose success flipped.
        p_adjusted: The same after Holm's correction.
        gained: Episodes whose return rose by more than 1e-9.
        lost: Episodes whose return fell by more than 1e-9.
        reference_errors: Error episodes of the reference; they are never scored.
        candidate_errors: Error episodes of the candidate; they are never scored.
    """

    env_id: str
    episodes: int
    reference: Interval
    candidate: Interval
    difference: Interval
    retention: Interval | None
    p_value: float
    p_adjusted: float
    gained: tuple[Key, ...]
    lost: tuple[Key, ...]
    reference_errors: int
    candidate_errors: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EnvComparison:
        """The inverse of what :meth:`Comparison.to_dict` writes for an environment."""
        values = dict(data)
        for name in ("reference", "candidate", "difference", "retention"):
            values[name] = (
                None if data[name] is None else Interval(**{k: from_number(v) for k, v in data[name].items()})
            )
        for name in ("gained", "lost"):
            values[name] = tuple((str(env_id), int(seed)) for env_id, seed in data[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate against a reference.

    Attributes:
        reference: Name of the reference.
        candidate: Name of the candidate.
        environments: One comparison for each environment that both ran, in the order of their ids.
        overall: Mean over the environments, each with the same weight however many episodes it has; bootstrap samples
            are drawn within each environment. Environments without a pair are not in it.
        missing: Episodes that only one of the two runs holds, as error or otherwise.
    """

    reference: str
    candidate: str
    environments: tuple[EnvComparison, ...]
    overall: EnvComparison
    missing: int

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON: numbers that are ``nan`` become ``None``."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe a comparison.
        """
        try:
            return cls(
                reference=data["reference"],
                candidate=data["candidate"],
                environments=tuple(EnvComparison.from_dict(e) for e in data["environments"]),
                overall=EnvComparison.from_dict(data["overall"]),
                missing=data["missing"],
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is not a comparison as to_dict() writes it: {error!r}") from error


def compare(
    reference: Run, candidate: Run, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare two runs on their common episodes; Holm's correction is over the environments.

    Args:
        reference: The run to compare with, of the original model as a rule.
        candidate: The run in question.
        confidence: Coverage of the intervals.
        resamples: Bootstrap samples.
        seed: Seed of the bootstrap; an environment's interval does not depend on which others were run.

    Raises:
        ValueError: The runs were made with different environment settings, have no common episode, hold an episode
            twice, or a setting is out of range.
    """
    return compare_all(
        reference, {policy_name(candidate): candidate}, confidence=confidence, resamples=resamples, seed=seed
    )[policy_name(candidate)]


def compare_all(
    reference: Run,
    candidates: Mapping[str, Run],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare several runs with one reference; Holm's correction is over all candidates and environments.

    The overall comparisons ask another question (one test for each candidate) and are a family of their own.

    Args:
        reference: The run to compare with.
        candidates: Runs by the names that they get in the comparisons.
        confidence: Coverage of the intervals.
        resamples: Bootstrap samples.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: As :func:`compare`; the message names the candidate.
    """
    raw = {
        name: _compare_one(reference, run, name, confidence=confidence, resamples=resamples, seed=seed)
        for name, run in candidates.items()
    }
    by_environment = iter(holm([e.p_value for c in raw.values() for e in c.environments]))
    overall = iter(holm([c.overall.p_value for c in raw.values()]))
    return {
        name: replace(
            c,
            environments=tuple(replace(e, p_adjusted=next(by_environment)) for e in c.environments),
            overall=replace(c.overall, p_adjusted=next(overall)),
        )
        for name, c in raw.items()
    }


def policy_name(run: Run) -> str:
    """Name of the policy that made a run, from its manifest."""
    policy = run.manifest.get("policy") or {}
    return str(policy.get("name", "unnamed"))


def _compare_one(
    reference: Run, candidate: Run, name: str, *, confidence: float, resamples: int, seed: int
) -> Comparison:
    _refuse_different_settings(reference, candidate, name)
    ours = _by_key(reference.episodes, policy_name(reference))
    theirs = _by_key(candidate.episodes, name)
    common = sorted(ours.keys() & theirs.keys())
    if not any(ours[k].error is None and theirs[k].error is None for k in common):
        raise ValueError(
            f"{name!r} and {policy_name(reference)!r} have no finished episode in common "
            f"({len(theirs)} and {len(ours)} episodes, {len(common)} with the same environment and seed): "
            "run both on the same environments and seeds"
        )
    environments, means = [], []
    for env_id in sorted({k[0] for k in common}):
        keys = [k for k in common if k[0] == env_id]
        pairs = [(ours[k], theirs[k]) for k in keys if ours[k].error is None and theirs[k].error is None]
        draws = _draw_means(pairs, resamples, np.random.default_rng([seed, zlib.crc32(env_id.encode())]))
        environments.append(
            _summary(
                env_id,
                pairs,
                means=_mean_returns(pairs),
                draws=draws,
                smallest=len(pairs),
                confidence=confidence,
                errors=(_count_errors(ours.values(), env_id), _count_errors(theirs.values(), env_id)),
            )
        )
        if pairs:
            means.append((pairs, draws))
    every_pair = [pair for pairs, _ in means for pair in pairs]
    overall = _summary(
        OVERALL,
        every_pair,
        means=np.mean([_mean_returns(pairs) for pairs, _ in means], axis=0),
        draws=np.mean([draws for _, draws in means], axis=0),
        smallest=min(len(pairs) for pairs, _ in means),
        confidence=confidence,
        errors=(sum(e.reference_errors for e in environments), sum(e.candidate_errors for e in environments)),
    )
    missing = len(ours.keys() ^ theirs.keys())
    return Comparison(policy_name(reference), name, tuple(environments), overall, missing)


def _summary(
    env_id: str,
    pairs: Sequence[tuple[Episode, Episode]],
    *,
    means: Floats,
    draws: Floats,
    smallest: int,
    confidence: float,
    errors: tuple[int, int],
) -> EnvComparison:
    """Everything that is said about a set of pairs, given their mean returns (both, and of each bootstrap sample)."""

    def interval(estimate: float, values: Floats) -> Interval:
        return percentile_interval(estimate, values, smallest, confidence)

    reference, candidate = float(means[0]), float(means[1])
    retention = None
    if reference > 0:
        defined = draws[draws[:, 0] > 0]
        retention = interval(candidate / reference, defined[:, 1] / defined[:, 0])
    flips_up = sum(succeeded(b) and not succeeded(a) for a, b in pairs)
    flips_down = sum(succeeded(a) and not succeeded(b) for a, b in pairs)
    p_value = mcnemar_exact(flips_up, flips_down)
    return EnvComparison(
        env_id=env_id,
        episodes=len(pairs),
        reference=interval(reference, draws[:, 0]),
        candidate=interval(candidate, draws[:, 1]),
        difference=interval(candidate - reference, draws[:, 1] - draws[:, 0]),
        retention=retention,
        p_value=p_value,
        p_adjusted=p_value,
        gained=tuple(a.key for a, b in pairs if b.return_ - a.return_ > _TOLERANCE),
        lost=tuple(a.key for a, b in pairs if a.return_ - b.return_ > _TOLERANCE),
        reference_errors=errors[0],
        candidate_errors=errors[1],
    )


def _mean_returns(pairs: Sequence[tuple[Episode, Episode]]) -> Floats:
    if not pairs:
        return np.full(2, np.nan)
    means: Floats = np.asarray([(a.return_, b.return_) for a, b in pairs], dtype=np.float64).mean(axis=0)
    return means


def _draw_means(pairs: Sequence[tuple[Episode, Episode]], resamples: int, rng: np.random.Generator) -> Floats:
    """Mean returns of both sides in each bootstrap sample, shape [resamples, 2]; empty if there is no pair."""
    if not pairs:
        return np.empty((0, 2))
    return resampled_means([(a.return_, b.return_) for a, b in pairs], resamples, rng)


def succeeded(episode: Episode) -> bool:
    """Whether the task was solved; an environment without this metric solves a task by a full return."""
    return episode.metrics.get("success", float(episode.return_ >= 1.0 - _TOLERANCE)) == 1.0


def _count_errors(episodes: Iterable[Episode], env_id: str) -> int:
    return sum(e.error is not None for e in episodes if e.env_id == env_id)


def _by_key(episodes: Sequence[Episode], name: str) -> dict[Key, Episode]:
    found: dict[Key, Episode] = {}
    for episode in episodes:
        if episode.key in found:
            raise ValueError(f"the run of {name!r} holds {episode.env_id} with seed {episode.seed} twice")
        if episode.error is None and not np.isfinite(episode.return_):
            raise ValueError(
                f"the run of {name!r} holds {episode.env_id} with seed {episode.seed} with a return of "
                f"{episode.return_} and no error: a finished episode must have a finite return"
            )
        found[episode.key] = episode
    return found


def _refuse_different_settings(reference: Run, candidate: Run, name: str) -> None:
    # Through JSON, so that a run in memory equals the same run read from its folder (tuples have become lists).
    ours, theirs = (
        json.loads(json.dumps(run.manifest.get("env_kwargs") or {}, default=str)) for run in (reference, candidate)
    )
    if ours != theirs:
        different = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
        details = "; ".join(f"{k}: {ours.get(k, 'not set')!r} and {theirs.get(k, 'not set')!r}" for k in different)
        raise ValueError(
            f"{policy_name(reference)!r} and {name!r} were run with different environment settings ({details}): "
            "their episodes are not the same tasks; run one of them again with the settings of the other"
        )
