"""``acenv/BabyAI-v0``: the levels of BabyAI (minigrid), with observations and commands in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.simulators.babyai_commands import (
    MOVES,
    TOGGLE,
    CommandError,
    errand,
    errands,
    read_errand,
    read_move,
    why_not,
)
from acenv.envs.simulators.babyai_expert import Adviser, NoPlanError
from acenv.envs.simulators.babyai_levels import (
    LEVELS,
    LevelTask,
    content_of,
    hopeless,
    level_name,
    parts,
    parts_done,
    possible,
    start_level,
)
from acenv.envs.simulators.babyai_view import Explorer
from acenv.envs.simulators.base import SimulatorEnv, Turn

_RULES = """\
You are in a place of rooms, walls and doors. You see only what lies ahead of you and to both sides, up to 6 steps \
ahead and 3 to each side, and not through walls or closed doors. Write one command a message:
turn left, turn right, move forward: one step or turn
pick up: take what is right ahead; you can carry one thing
drop: put what you carry right ahead
toggle: open or close the door right ahead, or open the box; a locked door needs a key of its color in your hands
wait: do nothing
go to THING, pick up THING, toggle THING, go through DOOR, toggle and go through DOOR: walk up to something that you \
have seen, such as red ball 1, and do it
check valid actions: list what can be done now"""


class BabyAIEnv(SimulatorEnv[LevelTask]):
    """Carry out a mission in a maze of rooms (BabyAI, Chevalier-Boisvert et al. 2019, on minigrid).

    The observation tells the agent's partial view in words: what is where, as steps ahead and to the side, with the
    state of doors, the nearest walls, and what is carried. Things are numbered in the order in which they are seen.
    A command is one of the simulator's seven actions or an errand such as ``go to red ball 1`` (the macro actions of
    AgentBoard), planned on the cells that the agent has seen.

    The score is the share of the mission's parts that are done (running maximum): one part for each instruction of a
    mission joined by *and*, *then* or *after*, and two for *put X next to Y* (X carried, X put down there). 1.0 is
    the simulator's success. An action that changes nothing, such as walking into a wall, takes a step of the simulator
    and does not count for ``grounding``.

    ``info["metrics"]`` has the simulator's own time-discounted ``reward``, ``moves`` (its steps so far), and
    ``failed``: 1 where a strict level has ended without success, or all things that the mission is about are gone
    (boxes vanish when they are opened). The label ``level`` is ``"hard"`` for missions of two or more parts.
    """

    env_id = "acenv/BabyAI-v0"

    def __init__(
        self,
        *,
        level: str = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            level: ``"mixed"``: each episode's seed decides among the levels of the difficulty; or the name of one,
                such as ``"GoToLocal"``.
            difficulty: Which levels ``"mixed"`` draws from: one short errand, mostly in one room (33 levels); several
                rooms, two errands or a key to find (39); mazes with locked or blocked doors and long missions (22).
            split: Which missions to draw; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut. None: the level's own limit, which also holds for the
                simulator's steps, of which an errand takes several.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: minigrid is not installed.
            ValueError: A value that is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        self.level = level if level == "mixed" else level_name(level)
        self._drawn: tuple[LevelTask, Any] | None = None  # a level at its start, made while the task was drawn
        self._explorer: Explorer
        self._adviser: Adviser
        self._parts = 1
        self._reward = 0.0
        self._last = -1
        self._failed = False

    def sample_task(self, rng: np.random.Generator) -> LevelTask:
        """Draw a level of the difficulty, and a mission of it."""
        name = pick(rng, LEVELS[self.difficulty]) if self.level == "mixed" else self.level
        while not possible(level := start_level(name, seed := int(rng.integers(2**31)))):
            pass
        task = LevelTask(name, seed, content_of(level))
        self._drawn = (task, level)
        return task

    def fingerprint(self, task: LevelTask) -> str:
        """A hash of maze, start and mission."""
        return task.content

    def begin(self, task: LevelTask) -> str:
        """Rules, mission and first view."""
        drawn, self._drawn = self._drawn, None
        level = drawn[1] if drawn is not None and drawn[0] == task else start_level(task.level, task.seed)
        self.limit_steps(int(level.max_steps))
        self._explorer = Explorer(level)
        self._adviser = Adviser(self._explorer)
        self._parts = parts(level.instrs)
        self._reward, self._last, self._failed = 0.0, -1, False
        return f"{_RULES}\nMission: {level.mission}.\n{self._explorer.look()}"

    def act(self, command: str) -> Turn:
        """Make a move, or run an errand."""
        explorer = self._explorer
        move = read_move(command)
        if move is not None:
            reason = why_not(explorer, move)
            turn = self._move(move)
            if not reason or turn.done:
                return turn
            return Turn(f"Nothing happens: {reason}. {turn.observation}", turn.progress, valid=False)
        try:
            moves = errand(explorer, *read_errand(command))
        except CommandError as error:
            return Turn(f"{error} {explorer.look()}", self._progress_now, valid=False, fault=error.fault)
        turn = Turn("", 0.0)
        for move in moves:
            reason = why_not(explorer, move)
            if reason:
                return Turn(f"You stop: {reason}. {explorer.look()}", self._progress_now)
            turn = self._move(move)
            if turn.done:
                break
        return turn

    def valid_actions(self) -> list[str]:
        """The moves that would change something, and the errands that can be done."""
        moves = [name for move, name in enumerate(MOVES) if not why_not(self._explorer, move)]
        return [*moves, *errands(self._explorer)]

    def expert_action(self) -> str:
        """The next move of minigrid's ``BabyAIBot``.

        Raises:
            NotImplementedError: The bot does not know how to go on, or the mission cannot be done any more.
        """
        if self._failed:
            raise NotImplementedError("a thing that the mission needs is gone: nothing can be done any more")
        try:
            return MOVES[self._adviser.advise(self._last)]
        except NoPlanError as error:
            raise NotImplementedError(
                f"minigrid's bot knows no way to go on in {self.task.level} ({error}): it does not solve every level, "
                "and not from every state"
            ) from error

    def metrics(self) -> dict[str, float]:
        """The simulator's reward and steps, and whether the mission has failed."""
        return {
            "reward": self._reward,
            "moves": float(self._explorer.level.step_count),
            "failed": float(self._failed),
        }

    def labels(self) -> dict[str, str]:
        """The level, and whether the mission has more than one part."""
        return {"task": self.task.level, "level": "hard" if self._parts > 1 else "easy"}

    @property
    def _progress_now(self) -> float:
        level = self._explorer.level
        return parts_done(level.instrs, level.carrying) / self._parts

    def _move(self, move: int) -> Turn:
        """One step of the simulator."""
        explorer = self._explorer
        ahead = explorer.cell(explorer.front) if move == TOGGLE else None
        _, reward, terminated, truncated, _ = explorer.level.step(move)
        self._last = move
        if ahead is not None and ahead.type == "box":
            self._failed = self._failed or hopeless(explorer.level)
        if terminated:
            self._reward = float(reward)
            self._failed = self._failed or not reward
            if reward:
                return Turn("The mission is done.", 1.0, done=True)
            return Turn("The mission has failed.", self._progress_now, done=True)
        if truncated:  # An errand takes several of the simulator's steps, so its limit may come first.
            self.max_steps = self.steps
        return Turn(explorer.look(), self._progress_now, done=False)
