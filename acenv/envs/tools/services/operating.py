"""What the services share whose tools change something: how a final state turns into a score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from acenv.envs.tools.scoring import exact
from acenv.envs.tools.services.querying import MOST_EASY_SUBGOALS
from acenv.envs.tools.services.service import Level, Service, ServiceState, ServiceTask


def level_of(subgoals: Sequence[Any]) -> Level:
    """AgentBoard's split, by the number of wanted results."""
    return "easy" if len(subgoals) <= MOST_EASY_SUBGOALS else "hard"


class OperatingService(Service):
    """A service with a state that tasks want changed."""

    @abstractmethod
    def share(self, task: ServiceTask, state: ServiceState) -> float:
        """How much of the task is done now, in [0, 1]."""

    @abstractmethod
    def solved(self, task: ServiceTask, state: ServiceState) -> bool:
        """Whether everything is as it should be: all done, and nothing done that was not asked for."""

    @abstractmethod
    def official_progress(self, task: ServiceTask, state: ServiceState) -> float:
        """AgentBoard's progress rate so far."""

    @abstractmethod
    def official_success(self, task: ServiceTask, state: ServiceState) -> bool:
        """What AgentBoard asks beside ``finish`` and full progress."""

    @abstractmethod
    def measures(self, task: ServiceTask, state: ServiceState) -> dict[str, float]:
        """Metrics of this service: ``damage`` at least."""

    def observe(self, task: ServiceTask, state: ServiceState) -> None:
        """Note what :meth:`official_progress` needs, after a step that AgentBoard evaluates."""

    def progress(self, task: ServiceTask, state: ServiceState) -> float:
        """A part of the score for every wanted result or change, and one more for an end at which all is right."""
        if state.finished and self.solved(task, state):
            return 1.0
        parts = len(task.subgoals)
        return exact(self.share(task, state) * parts / (parts + 1))

    def few_tools(self, task: ServiceTask, others: Sequence[str]) -> tuple[str, ...]:
        """The tools of the plan, and the first of ``others`` that make them four (one at least), in a fixed order."""
        needed = [call.name for call in task.plan]
        more = [name for name in others if name not in needed]
        return tuple(name for name in self.tools if name in needed or name in more[: max(1, 4 - len(set(needed)))])
