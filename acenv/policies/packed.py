"""Packed 2 to 8 bit weights (GPTQ, AWQ) as plain matrices.

A CPU computes with dense weights far quicker than with packed ones, and the kernels for packed weights take seconds to
import or minutes to compile. The numbers are the same: a packed weight is ``scale * (code - zero)`` by definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

# The order in which AutoAWQ's "gemm" format interleaves the eight 4 bit codes of a word.
_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)


def can_unpack(quantization: dict[str, Any]) -> bool:
    """Whether a ``quantization_config`` is of a layout that :func:`dense_state` reads."""
    method = quantization.get("quant_method")
    layout = quantization.get("checkpoint_format") or quantization.get("format") or quantization.get("version")
    if quantization.get("pack_dtype", "int32") != "int32":
        return False
    if method == "gptq":
        return layout in (None, "gptq", "gptq_v2") and quantization.get("bits") in (2, 3, 4, 8)
    return method == "awq" and str(layout).lower() == "gemm" and quantization.get("bits") == 4


def dense_state(files: Iterable[Path], quantization: dict[str, Any], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Read a packed checkpoint as the state dict of the dense model.

    Args:
        files: The safetensors files of the checkpoint.
        quantization: Its ``quantization_config``, for which :func:`can_unpack` holds.
        dtype: Of the unpacked weights; the products are computed in float32.

    Returns:
        Tensors by name, with ``.qweight``, ``.qzeros``, ``.scales`` and ``.g_idx`` replaced by ``.weight``.
    """
    packed: dict[str, dict[str, torch.Tensor]] = {}
    dense: dict[str, torch.Tensor] = {}
    for name, tensor in _tensors(files):
        prefix, _, kind = name.rpartition(".")
        if kind in ("qweight", "qzeros", "scales", "g_idx"):
            packed.setdefault(prefix, {})[kind] = tensor
        else:
            dense[name] = tensor
    awq = quantization["quant_method"] == "awq"
    # The first GPTQ format stores every zero point less one.
    offset = 0 if quantization.get("checkpoint_format") == "gptq_v2" else 1
    for prefix in list(packed):
        parts = packed.pop(prefix)
        weight = _awq_weight(parts) if awq else _gptq_weight(parts, int(quantization["bits"]), offset)
        dense[f"{prefix}.weight"] = weight.to(dtype)
    return dense


def _tensors(files: Iterable[Path]) -> Iterator[tuple[str, torch.Tensor]]:
    for file in files:
        with safe_open(str(file), framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118 (not a dict)
                yield name, handle.get_tensor(name)


def _gptq_weight(parts: dict[str, torch.Tensor], bits: int, offset: int) -> torch.Tensor:
    """``[out, in]`` from codes packed along the inputs and zero points packed along the outputs."""
    scales = parts["scales"].float()
    groups = len(scales)
    g_idx = parts.get("g_idx")
    # Single layers may have other bits than the rest; the shapes tell.
    if g_idx is not None:
        bits = parts["qweight"].shape[0] * 32 // len(g_idx)
    codes = _unpack_bits(parts["qweight"].T, bits)
    if g_idx is None:
        g_idx = torch.arange(codes.shape[1]) // -(-codes.shape[1] // groups)
    codes = codes[:, : len(g_idx)]
    zeros = _unpack_bits(parts["qzeros"], bits)[:, : scales.shape[1]]
    zeros = (zeros + offset) & (2**bits - 1)
    index = g_idx.long()
    weight: torch.Tensor = scales.T[:, index] * (codes - zeros.T[:, index])
    return weight


def _awq_weight(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    """``[out, in]`` from codes and zero points that are both packed along the outputs."""
    scales = parts["scales"].float()

    def unpack(words: torch.Tensor) -> torch.Tensor:
        codes = _unpack_bits(words, 4)
        return codes.reshape(len(codes), -1, 8)[:, :, list(_AWQ_ORDER)].reshape(len(codes), -1)

    codes, zeros = unpack(parts["qweight"]), unpack(parts["qzeros"])
    repeat = len(codes) // len(scales)
    weight = scales.repeat_interleave(repeat, 0) * (codes - zeros.repeat_interleave(repeat, 0))
    return weight.T.contiguous()


def _unpack_bits(words: torch.Tensor, bits: int) -> torch.Tensor:
    """Codes of ``bits`` bits, lowest first, from rows of 32 bit words: int32 ``[rows, words * 32 / bits]``."""
    raw = np.ascontiguousarray(words.numpy()).view(np.uint8)
    stream = np.unpackbits(raw, axis=1, bitorder="little").reshape(len(raw), -1, bits)
    codes = np.zeros(stream.shape[:2], dtype=np.int32)
    for i in range(bits):
        codes |= stream[:, :, i].astype(np.int32) << i
    return torch.from_numpy(codes)
