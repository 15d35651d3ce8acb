"""Key-value caches that grow in place and can be taken apart row by row.

The cache of transformers is copied whole for every token that is written, which takes nearly half the time of a small
model. Here a batch has buffers of their final length, and a token is written into them. Rows leave a batch as
:class:`Row`, without padding, and rows of any length make a new batch: so prompts can be read in groups of equal
length and then answered together, and the cache of a conversation can wait for its next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, LinearAttentionCacheLayerMixin


@dataclass(frozen=True, slots=True)
class Row:
    """Keys and values of one conversation, a pair per layer, each ``[heads, tokens, width]``."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    length: int

    def cut(self, length: int) -> Row:
        """The first ``length`` tokens; no copy."""
        return Row(tuple((k[:, :length], v[:, :length]) for k, v in self.layers), length)


class _GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's keys and values, ``[batch, heads, tokens, width]``, as views of buffers with room for more tokens."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room = room
        self.buffers: tuple[Tensor, Tensor] | None = None

    def fill(self, keys: Tensor, values: Tensor, used: int) -> None:
        """Take buffers of which the first ``used`` tokens are filled."""
        self.lazy_initialization(keys, values)
        self.buffers = (keys, values)
        self.keys, self.values = keys[:, :, :used], values[:, :, :used]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write new tokens behind the old ones."""
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self.buffers is None:
            keys, values = (_with_room(states, self.room) for states in (key_states, value_states))
            self.fill(keys, values, 0)
        assert self.buffers is not None
        keys, values = self.buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values


class Batch:
    """A batch in the making: its cache, the mask over cached tokens, and how many tokens are cached.

    Attributes:
        cache: What the model takes as ``past_key_values``.
        mask: 1 for tokens, 0 for padding: int64 ``[batch, room]``, on the model's device.
        used: Columns of the mask that are in use.
    """

    def __init__(self, cache: Any, mask: Tensor, used: int, layers: list[_GrowingLayer] | None) -> None:
        """Put a batch together; ``layers`` are those of the cache, if they are of this module's kind."""
        self.cache = cache
        self.mask = mask
        self.used = used
        self._layers = layers

    @classmethod
    def of_rows(cls, rows: Sequence[Row | None], layers: int, room: int, device: torch.device) -> Batch:
        """A batch of conversations padded on the left, with room for ``room`` further tokens.

        A ``None`` is a conversation of which nothing is cached.
        """
        lengths = [row.length if row else 0 for row in rows]
        used = max(lengths)
        mask = torch.zeros(len(rows), used + room, dtype=torch.long)
        for i, length in enumerate(lengths):
            mask[i, used - length : used] = 1
        stack = [_GrowingLayer(used + room) for _ in range(layers)]
        example = next((row for row in rows if row), None)
        if example is not None:
            for number, layer in enumerate(stack):
                pair = []
                for part in (0, 1):
                    like = example.layers[number][part]
                    buffer = like.new_empty(len(rows), like.shape[0], used + room, like.shape[2])
                    for i, row in enumerate(rows):
                        # The padding must be finite: it is multiplied with attention weights of zero.
                        buffer[i, :, : used - lengths[i]] = 0
                        if row:
                            buffer[i, :, used - row.length : used] = row.layers[number][part]
                    pair.append(buffer)
                layer.fill(pair[0], pair[1], used)
        every: list[CacheLayerMixin | LinearAttentionCacheLayerMixin] = [*stack]
        return cls(Cache(layers=every), mask.to(device), used, stack)

    @classmethod
    def of_model(cls, config: Any, size: int, room: int, device: torch.device) -> Batch:
        """An empty batch with the cache that the model itself wants, for models that do not attend to everything."""
        mask = torch.zeros(size, room, dtype=torch.long, device=device)
        return cls(DynamicCache(config=config), mask, 0, None)

    def append(self, mask: Tensor) -> Tensor:
        """Announce new tokens ``[batch, tokens]`` (0 for padding); gives the mask over all tokens, for the model."""
        end = self.used + mask.shape[1]
        self.mask[:, self.used : end] = mask
        self.used = end
        return self.mask[:, :end]

    def row(self, index: int, *, copy: bool = True) -> Row | None:
        """Take one conversation's cache out of the batch, without padding; ``None`` if this cache cannot do that.

        Without ``copy`` it may be a view, which keeps the whole batch in memory.
        """
        if self._layers is None:
            return None
        keep = self.mask[index, : self.used].bool()
        columns = keep.nonzero()[:, 0]
        length, first = len(columns), int(columns[0])
        layers = []
        for layer in self._layers:
            assert layer.keys is not None and layer.values is not None
            pair = (layer.keys[index], layer.values[index])
            if first + length == self.used:  # no gap: padding on the left alone
                views = (pair[0][:, first:], pair[1][:, first:])
                layers.append((_copied(views[0]), _copied(views[1])) if copy else views)
            else:
                layers.append((pair[0][:, columns], pair[1][:, columns]))
        return Row(tuple(layers), length)

    def select(self, indices: Sequence[int]) -> None:
        """Keep these conversations only, and drop the columns that are padding in all of them."""
        index = torch.tensor(list(indices), device=self.mask.device)
        if self._layers is None:
            self.cache.reorder_cache(index)
            self.mask = self.mask[index]
            return
        mask = self.mask[index]
        first = int(mask[:, : self.used].any(0).nonzero()[0])
        self.mask = mask[:, first:]
        for layer in self._layers:
            assert layer.buffers is not None
            keys, values = layer.buffers
            layer.fill(keys[index, :, first:], values[index, :, first:], self.used - first)
        self.used -= first


def is_plain(config: Any) -> bool:
    """Whether all layers of a model attend to all tokens, so that :meth:`Batch.of_rows` serves it."""
    layers = DynamicCache(config=config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _copied(states: Tensor) -> Tensor:
    return states.clone(memory_format=torch.contiguous_format)


def _with_room(states: Tensor, room: int) -> Tensor:
    return states.new_empty(states.shape[0], states.shape[1], room, states.shape[3])
