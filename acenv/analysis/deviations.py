"""The records of an attribution: differing decisions with their price, one episode, what was left out, what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acenv.analysis.divergence import DIVERGENCES
from acenv.analysis.records import from_number


@dataclass(frozen=True, slots=True)
class Deviation:
    """A decision in which the two models differ, in one state of one of their paths.

    Attributes:
        step: Its number in the episode, from 0.
        kind: What the actions differ in first, one of :data:`acenv.analysis.divergence.DIVERGENCES`.
        context: Length of the conversation before it, in :attr:`Attribution.unit`.
        base: What the base does there, cut around the first difference.
        compressed: What the compressed model does there.
        share: Its part of the return lost, by the order of its path; those of a path sum to the episode's loss.
        alone: On the compressed model's path, the return that mending this decision alone brings back; on the base's
            path, the return that this decision of the compressed model alone costs. ``nan`` where it had no branch.
        pooled: Decisions over which the loss between two branches was divided evenly; 1 where it is all its own.
    """

    step: int
    kind: str
    context: int
    base: str
    compressed: str
    share: float
    alone: float
    pooled: int = 1


@dataclass(frozen=True, slots=True)
class EpisodeAttribution:
    """One episode that both models finished.

    Attributes:
        env_id: The environment.
        seed: The episode's seed.
        replicate: Which draw of the policies; always 0 for greedy ones.
        base_return: Return of the base.
        compressed_return: Return of the compressed model.
        base_length: Steps of the base.
        first: The first step at which the compressed model leaves the base's path; ``None`` if it never does.
        contexts: Length of the conversation before each step of the compressed model.
        path: The decisions that differ along the compressed model's path: the main estimate.
        base_path: Those along the base's path: the other order.
    """

    env_id: str
    seed: int
    base_return: float
    compressed_return: float
    base_length: int
    first: int | None
    contexts: tuple[int, ...]
    path: tuple[Deviation, ...] = ()
    base_path: tuple[Deviation, ...] = ()
    replicate: int = 0

    @property
    def lost(self) -> float:
        """Return of the base minus that of the compressed model."""
        return self.base_return - self.compressed_return

    @property
    def truncated(self) -> bool:
        """Whether there were more differing decisions than branches, so that some share a loss."""
        return any(deviation.pooled > 1 for deviation in (*self.path, *self.base_path))


@dataclass(frozen=True, slots=True)
class Excluded:
    """An episode that is in no figure, and why."""

    env_id: str
    seed: int
    reason: str


@dataclass(frozen=True, slots=True)
class Effort:
    """What the attribution took.

    Attributes:
        rollouts: Episodes or branches that were run to their end.
        walks: Paths along which the other model was asked.
        known: Counterfactual returns that followed from others, so that nothing had to be run.
        decisions: Times that a model was asked.
    """

    rollouts: int = 0
    walks: int = 0
    known: int = 0
    decisions: int = 0

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.rollouts + other.rollouts,
            self.walks + other.walks,
            self.known + other.known,
            self.decisions + other.decisions,
        )


def episode_from_dict(record: Mapping[str, Any]) -> EpisodeAttribution:
    """One episode of :meth:`Attribution.to_dict`.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is of another type, or there is one more.
        ValueError: A field has a value that it cannot have.
    """
    values: dict[str, Any] = dict(record)
    for name in ("path", "base_path"):
        values[name] = tuple(map(_deviation_from_dict, values[name]))
    values["contexts"] = tuple(map(int, values["contexts"]))
    values["first"] = None if values["first"] is None else int(values["first"])
    values |= {name: float(values[name]) for name in ("base_return", "compressed_return")}
    values |= {name: int(values[name]) for name in ("seed", "base_length", "replicate")}
    return EpisodeAttribution(**values)


def _deviation_from_dict(record: Mapping[str, Any]) -> Deviation:
    values: dict[str, Any] = dict(record)
    if values["kind"] not in DIVERGENCES:
        raise ValueError(f"{values['kind']!r} is no kind of decision; known are {', '.join(DIVERGENCES)}")
    values |= {name: from_number(values[name]) for name in ("share", "alone")}
    values |= {name: int(values[name]) for name in ("step", "context", "pooled")}
    return Deviation(**values)
