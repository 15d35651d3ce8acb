"""``acenv/TextWorldExpress-v0``: eight fast text games, such as cooking by a recipe or finding a coin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.commands import not_understood
from acenv.envs.simulators.base import Turn
from acenv.envs.simulators.java import JavaEnv, JavaFault
from acenv.types import Fault

GameName = Literal[
    "mixed", "cookingworld", "twc", "coin", "mapreader", "arithmetic", "sorting", "simonsays", "peckingorder"
]

GAMES: dict[str, dict[Difficulty, str]] = {
    "cookingworld": {
        "easy": "numLocations=1,numIngredients=1,numDistractorItems=0,includeDoors=0,limitInventorySize=0",
        "medium": "numLocations=5,numIngredients=2,numDistractorItems=5,includeDoors=1,limitInventorySize=0",
        "hard": "numLocations=11,numIngredients=5,numDistractorItems=10,includeDoors=1,limitInventorySize=1",
    },
    "twc": {
        "easy": "numLocations=1,numItemsToPutAway=1,includeDoors=0,limitInventorySize=0",
        "medium": "numLocations=2,numItemsToPutAway=2,includeDoors=0,limitInventorySize=0",
        "hard": "numLocations=3,numItemsToPutAway=4,includeDoors=1,limitInventorySize=1",
    },
    "coin": {
        "easy": "numLocations=3,numDistractorItems=0,includeDoors=0,limitInventorySize=0",
        "medium": "numLocations=6,numDistractorItems=5,includeDoors=1,limitInventorySize=0",
        "hard": "numLocations=11,numDistractorItems=10,includeDoors=1,limitInventorySize=1",
    },
    "mapreader": {
        "easy": "numLocations=4,maxDistanceApart=1,maxDistractorItemsPerLocation=0",
        "medium": "numLocations=8,maxDistanceApart=2,maxDistractorItemsPerLocation=3",
        "hard": "numLocations=15,maxDistanceApart=4,maxDistractorItemsPerLocation=3,includeDoors=1",
    },
    "simonsays": {
        "easy": "gameLength=3,numDistractors=1,memorization=0",
        "medium": "gameLength=8,numDistractors=3,memorization=0",
        "hard": "gameLength=10,numDistractors=3,memorization=1",
    },
    "peckingorder": {"easy": "", "medium": "", "hard": ""},
    "arithmetic": {"medium": "", "hard": ""},
    "sorting": {"medium": "", "hard": ""},
}
"""The settings of each game. Arithmetic and sorting have one difficulty only, and are not easy."""

FIRST_SEED: dict[Split, int] = {"train": 0, "test": 20_000}
"""The simulator's ranges of :data:`SEEDS` seeds; its folds of these names hold different things and texts."""

SEEDS = 1000

LEAST_STEPS = 30
"""AgentBoard cuts episodes there; no episode is cut earlier by default."""

HARD_STEPS = 10
"""Commands of the walkthrough, above which the label ``level`` is ``"hard"``."""

_COMMANDS = (
    "Write one command a message, such as: look around, inventory, move north, open THING, take THING, "
    "put THING in THING, read THING, check valid actions (lists all that can be done now)."
)
_VERBS = frozenset(
    {
        *("look", "inventory", "move", "open", "close", "take", "put", "read", "eat", "cook", "chop", "slice", "dice"),
        *("prepare", "examine", "answer", "task", "use"),
    }
)
"""First words of commands in any game, possible now or not."""

_UNKNOWN = "Unknown action"


@dataclass(frozen=True, slots=True)
class GameTask:
    """One game.

    Attributes:
        game: Its name.
        settings: Its settings, as the simulator takes them.
        fold: The simulator's data split.
        seed: What it is made from.
    """

    game: str
    settings: str
    fold: Split
    seed: int


