"""Checkpoint folders: looking at them before anything heavy is loaded, loading them, and telling them apart."""

from __future__ import annotations

import hashlib
import io
import json
import os
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from acenv.policies.packed import can_unpack, dense_state

_PATTERNS = ("*.safetensors", "*.json", "*.model", "*.jinja", "*.txt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tokenizer_config.json")
_HASHED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "chat_template.jinja",
)
_SAMPLE = 64 * 1024
_SAMPLED_ABOVE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk that passed the checks.

    Attributes:
        folder: Where config and tokenizer are.
        weights: The weight files.
        gguf: Name of the GGUF file in ``folder``, if it is one.
        quantization: ``quantization_config`` of the config, empty for dense models.
    """

    folder: Path
    weights: tuple[Path, ...]
    gguf: str | None
    quantization: dict[str, Any]


def find_checkpoint(source: str, *, trust_remote_code: bool = False, allow_pickle: bool = False) -> Checkpoint:
    """Find a checkpoint and check that it can be loaded.

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
        return Checkpoint(path.parent, (path,), path.name, {})
    if not path.is_dir():
        path = _download(source, allow_pickle)
    config = _read_config(path / "config.json")
    if config.get("auto_map") and not trust_remote_code and not _is_known(config):
        raise ValueError(
            f"{path} needs Python code of its own ({config.get('model_type', 'unknown')}: auto_map in config.json); "
            "read that code, then pass trust_remote_code=True if you trust it"
        )
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise ValueError(f"{path} has no tokenizer: {_TOKENIZER_FILES[0]} is missing; copy the original model's")
    return Checkpoint(path, _weight_files(path, allow_pickle), None, config.get("quantization_config") or {})


def load_tokenizer(checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> Any:
    """The checkpoint's tokenizer, set to pad on the left.

    Raises:
        ValueError: It cannot be loaded.
    """
    options = {"gguf_file": checkpoint.gguf} if checkpoint.gguf else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.folder, trust_remote_code=trust_remote_code, padding_side="left", **options
        )
    except Exception as error:  # many libraries are at work in there
        raise ValueError(f"cannot load the tokenizer of {checkpoint.folder}: {error}") from error
    return tokenizer


def load_model(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype,
    device: torch.device,
    dequantize: bool,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
) -> Any:
    """The checkpoint's causal language model, ready for inference.

    Args:
        checkpoint: What :func:`find_checkpoint` found.
        dtype: Of dense weights and of the computation.
        device: Where to put the model.
        dequantize: Turn packed weights into dense ones: the same numbers, quicker on a CPU, more memory.
        trust_remote_code: Let the checkpoint bring Python code of its own.
        allow_pickle: Accept ``.bin`` weights.

    Raises:
        ValueError: It cannot be loaded; the message says why.
        ImportError: An engine for its format has to be installed.
    """
    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": trust_remote_code}
    method = checkpoint.quantization.get("quant_method")
    unpack = dequantize and can_unpack(checkpoint.quantization)
    if method in ("gptq", "awq") and not unpack:
        options["device_map"] = {"": device}
        # More workers than cores make gptqmodel refuse to start.
        os.environ.setdefault("GPTQMODEL_CPU_WORKERS", str(min(os.cpu_count() or 1, 4)))
    bars = logging.is_progress_bar_enabled()
    # Whoever calls this has a progress bar of their own.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # compressed-tensors draws bars and warns of what was asked for here.
    chatter: Any = redirect_stderr(io.StringIO()) if method == "compressed-tensors" else nullcontext()
    try:
        if unpack:
            model = _load_unpacked(checkpoint, options)
        elif method == "gptq":
            # Not through transformers, which wants one more package (optimum) for it.
            from gptqmodel import GPTQModel

            model = GPTQModel.load(
                str(checkpoint.folder), device=str(device), dtype=dtype, trust_remote_code=trust_remote_code
            ).model
        elif checkpoint.gguf:
            model = AutoModelForCausalLM.from_pretrained(checkpoint.folder, gguf_file=checkpoint.gguf, **options)
        else:
            if method == "compressed-tensors" and dequantize:
                from transformers import CompressedTensorsConfig

                options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
            with chatter:
                model = AutoModelForCausalLM.from_pretrained(
                    checkpoint.folder, use_safetensors=not allow_pickle or None, **options
                )
            if "quantization_config" in options:
                _unwrap_dense(model)
    except ImportError as error:
        needed = {"gptq": "gptq", "awq": "gptq", "compressed-tensors": "llmcompressor"}.get(str(method), "hf")
        raise ImportError(f'{checkpoint.folder} needs more: {error}. Try: pip install "acenv[{needed}]"') from error
    except Exception as error:  # many libraries are at work in there
        raise ValueError(f"cannot load {checkpoint.folder}: {type(error).__name__}: {error}") from error
    finally:
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return model.to(device).eval()


