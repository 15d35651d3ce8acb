"""The failures of two runs, side by side, on the episodes that both hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from acenv.analysis.comparison import OVERALL
from acenv.analysis.failures.kinds import FAILURES
from acenv.analysis.failures.listing import EpisodeFailures, transcript_of
from acenv.analysis.records import from_number, to_jsonable
from acenv.analysis.statistics import holm, mcnemar_exact
from acenv.runs import Results


@dataclass(frozen=True, slots=True)
class FailureCount:
    """In how many of the paired episodes a kind of failure is found.

    Attributes:
        kind: One of :data:`~.kinds.FAILURES`.
        reference: Episodes that the reference lost and that show the kind.
        candidate: Episodes that the candidate lost and that show the kind.
        reference_primary: Those of them that it explains best (:func:`~.finding.primary_failure`).
        candidate_primary: The same of the candidate.
        reference_recovered: Episodes that show the kind, and that the reference solved all the same.
        candidate_recovered: The same of the candidate.
        p_value: Exact McNemar test on the pairs of which one side alone was lost with this kind.
        p_adjusted: The same after Holm's correction.
    """

    kind: str
    reference: int
    candidate: int
    reference_primary: int
    candidate_primary: int
    reference_recovered: int
    candidate_recovered: int
    p_value: float
    p_adjusted: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FailureCount:
        """The inverse of what :meth:`FailureComparison.to_dict` writes for a kind."""
        values: dict[str, Any] = {name: int(data[name]) for name in _COUNTS}
        values |= {name: from_number(data[name]) for name in ("p_value", "p_adjusted")}
        return cls(kind=str(data["kind"]), **values)


_COUNTS = tuple(f.name for f in fields(FailureCount) if f.name != "kind" and not f.name.startswith("p_"))


@dataclass(frozen=True, slots=True)
class FailureComparison:
    """The failures in the episodes of one environment, or of all (``env_id`` is ``"overall"``).

    Attributes:
        env_id: The environment.
        episodes: Pairs, error episodes included.
        reference_lost: Episodes that the reference did not solve.
        candidate_lost: Episodes that the candidate did not solve.
        kinds: The kinds that were found on either side, in order of precedence.
    """

    env_id: str
    episodes: int
    reference_lost: int
    candidate_lost: int
    kinds: tuple[FailureCount, ...]

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FailureComparison:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe such a comparison.
        """
        try:
            kinds = tuple(FailureCount.from_dict(count) for count in data["kinds"])
            numbers = {name: int(data[name]) for name in ("episodes", "reference_lost", "candidate_lost")}
            return cls(env_id=str(data["env_id"]), kinds=kinds, **numbers)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"this is no comparison of failures as to_dict() writes it: {error!r}") from error


def compare_failures(reference: Results, candidate: Results) -> tuple[FailureComparison, ...]:
    """Count the failures of two runs on the episodes that both hold.

    Each side's transcript is the other's reference (see :func:`~.finding.find_failures`), so that neither is at an
    advantage. Transcripts are read a pair at a time. Holm's correction is over the kinds of all environments; the
    tests over all episodes are a family of their own.

    Args:
        reference: The run to compare with, of the original model as a rule.
        candidate: The run in question.

    Returns:
        One comparison for each environment, in the order of their ids, and that of all episodes at the end. It is
        empty where the runs have no episode in common.
    """
    theirs = {episode.key: episode for episode in candidate.episodes}
    tallies: dict[str, _Tally] = {}
    for episode in {episode.key: episode for episode in reference.episodes}.values():
        other = theirs.get(episode.key)
        if other is None:
            continue
        ours, others = (transcript_of(run, episode.key) for run in (reference, candidate))
        found = EpisodeFailures.of(episode, ours, others), EpisodeFailures.of(other, others, ours)
        for name in (episode.env_id, OVERALL):
            tallies.setdefault(name, _Tally()).add(*found)
    overall = tallies.pop(OVERALL, None)
    environments = [tallies[env_id].summary(env_id) for env_id in sorted(tallies)]
    return tuple(_adjusted(environments) + (_adjusted([overall.summary(OVERALL)]) if overall else []))


@dataclass(slots=True)
class _Side:
    """Counts of one side, by kind."""

    lost: Counter[str] = field(default_factory=Counter)
    primary: Counter[str] = field(default_factory=Counter)
    recovered: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    episodes_lost: int = 0

    def add(self, found: EpisodeFailures, other: EpisodeFailures) -> None:
        self.episodes_lost += found.lost
        (self.lost if found.lost else self.recovered).update(found.kinds)
        if found.primary is not None:
            self.primary[found.primary.kind] += 1
        if found.lost:
            self.alone.update(found.kinds - other.kinds if other.lost else found.kinds)


@dataclass(slots=True)
class _Tally:
    """Counts over pairs of episodes."""

    episodes: int = 0
    reference: _Side = field(default_factory=_Side)
    candidate: _Side = field(default_factory=_Side)

    def add(self, reference: EpisodeFailures, candidate: EpisodeFailures) -> None:
        self.episodes += 1
        self.reference.add(reference, candidate)
        self.candidate.add(candidate, reference)

    def summary(self, env_id: str) -> FailureComparison:
        ours, theirs = self.reference, self.candidate
        counts = []
        for kind in FAILURES:
            if not any(side[kind] for side in (ours.lost, theirs.lost, ours.recovered, theirs.recovered)):
                continue
            p_value = mcnemar_exact(theirs.alone[kind], ours.alone[kind])
            counts.append(
                FailureCount(
                    kind=kind,
                    reference=ours.lost[kind],
                    candidate=theirs.lost[kind],
                    reference_primary=ours.primary[kind],
                    candidate_primary=theirs.primary[kind],
                    reference_recovered=ours.recovered[kind],
                    candidate_recovered=theirs.recovered[kind],
                    p_value=p_value,
                    p_adjusted=p_value,
                )
            )
        return FailureComparison(env_id, self.episodes, ours.episodes_lost, theirs.episodes_lost, tuple(counts))


def _adjusted(comparisons: Sequence[FailureComparison]) -> list[FailureComparison]:
    """The comparisons, their tests taken for one family."""
    values = iter(holm([count.p_value for c in comparisons for count in c.kinds]))
    return [replace(c, kinds=tuple(replace(count, p_adjusted=next(values)) for count in c.kinds)) for c in comparisons]
