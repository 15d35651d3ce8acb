"""Drafts of tasks for the to-do list, and the easy tasks: one or two calls, with values to copy."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from acenv.envs.tools import words
from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.todo_world import TodoWorld
from acenv.envs.tools.tooling import Record

DURATIONS = (10, 15, 20, 25, 30, 40, 45, 50, 60, 75, 80, 90, 100, 120, 150, 180)
"""Minutes that a task takes."""


@dataclass(slots=True)
class TodoDraft:
    """A task in the making.

    Attributes:
        rng: Where all choices come from.
        world: The lists at the start.
        calls: The plan so far.
        request: The task in words.
        answer: What to answer; ``None`` if nothing is asked.
    """

    rng: random.Random
    world: TodoWorld
    calls: list[Call] = field(default_factory=list)
    request: str = ""
    answer: Any = None

    def call(self, name: str, **arguments: Any) -> None:
        """Add a call to the plan."""
        self.calls.append(Call(name, arguments))

    def tasks_of(self, project_id: str) -> list[tuple[str, Record]]:
        """The open tasks of a project, in order."""
        return [(key, task) for key, task in self.world.tasks.items() if task["project_id"] == project_id]

    def name(self, project_id: str) -> str:
        """A project's name."""
        return str(self.world.projects[project_id]["name"])


def a_day(rng: random.Random) -> date:
    """Some day."""
    return date(2024, 1, 1) + timedelta(days=rng.randrange(1000))


def _other_day(rng: random.Random, day: str) -> str:
    while (other := a_day(rng).isoformat()) == day:
        pass
    return other


def _short(rng: random.Random, letter: str, taken: set[str]) -> str:
    while (key := f"{letter}{rng.randrange(10, 100)}") in taken:
        pass
    taken.add(key)
    return key


def small(rng: random.Random) -> TodoDraft:
    """One project of three tasks."""
    world = TodoWorld(a_day(rng).isoformat(), rng.choice(words.CITIES), {}, {}, brief=True)
    taken: set[str] = set()
    project = _short(rng, "p", taken)
    world.projects[project] = {"order": 1, "name": rng.choice(words.NOUNS), "color": "red", "is_favorite": False}
    nouns = rng.sample(words.NOUNS, 3)
    for order, noun in enumerate(nouns, 1):
        world.tasks[_short(rng, "t", taken)] = {
            "project_id": project,
            "order": order,
            "content": f"{rng.choice(words.ADJECTIVES)} {noun}",
            "priority": 1,
            "due_date": a_day(rng).isoformat(),
            "description": f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.NOUNS)}",
            "duration": rng.choice(DURATIONS),
        }
    return TodoDraft(rng, world)


def _easy_remove(d: TodoDraft) -> None:
    (project,), key = d.world.projects, d.rng.choice(list(d.world.tasks))
    tool, verb = d.rng.choice((("complete_task", "Complete"), ("delete_task", "Delete")))
    d.call("get_tasks", project_id=project)
    d.call(tool, task_id=key)
    d.request = f"{verb} the task {d.world.tasks[key]['content']} of project {project}."


def _easy_move(d: TodoDraft) -> None:
    (project,), key = d.world.projects, d.rng.choice(list(d.world.tasks))
    day = _other_day(d.rng, d.world.tasks[key]["due_date"])
    d.call("get_tasks", project_id=project)
    d.call("update_task", task_id=key, due_date=day)
    d.request = f"Move the task {d.world.tasks[key]['content']} of project {project} to {day}."


def _easy_direct(d: TodoDraft) -> None:
    (project,), key = d.world.projects, d.rng.choice(list(d.world.tasks))
    day = _other_day(d.rng, d.world.tasks[key]["due_date"])
    kind = d.rng.randrange(4)
    if kind == 0:
        d.call("complete_task", task_id=key)
        d.request = f"Complete task {key}."
    elif kind == 1:
        d.call("delete_task", task_id=key)
        d.request = f"Delete task {key}."
    elif kind == 2:
        d.call("update_task", task_id=key, due_date=day)
        d.request = f"Move task {key} to {day}."
    else:
        d.call("update_project", project_id=project, is_favorite=True)
        d.request = f"Make project {project} a favorite."


def _easy_description(d: TodoDraft) -> None:
    (project,), key = d.world.projects, d.rng.choice(list(d.world.tasks))
    d.call("get_tasks", project_id=project)
    d.call("get_task_description", task_id=key)
    d.request = f"What does the task {d.world.tasks[key]['content']} of project {project} say?"
    d.answer = d.world.tasks[key]["description"]


EASY: tuple[Callable[[TodoDraft], None], ...] = (
    _easy_remove,
    _easy_remove,
    _easy_move,
    _easy_direct,
    _easy_description,
)
