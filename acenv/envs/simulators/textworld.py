"""``acenv/TextWorld-v0``: text adventures that TextWorld makes and compiles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.commands import misread
from acenv.envs.simulators.base import SimulatorEnv, Turn
from acenv.envs.simulators.games import KINDS, PARSING, GameKind, GameTask, find_game, own_game
from acenv.envs.simulators.zmachine import NO_SUCH_THING, OffLimitsError, ZMachine, game_line, nth, story_files, tidy
from acenv.envs.sources import GENERATED
from acenv.types import Fault

if TYPE_CHECKING:
    from textworld import Game

GameName = Literal["mixed", "quest", "cooking", "treasure"]

_RULES = """\
You play a text adventure. Write one command a message:
look, inventory, examine THING: tell what is there
goal: tell the task again
go north, go south, go east, go west: walk
take THING, take THING from PLACE, drop THING, put THING on PLACE, insert THING into CONTAINER: move things
open THING, close THING, unlock THING with KEY, lock THING with KEY: doors and containers
eat THING: some things can be eaten
{more}check valid actions: list what can be done now"""

_VERBS = frozenset(
    {
        *("look", "l", "inventory", "examine", "x", "goal", "go", "north", "south", "east", "west"),
        *("n", "s", "e", "w", "take", "pick", "get", "drop", "put", "insert", "open", "close", "unlock"),
        *("lock", "eat", "drink", "prepare", "cook", "slice", "chop", "dice", "cut", "wait", "z"),
    }
)
"""First words of the commands that TextWorld's games know; ``i`` is left out, which most prose begins with."""

_COOKING_RULES = """\
cook THING with PLACE: a stove fries, an oven roasts, a BBQ grills; what is cooked twice burns
slice THING with KNIFE, chop THING with KNIFE, dice THING with KNIFE: cut, once
prepare meal: in the kitchen, when all that the cookbook asks for is ready in your hands
"""

_WALKTHROUGHS = 3
"""The default limit of an episode is so many times the length of the walkthrough..."""

_LEAST_STEPS = 30
"""... and never lower than AgentBoard's."""

_EVENT = re.compile(r"\[([^\]]+) - succeeded\]")
_MARKS = re.compile(r"\[[^\]]+\]\n?")
_SCORE = re.compile(r"<score>\s*(-?\d+)\s*</score>")
_REPORTS = re.compile(r"<(score|moves)>[^<]*</\1>\n?")
_AFTER_THE_END = re.compile(r"\s*Would you like to RESTART.*", re.DOTALL)

_WON = "*** The End ***"
_LOST = "*** You lost! ***"


class Tracker:
    """TextWorld's own picture of the world behind a game, brought up to date only when somebody asks.

    Keeping it takes twenty times as long as the game itself, and only valid actions and the expert need it.
    """

    def __init__(self, game: Game) -> None:
        """Begin at the start of the game."""
        from textworld.generator.game import GameProgression
        from textworld.generator.inform7 import Inform7Game

        self._inform = Inform7Game(game)
        self._progression = GameProgression(game, track_quests=True)
        self._seen = 0

    def commands(self, events: list[str]) -> list[str]:
        """The commands that would change the world after these events (all since the start)."""
        with PARSING:
            self._follow(events)
            return sorted(set(self._inform.gen_commands_from_actions(self._progression.valid_actions)))

    def policy(self, events: list[str]) -> list[str]:
        """Commands that win the game after these events; empty if TextWorld knows none."""
        with PARSING:
            self._follow(events)
            policy = self._progression.winning_policy
            return list(self._inform.gen_commands_from_actions(policy)) if policy else []

    def _follow(self, events: list[str]) -> None:
        for event in events[self._seen :]:
            action = self._inform.detect_action(event, self._progression.valid_actions)
            if action is not None:
                self._progression.update(action)
        self._seen = len(events)


