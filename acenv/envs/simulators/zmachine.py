"""A Z-machine with a game in it (jericho's Frotz), made safe for commands that a language model writes."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

STORY_SUFFIXES = (".z3", ".z4", ".z5", ".z6", ".z7", ".z8")
"""Names of files that the Z-machine runs end like this."""

MAX_LINE = 150
"""The machine's input buffer holds 198 bytes; no command that a parser understands is as long."""

_OFF_LIMITS = (
    *("save", "restore", "restart", "quit", "q", "undo", "script", "unscript", "noscript", "transcript"),
    *("record", "recording", "replay", "verify", "superbrief"),
    *("tw-trace-actions", "tw-extra-infos", "tw-print"),
)
"""Commands that write files, end or rewind the game, or change how it reports what happens."""

NO_SUCH_THING = re.compile(r"(?:see|have) (?:any|no) such thing", re.IGNORECASE)
"""How the parsers of Infocom and of Inform's libraries say that a name means nothing here."""

_WORD_CHARS = 6
"""Old games tell words apart by their first six letters only."""

_SEPARATOR = re.compile(r"[.;!?]+|\bthen\b", re.IGNORECASE)
_PROMPT = re.compile(r"\n\s*>[^\n]*\Z")
_BLANK_LINES = re.compile(r"\n{3,}")


class OffLimitsError(ValueError):
    """A command that would act on the game's files or on the interpreter, and not in its world."""


def game_line(command: str) -> str:
    """What of a command goes to the game: its first sentence, in plain ASCII.

    Parsers take several commands in a line, parted by full stops or *then*; a message carries one.

    Raises:
        OffLimitsError: The command is about the game's files or the interpreter; the message is for the agent.

    >>> game_line("Take the café key. Then go north!")
    'Take the caf key'
    """
    first = next((part for part in _SEPARATOR.split(command) if part.strip()), "")
    # Without the marks that games set around their own reports, which an echo of the line could imitate, and without
    # the backslash, which speaks to the interpreter.
    line = "".join(char for char in first if " " <= char <= "~" and char not in "[]<>*\\").strip()[:MAX_LINE]
    for clause in line.lower().split(","):  # "robot, save" is an order to someone
        words = clause.replace('"', " ").split()
        verb = words[0].lstrip("#") if words else ""
        if any(verb[:_WORD_CHARS] == name[:_WORD_CHARS] for name in _OFF_LIMITS):
            raise OffLimitsError(f"{verb} is no part of the game.")
    return line


class ZMachine:
    """One game that runs. Every instance has a copy of the interpreter to itself, so threads don't disturb each other.

    Attributes:
        frotz: jericho's environment.
        opening: What the game says first.
    """

    def __init__(self, story: Path, seed: int) -> None:
        """Start the game.

        Args:
            story: The game's file.
            seed: Seeds the machine's random numbers; at least 1, because jericho takes 0 for the time of day.

        Raises:
            ValueError: The machine cannot run the file.
        """
        import jericho

        data = story.read_bytes()[:64]
        if len(data) < 64 or not 3 <= data[0] <= 8:
            raise ValueError(f"{story} is not a game for the Z-machine (version 3 to 8)")
        # That a game is unknown to jericho is the usual case, and is handled.
        warnings.filterwarnings("ignore", category=jericho.UnsupportedGameWarning)
        self.frotz = jericho.FrotzEnv(str(story), seed=seed)
        self.opening = tidy(self.frotz.reset()[0])

    def send(self, line: str) -> str:
        """Give the game a line of :func:`game_line`; all that it says."""
        return str(self.frotz.step(line)[0])

    def save(self) -> Any:
        """A copy of the machine's memory; it survives :func:`copy.deepcopy`."""
        return self.frotz.get_state()

    def load(self, saved: Any) -> None:
        """Put a copy of :meth:`save` back."""
        self.frotz.set_state(saved)

    def ask(self, line: str) -> str:
        """What the game would say to a line; nothing has happened afterwards."""
        saved = self.save()
        try:
            return self.send(line)
        finally:
            self.load(saved)


def tidy(text: str) -> str:
    r"""What a game says, without prompt, status line and gaps.

    >>> tidy("\nTaken.\n\n\n\nA bell rings.\n\n>          -= Kitchen =-0/4")
    'Taken.\n\nA bell rings.'
    """
    return _BLANK_LINES.sub("\n\n", _PROMPT.sub("", "\n" + text.rstrip())).strip()


def story_files(source: str | Path, suffixes: tuple[str, ...] = STORY_SUFFIXES) -> list[Path]:
    """The games at a path: the file itself, or all in the folder and its subfolders, in order of their names.

    Raises:
        FileNotFoundError: There is none; the message says what is there.
    """
    path = Path(source).expanduser()
    wanted = ", ".join(suffixes)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        if not found:
            raise FileNotFoundError(f"the folder {path} holds no game: expected files that end in {wanted}")
        return found
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no game at {path}: expected a file that ends in {wanted}, or a folder of such"
        )
    if path.suffix.lower() not in suffixes:
        raise FileNotFoundError(f"{path} is no game: expected a file that ends in {wanted}")
    return [path]


def nth(files: list[Path], index: int) -> Path:
    """Game ``index`` of several.

    Raises:
        ValueError: There is no such game.
    """
    if not 0 <= index < len(files):
        raise ValueError(f"options['index'] = {index}: there are {len(files)} games, numbered from 0")
    return files[index]
