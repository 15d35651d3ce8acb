from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gptqmodel", reason='needs pip install "acenv[gptq]"')

from acenv.checkpoint import find_checkpoint  # noqa: E402
from acenv.compressors import compress, gptq  # noqa: E402
from acenv.policies.checkpoints import load_model  # noqa: E402


@pytest.mark.parametrize(
    "method",
    ["gptq:bits=3,group_size=32,desc_act=true,sym=false", "gptq:bits=4,group_size=32@*.down_proj:bits=8,group_size=64"],
)
def test_unpacked_weights_are_those_of_the_engines_own_loader(tiny, calibration, tmp_path, method):
    out = compress(tiny, method, tmp_path / "out", calibration)
    found = find_checkpoint(str(out))
    ours = load_model(found, dtype=torch.float32, device=torch.device("cpu"), dequantize=True)
    engines = gptq.load(out, torch.float16).eval()
    for name, module in ours.named_modules():
        if name.endswith("_proj"):
            theirs = gptq.dense_weight(engines.get_submodule(name))
            assert torch.allclose(module.weight, theirs, rtol=2**-9, atol=1e-6), name
    ids = torch.arange(5, 40)[None]
    with torch.inference_mode(), torch.compiler.set_stance("force_eager"):
        expected = engines(input_ids=ids).logits.float()
        logits = ours(input_ids=ids).logits
    assert torch.allclose(logits, expected, atol=0.02 * float(expected.abs().max()))
