"""The sheet as a service: what its tasks want, and how far they are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from acenv.envs.base import Difficulty, Split
from acenv.envs.tools.calls import Call
from acenv.envs.tools.services.operating import OperatingService, level_of
from acenv.envs.tools.services.service import Refusal, ServiceState, ServiceTask
from acenv.envs.tools.services.sheet import Sheet, SheetWorld, Standing, a1, differences, similarity
from acenv.envs.tools.services.sheet_tasks import draw
from acenv.envs.tools.services.sheet_tools import TOOLS

OTHERS = ("update_cell", "get_cell_value", "filter_cells")
"""Tools that are on offer at ``"easy"`` beside the needed ones."""


@dataclass(frozen=True)
class Setting:
    """What a task starts from and leads to; nothing of it is ever changed.

    Attributes:
        route: The book at the start, and after every call of the plan that changes it.
        sheet: Name of the sheet that the request is about.
    """

    route: tuple[SheetWorld, ...]
    sheet: str

    def __deepcopy__(self, memo: dict[int, Any]) -> Setting:
        return self

    @property
    def goal(self) -> SheetWorld:
        """The book as it should be."""
        return self.route[-1]

    @cached_property
    def changes(self) -> frozenset[Any]:
        """What differs between start and end: the facts to add, to change and to remove."""
        return frozenset(differences(self.route[0].sheets, self.goal.sheets))


class SheetService(OperatingService):
    """Sheets with AgentBoard's twenty tools, over cells, notes, merged cells and frozen rows and columns.

    Formulas are computed once, and their values stored, so that the order of the jobs of a request matters.
    """

    name = "sheet"
    notes = (
        'Rows and columns count from 1. update_cell also takes formulas, such as =SUMIF(B2:B9,"legal",D2:D9); a '
        "formula is computed once, and its value stored. Sorting moves every row that is not frozen, the header too. "
        "Sheets that are deleted and cells that are merged stay so."
    )
    tools = TOOLS

    def sample(self, rng: random.Random, difficulty: Difficulty, split: Split) -> ServiceTask:
        """Draw a task; the untouched sheet never has AgentBoard's full score."""
        del split  # the environment sorts tasks by their requests
        while True:
            draft = draw(rng, difficulty)
            if similarity(draft.start.values(), draft.world.values()) < 1:
                setting = Setting(tuple(draft.route), draft.start.current)
                plan, results = tuple(draft.calls), tuple(draft.results)
                return ServiceTask(self.name, draft.request, plan, results, setting, level_of(results))

    def connect(self, task: ServiceTask) -> SheetWorld:
        """The book as it is at the start."""
        setting: Setting = task.world
        world = setting.route[0].copy()
        world.standing.similarity = similarity(world.values(), setting.goal.values())
        return world

    def tools_for(self, task: ServiceTask, difficulty: Difficulty) -> tuple[str, ...]:
        """All; at ``"easy"`` those of the plan, and others up to four."""
        return self.few_tools(task, OTHERS) if difficulty == "easy" else tuple(TOOLS)

    def share(self, task: ServiceTask, state: ServiceState) -> float:
        """The share of the changes that are right, less what is broken, at least 0."""
        setting: Setting = task.world
        wrong = differences(state.world.sheets, setting.goal.sheets)
        missing = len(wrong & setting.changes)
        standing: Standing = state.world.standing
        standing.right, standing.broken = len(setting.changes) - missing, len(wrong) - missing
        standing.similarity = similarity(state.world.values(), setting.goal.values())
        return max(0, standing.right - standing.broken) / len(setting.changes)

    def solved(self, task: ServiceTask, state: ServiceState) -> bool:
        """All sheets as wanted, with notes, merged cells and frozen rows; AgentBoard looks at cells only."""
        setting: Setting = task.world
        return bool(state.world.sheets == setting.goal.sheets)

    def official_progress(self, task: ServiceTask, state: ServiceState) -> float:
        """The running maximum of AgentBoard's cell by cell score, which is well above 0 for an untouched sheet."""
        return float(state.world.standing.best)

    def official_success(self, task: ServiceTask, state: ServiceState) -> bool:
        """No more than full progress."""
        return True

    def observe(self, task: ServiceTask, state: ServiceState) -> None:
        """Keep the best score."""
        standing = state.world.standing
        standing.best = max(standing.best, standing.similarity)

    def measures(self, task: ServiceTask, state: ServiceState) -> dict[str, float]:
        """``sheet_similarity`` now, and ``damage``: facts that were right and are broken."""
        standing = state.world.standing
        return {"sheet_similarity": standing.similarity, "damage": float(standing.broken)}

    # The expert

    def next_call(self, task: ServiceTask, state: ServiceState) -> Call:
        """The next call of the plan if the book is as the plan leaves it somewhere; else one that repairs something."""
        setting: Setting = task.world
        world: SheetWorld = state.world
        done = [i for i, book in enumerate(setting.route) if book.sheets == world.sheets]
        if done and done[-1] == len(setting.route) - 1:
            return task.plan[-1]
        if done and world.current == setting.sheet:
            return self._ahead(task, state, done[-1])
        before = len(differences(world.sheets, setting.goal.sheets))
        for call in _repairs(world, setting):
            trial = world.copy()
            try:
                TOOLS[call.name].run(trial, call.arguments)
            except Refusal:
                continue
            if call.name == "open_sheet" or len(differences(trial.sheets, setting.goal.sheets)) < before:
                return call
        return task.plan[-1]

    @staticmethod
    def _ahead(task: ServiceTask, state: ServiceState, done: int) -> Call:
        """The first call after ``done`` changes that is a change, or a reading that was not made yet."""
        made = 0
        for call in task.plan:
            writes = TOOLS[call.name].writes
            if made == done:
                if writes or call.name == "finish":
                    return call
                if TOOLS[call.name].run(state.world, call.arguments) not in state.found:
                    return call
            made += writes
        return task.plan[-1]


