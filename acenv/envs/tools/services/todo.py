"""The to-do list as a service: what its tasks want, and how far they are."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from acenv.envs.base import Difficulty, Split
from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.operating import OperatingService, level_of
from acenv.envs.tools.services.service import Refusal, ServiceState, ServiceTask
from acenv.envs.tools.services.todo_tasks import draw
from acenv.envs.tools.services.todo_world import TOOLS, TodoWorld, without_ids

OTHERS = ("get_tasks", "complete_task", "delete_task")
"""Tools that are on offer at ``"easy"`` beside the needed ones."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The lists at the start of a task, and as they should be at its end; neither is ever changed.

    Attributes:
        operation: Whether something is to be changed (AgentBoard's goal type 1), or asked only.
    """

    start: TodoWorld
    goal: TodoWorld
    operation: bool

    def __deepcopy__(self, memo: dict[int, Any]) -> Setting:
        return self


class TodoService(OperatingService):
    """A to-do list in the manner of Todoist, with AgentBoard's twelve tools.

    A task is a question (the answer goes to ``finish``) or an operation. Results are compared without ids. A task that
    was completed or deleted is gone for good.
    """

    name = "todo"
    notes = (
        "Ids come from get_projects and get_tasks. Completed and deleted tasks cannot be brought back, and names "
        "resemble each other: look before you change anything. Priority 4 is the most urgent, 1 the least."
    )
    tools = TOOLS

    def sample(self, rng: random.Random, difficulty: Difficulty, split: Split) -> ServiceTask:
        """Draw a task."""
        del split  # the environment sorts tasks by their requests
        draft = draw(rng, difficulty)
        goal = draft.world.copy()
        results = [without_ids(TOOLS[call.name].run(goal, call.arguments)) for call in draft.calls]
        subgoals = results if draft.answer is not None else results[:-1]
        setting = Setting(draft.world, goal, draft.answer is None)
        return ServiceTask(self.name, draft.request, tuple(draft.calls), tuple(subgoals), setting, level_of(subgoals))

    def connect(self, task: ServiceTask) -> TodoWorld:
        """The lists as they are at the start."""
        setting: Setting = task.world
        return setting.start.copy()

    def tools_for(self, task: ServiceTask, difficulty: Difficulty) -> tuple[str, ...]:
        """All; at ``"easy"`` those of the plan, and others up to four."""
        return self.few_tools(task, OTHERS) if difficulty == "easy" else tuple(TOOLS)

    def subgoal(self, result: Any) -> Any:
        """The result without ids."""
        return without_ids(result)

    def share(self, task: ServiceTask, state: ServiceState) -> float:
        """The share of the wanted results that were seen."""
        return self.official_progress(task, state)

    def official_progress(self, task: ServiceTask, state: ServiceState) -> float:
        """The share of the wanted results that were seen."""
        return sum(state.matched) / len(task.subgoals)

    def official_success(self, task: ServiceTask, state: ServiceState) -> bool:
        """For an operation, that projects and open tasks are as wanted, ids aside; a question asks for no more."""
        setting: Setting = task.world
        world: TodoWorld = state.world
        return not setting.operation or (
            list(world.projects.values()) == list(setting.goal.projects.values())
            and list(world.tasks.values()) == list(setting.goal.tasks.values())
        )

    def solved(self, task: ServiceTask, state: ServiceState) -> bool:
        """All results seen, and the lists as wanted, also where the task was a question."""
        setting: Setting = task.world
        return all(state.matched) and state.world == setting.goal

    def measures(self, task: ServiceTask, state: ServiceState) -> dict[str, float]:
        """``damage``: tasks completed or deleted that should not have been, or in the wrong one of the two ways."""
        setting: Setting = task.world
        world: TodoWorld = state.world
        return {"damage": float(sum(setting.goal.removed.get(key) != how for key, how in world.removed.items()))}

    def next_call(self, task: ServiceTask, state: ServiceState) -> Call:
        """Undo what can be undone; then the first call of the plan that still brings something."""
        setting: Setting = task.world
        world: TodoWorld = state.world
        start, goal = setting.start, setting.goal
        for key, record in world.tasks.items():
            if record["due_date"] not in (start.tasks[key]["due_date"], _due(goal, start, key)):
                return Call("update_task", {"task_id": key, "due_date": start.tasks[key]["due_date"]})
        for key, record in world.projects.items():
            if record["is_favorite"] not in (start.projects[key]["is_favorite"], goal.projects[key]["is_favorite"]):
                return Call("update_project", {"project_id": key, "is_favorite": start.projects[key]["is_favorite"]})
        for call, wanted, found in zip(task.plan, task.subgoals, state.matched, strict=False):
            if call.name == "finish":
                continue
            if found and not self._undone(call, world, goal):
                continue
            trial = world.copy() if TOOLS[call.name].writes else world
            try:
                result = without_ids(TOOLS[call.name].run(trial, call.arguments))
            except Refusal:
                continue  # the task is gone
            if result == wanted:
                return call
            # Perhaps something was changed too early: put it back, look, and change it again.
            undo, earlier = _undo(world, start)
            if undo is not None and without_ids(TOOLS[call.name].run(earlier, call.arguments)) == wanted:
                return undo
        return task.plan[-1]

    @staticmethod
    def _undone(call: Call, world: TodoWorld, goal: TodoWorld) -> bool:
        """Whether a change that was made once does not stand."""
        key = str(call.arguments.get("task_id", call.arguments.get("project_id")))
        if call.name == "update_task":
            return key in world.tasks and world.tasks[key]["due_date"] != call.arguments["due_date"]
        if call.name == "update_project":
            return bool(world.projects[key]["is_favorite"] != goal.projects[key]["is_favorite"])
        return False


def _due(goal: TodoWorld, start: TodoWorld, key: str) -> str:
    return str(goal.tasks.get(key, start.tasks[key])["due_date"])


def _undo(world: TodoWorld, start: TodoWorld) -> tuple[Call | None, TodoWorld]:
    """A call that takes a change back, and what the lists would be with all such changes taken back."""
    undo = None
    earlier = world.copy()
    for key, record in earlier.tasks.items():
        if record != start.tasks[key]:
            record["due_date"] = start.tasks[key]["due_date"]
            undo = Call("update_task", {"task_id": key, "due_date": record["due_date"]})
    for key, record in earlier.projects.items():
        if record != start.projects[key]:
            record["is_favorite"] = start.projects[key]["is_favorite"]
            undo = Call("update_project", {"project_id": key, "is_favorite": record["is_favorite"]})
    return undo, earlier
