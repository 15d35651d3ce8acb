"""RULER's words: the lists of the ``wonderwords`` package, and their adjective-noun pairs without building them all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from itertools import accumulate
from typing import overload


@lru_cache(maxsize=3)
def word_list(kind: str) -> tuple[str, ...]:
    """The package's words of a kind, one a line, in the order of its file.

    Args:
        kind: ``"noun"``, ``"adjective"`` or ``"verb"``.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    try:
        folder = resources.files("wonderwords")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "RULER's official samples are made of the words of the wonderwords package: pip install 'acenv[ruler]'"
        ) from error
    text = (folder / "assets" / f"{kind}list.txt").read_text(encoding="utf-8")
    return tuple(line.rstrip() for line in text.splitlines())


@lru_cache(maxsize=1)
def all_words() -> tuple[str, ...]:
    """Nouns, adjectives and verbs, sorted, each once."""
    return tuple(sorted({*word_list("noun"), *word_list("adjective"), *word_list("verb")}))


@lru_cache(maxsize=1)
def word_pairs() -> SortedPairs:
    """Every adjective with every noun, as ``adjective-noun``."""
    return SortedPairs(word_list("adjective"), word_list("noun"))


class SortedPairs(Sequence[str]):
    """The distinct texts ``first-second``, sorted, of which there are millions; each is built when it is asked for.

    >>> list(SortedPairs(["red-hot", "red"], ["pan", "hot-pan", "apple"]))
    ['red-apple', 'red-hot-apple', 'red-hot-hot-pan', 'red-hot-pan', 'red-pan']
    """

    def __init__(self, firsts: Sequence[str], seconds: Sequence[str]) -> None:
        """Pair up.

        Args:
            firsts: What stands before the hyphen.
            seconds: What stands after it.
        """
        self._seconds = sorted(set(seconds))
        # Pairs of different firsts follow one another, except where one first is the beginning of another up to a
        # hyphen ("red", "red-hot"): the pairs of such a group are mixed, and are sorted as a whole.
        self._groups: list[list[str]] = []
        for head in sorted({f"{first}-" for first in firsts}):
            if self._groups and head.startswith(self._groups[-1][0]):
                self._groups[-1].append(head)
            else:
                self._groups.append([head])
        self._mixed = {
            number: sorted({head + second for head in heads for second in self._seconds})
            for number, heads in enumerate(self._groups)
            if len(heads) > 1
        }
        sizes = (len(self._mixed.get(number, self._seconds)) for number in range(len(self._groups)))
        self._ends = list(accumulate(sizes))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"no pair {index} of {len(self)}")
        index %= len(self)
        number = bisect_right(self._ends, index)
        within = index - (self._ends[number - 1] if number else 0)
        if number in self._mixed:
            return self._mixed[number][within]
        return self._groups[number][0] + self._seconds[within]
