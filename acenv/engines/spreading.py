"""Whole episodes spread over workers: which has what, and what is to be run again when one is lost."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from acenv.engines.shards import Description
from acenv.lines import Key
from acenv.loop import MOST_LOSSES
from acenv.starts import Finished, Start
from acenv.store import differences
from acenv.types import EngineError, Episode, Transcript

BACKLOG = 2
"""Episodes that wait in a worker, so that it has something to do while this process is told of what has ended."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has made its policy."""

    worker: int
    description: Description


@dataclass(frozen=True, slots=True)
class Done:
    """A worker has ended an episode."""

    worker: int
    episode: Episode
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone, with the episodes that it had not ended."""

    worker: int
    reason: str


class Pool(Protocol):
    """Workers that run episodes; they have numbers from 0."""

    def start(self, worker: int) -> None:
        """Start a worker, also in place of one that was lost; returns at once."""
        ...

    def give(self, worker: int, starts: Sequence[Start]) -> None:
        """Hand episodes to a worker, which may not be ready yet; to one that is gone this does nothing."""
        ...

    def wait(self) -> Sequence[Ready | Done | Lost]:
        """Wait until something has happened.

        Raises:
            EngineError: A worker cannot go on, and another could not either; or what its policy raises.
        """
        ...


def spread(
    pool: Pool, workers: int, pending: deque[Start], slots: int, expected: Description | None = None
) -> Iterator[Finished]:
    """Run episodes in the workers of a pool and yield each as it ends, whatever becomes of single workers.

    What a lost worker had under way is run again, each episode alone in its worker, so that one which brings its
    worker down takes no other along. After three times it is recorded as an error, and the others go on.

    Args:
        pool: The workers; none is started yet.
        workers: How many to start.
        pending: What is to be run.
        slots: Conversations that a worker has under way at once.
        expected: What every worker must say of its policy; by default, what the first says.

    Raises:
        EngineError: Workers cannot be started, or do not have the same policy.
    """
    given: list[dict[Key, Start]] = [{} for _ in range(max(1, min(workers, len(pending))))]
    again: deque[Start] = deque()
    losses: Counter[Key] = Counter()
    unready = Counter({number: 0 for number in range(len(given))})
    for number in range(len(given)):
        pool.start(number)
    while pending or again or any(given):
        for number, mine in enumerate(given):
            if starts := _next(mine, pending, again, losses, slots + BACKLOG, len(given)):
                mine.update({(start.env_id, start.seed): start for start in starts})
                pool.give(number, starts)
        for event in pool.wait():
            mine = given[event.worker]
            if isinstance(event, Ready):
                expected = _same(expected, event.description)
                del unready[event.worker]
            elif isinstance(event, Done):
                yield Finished(mine.pop(event.episode.key), event.episode, event.transcript)
            elif event.worker in unready:
                unready[event.worker] += 1
                if unready[event.worker] == MOST_LOSSES:
                    raise EngineError(f"a worker ended {MOST_LOSSES} times before it was ready: {event.reason}")
                pending.extendleft(mine.values())
                mine.clear()
                pool.start(event.worker)
            else:
                for key, start in mine.items():
                    losses[key] += 1
                    if losses[key] < MOST_LOSSES:
                        again.append(start)
                    else:
                        yield _lost(start, f"its worker died {MOST_LOSSES} times: {event.reason}")
                mine.clear()
                unready[event.worker] = 0
                pool.start(event.worker)


def _next(
    mine: Mapping[Key, Start], pending: deque[Start], again: deque[Start], losses: Counter[Key], most: int, workers: int
) -> list[Start]:
    """What a worker gets beside what it has."""
    if any(key in losses for key in mine):
        return []
    if again and not mine:
        return [again.popleft()]
    # Towards the end each gets its share, so that none has all that is left.
    share = math.ceil((len(pending) + len(mine)) / workers) - len(mine)
    return [pending.popleft() for _ in range(min(most - len(mine), share, len(pending)))]


def _same(expected: Description | None, description: Description) -> Description:
    if expected is not None and (changed := list(differences(asdict(expected), asdict(description)))):
        raise EngineError(
            "a worker has another policy or other libraries, and results of two settings are never mixed:\n"
            + "\n".join(f"  {name}: {here!r} here, {there!r} in the worker" for name, here, there in changed)
        )
    return description


def _lost(start: Start, reason: str) -> Finished:
    episode = Episode(start.env_id, start.seed, math.nan, 0, False, False, error=f"worker: {reason}")
    return Finished(start, episode, Transcript(start.env_id, start.seed, [], [], []))
