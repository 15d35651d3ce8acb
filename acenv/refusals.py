"""Why a checkpoint is refused: it brings code of its own, or its config and its weights contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

# A hub kernel, "owner/name", or a module of code: "file.Class", "owner/name--file.Class", "file.py".
_CODE = re.compile(r"[^/\s]+/[^/\s]+--\S+|\S+\.py")
_CODE_KEYS = ("auto_map", "custom_pipelines", "_target_")
_SIZE = re.compile(r"(num|n)_\w+|\w+_(size|dim|layers|heads)")
_LAYER = re.compile(r"(?P<stack>\D*?)(?:^|\.)(?P<index>\d+)\.(?P<rest>.+)")
_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
# Layers behind the last one that predict more than the next token; transformers leaves them out.
_EXTRA_LAYERS = "num_nextn_predict_layers"
# Of these every matrix's shape follows from the config.
_PLAIN = ("llama", "mistral", "qwen2", "qwen3")


def check_code(folder: Path, config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> None:
    """Refuse what cannot be loaded, or does not act as its makers meant, without Python code from the checkpoint.

    Code that is there and not needed, because transformers has the model or the tokenizer by now, is no reason.

    Args:
        folder: The checkpoint, for the message.
        config: ``config.json``.
        tokenizer: ``tokenizer_config.json``.

    Raises:
        ValueError: It names what needs code.
    """
    reason = None
    if config.get("auto_map") and not _is_known_model(config.get("model_type")):
        reason = f"{config.get('model_type', 'unknown')}: auto_map in config.json"
    elif _names_tokenizer(tokenizer.get("auto_map")) and not _is_known_tokenizer(tokenizer.get("tokenizer_class")):
        reason = f"{tokenizer.get('tokenizer_class', 'its tokenizer')}: auto_map in tokenizer_config.json"
    elif (folder / "custom_generate" / "generate.py").is_file():
        reason = "custom_generate/generate.py"
    elif found := next(_code_in(config.get("quantization_config")), None):
        reason = f"{found} in the quantization_config of config.json"
    else:
        for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
            if "/" in str(config.get(key)):
                reason = f"the kernel {config[key]} of {key} in config.json"
    if reason:
        raise ValueError(
            f"{folder} needs Python code of its own ({reason}); read that code, then pass trust_remote_code=True to "
            "load_policy if you trust it. Nothing else in acenv runs code of a checkpoint"
        )


def check_sizes(folder: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are none of the model that the config describes.

    transformers would fill what is missing with random numbers, and build a model of any size before it looks at the
    weights.

    Args:
        folder: The checkpoint, for the message.
        config: ``config.json``.
        shapes: Shapes of all tensors by name.

    Raises:
        ValueError: It names the first contradiction.
    """
    where = folder / "config.json"
    text = config.get("text_config")
    text = text if isinstance(text, dict) else config
    # Eight bits of the smallest packed weight may stand for as many weights.
    limit = max(8 * sum(map(prod, shapes.values())) * 8, 1 << 20)
    for part in (config, text):
        for key, value in part.items():
            if _SIZE.fullmatch(key) and type(value) is int and not 0 <= value <= limit:
                raise ValueError(f"{where} asks for {key}={value}, which no model of these weights has")
    _check_depth(where, text, shapes)
    for name, shape in shapes.items():
        if name.endswith("embed_tokens.weight") and len(shape) == 2 and text is config:
            _compare(where, name, shape, (config.get("vocab_size"), None))
    if config.get("model_type") in _PLAIN:
        for name, expected in _plain_shapes(where, config, "" if "embed_tokens.weight" in shapes else "model."):
            module = name.removesuffix("weight")
            if name in shapes:
                _compare(where, name, shapes[name], expected)
            elif not config.get("quantization_config") or not any(other.startswith(module) for other in shapes):
                raise ValueError(f"{folder} has no tensor {name}, which the model of its config.json needs")


def _check_depth(where: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    stacks: dict[str, set[int]] = {}
    for name in shapes:
        if match := _LAYER.fullmatch(name):
            stacks.setdefault(match["stack"], set()).add(int(match["index"]))
    asked = next((config[key] for key in _COUNTS if isinstance(config.get(key), int)), None)
    if len(stacks) != 1 or asked is None:  # a model of several parts, each with a depth of its own
        return
    there = next(iter(stacks.values()))
    extra = config.get(_EXTRA_LAYERS)
    if not set(range(asked)) <= there <= set(range(asked + (extra if isinstance(extra, int) else 0))):
        raise ValueError(f"{where} asks for {asked} layers, and the weights have {len(there)} (up to {max(there)})")


def _plain_shapes(where: Path, config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of what a Llama, or one of its kin, cannot do without."""
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    for key in keys:
        if type(config.get(key)) is not int or config[key] < 1:
            raise ValueError(f"{where} gives {key} as {str(config.get(key))[:60]}, where a size is needed")
    vocabulary, hidden, inner, layers, heads = (config[key] for key in keys)
    head = config.get("head_dim") or (128 if config["model_type"] == "qwen3" else hidden // heads)
    groups = config.get("num_key_value_heads") or heads
    if type(head) is not int or type(groups) is not int:
        raise ValueError(f"{where} gives head_dim or num_key_value_heads as something else than a size")
    yield f"{prefix}embed_tokens.weight", (vocabulary, hidden)
    yield f"{prefix}norm.weight", (hidden,)
    for i in range(layers):
        layer = f"{prefix}layers.{i}."
        yield f"{layer}input_layernorm.weight", (hidden,)
        yield f"{layer}post_attention_layernorm.weight", (hidden,)
        yield f"{layer}self_attn.q_proj.weight", (heads * head, hidden)
        yield f"{layer}self_attn.k_proj.weight", (groups * head, hidden)
        yield f"{layer}self_attn.v_proj.weight", (groups * head, hidden)
        yield f"{layer}self_attn.o_proj.weight", (hidden, heads * head)
        yield f"{layer}mlp.gate_proj.weight", (inner, hidden)
        yield f"{layer}mlp.up_proj.weight", (inner, hidden)
        yield f"{layer}mlp.down_proj.weight", (hidden, inner)


def _compare(where: Path, name: str, shape: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    if any(n is not None and n != m for n, m in zip(expected, shape, strict=False)) or len(shape) != len(expected):
        wanted = " x ".join("any" if n is None else str(n) for n in expected)
        raise ValueError(f"{name} is {' x '.join(map(str, shape)) or 'one number'}, and {where} asks for {wanted}")


def _code_in(config: object) -> Iterator[str]:
    """Keys and values that name code, anywhere in a part of a config."""
    todo: list[tuple[str, object]] = [("", config)]  # and no recursion: JSON may be nested deeper than Python can call
    while todo:
        key, value = todo.pop()
        if key in _CODE_KEYS and value:
            yield key
        elif isinstance(value, str) and _CODE.fullmatch(value):
            yield value
        elif isinstance(value, dict):
            todo += value.items()
        elif isinstance(value, list):
            todo += [("", inner) for inner in value]


def _names_tokenizer(auto_map: object) -> bool:
    # Older checkpoints have the pair itself, and newer ones a table of auto classes.
    return bool(auto_map.get("AutoTokenizer") if isinstance(auto_map, dict) else auto_map)


def _is_known_model(kind: object) -> bool:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return isinstance(kind, str) and kind in CONFIG_MAPPING


def _is_known_tokenizer(name: object) -> bool:
    from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

    return isinstance(name, str) and tokenizer_class_from_name(name) is not None
