"""What generators of LongBench tasks give, and the sentences that several of them use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.haystack import generated_sentences
from acenv.envs.longcontext.words import ADJECTIVES, ANIMALS, KINDS, NAMES, NOUNS, SURNAMES


@dataclass(frozen=True, slots=True)
class Draft:
    """A generated task.

    Attributes:
        prompt: All that the model is told.
        answers: Right answers; the first one scores 1.0.
        all_classes: The classes, where one of them is asked for.
    """

    prompt: str
    answers: tuple[str, ...]
    all_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """``The {kind} of the {thing} is {value}.``."""

    kind: str
    thing: str
    value: str

    def __str__(self) -> str:
        return f"The {self.kind} of the {self.thing} is {self.value}."


def things(rng: np.random.Generator, count: int) -> list[str]:
    """Different things, such as ``"steady basin"``, many of which share a word at large counts."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[f"{pick(rng, ADJECTIVES)} {pick(rng, NOUNS)}"] = None
    return list(found)


def value(rng: np.random.Generator) -> str:
    """A value, such as ``"glass duck 82"``."""
    return f"{pick(rng, ADJECTIVES)} {pick(rng, ANIMALS)} {int(rng.integers(10, 100))}"


def values(rng: np.random.Generator, count: int) -> list[str]:
    """Different values."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[value(rng)] = None
    return list(found)


def facts(rng: np.random.Generator, count: int) -> list[Fact]:
    """Facts about different things, with different values."""
    return [
        Fact(str(pick(rng, KINDS)), thing, what)
        for thing, what in zip(things(rng, count), values(rng, count), strict=True)
    ]


def filler(rng: np.random.Generator, count: int) -> list[str]:
    """Sentences about nothing in particular."""
    sentences = generated_sentences(rng)
    return [next(sentences) for _ in range(count)]


def shuffled(rng: np.random.Generator, items: Sequence[str]) -> list[str]:
    """The items in random order."""
    return list(pick(rng, items, len(items)))


def capitalised(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a task is.

    Attributes:
        words: Of its text.
        chars: Of its text, where it is Chinese.
        items: How many things, people or passages matter.
        hops: How many facts must be joined, or how often something changes.
    """

    words: int
    chars: int
    items: int
    hops: int


def people(rng: np.random.Generator, count: int) -> list[str]:
    """Different people, with first and last name."""
    return list(pick(rng, [f"{name} {surname}" for name in NAMES for surname in SURNAMES], count))


def bury(rng: np.random.Generator, sentences: Sequence[str], words: int) -> str:
    """A text of about so many words that says the sentences, in their order, among others; in paragraphs."""
    room = words - sum(len(sentence.split()) for sentence in sentences)
    others = filler(rng, max(0, room // 9))
    places = np.sort(rng.integers(0, len(others) + 1, size=len(sentences))).tolist()
    text: list[str] = []
    start = 0
    for place, sentence in zip(places, sentences, strict=True):
        text += [*others[start:place], sentence]
        start = place
    text += others[start:]
    return "\n\n".join(" ".join(text[i : i + 12]) for i in range(0, len(text), 12))


def numbered(texts: Sequence[str], name: str = "Passage") -> str:
    """The texts under headings, such as ``Passage 1:``."""
    return "\n\n".join(f"{name} {i}:\n{text}" for i, text in enumerate(texts, 1))
