"""Pruning followed by quantising, and layers with options of their own: read back as a policy would load them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from acenv.checkpoint import find_checkpoint
from acenv.compressors import METHODS, compress
from acenv.types import Conversation

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
load_file = pytest.importorskip("safetensors.torch").load_file

PRUNING = [name for name, row in METHODS.items() if row.options().target().bits is None]
QUANTISING = [name for name in METHODS if name not in PRUNING]
GROUP = {"gptq": ":group_size=32,desc_act=true", "rtn": ":group_size=32,bits=3", "awq": ":group_size=32"}


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compression.json").read_text())


def skip_without(*names: str) -> None:
    for name in names:
        try:
            METHODS[name].check_installed()
        except ImportError as error:
            pytest.skip(str(error))


def stored(folder: Path) -> dict[str, Any]:
    return load_file(folder / "model.safetensors")


def weights(folder: Path) -> dict[str, Any]:
    """The matrices of the layers, unpacked as a policy unpacks them."""
    from acenv.policies.checkpoints import load_model

    model = load_model(find_checkpoint(str(folder)), dtype=torch.float32, device=torch.device("cpu"), dequantize=True)
    return {
        name: module.weight.detach()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".layers." in name
    }


@pytest.mark.parametrize("quantising", QUANTISING)
@pytest.mark.parametrize("pruning", PRUNING)
def test_what_was_pruned_stays_pruned(
    tiny: Path, tmp_path: Path, calibration: list[Conversation], pruning: str, quantising: str
) -> None:
    skip_without(pruning, quantising)
    method = f"{pruning}:pattern=2:4+{quantising}{GROUP.get(quantising, '')}"
    out = compress(tiny, method, tmp_path / "out", calibration)
    found = weights(out)
    assert len(found) == 14
    for weight in found.values():
        assert ((weight.view(-1, 4) == 0).sum(1) >= 2).all()
    report = manifest(out)
    assert [step["name"] for step in report["passes"]] == [pruning, quantising]
    assert [step["measured"]["pattern_share"] for step in report["passes"]] == [1.0, 1.0]
    assert report["passes"][0]["measured"]["bits_per_weight"] == 16
    assert report["measured"]["bits_per_weight"] < 9
    assert report["measured"]["layers"][0]["target"]["pattern"] == "2:4"
    assert report["measured"]["sparsity"] >= 0.5


def test_gptq_makes_up_for_what_is_kept_zero(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    skip_without("gptq", "rtn")
    kl = {
        name: manifest(
            compress(tiny, f"magnitude:sparsity=0.25+{name}:bits=3,group_size=32", tmp_path / name, calibration)
        )["measured"]["kl_from_dense"]
        for name in ("gptq", "rtn")
    }
    assert kl["gptq"] < kl["rtn"]


def test_quantised_layers_with_bits_of_their_own(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    for name in ("gptq", "rtn"):
        skip_without(name)
        method = (
            f"{name}:bits=3,group_size=32,ignore=*.o_proj@*.down_proj:bits=8,group_size=64@model.layers.1.mlp.*:keep"
        )
        out = compress(tiny, method, tmp_path / name, calibration)
        dense, found, files = stored(tiny), weights(out), stored(out)
        kept = {layer for layer in found if layer.endswith("o_proj") or layer.startswith("model.layers.1.mlp")}
        assert len(kept) == 5
        for layer, weight in found.items():
            if layer in kept:
                assert torch.equal(files[f"{layer}.weight"], dense[f"{layer}.weight"])
                continue
            assert f"{layer}.weight" not in files
            bits, size = (8, 64) if layer.endswith("down_proj") else (3, 32)
            if name == "rtn":  # the groups of a row side by side
                levels = max(len(group.unique()) for group in weight.view(-1, size))
                assert (levels <= 2**bits) and (levels > 8) == (bits == 8)
        groups = {(g["target"]["bits"], g["target"]["group_size"]): g for g in manifest(out)["measured"]["layers"]}
        assert groups[3, 32]["compressed_layers"] == 8
        assert groups[8, 64]["compressed_layers"] == 1
        assert 3 < groups[3, 32]["bits_per_weight"] < 5 < 8 < groups[8, 64]["bits_per_weight"] < 10


@pytest.mark.parametrize("name", PRUNING)
def test_pruned_layers_with_a_sparsity_of_their_own(
    tiny: Path, tmp_path: Path, calibration: list[Conversation], name: str
) -> None:
    skip_without(name)
    method = f"{name}:pattern=2:4@*.q_proj:sparsity=0.25@*.up_proj:pattern=1:8@model.layers.1.*:keep"
    out = compress(tiny, method, tmp_path / "out", calibration)
    dense = stored(tiny)
    for layer, weight in stored(out).items():
        if "layers.0" not in layer or weight.ndim < 2:
            assert torch.equal(weight, dense[layer])
            continue
        share = float((weight == 0).double().mean())
        zeros, of = (1, 8) if "up_proj" in layer else (1, 4) if "q_proj" in layer else (2, 4)
        assert share == pytest.approx(zeros / of, abs=0.01)
        if "q_proj" not in layer:
            assert ((weight.view(-1, of) == 0).sum(1) >= zeros).all()


def test_a_pass_may_keep_what_the_other_compresses(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    skip_without("rtn")
    out = compress(tiny, "magnitude:ignore=*.q_proj+rtn:group_size=32@*.k_proj:keep", tmp_path / "out", calibration)
    found, files, dense = weights(out), stored(out), stored(tiny)
    for layer, weight in found.items():
        share = float((weight == 0).double().mean())
        assert share < 0.4 if "q_proj" in layer else share >= 0.5
    pruned = files["model.layers.0.self_attn.k_proj.weight"]
    original = dense["model.layers.0.self_attn.k_proj.weight"]
    assert torch.equal(pruned[pruned != 0], original[pruned != 0])
    targets = [group["target"] for group in manifest(out)["measured"]["layers"]]
    assert {"sparsity": 0.5} in targets
    assert {"bits": 4, "group_size": 32} in targets
    assert {"bits": 4, "group_size": 32, "sparsity": 0.5} in targets


def test_patterns_over_names_are_checked_first(tiny: Path, tmp_path: Path) -> None:
    for method in ("magnitude@*.downproj:sparsity=0.2", "magnitude+rtn:group_size=32,ignore=*.downproj"):
        if "rtn" in method and importlib.util.find_spec("llmcompressor") is None:
            continue
        with pytest.raises(ValueError, match=r"matches no layer of this model; it has \*\.down_proj"):
            compress(tiny, method, tmp_path / "out")
    with pytest.raises(ValueError, match="64 inputs, and sparsity=0.001 is less than one of them"):
        compress(tiny, "magnitude@*.q_proj:sparsity=0.001", tmp_path / "out")
    with pytest.raises(ValueError, match="which the pattern of 7 does not divide"):
        compress(tiny, "magnitude:pattern=3:7@*.q_proj:sparsity=0.5", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
