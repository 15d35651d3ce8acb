"""What generators of LongGenBench sets give, and the form of an answer."""

from __future__ import annotations

from dataclasses import dataclass

from acenv.envs.longcontext.words import NOUNS

LETTERS = "ABCD"

COUNTABLE = tuple(noun for noun in NOUNS if not noun.endswith(("s", "x", "y", "ch", "sh")))
"""Nouns whose plural only adds an s."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A generated set of questions.

    Attributes:
        system: The system message; empty for none.
        prompt: The user message.
        answers: The gold answers in the benchmark's form: a text with ``#### n``, or a letter.
        first: The number of the first question.
        response: The text that answers all.
    """

    system: str
    prompt: str
    answers: tuple[str, ...]
    first: int
    response: str


def answer_block(number: int, answer: str) -> str:
    r"""An answer under its number.

    >>> answer_block(9, "The answer is 3.")
    'Answer_9:\nThe answer is 3.'
    """
    return f"Answer_{number}:\n{answer}"
