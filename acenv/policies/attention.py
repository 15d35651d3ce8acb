"""Attention for a batch that is packed: the new tokens of all conversations one behind the other, with no padding.

The linear layers of a model do not care to which conversation a token belongs. So a model is called with all new tokens
in one row, the next token of conversations that are being answered and the prompts of those that have just come. Only
the attention takes them apart, as serving engines do (Yu et al. 2022, "Orca"). Keys and values lie in an
:class:`acenv.policies.kv.Arena`.

Writing a token is bound by the memory that its attention reads, and with a small model by the number of calls. So
conversations that lie side by side are attended to together, in bands, unless that would read too much in vain; and
with fewer key-value heads than heads the heads of a group read their keys together.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from acenv.policies.kv import Arena, Layer, Span
from acenv.policies.kv_bits import GROUP, complete

NAME = "acenv_packed"
"""The name of this attention among those of transformers."""

CALL_COST = {True: 128, False: 1 << 14}
"""Tokens of a conversation that are read in the time of one more call: on a CPU, and on a GPU."""

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Piece:
    """New tokens of one conversation.

    Attributes:
        span: Where its keys and values lie.
        past: How many are there already.
        tokens: The new ones, one at least.
    """

    span: Span
    past: int
    tokens: Sequence[int]

    @property
    def length(self) -> int:
        """Tokens after this step."""
        return self.past + len(self.tokens)

    @property
    def order(self) -> tuple[bool, Span]:
        """Where it stands in a :class:`Plan`."""
        return len(self.tokens) > 1, self.span


@dataclass(frozen=True, slots=True)
class Band:
    """Conversations with one new token each that are attended to in one call.

    Attributes:
        start: Address of the first one.
        stride: Addresses from one to the next.
        places: Which of the conversations at these addresses they are: between them may lie some that wait.
        lengths: Tokens of each.
    """

    start: int
    stride: int
    places: list[int]
    lengths: list[int]

    @property
    def count(self) -> int:
        """Conversations that are read, those between included."""
        return self.places[-1] + 1


def find_bands(pieces: Sequence[Piece], call_cost: int) -> list[Band]:
    """Put neighbours together as long as that costs less than another call.

    Args:
        pieces: With one new token each, by address.
        call_cost: As many tokens as could be read in the time of a call.
    """
    bands: list[Band] = []
    for piece in pieces:
        span, length = piece.span, piece.length
        if bands and bands[-1].stride == span.size:
            band = bands[-1]
            place = (span.start - band.start) // span.size
            widest = max(band.lengths)
            if (place + 1) * max(widest, length) - band.count * widest <= length + call_cost:
                band.places.append(place)
                band.lengths.append(length)
                continue
        bands.append(Band(span.start, span.size, [0], [length]))
    return bands


class Plan:
    """What the attention has to know of one call of the model; made once, used in every layer."""

    def __init__(self, arena: Arena, pieces: Sequence[Piece], model: Any) -> None:
        """Lay out what is new.

        Args:
            arena: Where keys and values lie.
            pieces: What is new, of each conversation once: those of a single token first, by address.
            model: The model that will be called.
        """
        dtype, device = model.dtype, model.device
        self.arena = arena
        self.pieces = pieces
        longer = [p for p in pieces if len(p.tokens) > 1]
        single = pieces[: len(pieces) - len(longer)]
        rows = [
            [token for p in pieces for token in p.tokens],
            [i for p in pieces for i in range(p.past, p.length)],
            [p.span.start + i for p in pieces for i in range(p.past, p.length)],
        ]
        self.ids, self.positions, self.addresses = torch.tensor(rows).to(device).unbind()
        ends = torch.tensor([len(p.tokens) for p in pieces]).cumsum(0) - 1
        self.last = ends.to(device)
        """Where the last token of each conversation is."""
        self._singles = len(single)
        self._bands = [_ready(band, dtype, device) for band in find_bands(single, CALL_COST[device.type == "cpu"])]
        quantised = arena.quantizer is not None
        self._prompts = [
            _Prompt(piece, end + 1, dtype, device, quantised)
            for piece, end in zip(longer, ends[len(single) :].tolist(), strict=True)
        ]
        full = [p.span.start + p.length - GROUP for p in single if p.length % GROUP == 0] if quantised else []
        self._full = (torch.tensor(full)[:, None] + torch.arange(GROUP)).to(device) if full else None

    def attend(self, number: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        """Put new keys and values into the arena, and attend to what is there.

        Args:
            number: Of the layer.
            query: ``[1, heads, tokens, width]``.
            key: ``[1, key-value heads, tokens, width]``.
            value: As ``key``.
            scaling: Factor of the scores; None is ``width ** -0.5``.

        Returns:
            ``[1, tokens, heads, width of values]``.
        """
        new_keys, new_values = key[0].transpose(0, 1), value[0].transpose(0, 1)
        layer = self.arena.layer(number, new_keys, new_values)
        layer.keys.index_copy_(0, self.addresses, new_keys)
        layer.values.index_copy_(0, self.addresses, new_values)
        groups = query.shape[1] // key.shape[1]
        parts = []
        singles = query[0, :, : self._singles].transpose(0, 1).unflatten(1, (-1, groups))
        done = 0
        for band, places, mask in self._bands:
            asked = singles[done : done + len(band.places)]
            done += len(band.places)
            parts.append(_attend_band(layer, band, places, mask, asked, scaling))
        for prompt in self._prompts:
            parts.append(prompt.attend(layer, query, groups, scaling, self.arena))
        if self._full is not None:
            _quantise(self.arena, layer, self._full)
        return (parts[0] if len(parts) == 1 else torch.cat(parts))[None]


@contextmanager
def using(plan: Plan, model: Any) -> Iterator[None]:
    """Let a model, when it is called on this thread, attend as ``plan`` says; then it is as it was before."""
    config = model.config
    before = config._attn_implementation
    _local.plan = plan
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        _local.plan = None


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every layer, within :func:`using`."""
    plan: Plan = _local.plan
    return plan.attend(module.layer_idx, query, key, value, scaling), None


