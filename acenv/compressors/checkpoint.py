"""What a compression begins with: a dense checkpoint, its linear layers, and whether a method fits their shapes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from acenv import checkpoint as checkpoints
from acenv.checkpoint import Checkpoint, Tensor, read_checkpoint, read_tensors, weight_files
from acenv.compressors.options import GROUP_SIZES, Target

__all__ = [
    "Source",
    "Tensor",
    "check_shapes",
    "copy_companions",
    "fingerprint",
    "read_source",
    "read_tensors",
    "weight_files",
]

_LAYER_WEIGHT = re.compile(r"(?P<module>(?:.+\.)?\d+\..+)\.weight")
# Routers of mixtures of experts are matrices in a layer too, and every engine leaves them dense.
_ROUTERS = ("gate", "router", "shared_expert_gate")
# These keep their matrices as [in, out], and the engines treat them each in its own way.
_TRANSPOSED = ("gpt2", "openai-gpt", "imagegpt")
DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_COPIED = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "chat_template*",
    "generation_config.json",
)


@dataclass(frozen=True, slots=True)
class Source:
    """A dense checkpoint that can be compressed.

    Attributes:
        checkpoint: What it was read from.
        linears: ``{module: (out_features, in_features)}`` of the matrices in the layers; embeddings and the head are
            not among them.
        dtype: Torch's name of the type that most weights have.
    """

    checkpoint: Checkpoint
    linears: Mapping[str, tuple[int, int]]
    dtype: str

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.checkpoint.folder

    @property
    def config(self) -> Mapping[str, Any]:
        """Its ``config.json``."""
        return self.checkpoint.config

    @property
    def files(self) -> tuple[Path, ...]:
        """The weight files."""
        return self.checkpoint.weights

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All tensors by name."""
        return self.checkpoint.tensors

    @property
    def size(self) -> int:
        """Bytes of all weights."""
        return sum(tensor.size for tensor in self.tensors.values())

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def context(self) -> int:
        """Positions that the model knows; 2048 where the config does not say."""
        length = self.config.get("max_position_embeddings")
        return length if isinstance(length, int) and length > 0 else 2048


def read_source(model: str | Path) -> Source:
    """Look at a checkpoint folder.

    Raises:
        ValueError: It is no dense safetensors checkpoint of a decoder with linear layers; the message says why.
    """
    checkpoint = read_checkpoint(Path(model).expanduser())
    folder, config, tensors = checkpoint.folder, checkpoint.config, checkpoint.tensors
    if quantization := checkpoint.quantization:
        kind = quantization.get("quant_method", "quantised")
        raise ValueError(f"{folder} is compressed already ({kind}); give the folder of the original model")
    if config.get("model_type") in _TRANSPOSED:
        raise ValueError(f"{folder} is a {config['model_type']} model, whose layers (Conv1D) cannot be compressed here")
    linears: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors.items():
        match = _LAYER_WEIGHT.fullmatch(name)
        if match and len(tensor.shape) == 2 and match["module"].rpartition(".")[2] not in _ROUTERS:
            linears[match["module"]] = (tensor.shape[0], tensor.shape[1])
    if not linears:
        raise ValueError(f"{folder} has no layers with linear weights: it is no decoder that can be compressed")
    kinds = [DTYPES.get(tensors[f"{name}.weight"].dtype, "") for name in linears]
    dtype = max(set(kinds), key=kinds.count)
    if not dtype:
        raise ValueError(
            f"{folder} has weights of type {tensors[next(iter(linears)) + '.weight'].dtype}; give a dense one"
        )
    return Source(checkpoint, linears, dtype)


def check_shapes(source: Source, target: Target) -> None:
    """Check that every matrix can be cut into groups, or into the pattern's pieces.

    Raises:
        ValueError: One cannot; the message names it and the group sizes that fit.
    """
    size = target.pattern[1] if target.pattern else target.group_size
    bad = {name: n for name, (_, n) in source.linears.items() if size > 0 and n % size}
    if not bad:
        return
    name, width = next(iter(bad.items()))
    others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    if target.pattern:
        raise ValueError(f"{name}{others} has {width} inputs, which the pattern of {size} does not divide")
    fitting = [g for g in GROUP_SIZES if g > 0 and all(n % g == 0 for _, n in source.linears.values())]
    raise ValueError(
        f"{name}{others} has {width} inputs, which group_size={size} does not divide; "
        f"for this model use group_size={' or '.join(map(str, [*fitting, -1]))}"
    )


def fingerprint(source: Source) -> str:
    """The fingerprint of config and weights; see :func:`acenv.checkpoint.fingerprint`."""
    return checkpoints.fingerprint(source.checkpoint, companions=False)


def copy_companions(source: Path, out: Path) -> None:
    """Copy tokenizer, chat template and generation settings, as they are, over what an engine wrote."""
    for pattern in _COPIED:
        for path in source.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, out / path.name)
