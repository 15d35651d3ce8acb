"""``acenv/ScienceWorld-v0``: experiments of elementary school science, in a simulated house."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.commands import CHECK, not_understood
from acenv.envs.simulators.base import Turn
from acenv.envs.simulators.java import JavaEnv, JavaFault
from acenv.envs.simulators.scienceworld_tasks import (
    SHORT,
    TASKS,
    allowed_simplifications,
    task_name,
    tasks_of,
    usual_simplifications,
    variations,
)
from acenv.types import Fault

HARD_GOALS = 10
"""Goals of the simulator, from which on the label ``level`` is ``"hard"``."""

_RULES = """\
You are in a building with rooms such as a kitchen, a workshop and a greenhouse. Do the task with one command a message.
To focus on a thing tells that the task is about it: the task fails at once if it is the wrong one. Where a command \
fits several things, you are asked which: answer with the number."""

_NOT_UNDERSTOOD = "No known action matches that input."
_WHICH = "Ambiguous request:"
_GOAL = re.compile(r"^\d+\t(true|false)\t", re.MULTILINE)
_HIDDEN = "reset task"
"""It takes nothing back but progress; it works, but nobody is told of it."""

_VERBS = frozenset(
    {
        *("activate", "close", "connect", "deactivate", "disconnect", "dunk", "eat", "flush", "focus", "go"),
        *("inventory", "look", "mix", "move", "open", "pick", "pour", "put", "read", "task", "use", "wait", "wait1"),
    }
)
"""First words of the commands."""

_LIST = "check"
"""Stands among an episode's commands for the full list of valid actions, as ``check valid actions`` does for the short
one: both draw from the simulator's random generator, so an episode is repeated with them."""


@dataclass(frozen=True, slots=True)
class ScienceTask:
    """One variation of a task.

    Attributes:
        name: Name of the task in the simulator.
        variation: Number of the variation.
        simplifications: What is made easier, as the simulator takes it.
    """

    name: str
    variation: int
    simplifications: str


