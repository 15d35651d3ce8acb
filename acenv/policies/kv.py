"""Where keys and values lie: one arena a layer, in which every conversation has a span of addresses.

The cache of transformers belongs to one batch: it is padded to the longest conversation, copied whole for every token
that is written, and has to be cut up and put together again whenever the batch changes. Here a conversation stays where
it is from its first turn to its last. A batch is a list of spans, so joining and leaving cost nothing, and a
conversation that waits for its next turn just stays. This is the idea of PagedAttention (Kwon et al. 2023) with spans
that double in place of pages, so that the attention reads a conversation in one piece.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from torch import Tensor

from acenv.policies.kv_bits import GROUP, Packed, Quantizer, Scales

SMALLEST = 64
"""Addresses of the smallest span; a multiple of the quantizer's groups, so that none lies in two spans."""

_FIRST = 4096


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """``size`` addresses from ``start`` on. Sizes are powers of two, and starts are multiples of the size."""

    start: int
    size: int


class Layer:
    """Keys and values of one layer, token by token.

    Attributes:
        keys: ``[addresses, key-value heads, width]``.
        values: As ``keys``; the width may be another.
        scales: How to turn quantised tokens into codes again, if the arena has a quantizer.
    """

    def __init__(self, keys: Tensor, values: Tensor, size: int, quantizer: Quantizer | None) -> None:
        """Make room for ``size`` tokens like those of ``keys`` and ``values``, ``[tokens, heads, width]``."""
        # Zeros, since what is masked is still multiplied with weights of zero: it has to be finite.
        self.keys, self.values = (part.new_zeros(size, *part.shape[1:]) for part in (keys, values))
        self.scales: Scales | None = quantizer.scales(self.keys, self.values) if quantizer else None

    def resize(self, size: int) -> None:
        """Grow to ``size`` addresses."""
        self.keys, self.values = _grown(self.keys, size), _grown(self.values, size)
        if self.scales is not None:
            keys, values = self.scales
            self.scales = (_grown(keys, size // GROUP), _grown(values, size))

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy ``length`` tokens from one span to another one."""
        for part in (self.keys, self.values):
            part[target : target + length] = part[source : source + length]
        if self.scales is not None:
            keys, values = self.scales
            groups = length // GROUP
            keys[target // GROUP :][:groups] = keys[source // GROUP :][:groups]
            values[target : target + length] = values[source : source + length]


class Arena:
    """The addresses, who has them, and the layers behind them.

    Free addresses are kept as a buddy system keeps them (Knowlton 1965): the halves of a larger span join again as soon
    as both are free. The lowest address that fits is taken, so that conversations of like length lie side by side.
    """

    def __init__(self, layers: int, limit: int, quantizer: Quantizer | None = None) -> None:
        """Prepare for a model.

        Args:
            layers: Its number of layers.
            limit: Addresses up to which :meth:`allocate` lets the arena grow by itself.
            quantizer: Rounds what has been read, if the cache shall be quantised.
        """
        self.quantizer = quantizer
        self.size = 0
        self._limit = limit
        self._layers: list[Layer | None] = [None] * layers
        self._free: dict[int, list[int]] = {}

    def layer(self, number: int, keys: Tensor, values: Tensor) -> Layer:
        """A layer; when first asked for, it is made for keys and values like these, ``[tokens, heads, width]``."""
        layer = self._layers[number]
        if layer is None:
            layer = self._layers[number] = Layer(keys, values, self.size, self.quantizer)
        return layer

    @property
    def filled(self) -> int:
        """How many layers hold something."""
        return sum(layer is not None for layer in self._layers)

    @property
    def bytes_per_token(self) -> float:
        """Memory of an address, over all layers; 0 before anything was read."""
        layers = [layer for layer in self._layers if layer is not None]
        return sum(part.nbytes for layer in layers for part in (layer.keys, layer.values)) / max(1, self.size)

    def allocate(self, tokens: int, *, beyond_limit: bool = False) -> Span | None:
        """A span for so many tokens at least; ``None`` if the arena is full and may not grow."""
        size = span_size(tokens)
        while (start := self._take(size)) is None:
            if 2 * self.size > self._limit and not beyond_limit:
                return None
            self._grow()
        return Span(start, size)

    def free(self, span: Span) -> None:
        """Give a span back."""
        start, size = span.start, span.size
        while (buddy := start ^ size) in self._free.get(size, ()) and size < self.size:
            self._free[size].remove(buddy)
            start, size = min(start, buddy), 2 * size
        insort(self._free.setdefault(size, []), start)

    def copy(self, source: Span, target: Span, length: int) -> None:
        """Copy the first ``length`` tokens of a span to another one, in all layers."""
        for layer in self._layers:
            if layer is not None:
                layer.copy(source.start, target.start, length)

    def clear(self, span: Span) -> None:
        """Overwrite what is not finite, before the span is given to another conversation."""
        for layer in self._layers:
            if layer is not None:
                for part in (layer.keys, layer.values):
                    part[span.start : span.start + span.size] = 0

    def pack(self, span: Span, length: int) -> Packed:
        """Take the first ``length`` tokens out of the arena, in as few bits as they were quantised to."""
        assert self.quantizer is not None
        parts = []
        for layer in self._layers:
            assert layer is not None and layer.scales is not None
            view = slice(span.start, span.start + length)
            whole = length // GROUP
            scales = (layer.scales[0][span.start // GROUP :][:whole], layer.scales[1][view][: whole * GROUP])
            parts.append(self.quantizer.pack(layer.keys[view], layer.values[view], scales))
        return Packed(tuple(parts), length, sum(part.nbytes for part in parts))

    def unpack(self, packed: Packed, span: Span, length: int) -> None:
        """Put the first ``length`` packed tokens back into the arena: the very numbers that were there."""
        assert self.quantizer is not None
        for layer, part in zip(self._layers, packed.layers, strict=True):
            assert layer is not None and layer.scales is not None
            keys, values, (key_scales, value_scales) = self.quantizer.unpack(part)
            layer.keys[span.start : span.start + length] = keys[:length]
            layer.values[span.start : span.start + length] = values[:length]
            whole = length // GROUP
            layer.scales[0][span.start // GROUP :][:whole] = key_scales[:whole]
            layer.scales[1][span.start :][: whole * GROUP] = value_scales[: whole * GROUP]

    def _take(self, size: int) -> int | None:
        """The lowest start of a free span of this size, cut out of a larger one if need be."""
        fitting = [found for found, starts in self._free.items() if found >= size and starts]
        if not fitting:
            return None
        found = min(fitting)
        start = self._free[found].pop(0)
        while found > size:
            found //= 2
            insort(self._free.setdefault(found, []), start + found)
        return start

    def _grow(self) -> None:
        """Double the arena, so that all sizes stay powers of two."""
        old, size = self.size, 2 * self.size or _FIRST
        for layer in self._layers:
            if layer is not None:
                layer.resize(size)
        self.size = size  # Only now: where memory does not suffice, all is as it was.
        self.free(Span(old, size - old))


def span_size(tokens: int) -> int:
    """The size of a span that holds so many tokens.

    >>> span_size(1), span_size(64), span_size(65)
    (64, 64, 128)
    """
    return max(SMALLEST, 1 << (tokens - 1).bit_length())


def _grown(part: Tensor, size: int) -> Tensor:
    larger = part.new_zeros(size, *part.shape[1:])
    larger[: len(part)] = part
    return larger
