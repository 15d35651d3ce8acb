"""What a compressed checkpoint really is: measured on the files, on the weights, and on the logits of a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from acenv.compressors.checkpoint import Source, Tensor, read_tensors, weight_files
from acenv.compressors.job import compute_dtype, load_dense
from acenv.compressors.options import CompressionError, Target

PROBE_TOKENS = 128
"""Length of the text on which logits are compared."""

_PROBE_TEXT_IDS = 64
_SPARSITY_TOLERANCE = 0.01
_SAMPLED_ROWS = 1024


def dense_logits(source: Source, ids: Sequence[int]) -> torch.Tensor:
    """Logits of the dense model, ``[tokens, vocabulary]`` in float32."""
    return _logits(load_dense(source), ids)


def probe(sequences: Sequence[Sequence[int]], source: Source) -> list[int]:
    """The text on which logits are compared: the longest of the calibration, or the first ids of the vocabulary."""
    longest: Sequence[int] = max(sequences, key=len, default=range(_PROBE_TEXT_IDS))
    vocabulary = source.config.get("vocab_size")
    limit = min(PROBE_TOKENS, source.context)
    return [i for i in longest[:limit] if not isinstance(vocabulary, int) or i < vocabulary]


def measure(
    folder: Path,
    source: Source,
    target: Target,
    reference: torch.Tensor,
    ids: Sequence[int],
    load: Callable[[Path, torch.dtype], Any],
    dense_weight: Callable[[Any], Any],
) -> dict[str, Any]:
    """Load a compressed checkpoint, measure it, and check it against what was asked for.

    Args:
        folder: The compressed checkpoint.
        source: The dense one.
        target: What was asked for.
        reference: Logits of the dense model on ``ids``.
        ids: The text.
        load: Gives the model of ``folder``, to compute in a type.
        dense_weight: Gives the weights of one of its layers, float32 ``[out, in]``.

    Returns:
        For the manifest: sizes in bytes, bits per weight, levels, sparsity, and the KL divergence from the dense model.

    Raises:
        CompressionError: It does not load, gives no finite logits, or is not what was asked for.
    """
    tensors = read_tensors(weight_files(folder))
    eagerly: Any = torch.compiler.set_stance("force_eager")  # compiling a kernel takes longer than what it does here
    with eagerly:
        try:
            model = load(folder, compute_dtype(source)).eval()
            logits = _logits(model, ids)
            modules = {name: model.get_submodule(name) for name in source.linears}
        except Exception as error:  # many libraries are at work in there
            raise CompressionError(f"the compressed model cannot be used: {type(error).__name__}: {error}") from error
        contents = _levels_and_zeros(modules, target, dense_weight)
    found = {
        "disk_bytes": sum(p.stat().st_size for p in weight_files(folder)),
        "source_disk_bytes": sum(p.stat().st_size for p in source.files),
        "tensor_bytes": sum(t.size for t in tensors.values()),
        "memory_bytes": _memory(model),
        "compressed_parameters": sum(a * b for a, b in source.linears.values()),
        "bits_per_weight": _stored_bits(tensors, source.linears),
        **contents,
        **_difference(reference, logits),
    }
    problems = _problems(found, target, source)
    if problems:
        raise CompressionError("the compressed model is not what was asked for: " + "; ".join(problems))
    return found


def _logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=torch.tensor([list(ids)], device=model.device)).logits[0]
    return logits.float().cpu()


def _memory(model: Any) -> int:
    """Bytes of the loaded model's tensors, shared ones counted once."""
    storages = {}
    for tensor in [*model.parameters(), *model.buffers()]:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _stored_bits(tensors: Mapping[str, Tensor], linears: Mapping[str, tuple[int, int]]) -> float:
    """Bits in the files for each weight of the layers: codes, scales, zero points and indices together."""
    size = 0
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        if module in linears and kind != "bias":
            size += tensor.size
    return 8 * size / sum(a * b for a, b in linears.values())


