"""A packed batch gets what each conversation gets by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from acenv.policies.attention import Piece, Plan, find_bands
from acenv.policies.kv import Arena, Span


@given(
    st.lists(st.tuples(st.sampled_from([64, 128]), st.integers(0, 30), st.integers(1, 64)), min_size=1, max_size=40),
    st.sampled_from([0, 20, 10**6]),
)
def test_bands_read_every_conversation_once_and_to_its_end(spans: list[tuple[int, int, int]], call_cost: int) -> None:
    lengths = {Span(place * size, size): length for size, place, length in spans}
    pieces = [Piece(span, length - 1, [0]) for span, length in sorted(lengths.items())]
    bands = find_bands(pieces, call_cost)
    read = [
        (Span(band.start + place * band.stride, band.stride), length)
        for band in bands
        for place, length in zip(band.places, band.lengths, strict=True)
    ]
    assert read == sorted(lengths.items())
    if call_cost == 0:
        wasted = sum(band.count * max(band.lengths) - sum(band.lengths) for band in bands)
        assert wasted == 0


class Model:
    """As much of a model as a plan asks for."""

    dtype = torch.float32
    device = torch.device("cpu")


HEADS = [(4, 4, 8), (6, 2, 8), (3, 1, 12)]


@pytest.mark.parametrize("heads, key_value_heads, value_width", HEADS)
def test_every_token_attends_to_its_own_conversation(heads: int, key_value_heads: int, value_width: int) -> None:
    generator = torch.Generator().manual_seed(heads)
    arena = Arena(1, 1 << 14)
    conversations = [_Conversation(arena, generator, heads, key_value_heads, value_width) for _ in range(9)]
    steps = [[7, 3, 60, 1, 0, 30, 2, 9, 1], [1, 1, 1, 5, 40, 0, 1, 1, 1], [1] * 9, [0, 1, 1, 0, 1, 1, 1, 0, 1]]
    for new in steps:
        active = [(c, count) for c, count in zip(conversations, new, strict=True) if count]
        active.sort(key=lambda pair: pair[0].piece(pair[1]).order)
        plan = Plan(arena, [c.piece(count) for c, count in active], Model)
        states = [c.more(count) for c, count in active]
        query, key, value = (torch.cat(parts, 1)[None] for parts in zip(*states, strict=True))
        found = plan.attend(0, query, key, value, None)[0].split([count for _, count in active])
        for (conversation, count), output in zip(active, found, strict=True):
            torch.testing.assert_close(output, conversation.expected(count))


class _Conversation:
    """Keeps all that was asked, so that it can be computed again in one piece."""

    def __init__(self, arena: Arena, generator: torch.Generator, heads: int, kv_heads: int, width: int) -> None:
        span = arena.allocate(100)
        assert span is not None
        self.span = span
        self.generator = generator
        self.states = [torch.empty(heads, 0, 8), torch.empty(kv_heads, 0, 8), torch.empty(kv_heads, 0, width)]

    def piece(self, count: int) -> Piece:
        return Piece(self.span, self.states[0].shape[1], [0] * count)

    def more(self, count: int) -> Sequence[torch.Tensor]:
        new = [torch.randn(s.shape[0], count, s.shape[2], generator=self.generator) for s in self.states]
        self.states = [torch.cat([old, more], 1) for old, more in zip(self.states, new, strict=True)]
        return new

    def expected(self, count: int) -> torch.Tensor:
        query, key, value = (s[None] for s in self.states)
        output = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        return output[0].transpose(0, 1)[-count:]
