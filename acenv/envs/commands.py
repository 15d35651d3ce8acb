"""Commands in the text of an assistant: one line in plain words, as text worlds take it."""

from __future__ import annotations

import re

MAX_COMMAND_CHARS = 200
"""Of a longer line only the start is read."""

CHECK = "check valid actions"
"""AgentBoard's command that asks what can be done now; ``check`` alone is enough."""

_LABEL = re.compile(r"^\W*action\s*:", re.IGNORECASE | re.MULTILINE)


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
