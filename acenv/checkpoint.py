"""Checkpoint folders, looked at before a weight is loaded: what is in them, whether they are whole, and safe to load.

Everything here reads JSON files and the headers of safetensors files, which takes milliseconds for any model and needs
no torch. What loads a checkpoint, compresses one or compares two begins here, so that all of them refuse the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from acenv.refusals import check_code, check_sizes

MANIFEST = "compression.json"
"""Name of the manifest in the folder of a compressed checkpoint."""

_DOWNLOADED = ("*.safetensors", "*.json", "*.model", "*.jinja", "*.txt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tokenizer_config.json")
# What can change an answer beside the config and the weights.
_COMPANIONS = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "chat_template.jinja",
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
INDEX = "model.safetensors.index.json"
"""Name of the file that says which tensor is in which of several weight files."""

_BLOCK = 64 * 1024
_SAMPLED_ABOVE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor, as the header of its file describes it.

    Attributes:
        dtype: As safetensors writes it, such as ``"BF16"``.
        shape: Its dimensions.
        size: Bytes.
        file: Where it is.
    """

    dtype: str
    shape: tuple[int, ...]
    size: int
    file: Path = Path()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk that passed the checks.

    Attributes:
        folder: Where config and tokenizer are.
        weights: The weight files.
        gguf: Name of the GGUF file in ``folder``, if it is one.
        config: ``config.json``; empty for a GGUF file.
        tensors: All tensors by name; empty for GGUF files and pickles.
    """

    folder: Path
    weights: tuple[Path, ...]
    gguf: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def quantization(self) -> dict[str, Any]:
        """``quantization_config`` of the config, empty for dense models."""
        return dict(self.config.get("quantization_config") or {})


def find_checkpoint(source: str, *, trust_remote_code: bool = False, allow_pickle: bool = False) -> Checkpoint:
    """Find a checkpoint that a policy can act with, fetch it if it is on the hub, and check that it can be loaded.

    Args:
        source: A folder, a GGUF file, or an id on the Hugging Face hub.
        trust_remote_code: Let the checkpoint bring Python code of its own.
        allow_pickle: Accept ``.bin`` weights, which can run code when they are read.

    Raises:
        ValueError: Something is missing, damaged or not allowed; the message names the file.
    """
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix != ".gguf":
            raise ValueError(f"{path} is a file; give the checkpoint's folder, or a .gguf file")
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ValueError(f"{path} is not a GGUF file, or it is damaged")
        return Checkpoint(path.parent, (path,), path.name)
    if not path.is_dir():
        path = _download(source, trust_remote_code, allow_pickle)
    checkpoint = read_checkpoint(path, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle)
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise ValueError(f"{path} has no tokenizer: {_TOKENIZER_FILES[0]} is missing; copy the original model's")
    return checkpoint


def read_checkpoint(folder: Path, *, trust_remote_code: bool = False, allow_pickle: bool = False) -> Checkpoint:
    """Look at a folder: config, index, headers, and the manifest of a compression.

    Args:
        folder: The checkpoint.
        trust_remote_code: Let the checkpoint bring Python code of its own.
        allow_pickle: Accept ``.bin`` weights.

    Raises:
        ValueError: Something is missing, damaged, does not belong together or is not allowed.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give the folder of a checkpoint")
    if (folder / "adapter_config.json").is_file():
        raise ValueError(f"{folder} holds an adapter; merge it into its model, and give the folder of the result")
    config = read_json(folder / "config.json")
    if not isinstance(config.get("quantization_config") or {}, dict):
        raise ValueError(f"{folder / 'config.json'} must hold a JSON object as quantization_config")
    if not trust_remote_code:
        check_code(folder, config, read_json(folder / "tokenizer_config.json", missing={}))
    weights = weight_files(folder, allow_pickle=allow_pickle)
    tensors: dict[str, Tensor] = {}
    if weights[0].suffix == ".safetensors":
        tensors = read_tensors(weights)
        _check_index(folder, weights, tensors)
        check_sizes(folder, config, {name: tensor.shape for name, tensor in tensors.items()})
    checkpoint = Checkpoint(folder, weights, None, config, tensors)
    _check_manifest(checkpoint)
    return checkpoint


