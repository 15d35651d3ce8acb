"""The base class of the environments that make tasks of their own and read those of an official data set as well."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from acenv.envs.base import ConversationEnv, StateT, TaskT
from acenv.envs.sources import GENERATED


class RecordedEnv(ConversationEnv[TaskT, StateT]):
    """Tasks from a generator, or, where :attr:`records` is not None, from these.

    Official records are all for testing, and belong to both splits. A seed draws one, and
    ``reset(options={"index": i})`` picks one.
    """

    source: str = GENERATED
    records: Sequence[TaskT] | None = None

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
