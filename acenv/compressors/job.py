"""What an engine is given to do, and the little that all engines share."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acenv.checkpoint import check_complete
from acenv.compressors.checkpoint import DTYPES, Source, check_shapes
from acenv.compressors.method import Method, Pass
from acenv.compressors.options import Options, Target, number_text


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
        keep_zeros: Whether weights that are zero have to stay zero, because a pass before this one pruned them.
    """

    source: Source
    method: str
    options: Options
    layers: Mapping[str, Options]
    sequences: Sequence[Sequence[int]]
    out: Path
    keep_zeros: bool = False


def layers_of(source: Source, step: Pass) -> dict[str, Options]:
    """The layers that a pass compresses, with the options of each.

    Args:
        source: The dense checkpoint.
        step: A pass.

    Raises:
        ValueError: A pattern over names matches nothing, or options do not fit the shape of a layer.
    """
    modules = [name.removesuffix(".weight") for name in source.tensors if name.endswith(".weight")]
    layers = step.layers(source.linears, [name for name in modules if name not in source.linears])
    kinds: defaultdict[Target, dict[str, tuple[int, int]]] = defaultdict(dict)
    for name, options in layers.items():
        kinds[options.target()][name] = source.linears[name]
    for target, linears in kinds.items():
        check_shapes(replace(source, linears=linears), target)
        for name, (_, inputs) in linears.items():
            if target.sparsity is not None and int(inputs * target.sparsity) == 0:
                raise ValueError(
                    f"{step.name}: {name} has {inputs} inputs, and sparsity={number_text(target.sparsity)} is less "
                    f"than one of them; give at least {math.ceil(1e4 / inputs) / 1e4:g}"
                )
    return layers


def check_method(source: Source, method: Method) -> list[dict[str, Options]]:
    """Check that a method can be carried out on a model, as far as that can be known before a weight is loaded.

    Returns:
        For each pass the layers that it compresses, with the options of each.

    Raises:
        ValueError: It cannot; the message says what to change.
        ImportError: With the command that installs what is missing.
    """
    layers = [layers_of(source, step) for step in method.passes]
    for i, step in enumerate(method.passes):
        step.engine.check(source, step.options, layers[i], i > 0)
    return layers


def compute_dtype(source: Source) -> Any:
    """The torch type to compute in.

    float32 for models that take an eighth of the machine's memory in it at most: activation statistics are exact in it,
    and CPUs without bf16 instructions are about eight times slower in 16 bit. Larger models are computed in their own
    type, so that they need no more memory than they have to.
    """
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return torch.float32 if 4 * source.parameters <= memory / 8 else getattr(torch, source.dtype)


def load_dense(source: Source) -> Any:
    """The dense model in evaluation mode, in :func:`compute_dtype`.

    Raises:
        ValueError: The checkpoint lacks some of it.
    """
    from transformers import AutoModelForCausalLM

    dtype = compute_dtype(source)
    loaded: Any = AutoModelForCausalLM.from_pretrained(source.folder, dtype=dtype, output_loading_info=True)
    model, found = loaded
    check_complete(source.folder, found["missing_keys"])
    return model.eval()


def save_in_source_dtype(model: Any, source: Source, out: Path) -> None:
    """Save a transformers model in the types that the source has."""
    to_source_dtype(model, source)
    model.save_pretrained(out)


def to_source_dtype(model: Any, source: Source) -> None:
    """Give every parameter of a transformers model the type that it has in the source."""
    import torch

    dtype = getattr(torch, source.dtype)
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            stored = source.tensors.get(name)
            parameter.data = parameter.data.to(getattr(torch, DTYPES[stored.dtype]) if stored else dtype)
    model.config.dtype = dtype


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