class ScienceWorldEnv(JavaEnv[ScienceTask]):
    """Find, grow, heat, mix, measure and connect things in a building of ten rooms (ScienceWorld, Wang et al. 2022).

    30 tasks in 7207 variations. The score is the simulator's (of 100, here of 1; the running maximum). A mistake that
    fails the task, for which the simulator gives -100, ends the episode with the progress so far, and
    ``info["metrics"]["failed"]`` is 1. ``subgoals`` is the share of the simulator's own goals that are reached, those
    that it calls optional included. (AgentBoard's subgoals are written by hand for its 90 episodes, and are not those.)

    A command counts for ``grounding`` if the simulator understands it, also where it is not possible or has to ask
    which of several things is meant. (AgentBoard looks it up in the list of all valid actions, which takes ten times
    as long as the step.) ``check valid actions`` tells the forms of the commands and the things in reach;
    :meth:`valid_actions` gives the simulator's full list.

    Steps go to the simulator's agent directly, without the lists that ``scienceworld.ScienceWorldEnv.step`` builds. The
    expert follows the simulator's walkthrough, which is made when it is first asked.

    The label ``level`` is ``"hard"`` for tasks with ten or more of the simulator's goals.
    """

    env_id = "acenv/ScienceWorld-v0"
    java_class = "scienceworld.runtime.pythonapi.PythonInterface"

    def __init__(
        self,
        *,
        task: str = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        simplifications: str | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; Java is started by the first episode.

        Args:
            task: ``"mixed"``: each episode's seed decides among the tasks of the difficulty; or the name of one, such
                as ``"boil"``.
            difficulty: Which tasks ``"mixed"`` draws from, by the length of walkthroughs, and what is made easier.
                ``"easy"``: up to 30 commands (14 tasks), with all that the simulator calls easy: doors are open,
                teleporting, no electricity where it is not needed, flower pots that water themselves. ``"medium"``: all
                30 tasks with AgentBoard's settings: open doors and containers (not where bees are needed: they would
                escape), no electricity, flower pots. ``"hard"``: more than 30 commands (16 tasks), nothing made easier.
            split: The simulator's variations for training, or those for testing.
            simplifications: Instead of those of the difficulty: ``""``, ``"easy"``, or names joined by commas.
            max_steps: Actions after which an episode is cut. None: twice the usual length of the task's walkthrough,
                and at least AgentBoard's 30; the expert takes more where a variation needs it.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: scienceworld or Java is not installed.
            ValueError: A value that is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        self._names = tasks_of(difficulty) if task == "mixed" else (task_name(task),)
        self._simplifications = simplifications
        if simplifications is not None:  # A mistake is told here, not at the first reset.
            allowed_simplifications(self._names[0], simplifications)
        self._agent_step: Any = None
        self._choosing = False
        self._failed = False
        self._goals: list[str] = []

    def jar(self) -> Path:
        """The archive in the package ``scienceworld``."""
        from scienceworld.constants import JAR_PATH

        return Path(JAR_PATH)

    # Tasks

    def sample_task(self, rng: np.random.Generator) -> ScienceTask:
        """Draw a task, and one of its variations for this split."""
        name = pick(rng, self._names)
        return self._variation(name, pick(rng, variations(name, self.split)))

    def draw_task(self, attempts: int = 1000) -> ScienceTask:
        """Draw a task; the simulator itself says which variations are for training, and which for testing."""
        del attempts
        return self.sample_task(self.np_random)

    def load_task(self, index: int) -> ScienceTask:
        """Variation ``index`` of this split, counted through all tasks of the environment."""
        left = index
        for name in self._names:
            numbers = variations(name, self.split)
            if 0 <= left < len(numbers):
                return self._variation(name, numbers[left])
            left -= len(numbers)
        total = sum(len(variations(name, self.split)) for name in self._names)
        raise ValueError(f"options['index'] must be from 0 to {total - 1}, not {index}")

    def fingerprint(self, task: ScienceTask) -> str:
        """Task and variation."""
        return f"{task.name} {task.variation}"

    def _variation(self, name: str, number: int) -> ScienceTask:
        wanted = self._simplifications
        if wanted is None:
            return ScienceTask(name, number, usual_simplifications(name, self.difficulty))
        return ScienceTask(name, number, allowed_simplifications(name, wanted))

    # The simulator

    def begin(self, task: ScienceTask) -> str:
        """Rules, task, forms of the commands, and what can be seen."""
        self.limit_steps(max(SHORT, 2 * TASKS[task.name].walkthrough))
        self._load(task, walkthrough=False)
        simulator = self.simulator
        self._goals = _GOAL.findall(simulator.call("getGoalProgressStr"))
        return (
            f"{_RULES}\nTask: {simulator.call('getTaskDescription')}\n{self._forms()}\n"
            f"{simulator.call('freeActionLook')}\n{simulator.call('freeActionInventory')}"
        )

    def act(self, command: str) -> Turn:
        """Give a command to the agent in the simulator."""
        if command in (CHECK, _LIST):  # No agent's command gets here in these words, but resume() repeats them.
            self._things() if command == CHECK else self._combinations()
            return Turn("", 0.0)
        chosen, self._choosing = self._choosing, False
        try:
            observation, score, completed = self._step(command)
        except JavaFault as error:
            return Turn(f"The simulator failed at this: {error}.", 0.0, valid=False)
        self._goals = _GOAL.findall(self.simulator.call("getGoalProgressStr"))
        valid = bool(observation) and observation != _NOT_UNDERSTOOD
        if valid:
            self._done.append(command)
        elif chosen:
            observation = f"There is no choice {command!r}: nothing is done."
        self._choosing = observation.startswith(_WHICH)
        self._failed = score < 0
        fault: Fault | Literal[""] = "" if valid else "wrong argument" if chosen else not_understood(command, _VERBS)
        told = observation or _NOT_UNDERSTOOD
        return Turn(told, max(0.0, score), done=completed or self._failed, valid=valid, fault=fault)

    def valid_actions(self) -> list[str]:
        """All commands that the simulator takes to be possible now, several hundred in most states."""
        self.state.commands.append(_LIST)
        return self._combinations()

    def find_walkthrough(self, task: ScienceTask) -> tuple[str, ...]:
        """The simulator's, which takes it from half a second to 20 seconds."""
        self._load(task, walkthrough=True)
        return tuple(self.simulator.strings("getGoldActionSequence"))

    def metrics(self) -> dict[str, float]:
        """Whether the task has failed, and the share of the simulator's goals that are reached."""
        return {"failed": float(self._failed), "subgoals": self._goals.count("true") / max(1, len(self._goals))}

    def labels(self) -> dict[str, str]:
        """The task, and whether it has many goals."""
        return {"task": self.task.name, "level": "hard" if len(self._goals) >= HARD_GOALS else "easy"}

    def _load(self, task: ScienceTask, walkthrough: bool) -> None:
        simulator = self.simulator
        complaint = simulator.call("load", task.name, task.variation, task.simplifications, walkthrough)
        if complaint:
            raise ValueError(f"ScienceWorld cannot load {task}: {complaint}")
        machine = simulator.machine

        def find_step() -> Any:
            option = simulator.call("agentInterface")
            return machine.bind(machine.bind(option, "get")(), "step", str)

        self._agent_step = simulator.guard(find_step)
        self._done, self._choosing, self._failed = [], False, False

    def _step(self, command: str) -> tuple[str, float, bool]:
        """What the agent is told, the score (negative: failed), and whether the task is done."""
        simulator = self.simulator
        # The answer is a tuple of Scala, whose text is read: asking for its parts would take three more calls.
        answer = str(simulator.guard(lambda: simulator.machine.text(self._agent_step(command))))
        observation, score, completed = answer[1:-1].rsplit(",", 2)
        return observation.strip(), float(score), completed == "true"

    def _forms(self) -> str:
        forms = self.simulator.strings("getPossibleActions")
        listed = ", ".join(form for form in forms if form != _HIDDEN)
        return f"Commands: {listed}, {CHECK}."

    def _listing(self) -> str:
        """Forms and things instead of all their combinations, of which there are too many to be told."""
        if self._choosing:
            return f"Valid actions: {', '.join(self.valid_actions())}."
        self.state.commands.append(CHECK)
        return f"{self._forms()} OBJ is one of: {', '.join(self._things())}."

    def _things(self) -> list[str]:
        return sorted(set(self.simulator.strings("getPossibleObjects")))

    def _combinations(self) -> list[str]:
        return sorted(set(self.simulator.strings("getValidActionObjectCombinations")) - {_HIDDEN})
