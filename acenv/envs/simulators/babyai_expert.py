"""The expert of BabyAI: minigrid's own bot, given a new start whenever the agent went another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acenv.envs.simulators.babyai_commands import TOGGLE, WAIT, way_to
from acenv.envs.simulators.babyai_levels import open_instructions, things_needed
from acenv.envs.simulators.babyai_view import Explorer

_THOUGHTS = 100
"""Subgoals that the bot may take up before one move; a bot that needs more goes round in circles."""


class NoPlanError(Exception):
    """The bot does not know how to go on."""


class _Stack(list[Any]):
    """The bot's subgoals; it has no limit of its own on how long it thinks."""

    thoughts = 0

    def append(self, subgoal: Any) -> None:
        self.thoughts += 1
        if self.thoughts > _THOUGHTS:
            raise NoPlanError("the bot goes round in circles")
        super().append(subgoal)


class Adviser:
    """Gives the bot's next move on a level.

    While its advice is followed, one bot plans on, exactly as it does by itself. After any other move, and whenever it
    is stuck, a new bot takes over that is told which cells were seen and which instructions are still open.
    """

    def __init__(self, explorer: Explorer) -> None:
        """Advise on a level from where it stands now."""
        self._explorer = explorer
        self._bot: Any = None
        self._at = -1  # the simulator's step to which the advice belongs
        self._advice = -1

    def advise(self, last: int) -> int:
        """The next move.

        Args:
            last: The move that was made last; -1 before the first.

        Raises:
            NoPlanError: The bot does not know how to go on.
        """
        now = int(self._explorer.level.step_count)
        if now == self._at:
            return self._advice
        plans: list[Callable[[], Any]] = [self._new_bot, self._unlocking_bot]
        if self._bot is not None and now == self._at + 1 and last == self._advice:
            plans.insert(0, lambda: self._bot)
        self._at, self._advice = now, self._first_move(plans, last)
        return self._advice

    def _first_move(self, plans: list[Callable[[], Any]], last: int) -> int:
        """What the first bot says that knows how to go on."""
        reasons = []
        for plan in plans:
            try:
                self._bot = plan()
                move = self._think()
            except Exception as error:  # Where it knows no way, the bot ends in failed assertions and other errors.
                reasons.append(str(error) or type(error).__name__)
                continue
            if move != WAIT or last != WAIT:
                return move
            reasons.append("the bot believes that the mission is done")
        self._bot = None
        return self._next_box(reasons[0])

    def _think(self) -> int:
        self._bot.stack.thoughts = 0
        return int(self._bot.replan())

    def _new_bot(self) -> Any:
        from minigrid.utils.baby_ai_bot import BabyAIBot, DropSubgoal, GoNextToSubgoal

        level = self._explorer.level
        make: Callable[..., Any] = BabyAIBot
        bot = make(level)
        width = level.grid.width
        for index in self._explorer.known:
            bot.vis_mask[index % width, index // width] = True
        bot.stack = _Stack()
        todo = open_instructions(level.instrs)
        for instruction in reversed(todo):
            bot._process_instr(instruction)
        held = level.carrying
        if held is None:
            return bot
        first = todo[0]
        if hasattr(first, "desc_move") and any(held is thing for thing in first.desc_move.obj_set):
            bot.stack.pop()  # It need not go to the thing that it carries,
            bot.stack.pop()  # nor pick it up.
        elif not (held.type == "key" and hasattr(first, "desc") and first.desc.type == "door"):
            bot.stack.append(DropSubgoal(bot))
            bot.stack.append(GoNextToSubgoal(bot, bot._find_drop_pos()))
        return bot

    def _unlocking_bot(self) -> Any:
        """A bot that first opens a locked door whose key was seen; by itself it may insist on another door."""
        from minigrid.utils.baby_ai_bot import GoNextToSubgoal, OpenSubgoal

        explorer = self._explorer
        keys = {thing.color for thing in explorer.names if thing.type == "key"}
        doors = [thing for thing in explorer.names if thing.type == "door" and thing.is_locked and thing.color in keys]
        if not doors:
            raise NoPlanError("no locked door is known whose key was seen")
        bot = self._new_bot()
        bot.stack.append(OpenSubgoal(bot))
        bot.stack.append(GoNextToSubgoal(bot, doors[0], reason="Open"))
        return bot

    def _next_box(self, reason: str) -> int:
        """Towards the nearest box, to look into it: the bot does not know that keys may be in boxes."""
        explorer = self._explorer
        needed = {id(thing) for thing in things_needed(explorer.level)}
        boxes = [
            index
            for thing in explorer.names
            if thing.type == "box" and id(thing) not in needed and (index := explorer.at(thing)) is not None
        ]
        ways = [way for index in boxes if (way := way_to(explorer, index)) is not None]
        if not ways:
            raise NoPlanError(reason)
        return [*min(ways, key=len), TOGGLE][0]
