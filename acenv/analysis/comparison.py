"""What a candidate costs against a reference, episode by episode.

Two runs are compared on the episodes that both finished: the same environment, the same seed. Differences and
retention are estimated on those pairs, so that easy and hard episodes cancel out. Three things are kept apart:

- the *size* of the difference: mean returns and their intervals, which hold for few pairs and for differences that are
  mostly 0 (:mod:`acenv.analysis.bounded`);
- the *tests*, corrected by Holm over all tests made: of the mean difference of the returns, which agrees with the
  interval and is what verdicts rest on; and the exact McNemar test on episodes whose ``success`` flipped. Where returns
  are 0 or 1 and ``success`` says the same, the two are one;
- the *lists*: ``gained`` and ``lost`` name every episode whose return rose or fell, also where success did not flip.

Where somebody looked at the results and then decided whether to run more episodes, ``anytime=True`` gives intervals and
p-values that hold all the same (:mod:`acenv.analysis.sequential`); they are wider.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from acenv.analysis import sequential
from acenv.analysis.bounded import Draws, draw_means, interval_between, mean_interval, mean_of_strata, mean_test
from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.statistics import Floats, Interval, holm, mcnemar_exact
from acenv.types import Episode

OVERALL = "overall"
"""The ``env_id`` of the mean over all environments."""

_TOLERANCE = 1e-9
"""Returns are sums of rewards; smaller differences are rounding."""

_LARGEST_RATIO = 1e6

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
        retention: Candidate's mean return / reference's; ``None`` if the latter is 0.
        p_value: Exact McNemar test on the episodes whose success flipped.
        p_adjusted: The same after Holm's correction.
        gained: Episodes whose return rose by more than 1e-9.
        lost: Episodes whose return fell by more than 1e-9.
        reference_errors: Error episodes of the reference; they are never scored.
        candidate_errors: Error episodes of the candidate; they are never scored.
        p_difference: Test of a mean difference of 0; below 0.05 where the interval excludes 0.
        p_difference_adjusted: The same after Holm's correction.
        anytime: Whether intervals and p-values hold whatever made the run stop.
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
    p_difference: float = 1.0
    p_difference_adjusted: float = 1.0
    anytime: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EnvComparison:
        """The inverse of what :meth:`Comparison.to_dict` writes for an environment."""
        # Written before there was a test of the difference: the other one has to do.
        older = {"p_difference": data["p_value"], "p_difference_adjusted": data["p_adjusted"]}
        values = older | dict(data)
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
        overall: Mean over the environments, each with the same weight however many episodes it has. Environments
            without a pair are not in it.
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
    reference: Run,
    candidate: Run,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    anytime: bool = False,
) -> Comparison:
    """Compare two runs on their common episodes; Holm's correction is over the environments.

    Args:
        reference: The run to compare with, of the original model as a rule.
        candidate: The run in question.
        confidence: Coverage of the intervals.
        resamples: Draws of random weights for the intervals.
        seed: Seed of the draws; an environment's interval does not depend on which others were run.
        anytime: Whether somebody looked at the results and decided then whether to go on.

    Raises:
        ValueError: The runs were made with different environment settings, have no common episode, hold an episode
            twice, or a setting is out of range.
    """
    name = policy_name(candidate)
    return compare_all(
        reference, {name: candidate}, confidence=confidence, resamples=resamples, seed=seed, anytime=anytime
    )[name]


def compare_all(
    reference: Run,
    candidates: Mapping[str, Run],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    anytime: bool = False,
) -> dict[str, Comparison]:
    """Compare several runs with one reference; Holm's correction is over all candidates and environments.

    The overall comparisons ask another question (one test for each candidate) and are a family of their own.

    Args:
        reference: The run to compare with.
        candidates: Runs by the names that they get in the comparisons.
        confidence: Coverage of the intervals.
        resamples: Draws of random weights for the intervals.
        seed: Seed of the draws.
        anytime: As for :func:`compare`; episodes that a candidate did not need then are not called missing.

    Raises:
        ValueError: As :func:`compare`; the message names the candidate.
    """
    make = _Summaries(confidence, resamples, seed, anytime)
    raw = {name: _compare_one(reference, run, name, make) for name, run in candidates.items()}
    parts = [e for c in raw.values() for e in c.environments]
    by_environment = iter(_adjusted(parts))
    overall = iter(_adjusted([c.overall for c in raw.values()]))
    return {
        name: replace(c, environments=tuple(next(by_environment) for _ in c.environments), overall=next(overall))
        for name, c in raw.items()
    }


def _adjusted(parts: Sequence[EnvComparison]) -> list[EnvComparison]:
    """A family of tests after Holm's correction."""
    flips, differences = holm([p.p_value for p in parts]), holm([p.p_difference for p in parts])
    return [
        replace(part, p_adjusted=flip, p_difference_adjusted=difference)
        for part, flip, difference in zip(parts, flips, differences, strict=True)
    ]


