"""Methods that go through a checkpoint tensor by tensor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acenv.checkpoint import Tensor, read_checkpoint, read_json, tensor_bytes
from acenv.compressors.checkpoint import read_source
from acenv.compressors.job import Job
from acenv.compressors.options import PruningOptions, RoundingOptions

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402


def run(method: str, tiny: Path, out: Path, layers: dict[str, Any]) -> Path:
    from acenv.compressors import magnitude, rtn

    out.mkdir()
    engine = {"magnitude": magnitude, "rtn": rtn}[method]
    engine.run(Job(read_source(tiny), method, next(iter(layers.values())), layers, [], out))
    for file in tiny.glob("*token*"):
        (out / file.name).write_bytes(file.read_bytes())
    return out


def stored(folder: Path) -> dict[str, Any]:
    from acenv.compressors.stream import read_stored

    tensors = read_checkpoint(folder).tensors
    return {name: tensor.clone() for name, tensor in read_stored(tensors, tensors)}


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model(torch.arange(6, 12)[None])  # packed layers are unpacked when they are needed
    return model


def test_layers_that_are_not_asked_for_stay_as_they_are(tiny: Path, tmp_path: Path) -> None:
    layers = {"model.layers.0.mlp.up_proj": PruningOptions(), "model.layers.1.mlp.up_proj": PruningOptions(0.25)}
    pruned, dense = stored(run("magnitude", tiny, tmp_path / "out", layers)), stored(tiny)
    assert pruned.keys() == dense.keys()
    for name, weight in dense.items():
        options = layers.get(name.removesuffix(".weight"))
        changed = pruned[name] != weight
        assert float(changed.float().mean()) == (options.sparsity if options else 0.0)
        assert not pruned[name][changed].any()


def test_rounded_layers_have_options_of_their_own(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("llmcompressor")
    names = list(read_source(tiny).linears)
    kinds = [RoundingOptions(4, 32), RoundingOptions(8, -1), RoundingOptions(3, 16)]
    layers = {name: kinds[i % 3] for i, name in enumerate(names[:-2])}
    out = run("rtn", tiny, tmp_path / "out", layers)
    groups = read_json(out / "config.json")["quantization_config"]["config_groups"].values()
    assert sorted(name for group in groups for name in group["targets"]) == sorted(layers)
    model, dense = loaded(out), stored(tiny)
    for name in names:
        weight, before = model.get_submodule(name).weight.detach(), dense[f"{name}.weight"].float()
        options = layers.get(name)
        if options is None:
            assert torch.equal(weight, before)
            continue
        size = options.group_size if options.group_size > 0 else before.shape[1]
        largest = before.reshape(-1, size).abs().amax(1)
        errors = (weight - before).reshape(-1, size).abs().amax(1)
        # Half a step, and what 16 bits for the scale cost.
        assert bool((errors <= 0.5 * largest / (2**options.bits / 2 - 0.5) + largest / 256).all())
        assert all(len(row.unique()) <= 2**options.bits for row in weight.reshape(-1, size))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_codes_are_the_nearest_for_the_scales_that_are_stored(tiny: Path, tmp_path: Path, bits: int) -> None:
    pytest.importorskip("llmcompressor")
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    name = "model.layers.1.self_attn.q_proj"
    tensors = stored(run("rtn", tiny, tmp_path / "out", {name: RoundingOptions(bits, 16)}))
    codes = unpack_from_int32(tensors[f"{name}.weight_packed"], bits, tensors[f"{name}.weight_shape"])
    scale = tensors[f"{name}.weight_scale"].float().repeat_interleave(16, 1)
    exact = (stored(tiny)[f"{name}.weight"].float() / scale).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert torch.equal(codes.float(), exact)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pruning_takes_the_smallest_and_of_equals_the_earliest(data: st.DataObject) -> None:
    from acenv.compressors.magnitude import prune

    of = data.draw(st.integers(2, 16))
    rows, groups = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    numbers = st.lists(st.integers(-3, 3), min_size=rows * groups * of, max_size=rows * groups * of)
    weight = torch.tensor(data.draw(numbers), dtype=torch.bfloat16).view(rows, groups * of)
    zeros = data.draw(st.integers(1, of - 1))
    expected = weight.clone().view(-1, of)
    for row in expected:
        for i in sorted(range(of), key=lambda i: (abs(float(row[i])), i))[:zeros]:
            row[i] = 0
    assert torch.equal(prune(weight, 0.5, (zeros, of)), expected.view_as(weight))
    share = data.draw(st.floats(0.01, 0.99))
    flat = weight.flatten().clone()
    for i in sorted(range(len(flat)), key=lambda i: (abs(float(flat[i])), i))[: int(len(flat) * share)]:
        flat[i] = 0
    assert torch.equal(prune(weight, share), flat.view_as(weight))


@pytest.mark.parametrize("shard_bytes", [1, 700, 10**9])
def test_files_that_are_written_piece_by_piece_read_like_the_librarys(tmp_path: Path, shard_bytes: int) -> None:
    from safetensors.torch import load_file

    from acenv.compressors.stream import stored_bytes, write_stored

    generator = torch.Generator().manual_seed(0)
    tensors = {
        "b": torch.randn(5, 7, generator=generator).bfloat16(),
        "a": torch.arange(3),
        "c": torch.randn(9, 20, generator=generator),
        "number": torch.tensor(2.5),
        "flag": torch.tensor([True, False, True]),
        "d": torch.randn(2, 3, 4, generator=generator).half(),
    }
    types = {"b": "BF16", "a": "I64", "c": "F32", "number": "F32", "flag": "BOOL", "d": "F16"}
    layout = {
        name: Tensor(types[name], tuple(t.shape), tensor_bytes(types[name], t.shape)) for name, t in tensors.items()
    }
    write_stored(tmp_path, layout, reversed(tensors.items()), shard_bytes)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == {1: 6, 700: 3, 10**9: 1}[shard_bytes]
    read = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], t) and read[name].dtype == t.dtype for name, t in tensors.items())
    assert sum(file.stat().st_size for file in files) == stored_bytes(layout, shard_bytes)
    if len(files) > 1:
        index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
        assert index["weight_map"].keys() == tensors.keys()
        assert index["metadata"]["total_size"] == sum(tensor.size for tensor in layout.values())
    with pytest.raises(ValueError, match="c is torch.float32"):
        write_stored(tmp_path, {"c": layout["b"]}, [("c", tensors["c"])])
    with pytest.raises(ValueError, match="were not written"):
        write_stored(tmp_path, layout, [("c", tensors["c"])])


@pytest.mark.parametrize("method", ["magnitude", "rtn"])
def test_streaming_takes_a_small_part_of_the_model(tmp_path: Path, method: str) -> None:
    """What a process takes for it is a small part of the model."""
    if method == "rtn":
        pytest.importorskip("llmcompressor")
    if sys.platform != "linux":
        pytest.skip("memory is limited with what Linux has for it")
    code = """
