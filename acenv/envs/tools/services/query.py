"""``acenv/ToolQuery-v0``: questions that simulated services answer, with the tools of AgentBoard's tool-query tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from acenv.envs.tools.services.academia import AcademiaService
from acenv.envs.tools.services.environment import ServiceEnv
from acenv.envs.tools.services.movie import MovieService
from acenv.envs.tools.services.service import Service, ServiceTask
from acenv.envs.tools.services.weather import WeatherService


class ToolQueryEnv(ServiceEnv):
    """Find an answer with the tools of a service, and give it with ``finish``.

    ``domain`` is ``"weather"`` (19 tools), ``"movie"`` (16), ``"academia"`` (9) or ``"mixed"``. Tools and parameters
    are named as in AgentBoard's tool-query tasks, and results have the same form; the cities, films, people and papers
    are made up. Train and test questions are about different databases.

    A question has one right answer, and its wanted results are those of the calls that lead to it, the answer
    included (compared exactly: a number is not its text; ``info["metrics"]["answer_correct"]`` is lenient). Equal
    results of other calls count, in any order.

    At ``"easy"`` one or two calls lead to a value that is copied from the last result, and four tools are on offer; at
    ``"medium"`` it takes 4 to 7 calls and at ``"hard"`` 6 to 12 with comparing and counting, among all tools of the
    service. In ``labels`` tasks with at most five wanted results have the level ``"easy"``.

    See :class:`~acenv.envs.tools.services.environment.ServiceEnv` for form, score and metrics.
    """

    services: ClassVar[Mapping[str, Service]] = {
        service.name: service for service in (WeatherService(), MovieService(), AcademiaService())
    }

    def fingerprint(self, task: ServiceTask) -> str:
        """The request, and where the user is: the same words may mean another city."""
        return f"{super().fingerprint(task)} {task.world.place}"
