"""``acenv/Jericho-v0``: a Z-machine game that the user has, played through jericho."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acenv.envs.base import Difficulty, Snapshot, Split, pick
from acenv.envs.commands import misread
from acenv.envs.simulators.base import SimulatorEnv, Turn
from acenv.envs.simulators.zmachine import NO_SUCH_THING, OffLimitsError, ZMachine, game_line, nth, story_files, tidy
from acenv.envs.sources import RecordError, describe
from acenv.types import Fault

_NO_GAME = (
    "acenv/Jericho-v0 plays a game of yours: give game=<file or folder>, with files that end in .z3 to .z8. acenv has "
    "none; games of the Interactive Fiction Archive (ifarchive.org) are free to download, and those that jericho knows "
    "well are listed in its documentation. acenv/TextWorld-v0 makes its own games, and needs no file"
)

_RULES = """\
You play a text adventure. Write one command a message, in plain words, such as look, inventory, north, open THING, \
take THING, put THING in PLACE, examine THING. Write check valid actions to list what can be done now.{goal}"""

_BASICS = (
    *("look", "inventory", "north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest"),
    *("up", "down", "in", "out", "wait"),
)

_NOUNS = "en_core_web_sm"

_REFUSALS = re.compile(
    r"\[!|not a verb I|isn't a verb|don't know the word|don't use the word|didn't understand|I beg your pardon"
    r"|only understood you as far|(?:see|have) (?:any|no) such thing|no verb in that|isn't one I recogni[sz]e"
    r"|can't use multiple|have to be more specific|that sentence|doesn't make sense"
    r"|(?:^|\n)\[?(?:What|Who|Which|Where) do you (?:want|mean)",
    re.IGNORECASE,
)
"""How the parsers of Infocom and of Inform's libraries say that they did not understand."""

_SCORED = re.compile(
    r"score\w*\s+(?:is\s+)?(-?\d+)\s*(?:points?\s*)?(?:out\s*)?of\s+(?:a\s+)?(?:(?:possible|maximum)\s+)?(?:of\s+)?(\d+)",
    re.IGNORECASE,
)
"""How games tell their score, such as *You have so far scored 5 out of a possible 350*."""

_ENDING = re.compile(r"\*\*\*+\s*([^*\n]+?)\s*\*\*\*+")
_TRIUMPH = re.compile(r"\bwon\b|\bwin\b|victor|congratulations|^the end$", re.IGNORECASE)
_NOT_WORDS = re.compile(r"[^a-zA-Z0-9\s]")


_Note = tuple[str, tuple[str, ...], str]
"""Goal, subgoals and level."""


@dataclass(frozen=True, slots=True)
class StoryTask:
    """A game.

    Attributes:
        story: The file.
        content: A hash of it.
        goal: What the agent is told to reach, if annotated.
        subgoals: What the game says on the way, if annotated.
        level: AgentBoard's ``"easy"`` or ``"hard"``, if annotated.
    """

    story: str
    content: str
    goal: str = ""
    subgoals: tuple[str, ...] = ()
    level: str = ""