def fingerprint(checkpoint: Checkpoint) -> str:
    """A hash of everything in a checkpoint that can change an answer.

    Small files are hashed whole; of weight files above 64 MiB the size and 66 blocks spread over the file, which takes
    milliseconds and differs for any two files that quantisation, pruning or training left different.
    """
    digest = hashlib.sha256()
    # A GGUF file holds all of this, and what lies beside it is not its own.
    small = [] if checkpoint.gguf else [checkpoint.folder / name for name in _HASHED]
    for path in [p for p in small if p.is_file()] + list(checkpoint.weights):
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}\n".encode())
        with path.open("rb") as file:
            if size <= _SAMPLED_ABOVE:
                digest.update(file.read())
                continue
            for i in range(66):
                file.seek((size - _SAMPLE) * i // 65)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def _load_unpacked(checkpoint: Checkpoint, options: dict[str, Any]) -> Any:
    config = AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=options["trust_remote_code"])
    del config.quantization_config
    state = dense_state(checkpoint.weights, checkpoint.quantization, options["dtype"])
    with torch.device("meta"):  # only to learn the class: loading from a state dict is not for the Auto classes
        from_config: Any = AutoModelForCausalLM.from_config
        model_class: Any = type(from_config(config, trust_remote_code=options["trust_remote_code"]))
    return model_class.from_pretrained(None, config=config, state_dict=state, dtype=options["dtype"])


def _unwrap_dense(model: Any) -> None:
    """Give decompressed layers their plain forward back, unless they have activations to quantise.

    compressed-tensors leaves a wrapper around each layer that does nothing any more, and costs a small model half its
    speed.
    """
    for module in model.modules():
        scheme = getattr(module, "quantization_scheme", None)
        if scheme is not None and scheme.input_activations is None and scheme.output_activations is None:
            module.__dict__.pop("forward", None)


def _download(source: str, allow_pickle: bool) -> Path:
    looks_local = source.count("/") != 1 or source.startswith((".", "/", "~"))
    if looks_local and "/" in source:
        raise ValueError(f"there is no folder {source}")
    from huggingface_hub import snapshot_download

    patterns = [*_PATTERNS, "*.bin"] if allow_pickle else list(_PATTERNS)
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except Exception as error:  # no network, no such model, no permission
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"there is no folder {source}, and it could not be fetched from the Hugging Face hub: {reason}"
        ) from error


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path.parent} is no checkpoint: config.json is missing")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a JSON object")
    return config


def _is_known(config: dict[str, Any]) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


def _weight_files(folder: Path, allow_pickle: bool) -> tuple[Path, ...]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = [folder / name for name in sorted(set(_read_config(index).get("weight_map", {}).values()))]
    else:
        files = sorted(folder.glob("*.safetensors"))
    for file in files:
        _check_safetensors(file)
    if files:
        return tuple(files)
    pickles = sorted(folder.glob("*.bin"))
    if pickles and allow_pickle:
        return tuple(pickles)
    if pickles:
        raise ValueError(
            f"{folder} has its weights only as {pickles[0].name}, a pickle that can run code when it is read; convert "
            "it to safetensors, or pass allow_pickle=True if you trust it"
        )
    raise ValueError(f"{folder} has no weights: no *.safetensors file")


def _check_safetensors(file: Path) -> None:
    """Compare the size of a safetensors file with its header, so that a cut-off download is named as such."""
    if not file.is_file():
        raise ValueError(f"{file} is missing, though the index of the checkpoint lists it")
    size = file.stat().st_size
    try:
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if length > size:
                raise ValueError("the header is cut off")
            header = json.loads(handle.read(length))
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise ValueError(f"{file} is damaged or no safetensors file: {error}") from error
    if size != 8 + length + end:
        raise ValueError(f"{file} is damaged: {size} bytes, where its header says {8 + length + end}; copy it again")