def policy_name(run: Run) -> str:
    """Name of the policy that made a run, from its manifest."""
    policy = run.manifest.get("policy") or {}
    return str(policy.get("name", "unnamed"))


def changed_between(reference: Mapping[str, Any], again: Mapping[str, Any]) -> str:
    """What is different in another run of the same model, as noise floors are called: from the manifests.

    The batch size is in no manifest, since it should not matter: where nothing else differs, it is that.

    Raises:
        ValueError: The runs are not of the same checkpoint, or more differs than one floor can stand for.

    >>> changed_between({"policy": {"dtype": "bfloat16"}}, {"policy": {"dtype": "float32"}})
    'dtype'
    """
    ours, theirs = ({**(m.get("policy") or {}), "name": "", "versions": {}} for m in (reference, again))
    different = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
    known = {(): "batch size", ("dtype",): "dtype", ("sampling_seed",): "sampling seed"}
    if tuple(different) not in known:
        raise ValueError(
            f"a noise floor is the same model with another batch size, dtype or sampling seed; these runs differ in "
            f"{', '.join(different)}"
        )
    return known[tuple(different)]


Pairs = list[tuple[Episode, Episode]]


def _compare_one(reference: Run, candidate: Run, name: str, make: _Summaries) -> Comparison:
    _refuse_different_settings(reference, candidate, name)
    ours = _by_key(reference.episodes, policy_name(reference))
    theirs = _by_key(candidate.episodes, name)
    if make.anytime:
        last = dict(sorted(theirs))  # the largest seed of each environment
        ours = {(env_id, s): e for (env_id, s), e in ours.items() if s <= last.get(env_id, s)}
    common = sorted(ours.keys() & theirs.keys())
    if not any(ours[k].error is None and theirs[k].error is None for k in common):
        raise ValueError(
            f"{name!r} and {policy_name(reference)!r} have no finished episode in common "
            f"({len(theirs)} and {len(ours)} episodes, {len(common)} with the same environment and seed): "
            "run both on the same environments and seeds"
        )
    strata: dict[str, Pairs] = {env_id: [] for env_id, _ in common}
    for key in common:
        if ours[key].error is None and theirs[key].error is None:
            strata[key[0]].append((ours[key], theirs[key]))
    errors = {e: (_count_errors(ours.values(), e), _count_errors(theirs.values(), e)) for e in strata}
    environments, overall = make(strata, errors)
    return Comparison(policy_name(reference), name, environments, overall, len(ours.keys() ^ theirs.keys()))


