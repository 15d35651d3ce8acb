"""``acenv/Household-v0``: chores in a home, found out about place by place, one action a message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from gymnasium.error import ResetNeeded

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split, pick
from acenv.envs.commands import asks_for_valid_actions, misread
from acenv.envs.world.engine import World
from acenv.envs.world.household.expert import solve
from acenv.envs.world.household.generator import sample
from acenv.envs.world.household.goals import Problem, TaskName, Way, can_be_reached, reached, subgoals, ways
from acenv.envs.world.household.home import DOMAIN
from acenv.envs.world.household.kinds import preposition
from acenv.envs.world.household.words import FORMS, VERBS, View, command_words, effect, opening, read, say
from acenv.envs.world.puzzle import Plan
from acenv.envs.world.strips import State
from acenv.types import Fault, Message, Tool

TaskChoice = Literal["mixed", "put", "light", "clean", "heat", "cool", "slice", "put_two"]

MAX_STEPS: dict[str, int] = {"easy": 12, "medium": 40, "hard": 70}
"""Twice the longest plan of the expert, about, and time to look into every place."""

HARD_SUBGOALS = 5
"""Tasks with so many subgoals are labelled ``hard``."""

_MIXED: tuple[TaskName, ...] = get_args(TaskName)
_MIXED_EASY = tuple(task for task in _MIXED if task != "put_two")


@dataclass(slots=True)
class HouseholdState:
    """What changes in an episode.

    Attributes:
        facts: The present state of the home.
        reached: The subgoals that were reached at any time.
        dead_end: Whether a mistake has put the goal out of reach.
        plan: What the expert means to do next; empty when it has to think again.
    """

    facts: State
    reached: frozenset[str] = frozenset()
    dead_end: bool = False
    plan: Plan = field(default_factory=list)


class HouseholdEnv(ConversationEnv[Problem, HouseholdState]):
    """Do a chore in a home: find things, bring them, heat, cool, clean or slice them, look at them in the light.

    Tasks and actions are ALFWorld's (Shridhar et al. 2021; ``go to drawer 1``, ``take mug 2 from drawer 1``); the home
    is a STRIPS domain. The robot has one hand, and sees what is in or on a place only when it is there and the place
    is open. An action that cannot be carried out is answered with the reason. ``check valid actions`` (or ``check``),
    ``look``, ``inventory`` and ``examine NAME`` take a step and count as valid.

    The score is AgentBoard's progress rate for ALFWorld: 1 if the goal is reached, which ends the episode, and else
    the number of subgoals that were reached, of ``n``, divided by ``n + 1``. Reaching the goal makes it 1, whatever the
    subgoals. AgentBoard finds its subgoals in the observations; these are found in the state (see
    :func:`~acenv.envs.world.household.goals.reached`), so that no wording passes for progress.

    Some mistakes cannot be undone: crockery breaks, food is cooked or sliced, things fall into the garbage can. If the
    goal is out of reach for good, the metric ``dead_end`` is 1, and the episode goes on to its limit, as in AgentBoard;
    the expert then only looks.
    """

    def __init__(
        self,
        *,
        task: TaskChoice = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            task: ``"put"``, ``"light"`` (look at a thing under a lamp), ``"clean"``, ``"heat"``, ``"cool"``,
                ``"slice"``, ``"put_two"``, or ``"mixed"``: each episode's seed decides (at ``"easy"`` not for
                ``"put_two"``).
            difficulty: ``"easy"``: three places, two or three things, and the opening tells where they are;
                ``"medium"``: 9 to 14 places and 10 to 20 things; ``"hard"``: 16 to 22 places, 20 to 32 things, and
                mostly two conditions (a clean and cold plate; an uncooked potato, where another one is cooked).
            split: Which problems to draw; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut; None: 12, 40 or 70, by difficulty.
            render_mode: ``"ansi"`` or None.

        Raises:
            ValueError: A value that is not one of those named above.
        """
        limit = MAX_STEPS.get(difficulty, 1) if max_steps is None else max_steps
        super().__init__(difficulty=difficulty, split=split, max_steps=limit, render_mode=render_mode)
        if task not in get_args(TaskChoice):
            raise ValueError(f"task must be one of {', '.join(get_args(TaskChoice))}, not {task!r}")
        self._tasks = (_MIXED_EASY if difficulty == "easy" else _MIXED) if task == "mixed" else (task,)
        # Made of the present episode's task, and so no part of the state.
        self._world: World
        self._ways: list[Way]

    def sample_task(self, rng: np.random.Generator) -> Problem:
        """Draw a problem of the type of task, or of any type."""
        return sample(rng, self.difficulty, pick(rng, self._tasks))

    def fingerprint(self, task: Problem) -> str:
        """Start and goal, in an order that does not depend on how they were drawn."""
        return repr((sorted(task.init), task.goal))

    def open(self, task: Problem) -> tuple[HouseholdState, list[Message], list[Tool]]:
        """Rules, the task and the places in one message."""
        self._furnish(task)
        return HouseholdState(task.init), [{"role": "user", "content": opening(task, self.difficulty)}], []

    def resume(self) -> None:
        """Put the problem's objects into the domain again."""
        self._furnish(self.task)

    def apply(self, action: str) -> Outcome:
        """Carry out an action, or say why not."""
        state = self.state
        view = View(self._world, state.facts)
        words = command_words(action)
        if asks_for_valid_actions(words):
            return self._tell(f"Valid actions: {', '.join(view.valid_actions())}.")
        verb, names = read(words)
        fault: Fault = "invalid in this world"
        try:
            if verb == "look":
                return self._tell(view.look())
            if verb == "inventory":
                return self._tell(view.inventory())
            if verb == "examine":
                return self._tell(view.examine(names["thing"]))
            if not verb:
                fault = misread(words, VERBS)
                raise ValueError(f"this is no action; say one of: {FORMS}")
            chosen = view.action(verb, names)
            reason = self._world.explain(state.facts, chosen)
            if reason:
                raise ValueError(reason)
        except ValueError as error:
            reason = str(error)
            if verb and any(name not in self._world.order for name in names.values()):
                fault = "wrong argument"
            return self._tell(f"{reason[0].upper()}{reason[1:]}.", valid=False, fault=fault)
        state.facts = chosen.result(state.facts)
        # The plan goes on while it is followed; after any other action the expert thinks again.
        follows = bool(state.plan) and state.plan[0] == (chosen.name, chosen.arguments)
        state.plan = state.plan[1:] if follows else []
        if any(way.facts <= state.facts for way in self._ways):
            state.reached = frozenset(subgoals(self.task.goal))
            return Outcome("The goal is reached.", 1.0, terminated=True)
        view = View(self._world, state.facts)
        state.reached |= reached(self.task.goal, self._world, state.facts, view.here)
        dead_before = state.dead_end
        state.dead_end = not can_be_reached(self.task.goal, self._world, state.facts, self._ways)
        told = effect(chosen)
        if verb in ("go", "open") and not (self.difficulty == "easy" and view.is_open):
            told += f" {view.contents()}"
        return self._tell(told, fault="dead end" if state.dead_end and not dead_before else "")

    def metrics(self) -> dict[str, float]:
        """``dead_end``: whether the goal can never be reached any more."""
        return {"dead_end": float(self.state.dead_end)}

    def labels(self) -> dict[str, str]:
        """The type of task, and AgentBoard's split into easy and hard by the number of subgoals."""
        goal = self.task.goal
        return {"task": goal.task, "level": "hard" if len(subgoals(goal)) >= HARD_SUBGOALS else "easy"}

    def expert_action(self) -> str:
        """The next action of a short plan from the present state, whatever happened before; it knows where things are.

        Where the goal is out of reach, it is ``look``.

        Raises:
            gymnasium.error.ResetNeeded: The goal is reached.
        """
        state = self.state
        if any(way.facts <= state.facts for way in self._ways):
            raise ResetNeeded("the goal is reached and nothing is left to do: call reset()")
        if not state.plan:
            state.plan = solve(self.task.goal, self._world, state.facts, self._ways)
        if not state.plan:
            return "look"
        name, arguments = state.plan[0]
        words = say(self._world.ground(name, arguments))
        # At easy the words of the task are to be copied.
        return words.replace("in/on", preposition(arguments[-1])) if self.difficulty == "easy" else words

    # Inside

    def _furnish(self, task: Problem) -> None:
        self._world = World(DOMAIN, task.objects)
        self._ways = ways(task.goal, self._world, task.init)

    def _tell(self, text: str, valid: bool = True, fault: Fault | Literal[""] = "") -> Outcome:
        score = len(self.state.reached) / (len(subgoals(self.task.goal)) + 1)
        return Outcome(text, score, valid=valid, fault=fault)
