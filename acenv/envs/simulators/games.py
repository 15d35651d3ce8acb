"""TextWorld's games: made from a number, compiled once, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from acenv.envs.base import Difficulty, Split, split_of

if TYPE_CHECKING:
    from textworld import Game, GameOptions
    from textworld.generator.game import Event

GameKind = Literal["quest", "cooking", "treasure"]
KINDS: tuple[GameKind, ...] = get_args(GameKind)

_RECIPES = 1
"""Counted up when the settings below change, so that no old game is taken for a new one."""

_ATTEMPTS = 100

_QUEST = {
    # rooms, objects, actions of a quest, quests at once
    "easy": (2, 6, 3, 1),
    "medium": (6, 16, 6, 2),
    "hard": (12, 30, 9, 3),
}

# Without the limit to what one can carry ("drop"): TextWorld finds no winning policy for games that have it.
_COOKING: dict[str, dict[str, Any]] = {
    "easy": {"recipe": 1, "take": 1, "go": 1, "open": False, "cook": True, "cut": False},
    "medium": {"recipe": 2, "take": 2, "go": 6, "open": True, "cook": True, "cut": True},
    "hard": {"recipe": 3, "take": 3, "go": 12, "open": True, "cook": True, "cut": True},
}

_TREASURE_LEVELS = {"easy": (1, 10), "medium": (11, 20), "hard": (21, 30)}

PARSING = threading.RLock()
"""To be held while TextWorld reads or writes its languages: its parsers are shared by the whole process."""

_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class GameTask:
    """A TextWorld game.

    Attributes:
        name: What it is called, such as ``"cooking-medium-test-3"``.
        kind: The kind of game, or ``"own"`` for a file of the user's.
        story: The compiled game, ``.z8``; its description stands next to it, as ``.json``.
        content: A hash of what the world holds and what wins.
    """

    name: str
    kind: str
    story: str
    content: str

    @property
    def description(self) -> Path:
        """TextWorld's description of the game."""
        return Path(self.story).with_suffix(".json")


