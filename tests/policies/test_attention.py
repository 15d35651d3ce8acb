"""Attention in bands gives what transformers' own attention gives."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from acenv.policies.attention import BAND, attend, bands_of, find_bands


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_bands_cover_every_row_once_and_cut_off_padding_alone(first_columns: list[int]) -> None:
    bands = find_bands(first_columns)
    assert [row for start, end, _ in bands for row in range(start, end)] == list(range(len(first_columns)))
    assert all(first <= first_columns[row] for start, end, first in bands for row in range(start, end))
    assert all(end - start >= BAND for start, end, _ in bands) or len(bands) == 1


@pytest.mark.parametrize("heads, key_value_heads", [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("batch", [1, 5, 40])
def test_one_new_token_each_as_sdpa(heads: int, key_value_heads: int, batch: int) -> None:
    generator = torch.Generator().manual_seed(batch)
    columns, width = 37, 8
    query = torch.randn(batch, heads, 1, width, generator=generator)
    key = torch.randn(batch, key_value_heads, columns, width, generator=generator)
    value = torch.randn(batch, key_value_heads, columns, width, generator=generator)
    lengths = torch.linspace(3, columns, batch).int()
    mask = torch.arange(columns)[None] >= columns - lengths[:, None]
    module = SimpleNamespace(num_key_value_groups=heads // key_value_heads, is_causal=True)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask[:, None, None])  # type: ignore[arg-type]
    with bands_of(mask.long()):
        found, _ = attend(module, query, key, value, mask[:, None, None])
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected)
    outside, _ = attend(module, query, key, value, mask[:, None, None])  # without bands: transformers' own way
    assert torch.equal(outside, expected)
