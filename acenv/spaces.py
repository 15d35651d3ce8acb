"""Observation and action spaces for conversations: any Unicode, checked in time that does not grow with the text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium.spaces import Space

from acenv.types import Message

ROLES = ("system", "user", "assistant", "tool")
_SAMPLE_ALPHABET = 'abcdefghij klmnopqrstuvwxyz{}[]():,."0123456789_\néß中🙂'


class Text(Space[str]):
    """All strings of at most ``max_length`` characters.

    Gymnasium's own ``Text`` is over a fixed character set and tests every character of a string; here membership is a
    test of type and length, so a megabyte costs as much as a word.
    """

    def __init__(self, max_length: int = 100_000_000, seed: int | np.random.Generator | None = None) -> None:
        """Build the space; ``max_length`` is in characters."""
        if max_length < 0:
            raise ValueError(f"max_length must be 0 or more characters, not {max_length}")
        self.max_length = int(max_length)
        super().__init__(dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Text has no fixed-size array form."""
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A random string of up to 64 characters, JSON punctuation and non-ASCII included."""
        if mask is not None or probability is not None:
            raise ValueError("a Text space samples without mask or probability")
        length = int(self.np_random.integers(0, min(64, self.max_length) + 1))
        picks = self.np_random.integers(0, len(_SAMPLE_ALPHABET), size=length)
        return "".join(_SAMPLE_ALPHABET[i] for i in picks)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string that is short enough."""
        return isinstance(x, str) and len(x) <= self.max_length

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        """Strings are JSON already."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[str]:
        """Strings are JSON already."""
        return [str(s) for s in sample_n]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Text) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((type(self), self.max_length))

    def __repr__(self) -> str:
        return f"Text(max_length={self.max_length})"


class Messages(Space[list[Message]]):
    """All conversations: lists of ``{"role", "content"}`` with a known role and text content."""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        """Build the space."""
        self._text = Text()
        super().__init__(seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """A conversation has no fixed-size array form."""
        return False

    def seed(self, seed: Any = None) -> Any:
        """Seed the space and the space of its texts."""
        seeds = super().seed(seed)
        self._text.seed(int(self.np_random.integers(2**31)))
        return seeds

    def sample(self, mask: Any = None, probability: Any = None) -> list[Message]:
        """A random conversation of one to four turns, which starts with a user's message."""
        if mask is not None or probability is not None:
            raise ValueError("a Messages space samples without mask or probability")
        turns = int(self.np_random.integers(1, 5))
        return [{"role": ("user", "assistant")[i % 2], "content": self._text.sample()} for i in range(turns)]

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a list of messages."""
        return isinstance(x, list) and all(
            isinstance(m, dict)
            and m.keys() == {"role", "content"}
            and m["role"] in ROLES
            and isinstance(m["content"], str)
            for m in x
        )

    def to_jsonable(self, sample_n: Iterable[list[Message]]) -> list[list[Message]]:
        """Messages are JSON already."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[list[Message]]:
        """Messages are JSON already."""
        return [
            [{"role": str(m["role"]), "content": str(m["content"])} for m in conversation] for conversation in sample_n
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Messages)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return "Messages()"