class TextWorldEnv(SimulatorEnv[GameTask]):
    """Play a text adventure of TextWorld (Côté et al. 2018) to its end.

    Three kinds of game: ``quest`` (one or more things to bring about in a house), ``cooking`` (find a recipe, fetch,
    cut and cook its ingredients, eat; what burns is lost, and so is the game) and ``treasure`` (find one thing; to take
    the wrong one loses). Games are made offline, from a number, when they are first needed, which takes some seconds
    each, and kept in ``$ACENV_CACHE`` (or ``acenv`` in the user's cache folder).

    The score is the game's own, as a share of its maximum. A command counts for ``grounding`` if the game has carried
    it out; one that its parser does not understand, or that it refuses (a locked door), does not. ``save``,
    ``restart`` and the like are refused. ``info["metrics"]`` has ``lost``: 1 where the game was lost.

    The expert is TextWorld's winning policy, which thinks again after every detour. The label ``level`` is ``"hard"``
    for games whose walkthrough has more than 10 commands.
    """

    env_id = "acenv/TextWorld-v0"

    def __init__(
        self,
        *,
        game: GameName = "mixed",
        games: int = 20,
        source: str | Path = GENERATED,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; no game is made before the first reset.

        Args:
            game: ``"quest"``, ``"cooking"``, ``"treasure"``, or ``"mixed"``: each episode's seed decides.
            games: How many different games of each kind there are; each takes some seconds when it is first drawn.
            source: ``"generated"``, or a game that ``tw-make`` has made (``.z8``, with its ``.json`` beside it), or a
                folder of such games, of which the seed or ``options={"index": i}`` takes one.
            difficulty: The size of generated games: 1 or 2 rooms and up to 6 commands; 6 rooms or more and about 15
                commands; 12 rooms or more and up to 40.
            split: Which generated games to draw; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut. None: three times the length of the walkthrough, at
                least 30.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: textworld is not installed.
            FileNotFoundError: There is no game at the source.
            ValueError: A value that is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        if game not in get_args(GameName):
            raise ValueError(f"game must be one of {', '.join(get_args(GameName))}, not {game!r}")
        if games < 1:
            raise ValueError(f"games must be at least 1, not {games}")
        self.kinds: tuple[GameKind, ...] = KINDS if game == "mixed" else (game,)
        self.games = games
        self._own = None if str(source) == GENERATED else story_files(source, (".z8",))
        self._machine: ZMachine | None = None
        self._game: Game
        self._tracker: Tracker | None = None
        self._events: list[str] = []
        self._points, self._lost = 0, False

    def sample_task(self, rng: np.random.Generator) -> GameTask:
        """Draw the kind and the number of a game, and make it if it isn't there."""
        if self._own is not None:
            return own_game(pick(rng, self._own))
        return find_game(pick(rng, self.kinds), self.difficulty, self.split, int(rng.integers(self.games)))

    def draw_task(self, attempts: int = 1000) -> GameTask:
        """Generated games belong to their split already, and a user's own games have none."""
        del attempts
        return self.sample_task(self.np_random)

    def load_task(self, index: int) -> GameTask:
        """Game ``index`` of the user's own."""
        if self._own is None:
            return super().load_task(index)
        return own_game(nth(self._own, index))

    def fingerprint(self, task: GameTask) -> str:
        """A hash of the world and of what wins."""
        return task.content

    def begin(self, task: GameTask) -> str:
        """Rules, and what the game says first, which is its objective and the first room."""
        from textworld import Game

        with PARSING:
            self._game = Game.load(str(task.description))
        self.limit_steps(max(_LEAST_STEPS, _WALKTHROUGHS * len(self._game.walkthrough)))
        self._tracker = None
        self._events, self._points, self._lost = [], 0, False
        self._machine = ZMachine(Path(task.story), seed=1)
        opening = self._machine.opening
        # Above the objective stands TextWorld's banner, in letters made of dollar signs.
        opening = opening[opening.find(self._game.objective) :] if self._game.objective in opening else opening
        self._machine.send("tw-extra-infos score")
        self._machine.send("tw-trace-actions")
        more = _COOKING_RULES if "prepare" in self._game.verbs else ""
        return f"{_RULES.format(more=more)}\n\n{opening}"

    def act(self, command: str) -> Turn:
        """Give a command to the game."""
        if self._machine is None:
            raise RuntimeError("the game was closed: call reset()")
        try:
            line = game_line(command)
        except OffLimitsError as error:
            return Turn(str(error), self._share, valid=False)
        text = self._machine.send(line)
        events = [event for event in _EVENT.findall(text) if not event.startswith("(")]  # (1) is a part of another
        self._events += events
        if score := _SCORE.search(text):
            self._points = int(score[1])
        won, self._lost = _WON in text, _LOST in text
        plain = tidy(_AFTER_THE_END.sub("", _REPORTS.sub("", _MARKS.sub("", text))))
        fault: Fault | Literal[""] = ""
        if not events and line.partition(" ")[0].lower() not in _VERBS:
            fault = misread(line, _VERBS)
        elif not events and NO_SUCH_THING.search(plain):
            fault = "wrong argument"
        return Turn(plain, 1.0 if won else self._share, done=won or self._lost, valid=bool(events), fault=fault)

    def valid_actions(self) -> list[str]:
        """The commands that TextWorld finds to be possible."""
        return self._track().commands(self._events)

    def expert_action(self) -> str:
        """The next command of TextWorld's winning policy.

        Raises:
            NotImplementedError: The game cannot be won any more, or TextWorld does not see how.
        """
        policy = self._track().policy(self._events)
        if not policy:
            raise NotImplementedError("TextWorld knows no way to win this game from here")
        return policy[0]

    def metrics(self) -> dict[str, float]:
        """Whether the game was lost."""
        return {"lost": float(self._lost)}

    def labels(self) -> dict[str, str]:
        """The kind of game, and whether it takes more than 10 commands."""
        return {"task": self.task.kind, "level": "hard" if len(self._game.walkthrough) > 10 else "easy"}

    def close(self) -> None:
        """End the game and give its memory back."""
        self._machine = None

    @property
    def _share(self) -> float:
        return min(1.0, max(0.0, self._points / self._game.max_score)) if self._game.max_score > 0 else 0.0

    def _track(self) -> Tracker:
        if self._tracker is None:
            with PARSING:
                self._tracker = Tracker(self._game)
        return self._tracker