import json, resource, sys
from pathlib import Path
import torch
from acenv.checkpoint import Tensor, tensor_bytes
from acenv.compressors import magnitude, rtn
from acenv.compressors.checkpoint import read_source
from acenv.compressors.job import Job
from acenv.compressors.memory import given_back
from acenv.compressors.options import PruningOptions, RoundingOptions
from acenv.compressors.stream import write_stored

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

torch.set_num_threads(1)
folder, method = Path(sys.argv[1]), sys.argv[2]
layers, hidden, inner = 32, 512, 1024
shapes = {"model.embed_tokens.weight": (64, hidden), "model.norm.weight": (hidden,)}
for i in range(layers):
    stem = f"model.layers.{i}."
    shapes |= {f"{stem}self_attn.{n}_proj.weight": (hidden, hidden) for n in "qkvo"}
    shapes |= {f"{stem}mlp.{n}_proj.weight": (inner, hidden) for n in ("gate", "up")}
    shapes |= {f"{stem}mlp.down_proj.weight": (hidden, inner)}
    shapes |= {f"{stem}{n}_layernorm.weight": (hidden,) for n in ("input", "post_attention")}
layout = {n: Tensor("BF16", s, tensor_bytes("BF16", s)) for n, s in shapes.items()}
write_stored(folder, layout, ((n, torch.randn(s).bfloat16()) for n, s in shapes.items()))
config = {"model_type": "llama", "vocab_size": 64, "hidden_size": hidden, "intermediate_size": inner,
          "num_hidden_layers": layers, "num_attention_heads": 8}
(folder / "config.json").write_text(json.dumps(config))
source = read_source(folder)
options = RoundingOptions(4, 128) if method == "rtn" else PruningOptions()
engine = rtn if method == "rtn" else magnitude
def go(name, chosen):
    (folder / name).mkdir()
    engine.run(Job(source, method, options, dict.fromkeys(chosen, options), [], folder / name))
go("first", list(source.linears)[:7])  # libraries that are loaded on the way
peak = before = anonymous()
import acenv.compressors.stream as stream
write = stream._bytes
def watched(tensor):
    global peak
    peak = max(peak, anonymous())
    return write(tensor)
stream._bytes = watched
with given_back():  # as every compression does
    go("out", source.linears)
print(source.size, peak - before)
"""
    command = [sys.executable, "-c", code, str(tmp_path), method]
    size, grown = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-2:])
    assert size > 100_000_000
    assert grown < size / 4, (grown, size)