def weight_files(folder: Path, *, allow_pickle: bool = False) -> tuple[Path, ...]:
    """The weight files of a checkpoint.

    Raises:
        ValueError: There are none, one is missing or outside of the folder, or they are pickles.
    """
    single = folder / "model.safetensors"
    if (folder / INDEX).is_file():
        files = [folder / name for name in sorted(set(_weight_map(folder).values()))]
        for file in files:
            if not file.is_file():
                raise ValueError(f"{file} is missing, though {INDEX} lists it; copy it, or fetch the checkpoint again")
        if single.is_file() and single not in files:
            raise ValueError(
                f"{folder} holds {single.name} and the files of {INDEX}, of which some programs read the one and some "
                "the others; delete what is not meant"
            )
        return tuple(files)
    if single.is_file():
        return (single,)
    files = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    if len(files) > 1:
        raise ValueError(
            f"{folder} has {len(files)} *.safetensors files and no {INDEX} that says how they belong together; "
            "fetch the checkpoint again"
        )
    if files:
        return tuple(files)
    found = sorted(path for path in folder.iterdir() if path.suffix in _PICKLES and path.is_file())
    # Optimizers and arguments of a training are pickles too, and no weights.
    pickles = [path for path in found if "model" in path.name or path.name.startswith("consolidated")] or found
    if not pickles:
        raise ValueError(f"{folder} has no weights: no *.safetensors file")
    if not allow_pickle:
        raise ValueError(
            f"{folder} has its weights only as {pickles[0].name}, a pickle that can run code when it is read; convert "
            "it to safetensors (load it where you trust it, then save_pretrained), or pass allow_pickle=True to "
            "load_policy"
        )
    loadable = tuple(path for path in pickles if path.name.startswith("pytorch_model") and path.suffix == ".bin")
    if not loadable:
        raise ValueError(f"{pickles[0]} is no file that transformers loads; convert it to model.safetensors")
    return loadable


def read_tensors(files: Iterable[Path]) -> dict[str, Tensor]:
    """The tensors of safetensors files, from their headers alone.

    Raises:
        ValueError: A file is damaged, cut off, or something else; or two of them have the same tensor.
    """
    from safetensors import safe_open

    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            with safe_open(file, framework="np") as opened:
                header = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
                header = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in header.items()}
        except Exception as error:  # the library has errors of its own, and those of the system
            raise ValueError(f"{file} is damaged or no safetensors file: {_reason(file, error)}") from error
        for name, (dtype, shape) in header.items():
            if name in tensors:
                raise ValueError(f"{file} and {tensors[name].file.name} both hold the tensor {name}")
            tensors[name] = Tensor(dtype, shape, tensor_bytes(dtype, shape), file)
    return tensors


def check_complete(folder: Path, missing: Iterable[str]) -> None:
    """Refuse a model that transformers has loaded although the checkpoint lacks some of it.

    Args:
        folder: The checkpoint.
        missing: Names of the parameters that it filled with random numbers.

    Raises:
        ValueError: There are some.
    """
    if names := sorted(missing):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise ValueError(f"{folder} has no tensor {names[0]}{more}, which the model of its config.json needs")


def tensor_bytes(dtype: str, shape: Iterable[int]) -> int:
    """Bytes of a tensor.

    >>> tensor_bytes("BF16", (3, 5)), tensor_bytes("F8_E4M3", (3, 5)), tensor_bytes("BOOL", ())
    (30, 15, 1)
    """
    digits = re.search(r"\d+", dtype)
    return prod(shape) * int(digits[0] if digits else 8) // 8


