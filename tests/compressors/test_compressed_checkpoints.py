from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from acenv.checkpoint import fingerprint, read_checkpoint
from acenv.compressors import compress, parse
from acenv.types import Conversation

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
load_file = pytest.importorskip("safetensors.torch").load_file


def needs(package: str) -> pytest.MarkDecorator:
    # Looked for and not imported: importing an engine is a part of what must stay silent.
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"needs {package}")


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compression.json").read_text())


def transformers_logits(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        return model(torch.arange(6, 60)[None]).logits[0].float()


def divergence(dense: Path, logits: Any) -> float:
    p, q = transformers_logits(dense).log_softmax(-1), logits.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def linear_weights(folder: Path) -> dict[str, Any]:
    tensors = load_file(folder / "model.safetensors")
    return {name: t for name, t in tensors.items() if ".layers." in name and t.ndim == 2}


def test_magnitude_prunes_the_smallest_of_each_layer(tiny: Path, tmp_path: Path) -> None:
    out = compress(tiny, "magnitude:sparsity=0.25", tmp_path / "out")
    dense, pruned = linear_weights(tiny), linear_weights(out)
    assert dense.keys() == pruned.keys()
    for name, weight in dense.items():
        zeros = pruned[name] == 0
        assert int(zeros.sum()) == weight.numel() // 4
        assert weight[zeros].abs().max() <= weight[~zeros].abs().min()
        assert torch.equal(weight[~zeros], pruned[name][~zeros])
    measured = manifest(out)["measured"]
    assert measured["sparsity"] == measured["sparsity_lowest_layer"] == 0.25
    assert measured["bits_per_weight"] == 16
    assert 0 < divergence(tiny, transformers_logits(out)) < 1


@pytest.mark.parametrize(("pattern", "zeros", "of"), [("2:4", 2, 4), ("4:8", 4, 8)])
def test_magnitude_keeps_the_pattern(tiny: Path, tmp_path: Path, pattern: str, zeros: int, of: int) -> None:
    out = compress(tiny, f"magnitude:pattern={pattern}", tmp_path / "out")
    dense = linear_weights(tiny)
    for name, weight in linear_weights(out).items():
        pruned = weight.view(-1, of) == 0
        assert (pruned.sum(1) == zeros).all()
        sizes = dense[name].view(-1, of).abs()
        largest_pruned = sizes.where(pruned, torch.zeros(())).amax(1)
        smallest_kept = sizes.where(~pruned, torch.full((), torch.inf)).amin(1)
        assert (largest_pruned <= smallest_kept).all()
    assert manifest(out)["measured"]["pattern_share"] == 1.0


def test_manifest_and_companions(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    out = compress(tiny, "magnitude", tmp_path / "a" / "out", calibration)
    found = manifest(out)
    assert found["method"] == "magnitude:sparsity=0.5,pattern=unstructured"
    assert found["slug"] == "magnitude-50"
    (step,) = found["passes"]
    assert step["settings"] == {"sparsity": 0.5, "pattern": "unstructured"}
    assert step["engine"] == {"package": "torch", "version": importlib.metadata.version("torch")}
    assert {**step["measured"], "seconds": 0, "peak_rss_bytes": 0} == {
        **found["measured"],
        "seconds": 0,
        "peak_rss_bytes": 0,
    }
    assert found["checkpoint"]["sha256"] == fingerprint(read_checkpoint(out), companions=False)
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors"):
        data = (tiny / name).read_bytes()
        digest.update(f"{name}:{len(data)}\n".encode() + data)
    assert found["source"]["sha256"] == digest.hexdigest()
    assert found["calibration"]["texts"] == 0  # it looks at none
    assert found["heldout"]["texts"] == len(calibration)
    assert found["heldout"]["tokens"] > 40 * len(calibration)  # the tools are in the text too
    assert {"python", "torch", "transformers"} <= found["versions"].keys()
    measured = found["measured"]
    assert measured["tensor_bytes"] < measured["disk_bytes"]
    parameters = sum(t.numel() for t in load_file(tiny / "model.safetensors").values())
    assert measured["model_bits_per_weight"] == 8 * measured["tensor_bytes"] / parameters == 16
    assert measured["peak_rss_bytes"] > 10_000_000
    assert measured["seconds"].keys() == {"prepare", "compress", "check"}
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (tiny / name).read_bytes()


@needs("llmcompressor")
@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_rtn_is_packed_and_loads(tiny: Path, tmp_path: Path, bits: int, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    out = compress(tiny, f"rtn:bits={bits},group_size=32", tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    measured = manifest(out)["measured"]
    assert bits <= measured["bits_per_weight"] < bits + 1
    assert measured["levels_max"] <= 2**bits
    assert measured["levels_mean"] > 2 ** (bits - 1) or bits == 8
    assert 0 < divergence(tiny, transformers_logits(out)) < 3


@needs("llmcompressor")
def test_wanda_prunes_by_weight_and_activation(
    tiny: Path, tmp_path: Path, calibration: list[Conversation], capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    out = compress(tiny, "wanda", tmp_path / "out", calibration)
    assert capfd.readouterr() == ("", "")
    by_size = compress(tiny, "magnitude", tmp_path / "magnitude")
    differ = 0
    for (name, weight), other in zip(linear_weights(out).items(), linear_weights(by_size).values(), strict=True):
        assert ((weight == 0).sum(1) == weight.shape[1] // 2).all(), name  # half of each output's row
        differ += int(((weight == 0) != (other == 0)).sum())
    assert differ > 0
    assert 0 < divergence(tiny, transformers_logits(out)) < 3


@needs("llmcompressor")
@pytest.mark.parametrize(
    ("name", "zeros", "of"), [("wanda", 2, 4), ("sparsegpt", 2, 4), ("wanda", 1, 2), ("sparsegpt", 5, 16)]
)
def test_patterns(tiny: Path, tmp_path: Path, calibration: list[Conversation], name: str, zeros: int, of: int) -> None:
    out = compress(tiny, f"{name}:pattern={zeros}:{of}", tmp_path / "out", calibration)
    for weight in linear_weights(out).values():
        pruned = (weight.view(-1, of) == 0).sum(1)
        assert (pruned >= zeros).all()
        assert pruned.double().mean() < zeros + 0.1
    measured = manifest(out)["measured"]
    assert measured["pattern_share"] == 1.0
    assert measured["sparsity"] >= zeros / of


@needs("llmcompressor")
def test_sparsegpt_keeps_a_pattern_that_its_blocks_do_not_divide(
    tiny: Path, tmp_path: Path, calibration: list[Conversation]
) -> None:
    # 192 inputs: more than a block of 128, and divided by three.
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    wide = Path(shutil.copytree(tiny, tmp_path / "wide"))
    config = LlamaConfig.from_pretrained(tiny, hidden_size=192, intermediate_size=192, num_hidden_layers=1, head_dim=96)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(wide)
    out = compress(wide, "sparsegpt:pattern=1:3", tmp_path / "out", calibration)
    model = AutoModelForCausalLM.from_pretrained(out)
    for layer in model.model.layers[0].modules():
        if isinstance(layer, torch.nn.Linear):
            assert ((layer.weight.view(-1, 3) == 0).sum(1) >= 1).all()


@needs("gptqmodel")
@pytest.mark.parametrize("options", ["bits=4", "bits=3,damp=0.1", "bits=2,desc_act=true", "bits=8,sym=false"])
def test_gptq_is_packed_and_loads(
    tiny: Path, tmp_path: Path, calibration: list[Conversation], options: str, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    method = f"gptq:group_size=32,{options}"
    out = compress(tiny, method, tmp_path / "out", calibration)
    assert capfd.readouterr() == ("", "")
    bits = parse(method).passes[0].settings["bits"]
    measured = manifest(out)["measured"]
    assert bits < measured["bits_per_weight"] < bits + 2  # with scales, zero points and indices, in small layers
    assert measured["levels_max"] <= 2**bits
    assert 0 < measured["kl_from_dense"] < 3
    assert (out / "config.json").is_file()
    assert (out / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()


@needs("gptqmodel")
@needs("llmcompressor")
def test_gptq_beats_rounding_on_its_calibration(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    kl = {
        name: manifest(compress(tiny, f"{name}:bits=3,group_size=32", tmp_path / name, calibration))["measured"]
        for name in ("gptq", "rtn")
    }
    assert kl["gptq"]["kl_from_dense"] < kl["rtn"]["kl_from_dense"]


def test_a_row_is_a_group_too(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    for name, package in (("gptq", "gptqmodel"), ("rtn", "llmcompressor")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
        measured = manifest(compress(tiny, f"{name}:group_size=-1", tmp_path / name, calibration))["measured"]
        assert 8 < measured["levels_max"] <= 16
        assert measured["bits_per_weight"] < 5.5
