"""``acenv/ALFWorld-v0``: household tasks in ALFWorld's text engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.commands import misread
from acenv.envs.simulators.alfworld_engine import Downward, HouseGame
from acenv.envs.simulators.alfworld_expert import House, advise
from acenv.envs.simulators.alfworld_games import (
    ALL_TASKS,
    TASKS,
    HouseTask,
    generate,
    official_folder,
    official_games,
    official_task,
    package_text,
    read_labels,
)
from acenv.envs.simulators.base import SimulatorEnv, Turn
from acenv.types import Fault

TaskName = Literal[
    "mixed",
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
]

_RULES = """\
You are in a room of a house. Write one command a message:
look, inventory: tell where you are, and what you carry; you can carry one thing
go to PLACE: walk to a place such as cabinet 1
open PLACE, close PLACE: some places can be closed
take THING from PLACE, move THING to PLACE: the place where you are
clean THING with SINKBASIN, heat THING with MICROWAVE, cool THING with FRIDGE: carry the thing, and go there
use LAMP: turn on a lamp where you are
slice THING with KNIFE, examine THING
check valid actions: list what can be done now"""

_VERBS = frozenset(
    {
        *("look", "inventory", "go", "open", "close", "take", "move", "put", "clean", "heat", "cool", "use"),
        *("slice", "examine", "help"),
    }
)
"""First words of the engine's commands; others are no commands of it."""

_PUT = re.compile(r"(?:put|place) (.+) (?:in/on|into|onto|in|on) (.+)")
_ARTICLES = re.compile(r"\b(?:the|an?) ")


