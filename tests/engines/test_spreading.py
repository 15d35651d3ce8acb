from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.engines.shards import Description
from acenv.engines.spreading import Done, Lost, Ready, spread
from acenv.starts import Finished, Start
from acenv.types import EngineError, Episode, Transcript

DESCRIPTION = Description("p", 4, {"policy": "p"}, {"acenv": "1"})


class Unreliable:
    """Workers that do one thing a turn, and die at random, always in some episodes, or before they are ready."""

    def __init__(self, seed: int, deaths: int, poison: set[int] = frozenset(), stillborn: bool = False) -> None:  # type: ignore[assignment]
        self.rng = random.Random(seed)
        self.deaths = deaths
        self.poison = poison
        self.stillborn = stillborn
        self.description = [DESCRIPTION]
        self.has: dict[int, list[Start]] = {}
        self.ready: set[int] = set()
        self.most: Counter[int] = Counter()
        self.begun = 0

    def start(self, worker: int) -> None:
        self.has[worker] = []
        self.ready.discard(worker)
        self.begun += 1

    def give(self, worker: int, starts: Sequence[Start]) -> None:
        self.has[worker] += starts
        self.most[worker] = max(self.most[worker], len(self.has[worker]))

    def wait(self) -> list[Ready | Done | Lost]:
        number = self.rng.choice([n for n in self.has if n not in self.ready or self.has[n]])
        if number not in self.ready:
            if self.stillborn:
                return [Lost(number, "exit code 1")]
            self.ready.add(number)
            return [Ready(number, self.description[number % len(self.description)])]
        if self.deaths and self.rng.random() < 0.2:
            self.deaths -= 1
            return [Lost(number, "killed")]
        start = self.has[number].pop(self.rng.randrange(len(self.has[number])))
        if start.seed in self.poison:
            return [Lost(number, "killed")]
        return [Done(number, Episode("a", start.seed, 1.0, 1, True, False), Transcript("a", start.seed, [], [], []))]


def run(pool: Unreliable, workers: int, episodes: int, slots: int = 2) -> list[Finished]:
    return list(spread(pool, workers, deque(Start("a", seed) for seed in range(episodes)), slots, DESCRIPTION))


@given(seed=st.integers(0, 10_000), workers=st.integers(1, 4), episodes=st.integers(0, 30), slots=st.integers(1, 5))
def test_every_episode_ends_once_whatever_dies(seed: int, workers: int, episodes: int, slots: int) -> None:
    pool = Unreliable(seed, deaths=2)
    found = run(pool, workers, episodes, slots)
    assert sorted(f.episode.seed for f in found) == list(range(episodes))
    assert all(f.episode.error is None and f.start.seed == f.episode.seed for f in found)


@given(seed=st.integers(0, 10_000), workers=st.integers(1, 3), poison=st.sets(st.integers(0, 14), max_size=3))
def test_an_episode_that_kills_its_worker_is_an_error_and_takes_no_other_along(
    seed: int, workers: int, poison: set[int]
) -> None:
    found = run(Unreliable(seed, 0, poison), workers, 15)
    assert sorted(f.episode.seed for f in found) == list(range(15))
    assert {f.episode.seed for f in found if f.episode.error} == poison
    for finished in found:
        assert finished.episode.error in (None, "worker: its worker died 3 times: killed")


def test_no_worker_has_more_than_it_can_begin_and_a_little() -> None:
    pool = Unreliable(0, 0)
    run(pool, 2, 50, slots=3)
    assert set(pool.most.values()) == {5}


def test_no_more_workers_are_started_than_there_are_episodes() -> None:
    pool = Unreliable(0, 0)
    run(pool, 8, 3)
    assert pool.begun == 3


def test_workers_that_never_get_ready_are_no_errors_of_the_episodes() -> None:
    with pytest.raises(EngineError, match="3 times before it was ready: exit code 1"):
        run(Unreliable(0, 0, stillborn=True), 2, 5)


def test_a_worker_with_another_policy_is_refused() -> None:
    pool = Unreliable(0, 0)
    pool.description = [DESCRIPTION, Description("p", 4, {"policy": "p"}, {"acenv": "2"})]
    with pytest.raises(EngineError, match=r"versions.acenv: '1' here, '2' in the worker"):
        run(pool, 2, 50)