def _ready(band: Band, dtype: torch.dtype, device: torch.device) -> tuple[Band, Tensor | None, Tensor | None]:
    """A band with the places of its conversations, if some between them wait, and with its mask, if it needs one."""
    count, width = band.count, max(band.lengths)
    gaps = count > len(band.places)
    places = torch.tensor(band.places).to(device) if gaps else None
    if min(band.lengths) == width:
        return band, places, None
    lengths = [width] * count  # what waits may be read as far as it likes: nothing comes of it
    for place, length in zip(band.places, band.lengths, strict=True):
        lengths[place] = length
    hidden = torch.arange(width) >= torch.tensor(lengths)[:, None]
    mask = torch.zeros(count, width, dtype=dtype).masked_fill_(hidden, -torch.inf)
    return band, places, mask[:, None, None].to(device)


def _attend_band(
    layer: Layer, band: Band, places: Tensor | None, mask: Tensor | None, query: Tensor, scaling: float | None
) -> Tensor:
    """``[conversations, key-value heads, heads of a group, width]`` to ``[conversations, heads, width]``."""
    if places is not None:
        spread = query.new_zeros(band.count, *query.shape[1:])
        spread[places] = query
        query = spread
    width = max(band.lengths)
    keys, values = (_windows(part, band, width) for part in (layer.keys, layer.values))
    output = scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling).flatten(1, 2)
    return output if places is None else output[places]


def _windows(part: Tensor, band: Band, width: int) -> Tensor:
    """What lies in the spans of a band, as ``[conversations, heads, width, channels]``; no copy."""
    token, head, channel = part.stride()
    shape = (band.count, part.shape[1], width, part.shape[2])
    return part.as_strided(shape, (band.stride * token, head, token, channel), band.start * token)


class _Prompt:
    """The piece of a prompt, or a whole one, and which of its tokens sees which."""

    def __init__(self, piece: Piece, end: int, dtype: torch.dtype, device: torch.device, quantised: bool) -> None:
        new = len(piece.tokens)
        self.rows = slice(end - new, end)
        self.span = piece.span
        self.length = piece.length
        # The groups of tokens that become complete: whole numbers of GROUP from a beginning to an end.
        self.fresh = (complete(piece.past), complete(piece.length)) if quantised else (0, 0)
        self.mask: Tensor | None = None
        begin, stop = self.fresh
        if begin == stop and not piece.past:
            return  # the usual triangle
        seer, seen = torch.arange(piece.past, piece.length)[:, None], torch.arange(piece.length)
        hidden = seen > seer
        if begin < stop:
            # A token sees its own group as it is, and complete ones as they are after quantisation, which lie behind.
            own = seer // GROUP * GROUP
            hidden = torch.cat([hidden | ((seen >= begin) & (seen < own)), torch.arange(begin, stop) >= own], 1)
        self.mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf).to(device)

    def attend(self, layer: Layer, query: Tensor, groups: int, scaling: float | None, arena: Arena) -> Tensor:
        """``[tokens, heads, width]``."""
        span = slice(self.span.start, self.span.start + self.length)
        keys, values = layer.keys[span], layer.values[span]
        begin, stop = self.fresh
        if begin < stop:
            block = torch.arange(self.span.start + begin, self.span.start + stop, device=keys.device)
            before_keys, before_values = keys.clone(), values.clone()
            _quantise(arena, layer, block.unflatten(0, (-1, GROUP)))
            keys = torch.cat([before_keys, keys[begin:stop]])
            values = torch.cat([before_values, values[begin:stop]])
        keys, values = keys.transpose(0, 1)[None], values.transpose(0, 1)[None]
        asked = query[:, :, self.rows]
        if self.mask is None:
            output = scaled_dot_product_attention(
                asked, keys, values, is_causal=True, scale=scaling, enable_gqa=groups > 1
            )
        else:
            # The heads of a group as further rows: with a mask, kernels that know of groups are slow or missing.
            heads, new, width = asked.shape[1:]
            folded = asked.reshape(1, heads // groups, groups * new, width)
            mask = self.mask if groups == 1 else self.mask.repeat(groups, 1)
            output = scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scaling)
            output = output.reshape(1, heads, new, -1)
        return output[0].transpose(0, 1)


def _quantise(arena: Arena, layer: Layer, groups: Tensor) -> None:
    """Round complete groups of tokens in place; ``groups`` are their addresses, ``[groups, GROUP]``."""
    assert arena.quantizer is not None and layer.scales is not None
    keys, values, (key_scales, value_scales) = arena.quantizer.round(layer.keys[groups], layer.values[groups])
    layer.keys[groups], layer.values[groups] = keys, values
    layer.scales[0][groups[:, 0] // GROUP] = key_scales
    layer.scales[1][groups] = value_scales


AttentionInterface.register(NAME, attend)