def fingerprint(checkpoint: Checkpoint, *, companions: bool = True) -> str:
    """A hash of everything in a checkpoint that can change an answer.

    Small files are hashed whole; of weight files above 64 MiB the size and 66 blocks spread over the file, which takes
    milliseconds and differs for any two files that quantisation, pruning or training left different.

    Args:
        checkpoint: What to hash.
        companions: Hash the tokenizer, the chat template and the generation settings too, which people rightly edit;
            without them it says which model this is.
    """
    names = ("config.json", *(_COMPANIONS if companions else ()))
    # A GGUF file holds all of this, and what lies beside it is not its own.
    small = [] if checkpoint.gguf else [checkpoint.folder / name for name in names]
    digest = hashlib.sha256()
    for path in [*filter(Path.is_file, small), *checkpoint.weights]:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        with path.open("rb") as file:
            if size <= _SAMPLED_ABOVE:
                while block := file.read(1 << 20):
                    digest.update(block)
                continue
            for i in range(66):
                file.seek((size - _BLOCK) * i // 65)
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def read_json(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON file of a checkpoint, which holds an object.

    Args:
        path: The file.
        missing: What to give where there is no such file; by default it has to be there.

    Raises:
        ValueError: It is missing or holds something else.
    """
    if not path.is_file():
        if missing is not None:
            return missing
        raise ValueError(f"{path.parent} is no checkpoint: {path.name} is missing")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{path} is not valid JSON: {reason}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return data


def _weight_map(folder: Path) -> dict[str, str]:
    index = folder / INDEX
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ValueError(f"{index} has no weight_map, which says what is where; fetch the checkpoint again")
    for tensor, name in names.items():
        # A name and no path: "../" and "/" would read files that are none of the checkpoint's.
        if not isinstance(name, str) or not re.fullmatch(r"[\w.+-]+\.safetensors", name):
            raise ValueError(f"{index} says that {tensor} is in {str(name)[:60]!r}, which is no file of this folder")
    return names


def _check_index(folder: Path, files: tuple[Path, ...], tensors: Mapping[str, Tensor]) -> None:
    if not (folder / INDEX).is_file():
        return
    for name, file in _weight_map(folder).items():
        if name not in tensors:
            raise ValueError(f"{folder / INDEX} says that {name} is in {file}, and no file has it")
        if tensors[name].file.name != file:
            raise ValueError(f"{folder / INDEX} says that {name} is in {file}; it is in {tensors[name].file.name}")


def _check_manifest(checkpoint: Checkpoint) -> None:
    path = checkpoint.folder / MANIFEST
    described = read_json(path, missing={}).get("checkpoint")
    if described is None:  # no result of a compression, or one of before there was this entry
        return
    expected = described.get("sha256") if isinstance(described, dict) else None
    if expected != fingerprint(checkpoint, companions=False):
        raise ValueError(
            f"{path} describes another checkpoint than the one in this folder: config.json or the weights have been "
            "changed or copied from elsewhere; copy the whole folder again, or delete the manifest if you changed them "
            "on purpose"
        )


def _reason(file: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    with file.open("rb") as handle:
        start = handle.read(4)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return "it is a pickle under a wrong name, which can run code when it is read"
    return f"{error}; copy it again"


def _download(source: str, trust_remote_code: bool, allow_pickle: bool) -> Path:
    looks_local = source.count("/") != 1 or source.startswith((".", "/", "~"))
    if looks_local and "/" in source:
        raise ValueError(f"there is no folder {source}")
    from huggingface_hub import snapshot_download

    patterns = [*_DOWNLOADED, *(["*.bin"] if allow_pickle else []), *(["*.py"] if trust_remote_code else [])]
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except Exception as error:  # no network, no such model, no permission
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"there is no folder {source}, and it could not be fetched from the Hugging Face hub: {reason}"
        ) from error
