"""Texts to hide things in: sentences about nothing in particular, or the paragraphs of a folder of text files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.words import DID, WHAT, WHEN, WHO


def generated_sentences(rng: np.random.Generator) -> Iterator[str]:
    """Endless sentences of 6 to 12 words, each ending in a full stop."""
    while True:
        who = pick(rng, WHO)
        yield f"{who[0].upper()}{who[1:]} {pick(rng, DID)} {pick(rng, WHAT)} {pick(rng, WHEN)}."


def folder_sentences(folder: Path, rng: np.random.Generator) -> Iterator[str]:
    """Endless sentences of the ``*.txt`` files of a folder, in the order of their names, from a random one on.

    Raises:
        ValueError: The folder has no text files, or a file is not UTF-8.
    """
    files = sorted(folder.glob("*.txt"))
    sentences: list[str] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is not UTF-8 text: {error}") from error
        sentences.extend(s for s in re.split(r"(?<=[.!?])\s+", text) if s.strip())
    if not sentences:
        raise ValueError(f"{folder} holds no text: expected *.txt files")
    start = int(rng.integers(len(sentences)))
    while True:
        yield sentences[start % len(sentences)]
        start += 1


def fill(sentences: Iterator[str], length: int, count: Callable[[str], int]) -> list[str]:
    """Sentences with at most ``length`` tokens together, as many as fit."""
    taken: list[str] = []
    total = 0
    for sentence in sentences:
        total += count(sentence)
        if total > length:
            break
        taken.append(sentence)
    return taken


def hide(haystack: list[str], hidden: list[tuple[float, str]], count: Callable[[str], int]) -> list[str]:
    """Put sentences at depths in percent of the haystack's tokens.

    A sentence goes in at the last sentence end at or before its depth, as in Needle-in-a-Haystack; depth 100 appends.
    Of sentences that go to the same place the last one of the list comes first.
    """
    ends = np.cumsum([0, *(count(s) for s in haystack)])
    places = [
        len(haystack) if depth >= 100 else int(np.searchsorted(ends, ends[-1] * depth / 100, side="right")) - 1
        for depth, _ in hidden
    ]
    text = list(haystack)
    for place, (_, sentence) in sorted(zip(places, hidden, strict=True), key=lambda item: item[0], reverse=True):
        text.insert(place, sentence)
    return text


def counter(tokenizer: Any) -> Callable[[str], int]:
    """A function that counts tokens; words where no tokenizer is given.

    Args:
        tokenizer: An object with ``encode(text)``, a function from text to a number, or None.

    Raises:
        ValueError: It is none of these.

    >>> counter(None)("two words"), counter(len)("two words")
    (2, 9)
    """
    if tokenizer is None:
        return lambda text: len(text.split())
    if hasattr(tokenizer, "encode"):
        return lambda text: len(tokenizer.encode(text))
    if callable(tokenizer):
        return lambda text: int(tokenizer(text))
    raise ValueError(f"tokenizer must have encode(text) or be a function from text to a number, not {tokenizer!r}")
