"""What an engine is given to do, and the little that all engines share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acenv.compressors.checkpoint import Source
from acenv.compressors.options import Options


@dataclass(frozen=True, slots=True)
class Job:
    """One pass of a compression.

    Attributes:
        source: The dense checkpoint; in a second pass, what the first one wrote.
        method: Name of the method, for modules with several.
        options: The method's options, where a layer has no others.
        layers: Options of each layer to compress, by the name of its module. Layers that are not among them have to
            stay as they are, to the bit.
        sequences: Token ids of the calibration texts; empty for methods that need none.
        out: An existing folder for ``config.json`` and the weights.
    """

    source: Source
    method: str
    options: Options
    layers: Mapping[str, Options]
    sequences: Sequence[Sequence[int]]
    out: Path


def compute_dtype(source: Source) -> Any:
    """The torch type to compute in.

    float32 where the model fits into half of the machine's memory: activation statistics are exact in it, and CPUs
    without bf16 instructions are about eight times slower in 16 bit. Larger models are computed in their own type.
    """
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return torch.float32 if 4 * source.parameters < memory / 2 else getattr(torch, source.dtype)


def load_dense(source: Source) -> Any:
    """The dense model in evaluation mode, in :func:`compute_dtype`."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(source.folder, dtype=compute_dtype(source))
    return model.eval()


def save_in_source_dtype(model: Any, source: Source, out: Path) -> None:
    """Save a transformers model in the type that the source has."""
    import torch

    dtype = getattr(torch, source.dtype)
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    model.config.dtype = dtype
    model.save_pretrained(out)


def load(folder: Path, dtype: Any) -> Any:
    """Load a saved checkpoint with plain transformers, for the engines whose format it knows.

    Args:
        folder: What an engine wrote.
        dtype: The torch type to compute in.
    """
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def dense_weight(module: Any) -> Any:
    """The weights of a linear layer, float32 ``[out, in]``; packed ones were unpacked when they were loaded."""
    return module.weight.detach().float()
