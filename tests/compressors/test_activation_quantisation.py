from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("llmcompressor", reason='needs pip install "acenv[llmcompressor]"')

from acenv.checkpoint import find_checkpoint, read_tensors, weight_files  # noqa: E402
from acenv.compressors import CompressionError, compress, parse  # noqa: E402
from acenv.compressors.stream import read_stored  # noqa: E402
from acenv.policies.checkpoints import load_model  # noqa: E402

IDS = torch.arange(6, 38)[None]


def tensors(folder: Path):
    return read_tensors(weight_files(folder))


def load(folder: Path, dtype=torch.float32):
    return load_model(find_checkpoint(str(folder)), dtype=dtype, device=torch.device("cpu"), dequantize=True)


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=IDS).logits[0].float()


def divergence(folder: Path, reference: Path) -> float:
    p, q = (logits(load(path)).log_softmax(-1) for path in (reference, folder))
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.fixture(scope="module")
def smooth(tiny, calibration, tmp_path_factory) -> Path:
    return compress(tiny, "smoothquant", tmp_path_factory.mktemp("smooth") / "out", calibration)


@pytest.fixture(scope="module")
def fp8(tiny, tmp_path_factory) -> Path:
    return compress(tiny, "fp8", tmp_path_factory.mktemp("fp8") / "out")


@pytest.mark.parametrize(("name", "stored"), [("smooth", "I8"), ("fp8", "F8_E4M3")])
def test_weights_are_stored_in_eight_bits(request, tiny, name, stored):
    folder = request.getfixturevalue(name)
    kinds = {tensor.dtype for key, tensor in tensors(folder).items() if key.endswith("proj.weight")}
    assert kinds == {stored}
    measured = json.loads((folder / "compression.json").read_text())["measured"]
    assert 8 < measured["bits_per_weight"] < 9
    assert 0 < divergence(folder, tiny) < 0.1  # e4m3 has three bits of a fraction


@pytest.mark.parametrize("name", ["smooth", "fp8"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_rounded_as_compressed_tensors_rounds_them(request, name, dtype):
    transformers = pytest.importorskip("transformers")
    folder = request.getfixturevalue(name)
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    expected = logits(plain)
    assert torch.equal(logits(load(folder, dtype)), expected)
    # Without the rounding of activations the numbers are others: it has not been lost.
    dense = load(folder, dtype)
    for module in dense.modules():
        module.__dict__.pop("forward", None)
    assert not torch.equal(logits(dense), expected)


def test_activations_can_be_left_as_they_are(tiny, tmp_path):
    folder = compress(tiny, "fp8:activations=none", tmp_path / "out")
    model = load(folder)
    state = {name: tensor.float() for name, tensor in read_stored(tensors(folder), tensors(folder))}
    for name, module in model.named_modules():
        if name.endswith("proj"):
            assert torch.equal(module.weight, state[f"{name}.weight"] * state[f"{name}.weight_scale"])
            assert "forward" not in module.__dict__


def test_smoothing_moves_outliers_into_the_weights_and_changes_nothing_else(tiny, calibration, smooth):
    def norm(folder):
        return next(read_stored(tensors(folder), ["model.layers.0.input_layernorm.weight"]))[1].float()

    assert not torch.equal(norm(smooth), norm(tiny))
    first = next(read_stored(tensors(tiny), ["model.layers.0.self_attn.q_proj.weight"]))[1].float()
    stored = dict(read_stored(tensors(smooth), [n for n in tensors(smooth) if "0.self_attn.q_proj" in n]))
    moved = stored["model.layers.0.self_attn.q_proj.weight"].float()
    moved = moved * stored["model.layers.0.self_attn.q_proj.weight_scale"].float() * (norm(smooth) / norm(tiny))
    assert torch.allclose(moved, first, atol=0.02 * float(first.abs().max()))


@pytest.mark.parametrize("method", ["smoothquant:ignore=*.q_proj", "smoothquant:weights=gptq,ignore=*.q_proj"])
def test_layers_that_are_kept_keep_their_bits(tiny, calibration, tmp_path, method):
    folder = compress(tiny, method, tmp_path / "out", calibration)
    kept = [name for name in tensors(tiny) if name.endswith("q_proj.weight")]
    before = dict(read_stored(tensors(tiny), kept))
    assert all(torch.equal(tensor, before[name]) for name, tensor in read_stored(tensors(folder), kept))
    assert 0 < divergence(folder, tiny) < 0.02


def test_single_layers_of_fp8_can_have_options_of_their_own(tiny, tmp_path):
    method = "fp8:ignore=*.0.self_attn.*@*.down_proj:activations=none"
    model = load(compress(tiny, method, tmp_path / "out"))
    x = torch.randn(1, 3, 64)
    rounds = {}
    for name, module in model.named_modules():
        if name.endswith("_proj") and module.in_features == 64:
            rounds[name] = not torch.equal(module(x), torch.nn.functional.linear(x, module.weight))
    assert {name for name, is_rounded in rounds.items() if not is_rounded} == {n for n in rounds if "0.self_attn" in n}
    x = torch.randn(1, 3, 128)
    down = model.model.layers[1].mlp.down_proj
    assert torch.equal(down(x), torch.nn.functional.linear(x, down.weight))


def test_what_smoothquant_cannot_do_is_refused(tiny, calibration, tmp_path):
    with pytest.raises(ValueError, match="has options of its own"):
        compress(tiny, "smoothquant@*.q_proj:alpha=0.7", tmp_path / "a", calibration)
    with pytest.raises(CompressionError, match="nothing would be smoothed"):
        compress(tiny, "smoothquant:ignore=*.q_proj|*.up_proj", tmp_path / "b", calibration)
    with pytest.raises(ValueError, match="use weights=rtn"):
        compress(tiny, "magnitude+smoothquant:weights=gptq", tmp_path / "c", calibration)


def test_names_of_settings():
    assert parse("smoothquant:alpha=0.8,weights=gptq").slug == "smoothquant-w8a8-a0.8-gptq"
    assert parse("fp8").slug == "fp8-w8a8"
    with pytest.raises(ValueError, match="alpha must be above 0 and below 1"):
        parse("smoothquant:alpha=1.5")