def _levels_and_zeros(
    modules: Mapping[str, Any], target: Target, dense_weight: Callable[[Any], Any]
) -> dict[str, float | int | None]:
    zeros = weights = kept = groups = 0
    most_levels, sum_levels, level_groups, worst = 0, 0, 0, 1.0
    for module in modules.values():
        weight = dense_weight(module)
        if (groups_of := getattr(module, "g_idx", None)) is not None:  # inputs of one group side by side
            weight = weight[:, groups_of.long().argsort(stable=True)]
        layer_zeros = int((weight == 0).sum())
        zeros += layer_zeros
        weights += weight.numel()
        worst = min(worst, layer_zeros / weight.numel())
        if target.pattern:
            pieces = (weight.reshape(-1, target.pattern[1]) == 0).sum(1)
            kept += int((pieces >= target.pattern[0]).sum())
            groups += len(pieces)
        if target.bits is not None:
            size = target.group_size if target.group_size > 0 else weight.shape[1]
            # Sorted, each change of value is a new level; rows spread over the layer stand for all of a large one.
            rows = weight[:: max(1, len(weight) // _SAMPLED_ROWS)].reshape(-1, size).sort(1).values
            levels = (rows.diff(dim=1) != 0).sum(1) + 1
            most_levels = max(most_levels, int(levels.max()))
            sum_levels += int(levels.sum())
            level_groups += len(levels)
    return {
        "sparsity": zeros / weights,
        "sparsity_lowest_layer": worst,
        "pattern_share": kept / groups if groups else None,
        "levels_max": most_levels or None,
        "levels_mean": sum_levels / level_groups if level_groups else None,
    }


def _difference(reference: torch.Tensor, logits: torch.Tensor) -> dict[str, float | int]:
    p, q = reference.log_softmax(-1), logits.log_softmax(-1)
    return {
        "probe_tokens": len(logits),
        "kl_from_dense": float((p.exp() * (p - q)).sum(-1).mean()),
        "top1_agreement": float((reference.argmax(-1) == logits.argmax(-1)).double().mean()),
        "largest_logit_change": float((reference - logits).abs().max()),
    }


def _problems(found: Mapping[str, Any], target: Target, source: Source) -> list[str]:
    problems = []
    if not math.isfinite(found["kl_from_dense"]):
        problems.append("its logits are not finite numbers")
    if found["largest_logit_change"] == 0:
        problems.append("its logits equal the dense model's, so nothing was compressed")
    if target.bits is not None:
        if found["levels_max"] > 2**target.bits:
            problems.append(f"a group has {found['levels_max']} levels, more than {target.bits} bits can hold")
        stored = 8 * sum(source.tensors[f"{name}.weight"].size for name in source.linears)
        if found["bits_per_weight"] >= stored / found["compressed_parameters"]:
            problems.append(f"it stores {found['bits_per_weight']:.2f} bits a weight, no less than the dense model")
    if target.sparsity is not None:
        # An N:M pattern asks for at least that many zeros.
        low, high = target.sparsity - _SPARSITY_TOLERANCE, target.sparsity + _SPARSITY_TOLERANCE
        # Pruning keeps the zeros that were there before, so a layer that has many ends up above what was asked for.
        too_many = found["sparsity"] > high and not target.pattern and found["sparsity"] > high + _zeros_before(source)
        if found["sparsity"] < low or too_many:
            problems.append(f"{100 * found['sparsity']:.1f}% of its weights are zero, not {100 * target.sparsity:g}%")
    if target.pattern and found["pattern_share"] != 1.0:
        problems.append(f"only {100 * found['pattern_share']:.2f}% of the groups keep the pattern")
    return problems


def _zeros_before(source: Source) -> float:
    """Share of zeros in the linear layers of the dense checkpoint."""
    zeros = weights = 0
    for file in source.files:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (no mapping)
                if name.removesuffix(".weight") in source.linears:
                    weight = tensors.get_tensor(name)
                    zeros += int((weight == 0).sum())
                    weights += weight.numel()
    return zeros / max(1, weights)