@dataclass(frozen=True, slots=True)
class _Summaries:
    """Makes the comparisons of environments out of their pairs."""

    confidence: float
    resamples: int
    seed: int
    anytime: bool

    def __call__(
        self, strata: Mapping[str, Pairs], errors: Mapping[str, tuple[int, int]]
    ) -> tuple[tuple[EnvComparison, ...], EnvComparison]:
        """One for each environment, and one for all of them."""
        both = sum(e[0] for e in errors.values()), sum(e[1] for e in errors.values())
        returns = {env_id: _returns(pairs) for env_id, pairs in strata.items()}
        filled = [r for r in returns.values() if len(r)]
        everything = [pair for pairs in strata.values() for pair in pairs]
        if self.anytime:
            sizes = {env_id: self._anytime([r]) for env_id, r in returns.items()}
            overall = self._anytime(filled)
        else:
            counts = [len(r) for r in filled]
            draws = {env_id: self._draw(env_id, r, alone=True) for env_id, r in returns.items() if len(r)}
            sizes = {env_id: self._sizes([r], draws.get(env_id)) for env_id, r in returns.items()}
            if len(filled) > 1:
                draws = {env_id: self._draw(env_id, returns[env_id], alone=False) for env_id in draws}
            overall = self._sizes(filled, mean_of_strata([*draws.values()], counts))
        parts = tuple(self._part(e, pairs, sizes[e], errors[e]) for e, pairs in strata.items())
        return parts, self._part(OVERALL, everything, overall, both)

    def _draw(self, env_id: str, returns: Floats, *, alone: bool) -> Draws:
        rng = np.random.default_rng([self.seed, zlib.crc32(env_id.encode())])
        return draw_means(returns, self.resamples, rng, alone=alone)

    def _part(self, env_id: str, pairs: Pairs, sizes: Mapping[str, Any], errors: tuple[int, int]) -> EnvComparison:
        flips_up = sum(succeeded(b) and not succeeded(a) for a, b in pairs)
        flips_down = sum(succeeded(a) and not succeeded(b) for a, b in pairs)
        if self.anytime:
            flips = [1.0] * flips_up + [-1.0] * flips_down + [0.0] * (len(pairs) - flips_up - flips_down)
            p_value = sequential.mean_test(flips)
        else:
            p_value = mcnemar_exact(flips_up, flips_down)
        return EnvComparison(
            env_id=env_id,
            episodes=len(pairs),
            **sizes,
            p_value=p_value,
            p_adjusted=p_value,
            gained=tuple(a.key for a, b in pairs if b.return_ - a.return_ > _TOLERANCE),
            lost=tuple(a.key for a, b in pairs if a.return_ - b.return_ > _TOLERANCE),
            reference_errors=errors[0],
            candidate_errors=errors[1],
            p_difference_adjusted=sizes["p_difference"],
            anytime=self.anytime,
        )

    def _sizes(self, strata: Sequence[Floats], draws: Draws | None) -> dict[str, Any]:
        """Means, difference, retention and the test of the difference."""
        if draws is None:
            return _NOTHING
        lost, gained = draws.lost, draws.gained
        reference, candidate = np.mean([r.mean(axis=0) for r in strata], axis=0).tolist()
        smallest = min(map(len, strata))

        def interval(estimate: float, low: Floats, high: Floats) -> Interval:
            return interval_between(estimate, low, high, smallest, self.confidence)

        down, up = lost[:, 1] - lost[:, 0], gained[:, 1] - gained[:, 0]
        if len(strata) == 1:
            spread = draws.scale[1] - draws.scale[0]
            values = _differences(strata[0])
            difference = mean_interval(values, low=-spread, high=spread, confidence=self.confidence)
            p_difference = mean_test(values, low=-spread, high=spread)
        else:
            difference = interval(candidate - reference, down, up)
            # A draw more on either side, so that no chance is 0.
            p_difference = 2.0 * (1 + min(np.count_nonzero(up >= 0), np.count_nonzero(down <= 0))) / (len(up) + 1)
        return {
            "reference": interval(reference, gained[:, 0], lost[:, 0]),
            "candidate": interval(candidate, lost[:, 1], gained[:, 1]),
            "difference": difference,
            "retention": interval(candidate / reference, _ratios(lost), _ratios(gained)) if reference > 0 else None,
            "p_difference": min(1.0, float(p_difference)),
        }

    def _anytime(self, strata: Sequence[Floats]) -> dict[str, Any]:
        """The same by betting."""
        if not any(map(len, strata)):
            return _NOTHING
        found = sequential.paired(strata, confidence=self.confidence)
        return {
            "reference": found.reference,
            "candidate": found.candidate,
            "difference": found.difference,
            "retention": found.retention,
            "p_difference": found.p_value,
        }


_NAN = Interval(math.nan, math.nan, math.nan)
_NOTHING: dict[str, Any] = {
    "reference": _NAN,
    "candidate": _NAN,
    "difference": _NAN,
    "retention": None,
    "p_difference": 1.0,
}


def _returns(pairs: Pairs) -> Floats:
    """Both returns of each pair, shape [n, 2]."""
    return np.asarray([(a.return_, b.return_) for a, b in pairs], dtype=np.float64).reshape(-1, 2)


def _ratios(means: Floats) -> Floats:
    """Candidate / reference of each draw; a large number where the reference is 0, so that quantiles stay numbers."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = np.where(means[:, 0] > 0, means[:, 1] / means[:, 0], _LARGEST_RATIO)
    return np.minimum(ratios, _LARGEST_RATIO)


def _differences(returns: Floats) -> Floats:
    """Candidate - reference, without what is rounding."""
    differences: Floats = returns[:, 1] - returns[:, 0]
    return np.where(np.abs(differences) > _TOLERANCE, differences, 0.0)


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
