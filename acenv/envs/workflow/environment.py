"""The workflow environments: write the graph of steps that does a task; the four families of WorfBench."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.workflow.easy_plans import EASY_EMBODIED, EASY_HOWTO, EASY_PROBLEMS
from acenv.envs.workflow.embodied_plans import EMBODIED
from acenv.envs.workflow.episode import WorkflowEnv
from acenv.envs.workflow.generator import generate_task
from acenv.envs.workflow.howto_plans import HOWTO
from acenv.envs.workflow.problem_plans import PROBLEMS
from acenv.envs.workflow.task import WorkflowTask

_Easy = Callable[[np.random.Generator], WorkflowTask]
_Demanding = Callable[[np.random.Generator, bool], WorkflowTask | None]


class WorkflowFunctionCallEnv(WorkflowEnv):
    """``acenv/WorkflowFunctionCall-v0``: the graph of API calls that does a task."""

    splits: ClassVar[tuple[str, ...]] = ("toolbench", "toolalpaca", "seal_tools")

    def generate(self, rng: np.random.Generator) -> WorkflowTask:
        """API calls of twelve fields: see :func:`~acenv.envs.workflow.generator.generate_task`."""
        return generate_task(rng, self.difficulty)


class WorkflowEmbodiedEnv(WorkflowEnv):
    """``acenv/WorkflowEmbodied-v0``: the subgoals of somebody who acts in a house, in a web shop, at a terminal.

    Easy tasks bring one or two things to their places, or buy something; medium ones have 4 to 6 steps, hard ones 6 or
    7, with steps that the task does not mention (what is closed must be opened) and things that are not needed.
    """

    splits: ClassVar[tuple[str, ...]] = ("alfworld", "webshop", "os")

    def generate(self, rng: np.random.Generator) -> WorkflowTask:
        """A household, a shopping or a terminal task."""
        return _draw(rng, self.difficulty, EASY_EMBODIED, EMBODIED)


class WorkflowProblemSolvingEnv(WorkflowEnv):
    """``acenv/WorkflowProblemSolving-v0``: the operations that answer a question with parts, or one to a database.

    Easy tasks have 2 to 4 operations, medium ones 4 to 6, hard ones 6 or 7, with parts that share operations.
    """

    splits: ClassVar[tuple[str, ...]] = ("lumos", "intercodesql")

    def generate(self, rng: np.random.Generator) -> WorkflowTask:
        """A question about people, or to tables."""
        return _draw(rng, self.difficulty, EASY_PROBLEMS, PROBLEMS)


class WorkflowOpenGroundedEnv(WorkflowEnv):
    """``acenv/WorkflowOpenGrounded-v0``: a how-to, put together from a list of actions that has more than are needed.

    Easy tasks say the order of 2 to 4 actions. In medium ones (4 to 6 actions) and hard ones (6 or 7, of longer lists)
    what needs what follows from the texts of the actions.
    """

    splits: ClassVar[tuple[str, ...]] = ("wikihow",)

    def generate(self, rng: np.random.Generator) -> WorkflowTask:
        """A how-to with one goal or several."""
        return _draw(rng, self.difficulty, EASY_HOWTO, HOWTO)


def _draw(
    rng: np.random.Generator, difficulty: Difficulty, easy: Sequence[_Easy], demanding: Sequence[_Demanding]
) -> WorkflowTask:
    """A task of one of these kinds; the kind is chosen first, so that none is drawn less often for failing more."""
    if difficulty == "easy":
        make_easy: _Easy = pick(rng, easy)
        return make_easy(rng)
    make: _Demanding = pick(rng, demanding)
    while True:
        task = make(rng, difficulty == "hard")
        if task is not None:
            return task