def _repairs(world: SheetWorld, setting: Setting) -> Iterator[Call]:
    """Calls that may bring the book closer to the goal, whatever happened to it."""
    goal = setting.goal.sheets
    wrong = [name for name, sheet in world.sheets.items() if name in goal and sheet != goal[name]]
    if not wrong and setting.sheet in world.sheets:
        wrong = [setting.sheet]
    # The open sheet first, since opening another one takes a call.
    for name in sorted(wrong, key=lambda name: name != world.current):
        if name != world.current:
            yield Call("open_sheet", {"name": name})
            continue
        yield from _repair(world.sheets[name], goal[name])


def _repair(sheet: Sheet, goal: Sheet) -> Iterator[Call]:
    width, height = max(sheet.width, goal.width), max(sheet.height, goal.height)
    for r in range(height):
        wrong = [c for c in range(width) if sheet.value(r, c) != goal.value(r, c)]
        if not wrong:
            continue
        first, last = wrong[0], wrong[-1]
        if last > first:
            values = [[goal.value(r, c) for c in range(first, last + 1)]]
            start, end = a1(r, first), a1(r, last)
            yield Call("update_range", {"start_position": start, "end_position": end, "values_list": values})
        for c in wrong:
            yield Call("update_cell", {"position": a1(r, c), "value": goal.value(r, c)})
    for dimension, now, wanted in (
        ("rows", sheet.frozen_rows, goal.frozen_rows),
        ("columns", sheet.frozen_columns, goal.frozen_columns),
    ):
        if now != wanted:
            yield Call("freeze_data", {"dimension": dimension, "num": wanted})
    for at in sorted(sheet.notes.keys() | goal.notes.keys()):
        if sheet.notes.get(at) != goal.notes.get(at):
            yield Call("update_note", {"position": a1(*at), "content": goal.notes.get(at, "")})
    for top, bottom, left, right in goal.merges:
        if (top, bottom, left, right) not in sheet.merges:
            yield Call("merge_cells", {"start_position": a1(top, left), "end_position": a1(bottom, right)})
