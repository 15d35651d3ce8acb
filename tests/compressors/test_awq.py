from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gptqmodel", reason='needs pip install "acenv[gptq]"')

from acenv.checkpoint import find_checkpoint, read_tensors, weight_files  # noqa: E402
from acenv.compressors import compress  # noqa: E402
from acenv.compressors.awq import BLOCKS, best_clip, cut, dense_weight, load  # noqa: E402
from acenv.compressors.stream import read_stored  # noqa: E402
from acenv.policies.checkpoints import load_model  # noqa: E402

IDS = torch.arange(6, 38)[None]


def dense(folder: Path, dtype: torch.dtype = torch.float32):
    return load_model(find_checkpoint(str(folder)), dtype=dtype, device=torch.device("cpu"), dequantize=True)


def logits(model) -> torch.Tensor:
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        return model(input_ids=IDS).logits[0].float()


def divergence(folder: Path, reference: Path) -> float:
    p, q = (logits(dense(path)).log_softmax(-1) for path in (reference, folder))
    return float((p.exp() * (p - q)).sum(-1).mean())


def assert_same(ours, engines, rtol: float) -> None:
    for name, module in ours.named_modules():
        if name.endswith("_proj"):
            theirs = dense_weight(engines.get_submodule(name))
            assert torch.allclose(module.weight.float(), theirs, rtol=rtol, atol=0), name
    expected = logits(engines)
    assert torch.allclose(logits(ours), expected, atol=0.02 * float(expected.abs().max()))


@pytest.fixture(scope="module")
def awq(tiny, calibration, tmp_path_factory) -> Path:
    return compress(tiny, "awq:group_size=32", tmp_path_factory.mktemp("awq") / "out", calibration)


def test_awq_is_what_was_asked_for(awq, tiny):
    config = json.loads((awq / "config.json").read_text())["quantization_config"]
    assert (config["quant_method"], config["bits"], config["group_size"]) == ("awq", 4, 32)
    assert config["version"] == "gemm" and config["zero_point"] is True
    manifest = json.loads((awq / "compression.json").read_text())
    assert manifest["slug"] == "awq-4bit-g32"
    assert 4 < manifest["measured"]["bits_per_weight"] < 5.5
    assert divergence(awq, tiny) < 0.25


def test_dense_loading_gives_the_numbers_of_the_engines_loader(awq):
    assert_same(dense(awq, torch.bfloat16), load(awq, torch.bfloat16), 0)


def test_layers_that_are_kept_keep_their_bits(tiny, calibration, tmp_path):
    # o_proj is scaled against v_proj, and q_proj together with k_proj and v_proj: nothing of that may touch them.
    folder = compress(tiny, "awq:group_size=32,ignore=*.v_proj|*.0.mlp.up_proj", tmp_path / "out", calibration)
    stored = read_tensors(weight_files(folder))
    kept = [name for name in stored if name.endswith(("v_proj.weight", "0.mlp.up_proj.weight"))]
    assert len(kept) == 3
    before = dict(read_stored(read_tensors(weight_files(tiny)), kept))
    assert all(torch.equal(tensor, before[name]) for name, tensor in read_stored(stored, kept))
    named = json.loads((folder / "config.json").read_text())["quantization_config"]["modules_to_not_convert"]
    assert sorted(named) == sorted(name.removesuffix(".weight") for name in kept)
    assert divergence(folder, tiny) < 0.25


def test_options_of_single_layers_are_refused(tiny, calibration, tmp_path):
    with pytest.raises(ValueError, match=r"o_proj has options of its own"):
        compress(tiny, "awq:group_size=32@*.o_proj:group_size=64", tmp_path / "out", calibration)


def test_the_other_engine_writes_the_same_format(tiny, calibration, tmp_path):
    pytest.importorskip("awq", reason="needs pip install --no-deps autoawq==0.2.9")
    folder = compress(tiny, "awq:group_size=32,engine=autoawq", tmp_path / "out", calibration)
    (made,) = json.loads((folder / "compression.json").read_text())["passes"]
    assert made["engine"] == {"package": "autoawq", "version": "0.2.9"}
    # The engine as it is destroys the model on a CPU: what it tries on the weights stays in them.
    assert divergence(folder, tiny) < 0.25
    assert_same(dense(folder, torch.float16), load(folder, torch.float16), 2**-10)
    with pytest.raises(ValueError, match="cannot leave single layers dense"):
        compress(tiny, "awq:group_size=32,engine=autoawq,ignore=*.v_proj", tmp_path / "no", calibration)


def test_what_autoawq_cannot_do_is_refused_at_once(tiny, tmp_path):
    with pytest.raises(ValueError, match="engine=autoawq cannot do sym=true"):
        compress(tiny, "awq:engine=autoawq,sym=true", tmp_path / "out", ["a text"])


def test_texts_become_blocks_of_one_length():
    blocks = cut([list(range(700)), list(range(400))] * 30, 512)
    assert len(blocks) == BLOCKS and {len(block) for block in blocks} == {512}
    assert cut([[1, 2], [3]], 512) == [[1, 2, 3]]


def test_the_clip_is_the_one_with_the_least_error():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 32, generator=generator)
    inputs = torch.randn(50, 32, generator=generator) * torch.linspace(0.1, 3, 32)

    def quantise(matrix):
        groups = matrix.reshape(-1, 16)
        scale = groups.abs().amax(1, keepdim=True) / 7
        return ((groups / scale).round().clamp(-8, 7) * scale).reshape(matrix.shape)

    bounds = best_clip(weight, inputs, 16, quantise)
    largest = weight.reshape(8, 2, 16).abs().amax(-1, keepdim=True)
    errors = []
    for step in range(10):
        cut_off = torch.minimum(
            torch.maximum(weight.reshape(8, 2, 16), -largest * (1 - step / 20)), largest * (1 - step / 20)
        )
        change = quantise(cut_off.reshape(8, 32)) - weight
        errors.append(((inputs.reshape(50, 1, 2, 16) * change.reshape(1, 8, 2, 16)).sum(-1) ** 2).sum(0))
    best = torch.stack(errors).argmin(0)
    assert torch.allclose(bounds[..., 0], largest[..., 0] * (1 - best / 20))
    assert best.max() > 0
