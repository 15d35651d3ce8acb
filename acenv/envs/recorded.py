"""The base class of the environments that make tasks of their own and read those of an official data set as well."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from acenv.envs.base import ConversationEnv, StateT, TaskT
from acenv.envs.sources import GENERATED
from acenv.types import Message


class RecordedEnv(ConversationEnv[TaskT, StateT]):
    """Tasks from a generator, or, where :attr:`records` is not None, from these.

    Official records are all for testing, and belong to both splits. Seeds 0 to n - 1 take each of n records once, in a
    fixed shuffled order, so that a run of n episodes is the benchmark, and a shorter one a random sample of it; seed n
    begins anew. ``reset(options={"index": i})`` picks one.
    """

    source: str = GENERATED
    records: Sequence[TaskT] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[list[Message], dict[str, Any]]:
        """Start an episode, as the base class does; where there are records, a seed stands for one of them."""
        if self.records and seed is not None and "index" not in (options or {}):
            options = {**(options or {}), "index": shuffled(len(self.records))[seed % len(self.records)]}
        return super().reset(seed=seed, options=options)

    @abstractmethod
    def generate(self, rng: np.random.Generator) -> TaskT:
        """Make up a task of :attr:`difficulty`. All randomness comes from ``rng``."""

    def sample_task(self, rng: np.random.Generator) -> TaskT:
        """A generated task, or one of the records."""
        return self.generate(rng) if self.records is None else self.records[int(rng.integers(len(self.records)))]

    def draw_task(self, attempts: int = 1000) -> TaskT:
        """A task of the split; official records are a test set as a whole, of which no half is kept back."""
        return super().draw_task(attempts) if self.records is None else self.sample_task(self.np_random)

    def load_task(self, index: int) -> TaskT:
        """Record ``index`` of the data set."""
        if self.records is None:
            return super().load_task(index)
        if not 0 <= index < len(self.records):
            raise ValueError(f"options['index'] = {index}, but {self.source} has records 0 to {len(self.records) - 1}")
        return self.records[index]


@functools.lru_cache(maxsize=64)
def shuffled(count: int) -> tuple[int, ...]:
    """The numbers below ``count`` in an order that is always the same.

    >>> sorted(shuffled(5))
    [0, 1, 2, 3, 4]
    """
    return tuple(np.random.default_rng(0).permutation(count).tolist())
