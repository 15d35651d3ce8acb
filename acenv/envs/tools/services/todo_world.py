"""A to-do list in the manner of Todoist: its state, and the tools that AgentBoard names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

from acenv.envs.tools.services.service import CHECK, Refusal
from acenv.envs.tools.tooling import Record, Table, ToolSpec, tool

DATE = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"

REMOVALS = {"complete_task": "completed", "delete_task": "deleted"}
"""Tools that take a task off the list for good, and what becomes of it."""

FIELDS = ("order", "content", "is_completed", "priority", "due_date")
"""What a listing tells of a task beside its id; the rest has to be asked for."""


@dataclass(slots=True)
class TodoWorld:
    """The lists of one user.

    Attributes:
        today: The date, as ``YYYY-MM-DD``.
        location: The city that the user is in.
        projects: By id: ``order``, ``name``, ``color``, ``is_favorite``.
        tasks: The open ones by id: ``project_id``, what :data:`FIELDS` names but ``is_completed``, ``description``, and
            ``duration`` in minutes.
        removed: What became of the tasks that are no longer open, by id.
        brief: Whether results name only what easy tasks need.
    """

    today: str
    location: str
    projects: Table
    tasks: Table
    removed: dict[str, str] = field(default_factory=dict)
    brief: bool = False

    def copy(self) -> TodoWorld:
        """An independent copy."""
        return TodoWorld(
            self.today,
            self.location,
            {key: record.copy() for key, record in self.projects.items()},
            {key: record.copy() for key, record in self.tasks.items()},
            self.removed.copy(),
            self.brief,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> TodoWorld:
        return self.copy()

    def project(self, project_id: str) -> Record:
        """A project.

        Raises:
            Refusal: There is none with this id.
        """
        if project_id not in self.projects:
            raise Refusal(f"Project {project_id[:60]} does not exist.")
        return self.projects[project_id]

    def task(self, task_id: str) -> Record:
        """An open task.

        Raises:
            Refusal: There is none with this id.
        """
        if task_id not in self.tasks:
            raise Refusal(f"Task {task_id[:60]} does not exist.")
        return self.tasks[task_id]

    def show_project(self, project_id: str) -> Record:
        """A project as results tell it."""
        return {"id": project_id, **self.projects[project_id]}

    def show_task(self, task_id: str) -> Record:
        """A task as listings tell it."""
        task = self.tasks[task_id]
        if self.brief:
            return {"id": task_id, "content": task["content"]}
        return {
            "id": task_id,
            "order": task["order"],
            "content": task["content"],
            "is_completed": False,
            "priority": task["priority"],
            "due_date": task["due_date"],
        }


# Tools ---------------------------------------------------------------------------------------------------------------


def get_user_current_date(world: TodoWorld) -> Any:
    """Get today's date."""
    return world.today


def get_user_current_location(world: TodoWorld) -> Any:
    """Get the city that the user is in."""
    return world.location


def get_projects(world: TodoWorld) -> Any:
    """List all projects with their ids."""
    return [world.show_project(key) for key in world.projects]


def update_project(world: TodoWorld, project_id: str, is_favorite: bool) -> Any:
    """Mark a project as a favorite, or no longer."""
    world.project(project_id)["is_favorite"] = is_favorite
    return {"message": "project updated", "project": world.show_project(project_id)}


def get_tasks(world: TodoWorld, project_id: str) -> Any:
    """List the open tasks of a project with their ids."""
    world.project(project_id)
    return [world.show_task(key) for key, task in world.tasks.items() if task["project_id"] == project_id]


def get_task_description(world: TodoWorld, task_id: str) -> Any:
    """Get the description of a task."""
    task = world.task(task_id)
    return {"id": task_id, "content": task["content"], "description": task["description"]}


def get_task_duration(world: TodoWorld, task_id: str) -> Any:
    """Get how long a task takes."""
    task = world.task(task_id)
    return {"id": task_id, "content": task["content"], "duration": f"{task['duration']}(minute)"}


def _remove(world: TodoWorld, task_id: str, tool_name: str) -> Any:
    world.task(task_id)
    shown = world.show_task(task_id)
    shown.pop("is_completed", None)
    del world.tasks[task_id]
    world.removed[task_id] = REMOVALS[tool_name]
    return {"message": f"task {REMOVALS[tool_name]}", "task": shown}


def complete_task(world: TodoWorld, task_id: str) -> Any:
    """Mark a task as done, which takes it off the list for good."""
    return _remove(world, task_id, "complete_task")


def update_task(world: TodoWorld, task_id: str, due_date: Annotated[str, {"pattern": DATE}]) -> Any:
    """Change the due date of a task, to YYYY-MM-DD."""
    task = world.task(task_id)
    try:
        date.fromisoformat(due_date)
    except ValueError:
        raise Refusal(f"There is no day {due_date}.") from None
    task["due_date"] = due_date
    return {"message": "task updated", "task": {**world.show_task(task_id), "due_date": due_date}}


def delete_task(world: TodoWorld, task_id: str) -> Any:
    """Delete a task for good."""
    return _remove(world, task_id, "delete_task")


def finish(world: TodoWorld, answer: str | float | list = "") -> Any:  # type: ignore[type-arg]
    """End the task, with the answer if there was a question."""
    if isinstance(answer, list):
        return sorted(answer, key=str)  # as AgentBoard's toolkit does, so that the order does not count
    if isinstance(answer, str) and answer.isdecimal() and len(answer) < 10:
        return int(answer)  # A number is a number, in quotes or not.
    return answer


TOOLS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        tool(get_user_current_date),
        tool(get_user_current_location),
        tool(get_projects),
        tool(update_project, writes=True),
        tool(get_tasks),
        tool(get_task_description),
        tool(get_task_duration),
        tool(complete_task, writes=True),
        tool(update_task, writes=True),
        tool(delete_task, writes=True),
        CHECK,
        tool(finish),
    )
}


def without_ids(result: Any) -> Any:
    """A result without the ids of records, which AgentBoard does not compare.

    >>> without_ids({"message": "task deleted", "task": {"id": "7", "content": "tea"}})
    {'message': 'task deleted', 'task': {'content': 'tea'}}
    """
    if isinstance(result, list):
        return [without_ids(item) for item in result]
    if isinstance(result, dict):
        return {key: without_ids(value) for key, value in result.items() if key != "id"}
    return result
