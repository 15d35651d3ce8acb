"""What a compressed checkpoint really is: measured on its files and on its weights, and checked layer by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from acenv.compressors import divergence
from acenv.compressors.checkpoint import Source, Tensor, read_tensors, weight_files
from acenv.compressors.divergence import Reference
from acenv.compressors.job import compute_dtype
from acenv.compressors.options import CompressionError, Options, Target
from acenv.compressors.stream import read_stored

_SPARSITY_TOLERANCE = 0.01
_SAMPLED_ROWS = 1024


class Loader(Protocol):
    """The two functions of an engine's module by which its results are looked at."""

    def load(self, folder: Path, dtype: Any) -> Any:
        """The model of a folder, to compute in a torch type."""
        ...

    def dense_weight(self, module: Any) -> Any:
        """The weights of one of its layers, float32 ``[out, in]``."""
        ...


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What is in the weights of one layer.

    Attributes:
        weights: How many there are.
        inputs: Columns of the matrix.
        stored_bytes: What they take in the files, with scales, zero points and indices.
        source_bytes: What they took in the dense checkpoint.
        zeros: Weights that are zero.
        zeros_before: Weights that were zero in the dense checkpoint.
        zeros_lost: Weights that were zero before this pass, and had to stay so, and did not.
        pieces: Pieces of the N:M pattern.
        pieces_kept: Those with enough zeros.
        levels_max: Most distinct values in a group.
        levels_sum: Distinct values in all groups that were looked at.
        groups: How many were looked at.
    """

    weights: int
    inputs: int
    stored_bytes: int
    source_bytes: int
    zeros: int
    zeros_before: int
    zeros_lost: int = 0
    pieces: int = 0
    pieces_kept: int = 0
    levels_max: int = 0
    levels_sum: int = 0
    groups: int = 0


def merge_targets(targets: Mapping[str, Target], layers: Mapping[str, Options]) -> dict[str, Target]:
    """What each layer has to look like after one more pass.

    Args:
        targets: From the passes before.
        layers: Options of the layers that this pass compresses.
    """
    merged = dict(targets)
    for name, options in layers.items():
        target = options.target()
        before = targets.get(name)
        if before is not None:  # pruned first, then quantised
            target = replace(target, sparsity=before.sparsity, pattern=before.pattern)
        merged[name] = target
    return merged


def measure(
    folder: Path,
    original: Source,
    before: Source,
    layers: Mapping[str, Options],
    targets: Mapping[str, Target],
    reference: Reference,
    loader: Loader,
) -> dict[str, Any]:
    """Load what a pass has written, measure it, and check it against what was asked for.

    Args:
        folder: What the pass has written.
        original: The dense checkpoint.
        before: What the pass began with: the dense checkpoint, or the result of the pass before.
        layers: Options of the layers that the pass compresses.
        targets: What each layer has to look like now.
        reference: The dense model on the held-out texts.
        loader: The engine's module.

    Returns:
        For the manifest: sizes in bytes, bits a weight, levels, sparsity, all of it again for each kind of layers, and
        the distance from the dense model.

    Raises:
        CompressionError: It does not load, gives no finite logits, or is not what was asked for.
    """
    files = weight_files(folder)
    tensors = read_tensors(files)
    _check_untouched(tensors, before, layers)
    eagerly: Any = torch.compiler.set_stance("force_eager")  # compiling a kernel takes longer than what it does here
    with eagerly:
        try:
            model = loader.load(folder, compute_dtype(original)).eval()
            modules = {name: model.get_submodule(name) for name in targets}
            distance = divergence.compare(reference, model)
        except CompressionError:
            raise
        except Exception as error:  # many libraries are at work in there
            raise CompressionError(f"the compressed model cannot be used: {type(error).__name__}: {error}") from error
        stored = layer_bytes(tensors, targets)
        contents = {}
        for name, target in targets.items():
            weight = loader.dense_weight(modules[name])
            contents[name] = _contents(weight, target, _weight(original, name), stored[name])
            if name in layers and before is not original:
                lost = (_weight(before, name) == 0) & (weight != 0)
                contents[name] = replace(contents[name], zeros_lost=int(lost.sum()))
            if target.bits is not None:
                # With act-order, the inputs of a group are not side by side.
                groups = getattr(modules[name], "g_idx", None)
                order = slice(None) if groups is None else groups.long().argsort(stable=True)
                contents[name] = _with_levels(contents[name], weight[:, order], target)
            del weight
    problems = []
    if distance["largest_logit_change"] == 0:
        problems.append("its logits equal the dense model's, so nothing was compressed")
    problems += [problem for name, target in targets.items() for problem in _problems(name, target, contents[name])]
    kinds: defaultdict[Target, list[LayerContents]] = defaultdict(list)
    for name, target in targets.items():
        kinds[target].append(contents[name])
    problems += [problem for target, layers_of in kinds.items() for problem in _excess(target, layers_of)]
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CompressionError(f"the compressed model is not what was asked for: {'; '.join(problems[:3])}{more}")
    size = sum(tensor.size for tensor in tensors.values())
    return {
        "disk_bytes": sum(path.stat().st_size for path in files),
        "source_disk_bytes": sum(path.stat().st_size for path in original.files),
        "tensor_bytes": size,
        "model_bits_per_weight": 8 * size / original.parameters,
        **_summary(list(contents.values())),
        "layers": [{"target": _describe(target), **_summary(layers_of)} for target, layers_of in kinds.items()],
        **distance,
    }


def _check_untouched(tensors: Mapping[str, Tensor], before: Source, layers: Mapping[str, Options]) -> None:
    """Matrices that are not to be compressed have to be what they were, to the bit."""
    names = [
        name
        for name, tensor in before.tensors.items()
        if len(tensor.shape) > 1 and name.removesuffix(".weight") not in layers
    ]
    for name in names:
        # A head that is tied to the embeddings may be written or left out.
        if name not in tensors and name.removesuffix(".weight") in before.linears:
            raise CompressionError(f"{name} was to be left as it is, and the compressed model lacks it")
    names = [name for name in names if name in tensors]
    for (name, old), (_, new) in zip(read_stored(before.tensors, names), read_stored(tensors, names), strict=True):
        if old.dtype != new.dtype or not torch.equal(old, new):
            raise CompressionError(f"{name} was to be left as it is, and has changed")


def _weight(source: Source, name: str) -> Any:
    return next(read_stored(source.tensors, [f"{name}.weight"]))[1]


def layer_bytes(tensors: Mapping[str, Tensor], modules: Mapping[str, Any]) -> dict[str, int]:
    """Bytes in the files for each layer: codes, scales, zero points and indices together."""
    sizes = dict.fromkeys(modules, 0)
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        if module in sizes and kind != "bias":
            sizes[module] += tensor.size
    return sizes


def _contents(weight: Any, target: Target, original: Any, stored_bytes: int) -> LayerContents:
    """Look at the zeros of a layer.

    Args:
        weight: As it is now.
        target: What it has to look like.
        original: As it was in the dense checkpoint.
        stored_bytes: What it takes in the files.
    """
    zero = weight == 0
    contents = LayerContents(
        weights=weight.numel(),
        inputs=weight.shape[1],
        stored_bytes=stored_bytes,
        source_bytes=original.numel() * original.element_size(),
        zeros=int(zero.sum()),
        zeros_before=int((original == 0).sum()),
    )
    if target.pattern:
        zeros, of = target.pattern
        pieces = zero.reshape(-1, of).sum(1)
        contents = replace(contents, pieces=len(pieces), pieces_kept=int((pieces >= zeros).sum()))
    return contents


def _with_levels(contents: LayerContents, weight: Any, target: Target) -> LayerContents:
    """Count the levels of a layer whose groups lie side by side; rows spread over a large one stand for all."""
    size = target.group_size if target.group_size > 0 else weight.shape[1]
    # Sorted, each change of value is a new level.
    rows = weight[:: max(1, len(weight) // _SAMPLED_ROWS)].reshape(-1, size).sort(1).values
    levels = (rows.diff(dim=1) != 0).sum(1) + 1
    return replace(contents, levels_max=int(levels.max()), levels_sum=int(levels.sum()), groups=len(levels))


def _summary(layers: list[LayerContents]) -> dict[str, Any]:
    weights = sum(layer.weights for layer in layers)
    pieces, groups = sum(layer.pieces for layer in layers), sum(layer.groups for layer in layers)
    return {
        "compressed_layers": len(layers),
        "compressed_parameters": weights,
        "bits_per_weight": 8 * sum(layer.stored_bytes for layer in layers) / weights,
        "sparsity": sum(layer.zeros for layer in layers) / weights,
        "sparsity_lowest_layer": min(layer.zeros / layer.weights for layer in layers),
        "pattern_share": sum(layer.pieces_kept for layer in layers) / pieces if pieces else None,
        "levels_max": max(layer.levels_max for layer in layers) or None,
        "levels_mean": sum(layer.levels_sum for layer in layers) / groups if groups else None,
    }


def _problems(name: str, target: Target, layer: LayerContents) -> Iterator[str]:
    """What is wrong with a layer."""
    share = layer.zeros / layer.weights
    if layer.zeros_lost:
        yield f"{name} has lost {layer.zeros_lost} of its zeros, so that its pruning is gone"
    if target.bits is not None:
        stored = 8 * layer.stored_bytes / layer.weights
        if layer.levels_max > 2**target.bits:
            yield f"{name} has {layer.levels_max} levels in a group, more than {target.bits} bits can hold"
        if layer.stored_bytes >= layer.source_bytes:
            yield f"{name} is stored in {stored:.2f} bits a weight, no less than in the dense model"
        elif stored < target.bits:
            yield f"{name} is stored in {stored:.2f} bits a weight, less than {target.bits}"
    if target.sparsity is not None:
        # Methods that prune row by row round down in each row.
        slack = 1e-6 if target.pattern else 1 / layer.inputs + 1e-6
        if share < target.sparsity - slack:
            yield f"{100 * share:.1f}% of {name} are zero, not {100 * target.sparsity:g}%"
    if layer.pieces_kept < layer.pieces:
        yield f"only {100 * layer.pieces_kept / layer.pieces:.2f}% of {name} keep the pattern"


def _excess(target: Target, layers: list[LayerContents]) -> Iterator[str]:
    """Whether more was pruned than asked for.

    An N:M pattern asks for at least that many zeros, and quantising adds some.
    """
    if target.sparsity is None or target.pattern or target.bits is not None:
        return
    weights = sum(layer.weights for layer in layers)
    share = sum(layer.zeros for layer in layers) / weights
    # Pruning keeps the zeros that were there before, so a layer that has many ends up above what was asked for.
    before = sum(layer.zeros_before for layer in layers) / weights
    if share > target.sparsity + _SPARSITY_TOLERANCE + before:
        yield f"{100 * share:.1f}% of its weights are zero, not {100 * target.sparsity:g}%"


def _describe(target: Target) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if target.bits is not None:
        described |= {"bits": target.bits, "group_size": target.group_size}
    if target.sparsity is not None:
        described["sparsity"] = target.sparsity
    if target.pattern is not None:
        described["pattern"] = "{}:{}".format(*target.pattern)
    return described
