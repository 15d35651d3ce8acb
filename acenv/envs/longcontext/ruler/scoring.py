"""How RULER scores an answer, and how we do where that is too lenient."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x1f]")

SPARE_WORDS = 20
"""How many words an answer may have beyond twice those of the references before :func:`whole_match` stops reading."""


def clean_prediction(text: str) -> str:
    r"""An answer as RULER's evaluator reads it: stripped, and every control character a line break.

    >>> clean_prediction(" a\tb\x00 ")
    'a\nb'
    """
    return _CONTROL.sub("\n", text.strip()).strip()


def string_match_all(prediction: str, references: Sequence[str]) -> float:
    """Percentage of the references that occur in the prediction, as substrings and in any case.

    The score of one item in RULER's ``scripts/eval/synthetic/constants.py``; over a data set, RULER takes the mean and
    rounds it to two decimals.

    Args:
        prediction: The answer, after :func:`clean_prediction`.
        references: What it must hold; at least one.

    Returns:
        A value from 0 to 100.

    Raises:
        ValueError: There are no references; the official evaluator divides by zero there.

    >>> string_match_all("It is 12 or 13.", ["12", "99"])
    50.0
    """
    return 100.0 * sum(_found(prediction, references)) / len(references)


def string_match_part(prediction: str, references: Sequence[str]) -> float:
    """100 if any of the references occurs in the prediction, else 0; arguments as of :func:`string_match_all`.

    >>> string_match_part("It is 12 or 13.", ["12", "99"])
    100.0
    """
    return 100.0 * max(_found(prediction, references))


def _found(prediction: str, references: Sequence[str]) -> list[bool]:
    if not references:
        raise ValueError("RULER scores no answer without references: outputs is empty")
    lowered = prediction.lower()
    return [reference.lower() in lowered for reference in references]


def whole_match(prediction: str, references: Sequence[str], *, part: bool = False) -> float:
    """Share of the references that an answer of reasonable length holds as whole words.

    RULER finds ``"12"`` in ``"1234"`` and ``"cat"`` in ``"catalogue"``, and takes the whole prompt for a perfect
    answer. Here a reference counts only as a word of its own (``"amber"`` is not one in ``"amber-bell"``), and within
    the first words of the answer: twice as many as the references have, and :data:`SPARE_WORDS` more.

    Args:
        prediction: The answer.
        references: What it must hold; at least one.
        part: Whether one reference is enough.

    Returns:
        A value in [0, 1].

    >>> whole_match("Box 1234, box 7.", ["12", "7"])
    0.5
    """
    limit = 2 * sum(len(reference.split()) for reference in references) + SPARE_WORDS
    head = " ".join(prediction.lower().split()[:limit])
    found = [
        re.search(rf"(?<!\w)(?<!\w-){re.escape(' '.join(reference.lower().split()))}(?!-?\w)", head) is not None
        for reference in references
    ]
    if not found:
        raise ValueError("there are no references to look for")
    return float(any(found)) if part else sum(found) / len(found)
