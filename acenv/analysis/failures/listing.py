"""The failures of every episode of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from acenv.analysis.comparison import succeeded
from acenv.analysis.failures.finding import find_failures, primary_failure
from acenv.analysis.failures.kinds import Failure
from acenv.analysis.records import to_jsonable
from acenv.runs import Key, Results, RunError
from acenv.types import Episode, Transcript


@dataclass(frozen=True, slots=True)
class EpisodeFailures:
    """What went wrong in an episode.

    Attributes:
        env_id: The environment.
        seed: The episode's seed.
        lost: Whether it was not solved; error episodes are lost too.
        failures: As :func:`~.finding.find_failures` gives them.
        primary: The one that explains best why it was lost; ``None`` if it was not.
    """

    env_id: str
    seed: int
    lost: bool
    failures: tuple[Failure, ...]
    primary: Failure | None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of failure in it."""
        return frozenset(failure.kind for failure in self.failures)

    @classmethod
    def of(cls, episode: Episode, transcript: Transcript, reference: Transcript | None = None) -> EpisodeFailures:
        """Look into an episode; see :func:`~.finding.find_failures` for the arguments."""
        failures = find_failures(episode, transcript, reference)
        lost = episode.error is not None or not succeeded(episode)
        primary = primary_failure(failures, transcript) if lost else None
        return cls(episode.env_id, episode.seed, lost, failures, primary)

    def to_dict(self) -> dict[str, Any]:
        """As strict JSON."""
        data: dict[str, Any] = to_jsonable(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EpisodeFailures:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: The data do not describe such an episode.
        """
        try:
            failures = tuple(Failure(f["kind"], int(f["step"]), f["detail"]) for f in data["failures"])
            named = data["primary"]
            primary = None if named is None else Failure(named["kind"], int(named["step"]), named["detail"])
            return cls(str(data["env_id"]), int(data["seed"]), bool(data["lost"]), failures, primary)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"these are no failures of an episode as to_dict() writes them: {error!r}") from error


def list_failures(results: Results, reference: Results | None = None) -> Iterator[EpisodeFailures]:
    """Look into all episodes of a run, one at a time, error episodes included.

    Args:
        results: The run.
        reference: Another agent's run of the same tasks; its solutions show where this one went another way.
    """
    for episode in results.episodes:
        other = None if reference is None else transcript_of(reference, episode.key)
        yield EpisodeFailures.of(episode, transcript_of(results, episode.key), other)


def transcript_of(run: Results, key: Key) -> Transcript:
    """What was said in an episode of the same task; nothing where the run has none, or has lost it."""
    try:
        return run.transcript(key)
    except (KeyError, OSError, RunError):
        return Transcript(*key, (), (), ())
