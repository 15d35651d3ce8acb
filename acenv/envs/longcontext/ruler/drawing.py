"""What RULER's generated tasks are drawn with."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.words import ADJECTIVES, ANIMALS, NAMES, NOUNS, SURNAMES

Count = Callable[[str], int]
"""A function that gives the tokens of a text."""

ONE = "the value only"
SEVERAL = "the values only, separated by commas"
NAMED = "the names only, separated by commas"
WORDS = "the words only, separated by commas"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is of everything at one difficulty.

    Attributes:
        length: Tokens of the whole prompt.
        coded: Whether names, codes and ids are random characters; plain words otherwise.
        digits: Digits of a number.
        keys: Keys of ``niah_multikey_1``.
        values: Values of ``niah_multivalue``.
        queries: Keys that ``niah_multiquery`` asks for.
        chains: Chains of ``vt``, of which one is asked for.
        hops: Copies in a chain.
        common: Words that ``cwe`` asks for.
        often: How many times each of these occurs.
        seldom: How many times each other word occurs.
        others: How many other words there are at most.
    """

    length: int
    coded: bool
    digits: int
    keys: int
    values: int
    queries: int
    chains: int
    hops: int
    common: int
    often: int
    seldom: int
    others: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt and what a right answer holds: every reference, or in question answering any of them."""

    prompt: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """What a task is drawn with."""

    rng: np.random.Generator
    sizes: Sizes
    count: Count

    def number(self) -> str:
        """A number that does not start with 0."""
        digits = self.sizes.digits
        return str(int(self.rng.integers(10 ** (digits - 1), 10**digits)))

    def identifier(self) -> str:
        """A UUID, or three words where codes are plain."""
        if self.sizes.coded:
            high, low = self.rng.integers(2**63, size=2).tolist()
            return str(uuid.UUID(int=high << 64 | low << 1, version=4))
        return f"{pick(self.rng, ADJECTIVES)} {pick(self.rng, ANIMALS)} {int(self.rng.integers(10, 100))}"

    def thing(self) -> str:
        """An adjective and a noun."""
        return f"{pick(self.rng, ADJECTIVES)} {pick(self.rng, NOUNS)}"

    def person(self) -> str:
        """A name and a surname."""
        return f"{pick(self.rng, NAMES)} {pick(self.rng, SURNAMES)}"

    def code(self, letters: str, count: int) -> str:
        """A word of so many random letters, or an animal where codes are plain."""
        if not self.sizes.coded:
            return str(pick(self.rng, ANIMALS))
        return "".join(letters[int(i)] for i in self.rng.integers(len(letters), size=count))

    def word(self) -> str:
        """An animal, or an adjective joined to an animal or a noun, of which there are ten thousand."""
        if not self.sizes.coded:
            return str(pick(self.rng, ANIMALS))
        return f"{pick(self.rng, ADJECTIVES)}-{pick(self.rng, (*NOUNS, *ANIMALS))}"

    def room(self, prompt: str) -> int:
        """Tokens that are left beside a prompt."""
        return max(0, self.sizes.length - self.count(prompt))


def frame(ask: str, text: str, question: str) -> str:
    """The prompt around a text."""
    return f"Read the text, then answer with {ask}.\n\n{text}\n\n{question}"


def distinct(draw: Callable[[], str], count: int) -> list[str]:
    """So many different draws."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw()] = None
    return list(found)
