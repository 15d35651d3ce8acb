"""Loading what :mod:`acenv.checkpoint` found: the tokenizer and the model, whatever the format."""

from __future__ import annotations

import io
import os
from contextlib import nullcontext, redirect_stderr
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from acenv.checkpoint import Checkpoint, check_complete, find_checkpoint, fingerprint
from acenv.policies.activations import simplify_forwards
from acenv.policies.packed import can_unpack, dense_state

__all__ = ["Checkpoint", "find_checkpoint", "fingerprint", "load_model", "load_tokenizer"]


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
            if method == "compressed-tensors":
                from transformers import CompressedTensorsConfig

                # There are no kernels for packed weights in transformers: it would unpack them at the first call.
                options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
            with chatter:
                loaded: Any = AutoModelForCausalLM.from_pretrained(
                    checkpoint.folder, use_safetensors=not allow_pickle or None, output_loading_info=True, **options
                )
                model, found = loaded
            if not checkpoint.quantization:  # packed weights have other names than the model's own
                check_complete(checkpoint.folder, found["missing_keys"])
            if "quantization_config" in options:
                simplify_forwards(model)
    except ImportError as error:
        needed = {"gptq": "gptq", "awq": "gptq", "compressed-tensors": "llmcompressor"}.get(str(method), "hf")
        raise ImportError(f'{checkpoint.folder} needs more: {error}. Try: pip install "acenv[{needed}]"') from error
    except Exception as error:  # many libraries are at work in there
        raise ValueError(f"cannot load {checkpoint.folder}: {type(error).__name__}: {error}") from error
    finally:
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return model.to(device).eval()


def _load_unpacked(checkpoint: Checkpoint, options: dict[str, Any]) -> Any:
    config = AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=options["trust_remote_code"])
    del config.quantization_config
    state = dense_state(checkpoint.weights, checkpoint.quantization, options["dtype"])
    with torch.device("meta"):  # only to learn the class: loading from a state dict is not for the Auto classes
        from_config: Any = AutoModelForCausalLM.from_config
        model_class: Any = type(from_config(config, trust_remote_code=options["trust_remote_code"]))
    return model_class.from_pretrained(None, config=config, state_dict=state, dtype=options["dtype"])
