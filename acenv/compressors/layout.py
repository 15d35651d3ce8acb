"""How each method stores a model: type and shape of every tensor of the result, from the headers of the dense one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from acenv.checkpoint import Tensor, tensor_bytes
from acenv.compressors.checkpoint import Source
from acenv.compressors.options import Options

_Parts = dict[str, tuple[str, tuple[int, ...]]]
_WORD = 32


def layout(method: str, source: Source, layers: Mapping[str, Options]) -> dict[str, Tensor]:
    """What a pass writes.

    Args:
        method: Name of the method.
        source: The dense checkpoint.
        layers: Options of each layer that is compressed.
    """
    stored = _STORED.get(method)
    tensors: dict[str, Tensor] = {}
    for name, tensor in source.tensors.items():
        module = name.removesuffix(".weight")
        options = layers.get(module)
        if options is None or module == name:
            tensors[name] = tensor
            continue
        store = stored or (_dense if options.target().bits is None else _packed)
        for part, (dtype, shape) in store(tensor, options).items():
            tensors[f"{module}.{part}"] = Tensor(dtype, shape, tensor_bytes(dtype, shape))
    # Engines that hold a whole model save a head that is tied to the embeddings once.
    if method not in STREAMING and source.config.get("tie_word_embeddings"):
        tensors.pop("lm_head.weight", None)
    return tensors


def _dense(weight: Tensor, options: Any) -> _Parts:
    return {"weight": (weight.dtype, weight.shape)}


def _packed(weight: Tensor, options: Any) -> _Parts:
    """pack-quantized of compressed-tensors: codes along the inputs."""
    rows, width = weight.shape
    target = options.target()
    return {
        "weight_packed": ("I32", (rows, -(-width * target.bits // _WORD))),
        "weight_scale": (weight.dtype, (rows, _groups(width, target.group_size))),
        "weight_shape": ("I64", (2,)),
    }


def _gptq(weight: Tensor, options: Any) -> _Parts:
    """GPTQ: codes along the inputs, zero points along the outputs, and the group of each input."""
    rows, width = weight.shape
    groups = _groups(width, options.group_size)
    return {
        "qweight": ("I32", (-(-width * options.bits // _WORD), rows)),
        "qzeros": ("I32", (groups, -(-rows * options.bits // _WORD))),
        "scales": ("F16", (groups, rows)),
        "g_idx": ("I32", (width,)),
    }


def _awq(weight: Tensor, options: Any) -> _Parts:
    """AutoAWQ's "gemm": codes and zero points along the outputs."""
    rows, width = weight.shape
    groups = _groups(width, options.group_size)
    words = -(-rows * options.bits // _WORD)
    return {"qweight": ("I32", (width, words)), "qzeros": ("I32", (groups, words)), "scales": ("F16", (groups, rows))}


def _bytes_of(dtype: str) -> Callable[[Tensor, Any], _Parts]:
    """A byte a weight, and a scale a row."""
    return lambda weight, options: {
        "weight": (dtype, weight.shape),
        "weight_scale": (weight.dtype, (weight.shape[0], 1)),
    }


def _groups(width: int, size: int) -> int:
    return width // size if size > 0 else 1


_STORED: dict[str, Callable[[Tensor, Any], _Parts]] = {
    "gptq": _gptq,
    "awq": _awq,
    "smoothquant": _bytes_of("I8"),
    "fp8": _bytes_of("F8_E4M3"),
}

STREAMING = ("magnitude", "rtn")
"""Methods that go through a checkpoint tensor by tensor."""
