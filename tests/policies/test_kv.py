"""The arena: spans that never overlap, and what lies in them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acenv.policies.kv import Arena, Span
from acenv.policies.kv_bits import GROUP, Quantizer


@given(st.lists(st.one_of(st.integers(1, 3000), st.integers(-20, -1)), max_size=60))
def test_spans_never_overlap_and_free_ones_join_again(wishes: list[int]) -> None:
    arena = Arena(1, 1 << 14)
    taken: list[Span] = []
    for wish in wishes:
        if wish > 0:
            span = arena.allocate(wish)
            if span is None:
                assert sum(s.size for s in taken) + 4096 > 1 << 13  # not before it is well filled
                continue
            assert span.size >= wish and span.start % span.size == 0 and span.start + span.size <= arena.size
            assert all(s.start + s.size <= span.start or span.start + span.size <= s.start for s in taken)
            taken.append(span)
        elif taken:
            arena.free(taken.pop(wish % len(taken)))
    for span in taken:
        arena.free(span)
    if arena.size:
        assert arena.allocate(arena.size) == Span(0, arena.size)


def test_an_arena_grows_beyond_its_limit_only_if_told_to() -> None:
    arena = Arena(1, 5000)
    assert arena.allocate(4096) == Span(0, 4096)
    assert arena.allocate(100) is None
    assert arena.allocate(100, beyond_limit=True) == Span(4096, 128)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bits, error", [(8, 0.03), (4, 0.3), (2, 1.6)])
def test_packing_loses_nothing_that_rounding_has_left(bits: int, error: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(bits)
    keys, values = (torch.randn(4, GROUP, 2, width, generator=generator).to(dtype) for width in (8, 64))
    keys[..., 3] += 100  # a channel that is large in all tokens
    quantizer = Quantizer(bits)
    rounded_keys, rounded_values, (key_scales, value_scales) = quantizer.round(keys, values)
    extra = 1 if dtype == torch.float32 else 16  # of a number near 100, bfloat16 knows halves
    assert (rounded_keys - keys).abs().max() <= error * extra and (rounded_values - values).abs().max() <= error
    newest_keys, newest_values = keys[0, :5], values[0, :5]
    scales = (key_scales, value_scales.flatten(0, 1))
    packed = quantizer.pack(
        torch.cat([rounded_keys.flatten(0, 1), newest_keys]),
        torch.cat([rounded_values.flatten(0, 1), newest_values]),
        scales,
    )
    found_keys, found_values, _ = quantizer.unpack(packed)
    assert torch.equal(found_keys, torch.cat([rounded_keys.flatten(0, 1), newest_keys]))
    assert torch.equal(found_values, torch.cat([rounded_values.flatten(0, 1), newest_values]))
    plain = 4 * GROUP * 2 * (8 + 64) * dtype.itemsize
    # A zero and a scale of 16 bits for 32 numbers make one more bit each.
    assert packed.nbytes - 5 * 2 * (8 + 64) * dtype.itemsize == plain * (bits + 1) / (8 * dtype.itemsize)


def test_numbers_that_do_not_vary_or_are_huge_stay_finite() -> None:
    for number in (0.0, 3.25, 1e30, -1e30):
        keys = torch.full((1, GROUP, 1, 8), number)
        rounded, _, _ = Quantizer(2).round(keys, keys)
        assert rounded.isfinite().all()
        if abs(number) < 100:
            assert torch.equal(rounded, keys)
