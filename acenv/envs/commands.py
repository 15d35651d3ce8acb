"""Commands in the text of an assistant: one line in plain words, as text worlds take it."""

from __future__ import annotations

import re
from collections.abc import Container

from acenv.types import Fault

MAX_COMMAND_CHARS = 200
"""Of a longer line only the start is read."""

CHECK = "check valid actions"
"""AgentBoard's command that asks what can be done now; ``check`` alone is enough."""

# Within a line, and without going back: thousands of empty lines cost linear time.
_LABEL = re.compile(r"^[^\w\n]*+action\s{0,20}+:", re.IGNORECASE | re.MULTILINE)


def command_line(text: str, limit: int = MAX_COMMAND_CHARS) -> str:
    r"""The command in a message: the first line with words in it, behind the label ``Action:`` if there is one.

    Args:
        text: What an assistant wrote; what stands up to ``</think>`` is passed over.
        limit: Characters of the line that are read.

    >>> command_line("I should look first.\nAction: open the fridge\nObservation: it is open")
    'open the fridge'
    """
    text = text.rpartition("</think>")[2]
    label = _LABEL.search(text)
    lines = (text[label.end() :] if label else text).split("\n")
    return next((line.strip() for line in lines if line.strip()), "")[:limit].strip()


def asks_for_valid_actions(command: str) -> bool:
    """Whether the command is ``check valid actions`` or ``check``.

    >>> asks_for_valid_actions("Check valid actions."), asks_for_valid_actions("check the drawer")
    (True, False)
    """
    return command.lower().strip(" .!") in (CHECK, "check")


MAX_COMMAND_WORDS = 6
"""A line of more words that begins with no known verb is taken for prose, not for a command that does not exist."""


def misread(command: str, verbs: Container[str]) -> Fault:
    """What is wrong with a command that has none of the known forms.

    Args:
        command: From :func:`command_line`, or the words of it that count.
        verbs: First words of the known commands, in small letters.

    >>> misread("take", {"take"}), misread("fly home", {"take"}), misread("I think that I should first look", {"take"})
    ('schema violation', 'hallucinated tool', 'unparsable')
    """
    words = command.lower().split()
    if words and words[0].strip(".,:;!?*`\"'") in verbs:
        return "schema violation"
    is_command = bool(words) and len(words) <= MAX_COMMAND_WORDS and words[0][0].isalpha()
    return "hallucinated tool" if is_command else "unparsable"


def not_understood(command: str, verbs: Container[str]) -> Fault:
    """What is wrong with a command that a simulator does not understand, which it is for forms and names alike.

    >>> [not_understood(words, {"take"}) for words in ("take the moon", "take", "fly home")]
    ['wrong argument', 'schema violation', 'hallucinated tool']
    """
    verb, _, names = command.lower().strip().partition(" ")
    return "wrong argument" if verb in verbs and names else misread(command, verbs)
