"""Tasks for the to-do list: questions and operations, each with one right outcome."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

from acenv.envs.base import Difficulty
from acenv.envs.tools import words
from acenv.envs.tools.services.querying import RedrawError
from acenv.envs.tools.services.todo_easy import DURATIONS, EASY, TodoDraft, a_day, small
from acenv.envs.tools.services.todo_world import TodoWorld
from acenv.envs.tools.tooling import Record

COLORS = ("red", "blue", "green", "grey", "violet", "lime")
VERBS = ("paint", "order", "repair", "clean", "sell", "wrap", "return", "measure")


def _long_id(rng: random.Random, taken: set[str]) -> str:
    while (key := str(rng.randrange(10**9, 10**10))) in taken:
        pass
    taken.add(key)
    return key


def _similar(rng: random.Random, nouns: tuple[str, ...], count: int) -> list[str]:
    """Different pairs of words, of which every two neighbours share one."""
    adjectives, chosen = rng.sample(words.ADJECTIVES, count), rng.sample(nouns, count)
    return [f"{adjectives[i // 2]} {chosen[(i + 1) // 2]}" for i in range(count)]


def _busy(rng: random.Random, projects: int) -> TodoDraft:
    """Several projects of three to five tasks each, with names that resemble each other."""
    today = a_day(rng)
    world = TodoWorld(today.isoformat(), rng.choice(words.CITIES), {}, {})
    taken: set[str] = set()
    cities = [world.location, *rng.sample([c for c in words.CITIES if c != world.location], 2)]
    people = rng.sample(words.NAMES, 3)
    contents = [f"{rng.choice(VERBS)} the {what}" for what in _similar(rng, words.NOUNS, 5 * projects)]
    rng.shuffle(contents)
    for order, name in enumerate(_similar(rng, words.NOUNS, projects), 1):
        project = _long_id(rng, taken)
        favorite = rng.random() < 0.4
        world.projects[project] = {
            "order": order,
            "name": name.capitalize(),
            "color": rng.choice(COLORS),
            "is_favorite": favorite,
        }
        for place in range(1, rng.randrange(4, 7)):
            due = today if rng.random() < 0.25 else today + timedelta(days=rng.randrange(-9, 16))
            world.tasks[_long_id(rng, taken)] = {
                "project_id": project,
                "order": place,
                "content": contents.pop().capitalize(),
                "priority": rng.choice((1, 1, 2, 3, 4, 4)),
                "due_date": due.isoformat(),
                "description": f"{rng.choice(('Ask', 'Call', 'Write to'))} {rng.choice(people)} in "
                f"{rng.choice(cities)} about the {rng.choice(words.ADJECTIVES)} {rng.choice(words.NOUNS)}.",
                "duration": rng.choice(DURATIONS),
            }
    return TodoDraft(rng, world)


_Tasks = list[tuple[str, Record]]


def _open(d: TodoDraft, count: int = 1) -> tuple[list[str], _Tasks]:
    """Some projects, looked at; their names and their tasks."""
    projects = list(d.world.projects)
    chosen = [projects[i] for i in sorted(d.rng.sample(range(len(projects)), count))]
    d.call("get_projects")
    for project in chosen:
        d.call("get_tasks", project_id=project)
    return chosen, [item for project in chosen for item in d.tasks_of(project)]


def _split(tasks: _Tasks, test: Callable[[Record], bool], least: int = 1, most: int = 4) -> tuple[_Tasks, _Tasks]:
    """Those that pass and those that do not; both must be there.

    Raises:
        RedrawError: Too few or too many pass, or all do.
    """
    passing = [item for item in tasks if test(item[1])]
    others = [item for item in tasks if not test(item[1])]
    if not least <= len(passing) <= most or not others:
        raise RedrawError
    return passing, others


def _day(d: TodoDraft, days: int) -> str:
    return (date.fromisoformat(d.world.today) + timedelta(days=days)).isoformat()


# Medium --------------------------------------------------------------------------------------------------------------


def _longest(d: TodoDraft) -> None:
    (project,), tasks = _open(d)
    for key, _ in tasks:
        d.call("get_task_duration", task_id=key)
    durations = sorted(task["duration"] for _, task in tasks)
    if durations[-1] == durations[-2]:
        raise RedrawError
    d.request = f"Which task of the project {d.name(project)} takes the longest? Answer with the task alone."
    d.answer = max(tasks, key=lambda item: item[1]["duration"])[1]["content"]


def _total(d: TodoDraft) -> None:
    (project,), tasks = _open(d)
    urgent, _ = _split(tasks, lambda t: t["priority"] == 4, 2)
    for key, _ in urgent:
        d.call("get_task_duration", task_id=key)
    d.request = (
        f"How many minutes do the tasks of priority 4 in the project {d.name(project)} take together? Answer with the "
        "number alone."
    )
    d.answer = sum(task["duration"] for _, task in urgent)


def _due(d: TodoDraft) -> None:
    d.call("get_user_current_date")
    (project,), tasks = _open(d)
    last = _day(d, 7)
    due, _ = _split(tasks, lambda t: d.world.today <= t["due_date"] <= last)
    d.request = (
        f"Which tasks of the project {d.name(project)} are due from today to seven days from now, both days included? "
        "Answer with the list of the tasks."
    )
    d.answer = sorted(task["content"] for _, task in due)


def _complete_priority(d: TodoDraft) -> None:
    (project,), tasks = _open(d)
    priority = d.rng.choice((1, 4))
    wanted, _ = _split(tasks, lambda t: t["priority"] == priority, 2)
    for key, _ in wanted:
        d.call("complete_task", task_id=key)
    d.request = f"Complete every task of priority {priority} in the project {d.name(project)}."


def _postpone(d: TodoDraft) -> None:
    d.call("get_user_current_date")
    (project,), tasks = _open(d)
    wanted, _ = _split(tasks, lambda t: t["due_date"] == d.world.today)
    days = d.rng.randrange(1, 8)
    for key, _ in wanted:
        d.call("update_task", task_id=key, due_date=_day(d, days))
    d.request = (
        f"Move every task of the project {d.name(project)} that is due today to {days} day{'s' * (days > 1)} from now."
    )


def _mentions(d: TodoDraft) -> None:
    (project,), tasks = _open(d)
    if len(tasks) > 4:
        raise RedrawError
    for key, _ in tasks:
        d.call("get_task_description", task_id=key)
    person = d.rng.choice(tasks)[1]["description"].split(" in ")[0].split()[-1]
    wanted, _ = _split(tasks, lambda t: f" {person} in " in t["description"], 1, 2)
    tool, verb = d.rng.choice((("complete_task", "Complete"), ("delete_task", "Delete")))
    for key, _ in wanted:
        d.call(tool, task_id=key)
    d.request = f"{verb} every task of the project {d.name(project)} whose description mentions {person}."


def _fullest(d: TodoDraft) -> None:
    projects, tasks = _open(d, 3)
    sizes = [sum(task["project_id"] == project for _, task in tasks) for project in projects]
    fullest = projects[sizes.index(max(sizes))]
    if sizes.count(max(sizes)) > 1 or d.world.projects[fullest]["is_favorite"]:
        raise RedrawError
    d.call("update_project", project_id=fullest, is_favorite=True)
    first, second, third = (d.name(project) for project in projects)
    d.request = f"Make that one of the projects {first}, {second} and {third} a favorite that has the most open tasks."


MEDIUM: tuple[Callable[[TodoDraft], None], ...] = (
    _longest,
    _total,
    _due,
    _complete_priority,
    _postpone,
    _mentions,
    _fullest,
)


# Hard ----------------------------------------------------------------------------------------------------------------


def _overdue(d: TodoDraft) -> None:
    d.call("get_user_current_date")
    chosen, tasks = _open(d, 2)
    late, _ = _split(tasks, lambda t: t["due_date"] < d.world.today, 3, 5)
    long, _ = _split(late, lambda t: t["duration"] > 60)
    for key, _ in late:
        d.call("get_task_duration", task_id=key)
    for item in late:
        if item in long:
            d.call("update_task", task_id=item[0], due_date=_day(d, 1))
        else:
            d.call("delete_task", task_id=item[0])
    d.request = (
        f"In the projects {d.name(chosen[0])} and {d.name(chosen[1])}, look at the tasks that were due before today: "
        "move those that take more than 60 minutes to tomorrow, and delete the others of them."
    )


def _favorites_here(d: TodoDraft) -> None:
    d.call("get_user_current_location")
    d.call("get_projects")
    favorites = [key for key, project in d.world.projects.items() if project["is_favorite"]]
    if len(favorites) != 2:
        raise RedrawError
    for project in favorites:
        d.call("get_tasks", project_id=project)
    tasks = [item for project in favorites for item in d.tasks_of(project)]
    urgent, _ = _split(tasks, lambda t: t["priority"] == 4, 3, 6)
    here, _ = _split(urgent, lambda t: f" in {d.world.location} " in t["description"], 1, 3)
    for key, _ in urgent:
        d.call("get_task_description", task_id=key)
    day = _day(d, d.rng.randrange(20, 200))
    for key, _ in here:
        d.call("update_task", task_id=key, due_date=day)
    d.request = (
        "In my favorite projects, move every task of the most urgent priority whose description mentions the city I am "
        f"in to {day}."
    )


def _next_monday(d: TodoDraft) -> None:
    d.call("get_user_current_date")
    chosen, tasks = _open(d, 3)
    last = _day(d, 7)
    wanted, _ = _split(tasks, lambda t: d.world.today < t["due_date"] <= last and t["priority"] <= 2, 3, 7)
    monday = _day(d, 7 - date.fromisoformat(d.world.today).weekday())
    if any(task["due_date"] == monday for _, task in wanted):
        raise RedrawError
    for key, _ in wanted:
        d.call("update_task", task_id=key, due_date=monday)
    d.request = (
        f"In the projects {d.name(chosen[0])}, {d.name(chosen[1])} and {d.name(chosen[2])}, move every task of "
        "priority 1 or 2 that is due in the next seven days (tomorrow is the first of them) to the first Monday "
        "after today."
    )


def _heaviest(d: TodoDraft) -> None:
    chosen, tasks = _open(d, 4)
    urgent, _ = _split(tasks, lambda t: t["priority"] == 4, 4, 8)
    for key, _ in urgent:
        d.call("get_task_duration", task_id=key)
    load = {p: sum(t["duration"] for _, t in urgent if t["project_id"] == p) for p in chosen}
    best = max(load, key=lambda p: load[p])
    if list(load.values()).count(load[best]) > 1:
        raise RedrawError
    (left_out,) = (d.name(project) for project in d.world.projects if project not in chosen)
    d.request = (
        f"Which project, {left_out} aside, has the most minutes of work in tasks of priority 4? Answer with the name "
        "of the project alone."
    )
    d.answer = d.name(best)


def _twins(d: TodoDraft) -> None:
    chosen = d.rng.sample(list(d.world.projects), 3)
    twins = [d.rng.choice(d.tasks_of(project)) for project in chosen]
    dates = {task["due_date"] for _, task in twins}
    if len(dates) < 3:
        raise RedrawError
    content = twins[0][1]["content"]
    for _, task in twins:
        task["content"] = content
    _open(d, len(d.world.projects))
    last = max(twins, key=lambda item: item[1]["due_date"])
    for item in sorted(twins, key=lambda item: list(d.world.tasks).index(item[0])):
        d.call("complete_task" if item is last else "delete_task", task_id=item[0])
    d.request = (
        f'The task "{content}" is on the lists of three projects. Complete the one that is due last, and delete the '
        "other two."
    )


HARD: tuple[Callable[[TodoDraft], None], ...] = (_overdue, _favorites_here, _next_monday, _heaviest, _twins)

CALLS = {"easy": (2, 3), "medium": (4, 8), "hard": (8, 15)}
"""Fewest and most calls of a plan, ``finish`` included."""


def draw(rng: random.Random, difficulty: Difficulty) -> TodoDraft:
    """A task of a difficulty, with its plan up to ``finish``."""
    families = {"easy": EASY, "medium": MEDIUM, "hard": HARD}[difficulty]
    family = rng.choice(families)
    least, most = CALLS[difficulty]
    while True:
        # A kind of task that does not fit the lists gets other lists, so that all kinds are equally frequent.
        draft = small(rng) if difficulty == "easy" else _busy(rng, 4 if difficulty == "medium" else 5)
        try:
            family(draft)
        except RedrawError:
            continue
        draft.call("finish", **({} if draft.answer is None else {"answer": draft.answer}))
        if difficulty == "easy" or least <= len(draft.calls) <= most:
            return draft
