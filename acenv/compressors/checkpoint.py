"""Checkpoint folders, read through ``config.json`` and the headers of the safetensors files: no weights are loaded."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acenv.compressors.options import GROUP_SIZES, Target

_LAYER_WEIGHT = re.compile(r"(?P<module>(?:.+\.)?\d+\..+)\.weight")
# Routers of mixtures of experts are matrices in a layer too, and every engine leaves them dense.
_ROUTERS = ("gate", "router", "shared_expert_gate")
# These keep their matrices as [in, out], and the engines treat them each in its own way.
_TRANSPOSED = ("gpt2", "openai-gpt", "imagegpt")
_DTYPES = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
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
class Tensor:
    """One tensor, as the header of its file describes it; ``size`` is in bytes."""

    dtype: str
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A dense checkpoint that can be compressed.

    Attributes:
        folder: Where it is.
        config: Its ``config.json``.
        files: The weight files.
        tensors: All tensors by name.
        linears: ``{module: (out_features, in_features)}`` of the matrices in the layers; embeddings and the head are
            not among them.
        dtype: Torch's name of the type that most weights have.
    """

    folder: Path
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    tensors: Mapping[str, Tensor]
    linears: Mapping[str, tuple[int, int]]
    dtype: str

    @property
    def size(self) -> int:
        """Bytes of all weights."""
        return sum(t.size for t in self.tensors.values())

    @property
    def parameters(self) -> int:
        """Number of weights."""
        total = 0
        for tensor in self.tensors.values():
            count = 1
            for n in tensor.shape:
                count *= n
            total += count
        return total

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
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give the folder of a checkpoint")
    config = _read_json(folder / "config.json", folder)
    quantization = config.get("quantization_config")
    if quantization:
        kind = quantization.get("quant_method", "quantised") if isinstance(quantization, dict) else "quantised"
        raise ValueError(f"{folder} is compressed already ({kind}); give the folder of the original model")
    if config.get("model_type") in _TRANSPOSED:
        raise ValueError(f"{folder} is a {config['model_type']} model, whose layers (Conv1D) cannot be compressed here")
    files = weight_files(folder)
    tensors = read_tensors(files)
    linears: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors.items():
        match = _LAYER_WEIGHT.fullmatch(name)
        if match and len(tensor.shape) == 2 and match["module"].rpartition(".")[2] not in _ROUTERS:
            linears[match["module"]] = (tensor.shape[0], tensor.shape[1])
    if not linears:
        raise ValueError(f"{folder} has no layers with linear weights: it is no decoder that can be compressed")
    kinds = [_DTYPES.get(tensors[f"{name}.weight"].dtype, "") for name in linears]
    dtype = max(set(kinds), key=kinds.count)
    if not dtype:
        raise ValueError(
            f"{folder} has weights of type {tensors[next(iter(linears)) + '.weight'].dtype}; give a dense one"
        )
    return Source(folder, config, files, tensors, linears, dtype)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a checkpoint.

    Raises:
        ValueError: There are none, or one is missing.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(_read_json(index, folder).get("weight_map", {}).values()))]
    else:
        files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(f"{folder} has no weights: no *.safetensors file")
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file} is missing, though the index of the checkpoint lists it")
    return tuple(files)


def read_tensors(files: Iterable[Path]) -> dict[str, Tensor]:
    """The tensors of safetensors files, from their headers alone.

    Raises:
        ValueError: A file is damaged.
    """
    tensors: dict[str, Tensor] = {}
    for file in files:
        size = file.stat().st_size
        try:
            with file.open("rb") as handle:
                length = int.from_bytes(handle.read(8), "little")
                if length > size:
                    raise ValueError("the header is cut off")
                header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            end = 0
            for name, entry in header.items():
                start, stop = entry["data_offsets"]
                end = max(end, stop)
                tensors[name] = Tensor(entry["dtype"], tuple(entry["shape"]), stop - start)
            if size != 8 + length + end:
                raise ValueError(f"{size} bytes, where its header says {8 + length + end}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{file} is damaged or no safetensors file: {error}") from error
    return tensors


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
    """sha256 over ``config.json`` and the weight files."""
    digest = hashlib.sha256()
    for path in (source.folder / "config.json", *source.files):
        digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def copy_companions(source: Path, out: Path) -> None:
    """Copy tokenizer, chat template and generation settings, as they are, over what an engine wrote."""
    for pattern in _COPIED:
        for path in source.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, out / path.name)


def _read_json(path: Path, folder: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{folder} is no checkpoint: {path.name} is missing")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return data
