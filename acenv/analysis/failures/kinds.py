"""The kinds of failure, with a sentence on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFINITIONS: Mapping[str, str] = {
    "infrastructure": "The machinery failed (a policy, an environment or a record), and the episode was not scored.",
    "context overflow": "The conversation no longer fitted into the model's context, so no action could be asked for.",
    "dead end": "An action brought the world to a state from which the goal cannot be reached: lost, died, used up.",
    "runaway text": "A message went on in the same few words until it was cut at the limit of tokens or characters.",
    "cut off by length": "A message ran into the limit of tokens or of characters, and brought nothing as it was.",
    "unparsable": "No action, call or answer could be read from a message.",
    "schema violation": "A known tool or command was named, but its arguments are not those that its form asks for.",
    "hallucinated tool": "A tool or a command was named that is not on offer.",
    "wrong tool": "A call could be carried out, but it is of a tool that the task does not need there.",
    "wrong argument": "The right tool or command was used with a value that is wrong, or that names nothing there is.",
    "repeated action": "The same action, or the same cycle of up to four, was taken three times in a row to no avail.",
    "invalid in this world": "An action was understood, and the present state of the world does not allow it.",
    "gave up early": "The agent ended the task, or a turn of it, while something was still to be done.",
    "wrong graph": "The workflow that was given is not the right one: nodes or edges are missing, wrong or too many.",
    "wrong answer": "An answer, or an act that counts as one such as a purchase, ended the episode and was not right.",
    "out of steps": "All actions were possible, and they were used up before the goal was reached.",
    "unexplained": "The episode was lost, and no rule says why.",
}
"""A sentence on each kind of failure, in order of precedence: what explains an episode best comes first.

Faults of the machinery come before all others, then what can no longer be mended, then the form of a message, then a
wrong choice, and at last what only says how the episode ended.
"""

FAILURES: tuple[str, ...] = tuple(DEFINITIONS)
"""The kinds, in order of precedence."""

RECOVERABLE = frozenset(
    {
        *("runaway text", "cut off by length", "unparsable", "schema violation", "hallucinated tool"),
        *("wrong tool", "wrong argument", "repeated action", "invalid in this world"),
    }
)
"""Failures that can be made good: progress after one of them means that the agent has, unless it cost some return."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong in an episode.

    Attributes:
        kind: One of :data:`FAILURES`.
        step: Which action it was, counted from 0; the number of actions where it was none of them.
        detail: The action, or what else there is to say, in a line.
    """

    kind: str
    step: int
    detail: str = ""
