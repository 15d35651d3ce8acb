"""Attention for batches of conversations of unequal length, one new token each.

Writing a token is bound by the memory that its attention reads. Padded to the longest conversation, a batch reads a
quarter to a half of it in vain; and with fewer key-value heads than heads, the usual way copies keys and values once
for every head. Here the batch is cut into bands of conversations of like length, each band reads no padding in front,
and the heads of a group read their keys together. The results are those of transformers' ``sdpa``, up to rounding.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "acenv_bands"
"""The name of this attention among those of transformers."""

BAND = 12
"""Conversations in a band, at least: narrower ones cost more calls than they save."""

Bands = Sequence[tuple[int, int, int]]
"""First row, row after the last, and first column that is no padding."""

_local = threading.local()


@contextmanager
def bands_of(mask: Tensor) -> Iterator[Tensor]:
    """Tell the attention within which bands the conversations of a batch lie, for calls of the model on this thread.

    Args:
        mask: 1 for tokens, 0 for padding, ``[batch, columns]``; best with rows of like length side by side.

    Yields:
        The mask.
    """
    _local.bands = find_bands(mask.int().argmax(1).tolist())
    try:
        yield mask
    finally:
        _local.bands = None


def find_bands(first_columns: Sequence[int]) -> list[tuple[int, int, int]]:
    """Cut rows into bands of at least :data:`BAND` (the last one less), by the columns where they begin.

    >>> find_bands([5] * 12 + [3] * 13)
    [(0, 12, 5), (12, 25, 3)]
    """
    count = len(first_columns)
    edges = [*range(0, count - BAND + 1, BAND)] or [0]
    return [(start, end, min(first_columns[start:end])) for start, end in zip(edges, [*edges[1:], count], strict=True)]


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
    """What transformers calls in every layer; everything but the writing of single tokens is left to its ``sdpa``.

    Args:
        module: The layer.
        query: ``[batch, heads, tokens, width]``.
        key: ``[batch, key-value heads, columns, width]``.
        value: As ``key``.
        attention_mask: Broadcasts to ``[batch, heads, tokens, columns]``, or None.
        dropout: Not used when writing.
        scaling: Factor of the scores; None is ``width ** -0.5``.
        options: Of ``sdpa``.

    Returns:
        ``[batch, tokens, heads, width]``, and no attention weights.
    """
    bands: Bands | None = getattr(_local, "bands", None)
    batch, heads, tokens, width = query.shape
    mask = attention_mask
    plain = mask is None or (mask.dim() == 4 and mask.shape[:3] == (batch, 1, 1))
    if bands is None or tokens != 1 or bands[-1][1] != batch or not plain or options.get("position_bias") is not None:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
        return output, None
    grouped = query.reshape(batch, key.shape[1], heads // key.shape[1], width)
    parts = [
        scaled_dot_product_attention(
            grouped[start:end],
            key[start:end, :, first:],
            value[start:end, :, first:],
            attn_mask=None if mask is None else mask[start:end, :, :, first:],
            scale=scaling,
        )
        for start, end, first in bands
    ]
    return torch.cat(parts).reshape(batch, 1, heads, -1), None


def use_bands(model: Any) -> None:
    """Let a model that attends with ``sdpa`` attend in bands; other models are left as they are."""
    if getattr(model.config, "_attn_implementation", None) == "sdpa":
        model.set_attn_implementation(NAME)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
