"""Reading and writing checkpoints tensor by tensor, so that a model never has to fit into memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acenv.checkpoint import INDEX, Tensor, tensor_bytes

SHARD_BYTES = 4 * 10**9
"""Bytes of tensors in a file, unless a single one is larger."""

CHUNK = 1 << 21
"""Weights that are worked on at once; the rows of a matrix are independent of each other."""

_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "BF16": "bfloat16",
    "F16": "float16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True, slots=True)
class _Shard:
    """A file to write: where each tensor goes, and its header, padded to a multiple of eight bytes."""

    name: str
    offsets: Mapping[str, int]
    header: bytes


def read_stored(tensors: Mapping[str, Tensor], names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Torch tensors one by one, mapped from their files: pages that are not looked at take no memory.

    Args:
        tensors: All tensors of the checkpoint.
        names: Those to read, in this order.
    """
    from safetensors import safe_open

    with ExitStack() as stack:
        opened: dict[Path, Any] = {}
        for name in names:
            file = tensors[name].file
            if file not in opened:
                opened[file] = stack.enter_context(safe_open(file, framework="pt"))
            yield name, opened[file].get_tensor(name)


def rows_at_once(weight: Any) -> Iterator[Any]:
    """The rows of a matrix, in pieces of about :data:`CHUNK` weights."""
    yield from weight.split(max(1, CHUNK // weight.shape[1]))


def write_stored(
    out: Path, layout: Mapping[str, Tensor], tensors: Iterable[tuple[str, Any]], shard_bytes: int = SHARD_BYTES
) -> None:
    """Write tensors into safetensors files as they come, with an index where there are several files.

    The library writes a file only from tensors that are all in memory; here each goes to its place at once.

    Args:
        out: An existing folder.
        layout: Type and shape of every tensor; the files are cut in this order.
        tensors: Torch tensors by name, in any order.
        shard_bytes: Bytes of tensors in a file, unless a single one is larger.

    Raises:
        ValueError: A tensor is not as the layout says, or is missing.
    """
    shards = _plan(layout, shard_bytes)
    place = {name: shard for shard in shards for name in shard.offsets}
    written: set[str] = set()
    for shard in shards:
        with (out / shard.name).open("wb") as file:
            file.write(len(shard.header).to_bytes(8, "little") + shard.header)
    for name, tensor in tensors:
        shard, expected = place[name], layout[name]
        dtype = str(tensor.dtype).removeprefix("torch.")
        if tuple(tensor.shape) != expected.shape or dtype != _NAMES.get(expected.dtype, dtype):
            raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, and not {expected}")
        with (out / shard.name).open("r+b") as file:
            file.seek(8 + len(shard.header) + shard.offsets[name])
            file.write(memoryview(_bytes(tensor)))
        written.add(name)
    if missing := layout.keys() - written:
        raise ValueError(f"{len(missing)} tensors were not written, such as {min(missing)}")
    if len(shards) > 1:
        index = {
            "metadata": {"total_size": sum(tensor.size for tensor in layout.values())},
            "weight_map": {name: place[name].name for name in sorted(layout)},
        }
        (out / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def stored_bytes(layout: Mapping[str, Tensor], shard_bytes: int = SHARD_BYTES) -> int:
    """Bytes of the files that :func:`write_stored` makes."""
    headers = sum(8 + len(shard.header) for shard in _plan(layout, shard_bytes))
    return headers + sum(tensor.size for tensor in layout.values())


def _plan(layout: Mapping[str, Tensor], shard_bytes: int) -> list[_Shard]:
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in layout.items():
        if parts[-1] and size + tensor.size > shard_bytes:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += tensor.size
    if len(parts) == 1:
        return [_shard("model.safetensors", parts[0])]
    return [_shard(f"model-{i:05d}-of-{len(parts):05d}.safetensors", part) for i, part in enumerate(parts, 1)]


def _shard(name: str, tensors: Mapping[str, Tensor]) -> _Shard:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offsets: dict[str, int] = {}
    end = 0
    # The widest types first, so that every tensor begins at a multiple of its type's size.
    for key, tensor in sorted(tensors.items(), key=lambda item: (-tensor_bytes(item[1].dtype, (8,)), item[0])):
        offsets[key] = end
        entry = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [end, end + tensor.size]}
        header[key] = entry
        end += tensor.size
    text = json.dumps(header, separators=(",", ":")).encode()
    return _Shard(name, offsets, text + b" " * (-len(text) % 8))


def _bytes(tensor: Any) -> Any:
    import torch

    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy()
