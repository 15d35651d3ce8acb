"""Keys and values in a few bits, after KIVI (Liu et al. 2024, "KIVI: A Tuning-Free Asymmetric 2bit Quantization").

Keys have channels that are large in all tokens, so they are quantised per channel, over groups of :data:`GROUP` tokens;
values have none, and are quantised per token, over groups of channels. A group is ``zero + code * scale`` with the
smallest and the largest number of the group at its ends. The tokens of a group that is not complete yet stay as they
are.

Groups begin at every :data:`GROUP`-th token of a conversation, whatever the batch, the chunk in which a prompt is read,
or what was cached: so none of these decides about the result. The quantised caches of transformers group a batch as it
happens to be padded, and quantise anew what was quantised before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GROUP = 32
"""Tokens, or channels, that share a scale."""

BITS = (8, 4, 2)
"""The widths of a code that there are: those that fill a byte."""

Scales = tuple[Tensor, Tensor]
"""Zero and scale of keys ``[groups, heads, width, 2]`` and of values ``[tokens, heads, groups of channels, 2]``."""


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """One layer of a conversation: codes and scales of complete groups, and the tokens behind them as they are."""

    codes: tuple[Tensor, Tensor]
    scales: Scales
    newest: tuple[Tensor, Tensor]

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(part.nbytes for part in (*self.codes, *self.scales, *self.newest))


@dataclass(frozen=True, slots=True)
class Packed:
    """The keys and values of ``length`` tokens, layer by layer."""

    layers: tuple[PackedLayer, ...]
    length: int
    nbytes: int


class Quantizer:
    """Rounds groups of tokens to ``bits`` bits, and packs what it has rounded without any further loss."""

    def __init__(self, bits: int) -> None:
        """Use codes of this many bits, one of :data:`BITS`."""
        self.bits = bits
        self._levels = 2**bits - 1

    def scales(self, keys: Tensor, values: Tensor) -> Scales:
        """Room for the scales of so many tokens, ``[tokens, heads, width]``."""
        tokens, heads, width = keys.shape
        half = torch.float16
        return (
            keys.new_zeros(tokens // GROUP, heads, width, 2, dtype=half),
            values.new_zeros(tokens, heads, values.shape[-1] // _channels(values), 2, dtype=half),
        )

    def round(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Scales]:
        """What is left of complete groups.

        Args:
            keys: ``[groups, GROUP, heads, width]``.
            values: As ``keys``.

        Returns:
            Keys and values as they are after quantisation, and their scales: ``[groups, heads, width, 2]`` and
            ``[groups, GROUP, heads, groups of channels, 2]``.
        """
        key_scales = self._fit(keys, 1)
        rows = values.unflatten(-1, (-1, _channels(values)))
        value_scales = self._fit(rows, -1)
        rounded_keys = self._decode(self._encode(keys, key_scales[:, None]), key_scales[:, None], keys.dtype)
        wide = value_scales[..., None, :]
        rounded_values = self._decode(self._encode(rows, wide), wide, values.dtype).flatten(-2)
        return rounded_keys, rounded_values, (key_scales, value_scales)

    def pack(self, keys: Tensor, values: Tensor, scales: Scales) -> PackedLayer:
        """Pack a conversation, ``[tokens, heads, width]``, whose complete groups were rounded with these scales."""
        whole = len(scales[0]) * GROUP
        key_codes = self._encode(keys[:whole].unflatten(0, (-1, GROUP)), scales[0][:, None])
        value_codes = self._encode(values[:whole].unflatten(-1, (-1, _channels(values))), scales[1][..., None, :])
        return PackedLayer(
            (_to_bytes(key_codes.flatten(0, 1), self.bits), _to_bytes(value_codes.flatten(-2), self.bits)),
            (scales[0].clone(), scales[1].clone()),
            (keys[whole:].clone(), values[whole:].clone()),
        )

    def unpack(self, packed: PackedLayer) -> tuple[Tensor, Tensor, Scales]:
        """The numbers that were packed, ``[tokens, heads, width]``, and their scales."""
        (key_scales, value_scales), (new_keys, new_values) = packed.scales, packed.newest
        key_codes, value_codes = (_from_bytes(codes, self.bits) for codes in packed.codes)
        keys = self._decode(key_codes.unflatten(0, (-1, GROUP)), key_scales[:, None], new_keys.dtype).flatten(0, 1)
        rows = value_codes.unflatten(-1, (-1, _channels(new_values)))
        values = self._decode(rows, value_scales[..., None, :], new_values.dtype).flatten(-2)
        return torch.cat([keys, new_keys]), torch.cat([values, new_values]), packed.scales

    def _fit(self, numbers: Tensor, dim: int) -> Tensor:
        """Zero and scale of the groups along ``dim``, float16: ``[..., 2]``."""
        numbers = numbers.float()
        least = torch.finfo(torch.float16)
        zero = numbers.amin(dim).clamp(least.min, least.max).half()
        scale = (numbers.amax(dim) - zero.float()) / self._levels
        return torch.stack([zero, scale.clamp(least.tiny, least.max).half()], -1)

    def _encode(self, numbers: Tensor, scales: Tensor) -> Tensor:
        zero, scale = scales.float().unbind(-1)
        return ((numbers.float() - zero) / scale).round().clamp(0, self._levels).byte()

    def _decode(self, codes: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
        zero, scale = scales.float().unbind(-1)
        return (zero + codes * scale).to(dtype)


def complete(length: int) -> int:
    """How many of so many tokens lie in complete groups."""
    return length // GROUP * GROUP


def _channels(values: Tensor) -> int:
    """Channels of a group: :data:`GROUP` where they divide the width, else all of them."""
    return GROUP if values.shape[-1] % GROUP == 0 else values.shape[-1]


def _to_bytes(codes: Tensor, bits: int) -> Tensor:
    """Several codes a byte, joined along the first dimension, which is a multiple of :data:`GROUP`."""
    per_byte = 8 // bits
    parts = codes.unflatten(0, (per_byte, -1)).unbind()
    joined: Tensor = parts[0].clone()
    for i, part in enumerate(parts[1:], 1):
        joined |= part << (i * bits)
    return joined


def _from_bytes(joined: Tensor, bits: int) -> Tensor:
    return torch.cat([(joined >> (i * bits)) & (2**bits - 1) for i in range(8 // bits)])
