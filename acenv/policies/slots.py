"""What stays in the cache between the turns of a conversation."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acenv.policies.kv import Arena, Span, span_size
from acenv.policies.kv_bits import Packed, complete


@dataclass(frozen=True, slots=True)
class _Kept:
    """Tokens that have been read, and where their keys and values are."""

    tokens: NDArray[np.int64]
    place: Span | Packed


def common_prefix(known: NDArray[np.int64], ids: NDArray[np.int64]) -> int:
    """How many tokens two texts begin with in common."""
    length = min(len(known), len(ids))
    differs = np.flatnonzero(known[:length] != ids[:length])
    return int(differs[0]) if len(differs) else length


class Slots:
    """Remembers, for every slot, what was read last, within a budget of memory.

    What is kept stays in the arena; where the arena quantises, it is taken out and packed. The slot that was not used
    for the longest time is forgotten first.
    """

    def __init__(self, arena: Arena, budget: int) -> None:
        """Keep conversations of ``arena`` in at most ``budget`` bytes."""
        self._arena = arena
        self._budget = budget
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    @property
    def tokens(self) -> int:
        """Tokens that are kept."""
        return sum(len(kept.tokens) for kept in self._kept.values())

    @property
    def nbytes(self) -> int:
        """Memory that they take, with what is set aside for them to grow."""
        each = self._arena.bytes_per_token
        places = [kept.place for kept in self._kept.values()]
        return sum(place.nbytes if isinstance(place, Packed) else int(place.size * each) for place in places)

    def keep(self, slot: int, tokens: Sequence[int], span: Span) -> None:
        """Take over a span in which these tokens are."""
        self.forget(slot)
        place: Span | Packed = span
        if self._arena.quantizer is not None:
            place = self._arena.pack(span, len(tokens))
            self._arena.free(span)
        self._kept[slot] = _Kept(np.asarray(tokens), place)
        while self.nbytes > self._budget:
            self.forget_oldest()

    def claim(self, slot: int, ids: Sequence[int], room: int) -> tuple[Span, int]:
        """A span for a prompt, with as much of its beginning as is known.

        Args:
            slot: Whose prompt it is; what was kept under this number is kept no more.
            ids: The prompt.
            room: Tokens that have to fit.

        Returns:
            The span, and how many tokens of the prompt are in it.
        """
        kept = self._kept.pop(slot, None)
        if kept is None:
            return self.allocate(room), 0
        # The last token of a prompt is read in any case, for what follows it.
        common = common_prefix(kept.tokens, np.asarray(ids[:-1]))
        if isinstance(kept.place, Packed):
            common = self.usable(common, len(kept.tokens))
            span = self.allocate(room)
            self._arena.unpack(kept.place, span, common)
            return span, common
        if kept.place.size >= span_size(room):
            return kept.place, common
        return self.move(kept.place, room, common), common

    def usable(self, common: int, length: int) -> int:
        """How much of ``length`` tokens can be taken over where the first ``common`` ones would serve."""
        # A group of tokens is quantised as a whole, or not at all.
        return complete(common) if self._arena.quantizer is not None and common < complete(length) else common

    def unpacked(self) -> Iterator[tuple[NDArray[np.int64], int, Span]]:
        """The tokens that are kept in the arena, how many they are, and where they lie."""
        for kept in self._kept.values():
            if isinstance(kept.place, Span):
                yield kept.tokens, len(kept.tokens), kept.place

    def move(self, span: Span, room: int, length: int) -> Span:
        """Exchange a span for a larger one, with its first ``length`` tokens."""
        larger = self.allocate(room)
        self._arena.copy(span, larger, length)
        self._arena.free(span)
        return larger

    def allocate(self, room: int) -> Span:
        """A span for so many tokens; slots are forgotten to make room, and at last the arena outgrows its limit."""
        while (span := self._arena.allocate(room)) is None:
            if not any(isinstance(kept.place, Span) for kept in self._kept.values()):
                span = self._arena.allocate(room, beyond_limit=True)
                assert span is not None
                return span
            self.forget_oldest()
        return span

    def forget(self, slot: int) -> None:
        """Forget what was kept under this number, if anything was."""
        kept = self._kept.pop(slot, None)
        if kept is not None and isinstance(kept.place, Span):
            self._arena.free(kept.place)

    def forget_oldest(self) -> None:
        """Forget the slot that was not used for the longest time."""
        self.forget(next(iter(self._kept)))