def cache_folder() -> Path:
    """Where acenv keeps what takes long to make: ``$ACENV_CACHE``, or ``acenv`` in the user's cache folder."""
    if chosen := os.environ.get("ACENV_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acenv"


def find_game(kind: GameKind, difficulty: Difficulty, split: Split, number: int) -> GameTask:
    """Game ``number`` of a kind, from the cache, or made now (some seconds on a free core).

    A game belongs to a split by a hash of its content. Two processes that need the same game at once both make it,
    and one of the two, which are the same, is kept.

    Raises:
        RuntimeError: TextWorld or its compiler has failed.
    """
    import textworld.version

    made_by = f"{textworld.version.__version__}-{_RECIPES}"
    folder = cache_folder() / "textworld" / made_by / f"{kind}-{difficulty}" / f"{split}-{number:04d}"
    name = f"{kind}-{difficulty}-{split}-{number}"
    with _making:  # TextWorld's own random generator is shared by the whole process
        if not folder.is_dir():
            _compile(folder, kind, difficulty, split, number)
    content = (folder / "content").read_text(encoding="utf-8")
    return GameTask(name, kind, str(folder / "game.z8"), content)


def own_game(story: Path) -> GameTask:
    """A game that the user has made with TextWorld.

    Raises:
        FileNotFoundError: Its description is not beside it.
    """
    from textworld import Game

    task = GameTask(story.stem, "own", str(story), "")
    if not task.description.is_file():
        raise FileNotFoundError(
            f"{task.description} is missing: a TextWorld game is a .z8 file and the .json file that tw-make writes "
            "with it; other games for the Z-machine go to acenv/Jericho-v0"
        )
    with PARSING:
        return GameTask(task.name, task.kind, task.story, content_of(Game.load(str(task.description))))


def content_of(game: Game) -> str:
    """A hash of the world at the start, by the names of its things, and of the commands that win."""
    from textworld.generator.inform7 import Inform7Game

    inform = Inform7Game(game)
    facts = sorted(str(inform.get_human_readable_fact(fact)) for fact in game.world.facts)
    return hashlib.blake2b(repr((facts, game.walkthrough)).encode(), digest_size=16).hexdigest()


def _compile(folder: Path, kind: GameKind, difficulty: Difficulty, split: Split, number: int) -> None:
    """Make the game in a folder beside the one that it is for, and rename that when it is complete."""
    from textworld import GameOptions
    from textworld.generator import compile_game

    folder.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    state = np.random.get_state()  # noqa: NPY002 (TextWorld draws from the global generator in places)
    try:
        with PARSING:
            game, content = _draw(kind, difficulty, split, number)
        options = GameOptions()
        options.path = str(workshop / "game.z8")
        compile_game(game, options)
        (workshop / "game.ni").unlink(missing_ok=True)  # the source, which nothing reads
        (workshop / "content").write_text(content, encoding="utf-8")
        try:
            workshop.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise  # else another process was quicker
    except Exception as error:  # whatever goes wrong inside TextWorld, the user needs to know which game
        raise RuntimeError(
            f"TextWorld could not make game {number} ({kind}, {difficulty}, {split}): {error}"
        ) from error
    finally:
        np.random.set_state(state)  # noqa: NPY002
        shutil.rmtree(workshop, ignore_errors=True)


def _draw(kind: GameKind, difficulty: Difficulty, split: Split, number: int) -> tuple[Game, str]:
    """The first game of the split, of those that the number stands for, and its content."""
    for attempt in range(_ATTEMPTS):
        key = f"{kind} {difficulty} {number} {attempt}"
        seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % 2**31
        game = _MAKERS[kind](difficulty, seed)
        content = content_of(game)
        if split_of(content) == split:
            return game, content
    raise RuntimeError(f"none of {_ATTEMPTS} games is of the {split!r} split")


def _options(seed: int) -> GameOptions:
    from textworld import GameOptions, g_rng

    g_rng.set_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    options = GameOptions()
    options.seeds = seed
    return options


def _quest(difficulty: Difficulty, seed: int) -> Game:
    from textworld.generator import make_game
    from textworld.generator.inform7 import Inform7Game

    options = _options(seed)
    options.nb_rooms, options.nb_objects, options.quest_length, options.nb_parallel_quests = _QUEST[difficulty]
    game = make_game(options)
    if difficulty != "easy":
        # TextWorld words every step of one quest only; the last step of each is enough, and leaves the way to find.
        events = [quest.win_events[0] for quest in game.quests]
        commands = Inform7Game(game).gen_commands_from_actions([event.actions[-1] for event in events])
        ends = [command + _where(game, event) for command, event in zip(commands, events, strict=True)]
        game.objective = f"Do all of this, in any order: {'; '.join(ends)}."
    return game


def _where(game: Game, event: Event) -> str:
    """In which room the player must be for an event to happen, in words; empty where it may be any."""
    rooms = [
        fact.arguments[1].name for fact in event.condition.preconditions if fact.name == "at" and fact.names[0] == "P"
    ]
    return f" (in the {game.infos[rooms[0]].name})" if rooms else ""


def _cooking(difficulty: Difficulty, seed: int) -> Game:
    from textworld.challenges import CHALLENGES

    settings = {**_COOKING[difficulty], "drop": False, "recipe_seed": seed, "split": ""}
    game: Game = CHALLENGES["tw-cooking"][1](settings, _options(seed))
    return game


def _treasure(difficulty: Difficulty, seed: int) -> Game:
    from textworld.challenges import CHALLENGES

    first, last = _TREASURE_LEVELS[difficulty]
    options = _options(seed)
    options.grammar.only_last_action = difficulty != "easy"
    game: Game = CHALLENGES["tw-treasure_hunter"][1]({"level": first + seed % (last - first + 1)}, options)
    return game


_MAKERS: dict[GameKind, Callable[[Difficulty, int], Game]] = {
    "quest": _quest,
    "cooking": _cooking,
    "treasure": _treasure,
}
