"""``acenv/ToolOperation-v0``: services whose state the tools change, after AgentBoard's tool-operation tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from acenv.envs.base import Outcome
from acenv.envs.tools.services.environment import ServiceEnv
from acenv.envs.tools.services.operating import OperatingService
from acenv.envs.tools.services.sheet_service import SheetService
from acenv.envs.tools.services.todo import TodoService


class ToolOperationEnv(ServiceEnv):
    """Change the state of a service with its tools, and end with ``finish``.

    ``domain`` is ``"todo"`` (12 tools: projects and tasks in the manner of Todoist), ``"sheet"`` (20 tools and
    ``check_valid_actions``: tables with formulas, notes, merged cells and frozen rows) or ``"mixed"``. Tools and
    parameters are named as in AgentBoard's tool-operation tasks; the lists and tables are made up.

    At ``"easy"`` one or two calls do the task, with values that are copied from the request or the first result, and
    four tools are on offer; at ``"medium"`` it takes 4 to 8 calls and at ``"hard"`` 8 to 15, among all tools
    of the service, with conditions, dates relative to today, and names that resemble each other. In ``labels`` tasks
    with at most five wanted results (in a sheet: changes) have the level ``"easy"``.

    The metrics ``progress`` and ``success`` are AgentBoard's. To-do: the share of the wanted results that were seen
    (without ids), and success needs ``finish`` and, for operations, the wanted projects and tasks at the end. Sheet:
    ``progress`` is the running maximum of the share of equal cells in the area that the sheet and the wanted one have
    in common, after every step (0 before the first), and success is ``finish`` with full progress.

    That score gives an untouched sheet most of its points, takes a sheet that was cut for a whole one, forgives what is
    broken after its maximum, and does not see notes, frozen rows and merged cells; in a question to the to-do list
    nothing that is deleted counts. The return is therefore another number. With *n* wanted results or changes it is
    *n* / (*n* + 1) of the best share that was done, and the rest is given for a ``finish`` at which everything is as it
    should be and nothing else was changed: only then it is 1. The share is AgentBoard's for the to-do list. For the
    sheet it is ``max(0, right - broken) / all`` over all that differs between the book at the start and as wanted
    (cells, notes, merged regions, frozen rows and columns), so that doing nothing gives 0.

    ``info["metrics"]`` also has ``solved`` (1 if the return is 1), ``damage`` (to-do: tasks completed or deleted that
    should not have been, for good; sheet: facts that are broken now) and, for sheets, ``sheet_similarity``
    (AgentBoard's score of the present sheet).

    See :class:`~acenv.envs.tools.services.environment.ServiceEnv` for the form of calls.
    """

    services: ClassVar[Mapping[str, OperatingService]] = {
        service.name: service for service in (TodoService(), SheetService())
    }

    def apply(self, action: str) -> Outcome:
        """Carry out the call in a message."""
        state = self.state
        unread = state.parse_errors
        outcome = super().apply(action)
        if state.parse_errors == unread:  # AgentBoard does not evaluate what it cannot read.
            self.services[self.task.domain].observe(self.task, state)
        return outcome

    def metrics(self) -> dict[str, float]:
        """AgentBoard's progress and success, and what they do not see."""
        task, state = self.task, self.state
        service = self.services[task.domain]
        progress = service.official_progress(task, state)
        success = state.finished and progress == 1.0 and service.official_success(task, state)
        return {
            **super().metrics(),
            "progress": progress,
            "success": float(success),
            "solved": float(state.best == 1.0),
            **service.measures(task, state),
        }