class TextWorldExpressEnv(JavaEnv[GameTask]):
    """Cook, tidy up, search, read maps, calculate, sort, follow orders (TextWorldExpress, Jansen and Côté 2023).

    The score is the simulator's, as a share of the game's points (running maximum). Some mistakes lose the game, such
    as eating an ingredient or taking the wrong thing: that ends the episode with the progress so far, and
    ``info["metrics"]["failed"]`` is 1. A command counts for ``grounding`` if the simulator takes it.

    The expert follows the simulator's walkthrough. The label ``level`` is ``"hard"`` where that has more than ten
    commands.
    """

    env_id = "acenv/TextWorldExpress-v0"
    java_class = "textworldexpress.runtime.PythonInterface"

    def __init__(
        self,
        *,
        game: GameName = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment; Java is started by the first episode.

        Args:
            game: ``"mixed"``: each episode's seed decides; or the name of one game.
            difficulty: How many rooms, things and steps there are (see :data:`GAMES`). ``"mixed"`` leaves out
                arithmetic and sorting at ``"easy"``.
            split: The simulator's fold and seeds for training, or those for testing.
            max_steps: Actions after which an episode is cut. None: twice the length of the walkthrough, and at least
                AgentBoard's 30.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: textworld-express or Java is not installed.
            ValueError: A value that is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        if game not in get_args(GameName):
            raise ValueError(f"game must be one of {', '.join(get_args(GameName))}, not {game!r}")
        if game != "mixed" and difficulty not in GAMES[game]:
            raise ValueError(f"{game} has no {difficulty!r} setting: use difficulty='medium'")
        self._games = tuple(name for name in GAMES if game in ("mixed", name) and difficulty in GAMES[name])
        self._commands: tuple[str, ...] = ()
        self._valid: dict[str, str] = {}
        self._failed = False

    def jar(self) -> Path:
        """The archive in the package ``textworld_express``."""
        from textworld_express.constants import JAR_PATH

        return Path(JAR_PATH)

    # Tasks

    def sample_task(self, rng: np.random.Generator) -> GameTask:
        """Draw a game, and one of the simulator's seeds for this split."""
        game = pick(rng, self._games)
        seed = FIRST_SEED[self.split] + int(rng.integers(SEEDS))
        return GameTask(game, GAMES[game][self.difficulty], self.split, seed)

    def draw_task(self, attempts: int = 1000) -> GameTask:
        """Draw a task; the simulator itself says which seeds are for training, and which for testing."""
        del attempts
        return self.sample_task(self.np_random)

    def fingerprint(self, task: GameTask) -> str:
        """Game, settings and seed."""
        return f"{task.game} {task.settings} {task.fold} {task.seed}"

    # The simulator

    def begin(self, task: GameTask) -> str:
        """The task, the form of the commands, and what can be seen."""
        simulator = self.simulator
        complaint = simulator.call("load", task.game, task.settings)
        if complaint:
            raise ValueError(f"TextWorldExpress cannot make {task}: {complaint}")
        start = json.loads(simulator.call("generateNewGameJSON", task.seed, task.fold, True))
        self._commands = tuple(simulator.strings("getGoldActionSequence"))
        self.limit_steps(max(LEAST_STEPS, 2 * len(self._commands)))
        self._done, self._failed = [], False
        self._valid = {action.lower(): action for action in start["validActions"]}
        seen = (simulator.call("getTaskDescription"), _COMMANDS, start["observation"], start["inventory"])
        return "\n".join(text.strip() for text in seen if text.strip())

    def act(self, command: str) -> Turn:
        """Give a command to the game; capitals do not matter."""
        # The simulator takes a few commands that it does not list, such as "task".
        exact = self._valid.get(command.lower(), command)
        try:
            answer = json.loads(self.simulator.call("stepJSON", exact))
        except JavaFault as error:
            return Turn(f"The simulator failed at this: {error}.", 0.0, valid=False)
        self._valid = {action.lower(): action for action in answer["validActions"]}
        self._failed = bool(answer["taskfailure"])
        observation = answer["observation"].strip()
        valid = not observation.startswith(_UNKNOWN)
        if valid:
            self._done.append(exact)
        progress = min(1.0, max(0.0, float(answer["score"])))
        done = self._failed or answer["tasksuccess"] or progress >= 1.0
        fault: Fault | Literal[""] = ""
        if not valid:
            fault = not_understood(command, _VERBS | {action.split(" ")[0] for action in self._valid})
        return Turn(observation, progress, done=done, valid=valid, fault=fault)

    def valid_actions(self) -> list[str]:
        """The commands that the game takes now."""
        return sorted(self._valid.values())

    def find_walkthrough(self, task: GameTask) -> tuple[str, ...]:
        """The simulator's, without the commands in it that the game refuses, such as opening what is open."""
        self.begin(task)
        for command in self._commands:
            self.act(command)
        return tuple(self._done)

    def metrics(self) -> dict[str, float]:
        """Whether the game is lost."""
        return {"failed": float(self._failed)}

    def labels(self) -> dict[str, str]:
        """The game, and whether it is long."""
        return {"task": self.task.game, "level": "hard" if len(self._commands) > HARD_STEPS else "easy"}