class JerichoEnv(SimulatorEnv[StoryTask]):
    """Play a Z-machine game (jericho, Hausknecht et al. 2020) that the user has.

    The score is AgentBoard's progress rate where the game is annotated: the share of subgoals that an observation has
    contained, letters and digits compared, one subgoal an observation; all of them end the episode, and are success.
    Without annotations it is the game's own score as a share of its maximum, which jericho reads from the games that it
    knows; others are asked (``score``, on a copy of the state); a game that says it is won counts as 1.0.

    An action counts for ``grounding`` unless the parser says that it does not understand; AgentBoard looks for the mark
    ``[!`` alone, and the metric ``official_grounding`` follows it. Of several commands in a line the first is taken;
    ``save``, ``restore``, ``quit`` and the like are refused. ``info["metrics"]`` has ``points``, the game's own score
    (0 where it has none), and ``lost``.

    Snapshots hold the machine's memory, so :meth:`restore` takes less than a millisecond.

    ``difficulty`` and ``split`` choose nothing here: the games are the user's. The label ``level`` is the annotated
    one; otherwise it is ``"easy"`` where the walkthrough has at most 10 commands.
    """

    env_id = "acenv/Jericho-v0"

    def __init__(
        self,
        *,
        game: str | Path | None = None,
        walkthrough: str | Path | Sequence[str] | None = None,
        annotations: str | Path | None = None,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int = 30,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            game: A game's file, or a folder of games, of which the seed or ``options={"index": i}`` takes one.
            walkthrough: The commands that the expert gives, for a single game: a list, or a text file with one command
                a line. None: jericho's own, for the games that it knows, or that of the ``.json`` file beside a game of
                TextWorld's.
            annotations: A JSON or JSON Lines file of objects with ``subgoals`` (a list of texts), and if you like
                ``game_name`` (the file's name without ending; without it they go by the order of the files),
                ``goal`` and ``difficulty``.
            difficulty: Chooses nothing; at ``"easy"``, three refused actions in a row end the episode.
            split: Chooses nothing.
            max_steps: Actions after which an episode is cut; AgentBoard's 30 by default.
            render_mode: ``"ansi"`` or None.

        Raises:
            MissingSimulatorError: jericho is not installed.
            FileNotFoundError: There is no game, walkthrough or annotation file at the path.
            ValueError: No game was given, or a value is not one of those named above.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        if game is None:
            raise ValueError(_NO_GAME)
        files = story_files(game)
        if walkthrough is not None and len(files) > 1:
            raise ValueError(f"walkthrough= is for one game, and {game} holds {len(files)}: give game=<file>")
        notes = _read_annotations(Path(annotations).expanduser()) if annotations is not None else []
        self.game = game
        self._games = files
        self._notes = _match(files, notes)
        self._given = _read_walkthrough(walkthrough)
        self._machine: ZMachine | None = None
        self._started: StoryTask | None = None
        self._walkthrough: list[str] = []
        self._points, self._maximum = 0, 0
        self._reached: list[int] = []
        self._marked = 0
        self._lost = False
        self._strayed = False

    def sample_task(self, rng: np.random.Generator) -> StoryTask:
        """Draw a game."""
        return self._task_of(pick(rng, self._games))

    def draw_task(self, attempts: int = 1000) -> StoryTask:
        """The user's games belong to no split."""
        del attempts
        return self.sample_task(self.np_random)

    def load_task(self, index: int) -> StoryTask:
        """Game ``index`` of the folder."""
        return self._task_of(nth(self._games, index))

    def fingerprint(self, task: StoryTask) -> str:
        """A hash of the game's file."""
        return task.content

    def begin(self, task: StoryTask) -> str:
        """Rules, goal if annotated, and what the game says first."""
        self._start(task)
        assert self._machine is not None
        goal = f"\nYour goal: {task.goal}" if task.goal else ""
        return f"{_RULES.format(goal=goal)}\n\n{self._machine.opening}"

    def act(self, command: str) -> Turn:
        """Give a command to the game."""
        machine = self._running_machine
        try:
            line = game_line(command)
        except OffLimitsError as error:
            self._marked += 1
            return Turn(str(error), self._progress_now(), valid=False)
        raw = machine.send(line)
        text = tidy(raw)
        self._marked += "[!" in raw
        valid = not _REFUSALS.search(text)
        journey = self.state
        if not self._strayed and journey.followed < len(self._walkthrough) and _same(line, self._expected):
            journey.followed += 1
        elif valid:
            self._strayed = True
        ending = _ENDING.search(text)
        over = bool(ending) or bool(machine.frotz.game_over()) or bool(machine.frotz.victory())
        won = bool(machine.frotz.victory()) or bool(ending and _TRIUMPH.search(ending[1]))
        self._lost = over and not won
        self._count(text, over)
        self._match_subgoal(text)
        subgoals = self.task.subgoals
        progress = 1.0 if won and not subgoals else self._progress_now()
        complete = bool(subgoals) and len(self._reached) == len(subgoals)
        fault: Fault | Literal[""] = ""
        if not valid:
            fault = "wrong argument" if NO_SUCH_THING.search(text) else misread(line, ())
        return Turn(text, progress, done=over or complete, valid=valid, fault=fault)

    def valid_actions(self) -> list[str]:
        """What jericho finds, for games that it knows and if spaCy's ``en_core_web_sm`` is installed.

        Otherwise those of the commonest commands that the game understands.
        """
        machine = self._running_machine
        # jericho tells nouns by a language model of spaCy's, which it would download on the spot.
        if machine.frotz.is_fully_supported and importlib.util.find_spec(_NOUNS) is not None:
            return sorted(str(action) for action in machine.frotz.get_valid_actions(use_parallel=False))
        return [line for line in _BASICS if not _REFUSALS.search(tidy(machine.ask(line)))]

    def expert_action(self) -> str:
        """The next command of the walkthrough.

        Raises:
            NotImplementedError: There is no walkthrough, it is at its end, or the agent has left it.
        """
        if not self._walkthrough:
            raise NotImplementedError("jericho has no walkthrough of this game: give walkthrough=<file or list>")
        if self._strayed:
            raise NotImplementedError("the walkthrough has been left, and leads nowhere from here")
        if self.state.followed >= len(self._walkthrough):
            raise NotImplementedError("the walkthrough is at its end")
        return self._expected

    def metrics(self) -> dict[str, float]:
        """The game's score, whether it was lost, and AgentBoard's grounding."""
        steps = self.steps
        official = (steps - self._marked) / steps if steps else 0.0
        return {"points": float(self._points), "lost": float(self._lost), "official_grounding": official}

    def labels(self) -> dict[str, str]:
        """The game's name, and its level."""
        level = self.task.level or ("easy" if 0 < len(self._walkthrough) <= 10 else "hard")
        return {"task": Path(self.task.story).stem, "level": level}

    def snapshot(self) -> Snapshot:
        """See :meth:`ConversationEnv.snapshot`; with a copy of the machine's memory."""
        kept = (self._points, self._maximum, tuple(self._reached), self._marked, self._lost, self._strayed)
        self.state.saved = (self._running_machine.save(), kept)
        try:
            return super().snapshot()
        finally:
            self.state.saved = None

    def resume(self) -> None:
        """Put the machine's memory back."""
        memory, kept = self.state.saved
        self.state.saved = None
        if self._machine is None or self._started != self.task:
            self._start(self.task)
        self._running_machine.load(memory)
        self._points, self._maximum, reached, self._marked, self._lost, self._strayed = kept
        self._reached = list(reached)

    def close(self) -> None:
        """End the game and give its memory back."""
        self._machine = None

    # Inside

    @property
    def _running_machine(self) -> ZMachine:
        if self._machine is None:
            raise RuntimeError("the game was closed: call reset()")
        return self._machine

    @property
    def _expected(self) -> str:
        return self._walkthrough[self.state.followed]

    def _task_of(self, file: Path) -> StoryTask:
        content = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
        goal, subgoals, level = self._notes.get(str(file), ("", (), ""))
        return StoryTask(str(file), content, goal, subgoals, level)

    def _start(self, task: StoryTask) -> None:
        # The walkthroughs of jericho hold for its own seeds; other games get one from the file, the same each time.
        machine = ZMachine(Path(task.story), seed=1 + int(task.content[:6], 16))
        known = (machine.frotz.bindings or {}) if machine.frotz.is_fully_supported else {}
        if "seed" in known:
            machine = ZMachine(Path(task.story), seed=int(known["seed"]))
        self._machine = machine
        self._started = task
        own = [line for line in known.get("walkthrough", "").split("/") if line]
        self._walkthrough = self._given or own or _made_walkthrough(Path(task.story))
        self._points, self._maximum, self._reached, self._marked = 0, 0, [], 0
        self._lost = self._strayed = False
        self._count("", over=False)

    def _count(self, text: str, over: bool) -> None:
        """Read the game's score."""
        machine = self._running_machine
        if machine.frotz.is_fully_supported:
            self._points, self._maximum = int(machine.frotz.get_score()), int(machine.frotz.get_max_score())
            return
        # Games that have ended, and say so, ask what to do next and no longer take commands.
        match = _SCORED.search(text) if over else _SCORED.search(tidy(machine.ask("score")))
        if match:
            self._points, self._maximum = int(match[1]), int(match[2])

    def _match_subgoal(self, text: str) -> None:
        """AgentBoard's rule: the first open subgoal that the observation contains is reached."""
        told = _NOT_WORDS.sub("", re.sub(r"\s+", " ", text))
        for number, subgoal in enumerate(self.task.subgoals):
            if number not in self._reached and _NOT_WORDS.sub("", subgoal) in told:
                self._reached.append(number)
                return

    def _progress_now(self) -> float:
        if self.task.subgoals:
            return len(self._reached) / len(self.task.subgoals)
        return min(1.0, max(0.0, self._points / self._maximum)) if self._maximum > 0 else 0.0


def _same(line: str, expected: str) -> bool:
    return line.lower().split() == expected.lower().split()


def _read_walkthrough(given: str | Path | Sequence[str] | None) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, str | Path):
        return [str(line) for line in given]
    path = Path(given).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no walkthrough at {path}: expected a text file with one command a line")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _made_walkthrough(story: Path) -> list[str]:
    """The walkthrough in TextWorld's description of a game, if there is one."""
    try:
        description = json.loads(story.with_suffix(".json").read_text(encoding="utf-8"))
        return [str(line) for line in description["metadata"]["walkthrough"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _read_annotations(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"there are no annotations at {path}: expected a JSON or JSON Lines file")
    text = path.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
        notes = whole if isinstance(whole, list) else [whole]
    except json.JSONDecodeError:
        notes = []
        for number, line in enumerate(text.splitlines()):
            try:
                notes += [json.loads(line)] if line.strip() else []
            except json.JSONDecodeError as error:
                raise RecordError(path, number, "a JSON object", f"{error}") from error
    for number, note in enumerate(notes):
        goals = note.get("subgoals") if isinstance(note, dict) else None
        if not (isinstance(goals, list) and goals and all(isinstance(goal, str) for goal in goals)):
            raise RecordError(path, number, "an object with subgoals, a list of texts", describe(note))
    return notes


def _match(files: list[Path], notes: list[dict[str, Any]]) -> dict[str, _Note]:
    """Which annotation is of which game: by name, or else by order."""
    named = {str(note["game_name"]): note for note in notes if "game_name" in note}
    plain = [note for note in notes if "game_name" not in note]
    if plain and len(plain) != len(files):
        raise ValueError(f"there are {len(plain)} annotations without game_name, and {len(files)} games")
    matched = {}
    for number, file in enumerate(files):
        note = named.get(file.stem) or (plain[number] if plain else None)
        if note is not None:
            subgoals = tuple(note["subgoals"])
            matched[str(file)] = (str(note.get("goal", "")), subgoals, str(note.get("difficulty", "")))
    return matched