class ALFWorldEnv(SimulatorEnv[HouseTask]):
    """Do a household task of ALFWorld (Shridhar et al. 2021), on its own text engine.

    With ``source="auto"`` the games are the official ones, if ``$ALFWORLD_DATA`` holds any. Otherwise they are made, in
    milliseconds and without end: the rooms, their receptacles and the types of objects are those of the 120 layouts
    in ALFWorld's package, where things may lie and what the goal means is ALFRED's, and only the places are drawn.

    The score is AgentBoard's progress rate: the share of subgoals that an observation has matched, the goal itself
    being one more, and 1.0 when the goal is reached. ``labels=`` takes AgentBoard's file of subgoals; without it they
    are to pick the thing up, and to clean, heat or cool it, or to put the first of two down. A command counts for
    ``grounding`` if it is among the engine's admissible ones. ``put X in/on Y`` of older versions is taken as
    ``move X to Y``.

    The expert goes by rules, knows where everything is, and finds its way from any state. The
    label ``level`` is AgentBoard's, or ``"hard"`` where there are two or more subgoals before the goal.
    """

    env_id = "acenv/ALFWorld-v0"

    def __init__(
        self,
        *,
        task: TaskName = "mixed",
        source: str | Path = "auto",
        labels: str | Path | None = None,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int = 30,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            task: One of ALFWorld's six types of task, or ``"mixed"``: each episode's seed decides.
            source: ``"generated"``; the folder of the official data, with ``game.tw-pddl`` files; or ``"auto"``:
                ``$ALFWORLD_DATA`` if there are games in it, else generated.
            labels: AgentBoard's ``test.jsonl`` with the subgoals of the official games.
            difficulty: Which types ``"mixed"`` draws from (pick and place, look under a lamp; all; all but these two),
                and the size of generated rooms: 8, 18 or 40 receptacles at most.
            split: ``"train"``, or ``"test"``, which is ``valid_unseen`` (or else ``valid_seen``) of the official data.
            max_steps: Actions after which an episode is cut; AgentBoard's 30 by default.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: alfworld is not installed.
            FileNotFoundError: There is no data at the source.
            ValueError: A value that is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        if task not in get_args(TaskName):
            raise ValueError(f"task must be one of {', '.join(get_args(TaskName))}, not {task!r}")
        self.kinds: tuple[str, ...] = TASKS[difficulty] if task == "mixed" else (task,)
        folder = None if str(source) == "generated" else official_folder(source)
        self._official = official_games(folder, split, self.kinds) if folder is not None else ()
        self._every = (
            official_games(folder, split, ALL_TASKS) if folder is not None and task == "mixed" else self._official
        )
        self._labels = read_labels(Path(labels).expanduser()) if labels is not None else {}
        self._downward: Downward | None = None
        self._game: HouseGame | None = None
        self._loaded: HouseTask | None = None
        self._reached: set[int] = set()

    def sample_task(self, rng: np.random.Generator) -> HouseTask:
        """Draw an official game, or make one."""
        if self._official:
            return official_task(pick(rng, self._official), self._labels)
        return generate(rng, self.difficulty, self.kinds)

    def draw_task(self, attempts: int = 1000) -> HouseTask:
        """Official games have their splits; those that are made belong to one by their content."""
        return self.sample_task(self.np_random) if self._official else super().draw_task(attempts)

    def load_task(self, index: int) -> HouseTask:
        """Official game ``index`` of the split, in order of their names, of all types."""
        if not self._official:
            return super().load_task(index)
        if not 0 <= index < len(self._every):
            raise ValueError(f"options['index'] = {index}: the split has {len(self._every)} games, numbered from 0")
        return official_task(self._every[index], self._labels)

    def fingerprint(self, task: HouseTask) -> str:
        """The room, where everything is, and the goal."""
        return task.problem

    def begin(self, task: HouseTask) -> str:
        """Rules, room and goal."""
        if self._game is not None and self._loaded == task:
            self._game.restart()
        else:
            if self._downward is None:
                self._downward = Downward()
            self._game = HouseGame(self._downward, package_text("alfred.pddl"), task.grammar, task.problem)
            self._loaded = task
        self._reached = set()
        intro = self._game.intro.partition("\n\n")[2] or self._game.intro  # without the banner
        return f"{_RULES}\n\n{intro}"

    def act(self, command: str) -> Turn:
        """Do what the command says, if it is possible."""
        game = self._running_game
        words = plain(command)
        text = game.step(words)
        if text is None:
            known = words.partition(" ")[0] in _VERBS
            fault: Fault = "invalid in this world" if known and " " in words else misread(words, _VERBS)
            return Turn("Nothing happens.", self._progress_now(), valid=False, fault=fault)
        self._reached |= {n for n, goal in enumerate(self.task.subgoals) if re.search(goal, text)}
        won = game.won
        return Turn(text, 1.0 if won else self._progress_now(), done=won)

    def valid_actions(self) -> list[str]:
        """The engine's admissible commands."""
        return self._running_game.commands()

    def expert_action(self) -> str:
        """The next command that brings the task on, by rules that know where everything is.

        Raises:
            NotImplementedError: The rules do not know how to go on.
        """
        game = self._running_game
        command = " ".join(game.name(word) for word in advise(self.task, House(game.facts())))
        if command not in game.commands():
            raise NotImplementedError(f"the expert's rules do not know how to go on in {self.task.name}")
        return command

    def labels(self) -> dict[str, str]:
        """The type of task, and its level."""
        return {"task": self.task.kind, "level": self.task.level}

    def close(self) -> None:
        """End the game and unload the engine."""
        if self._downward is not None:
            self._downward.close()
        self._downward = self._game = self._loaded = None

    def __del__(self) -> None:
        """Unload the engine of an environment that nobody has closed."""
        if getattr(self, "_downward", None) is not None:
            self.close()

    @property
    def _running_game(self) -> HouseGame:
        if self._game is None:
            raise RuntimeError("the game was closed: call reset()")
        return self._game

    def _progress_now(self) -> float:
        return len(self._reached) / (len(self.task.subgoals) + 1)


def plain(command: str) -> str:
    """A command in the engine's words: small letters, no articles, ``move`` for ``put``.

    >>> plain("Put the apple 1 in/on countertop 2.")
    'move apple 1 to countertop 2'
    """
    words = " ".join(_ARTICLES.sub("", command.lower().strip(" .!")).split())
    put = _PUT.fullmatch(words)
    return f"move {put[1]} to {put[2]}" if put else words
