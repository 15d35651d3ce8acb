"""What the manifest says of a result, and what is refused because it is not what was asked for."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acenv.compressors import CompressionError, compress
from acenv.types import Conversation

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "compression.json").read_text())


def log_probabilities(folder: Path, text: str) -> tuple[Any, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return model(ids).logits[0, :-1].log_softmax(-1), ids[0, 1:]


def test_distance_from_the_dense_model_on_held_out_texts(tiny: Path, tmp_path: Path) -> None:
    texts = ["the agent calls a tool to find the red ball", "move the block onto the table"]
    out = compress(tiny, "magnitude", tmp_path / "out", ["nothing of this counts"], heldout=texts)
    found = manifest(out)
    kl, agree, surprise = [], [], []
    for text in texts:
        (p, ids), (q, _) = log_probabilities(tiny, text), log_probabilities(out, text)
        kl += (p.exp() * (p - q)).sum(-1).tolist()
        agree += (p.argmax(-1) == q.argmax(-1)).tolist()
        surprise += q.gather(1, ids[:, None]).flatten().tolist()
    measured = found["measured"]
    assert measured["heldout_tokens"] == len(kl) == 14
    assert measured["kl_from_dense"] == pytest.approx(sum(kl) / len(kl), rel=1e-4)
    assert measured["top1_agreement"] == sum(agree) / len(agree)
    assert measured["perplexity"] == pytest.approx(math.exp(-sum(surprise) / len(surprise)), rel=1e-4)
    assert found["heldout"]["from"] == "given"
    assert found["heldout"]["texts"] == 2


@pytest.mark.skipif(importlib.util.find_spec("llmcompressor") is None, reason="needs llmcompressor")
def test_what_is_held_out_is_not_calibrated_on(tiny: Path, tmp_path: Path, calibration: list[Conversation]) -> None:
    aside = manifest(compress(tiny, "wanda", tmp_path / "aside", calibration))
    assert aside["heldout"]["from"] == "kept aside of the calibration"
    assert (aside["heldout"]["texts"], aside["calibration"]["texts"]) == (2, len(calibration) - 2)
    given = manifest(compress(tiny, "wanda", tmp_path / "given", calibration[:4], heldout=calibration[4:]))
    assert (given["heldout"]["texts"], given["calibration"]["texts"]) == (len(calibration) - 4, 4)
    single = manifest(compress(tiny, "wanda", tmp_path / "single", ["the red block"]))
    assert single["heldout"]["from"] == "the calibration itself"
    none = manifest(compress(tiny, "magnitude", tmp_path / "none"))
    assert none["heldout"]["from"] == "ids of the vocabulary"
    assert none["measured"]["perplexity"] is None  # that is no language
    assert none["measured"]["kl_from_dense"] > 0


@pytest.mark.parametrize(
    ("spoil", "method", "message"),
    [
        (lambda w: w, "magnitude", "0.0% of model.layers.0.mlp.down_proj are zero, not 50%"),
        (lambda w: w, "magnitude:pattern=2:4", "of model.layers.0.mlp.down_proj keep the pattern"),
        (lambda w: w, "rtn:group_size=32", "levels in a group, more than 4 bits"),
        (lambda w: w, "rtn:group_size=32", "is stored in 16.00 bits a weight, no less than in the dense model"),
        (lambda w: w, "magnitude", "its logits equal the dense model's, so nothing was compressed"),
        (lambda w: w * 0, "magnitude", "100.0% of its weights are zero, not 50%"),
        (lambda w: w * torch.nan, "magnitude", "logits are not finite"),
    ],
)
def test_what_an_engine_did_not_do_is_an_error(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Any], Any], method: str, message: str
) -> None:
    with pytest.raises(CompressionError) as caught:
        compressed_by(spoil, tiny, tmp_path, monkeypatch, method)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_layers_that_were_to_stay_have_to(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prune(weight: Any) -> Any:
        return weight * (torch.arange(weight.numel()).view_as(weight) % 2)

    assert compressed_by(prune, tiny, tmp_path, monkeypatch, "magnitude").is_dir()
    with pytest.raises(CompressionError, match="up_proj.weight was to be left as it is, and has changed"):
        compressed_by(prune, tiny, tmp_path, monkeypatch, "magnitude:ignore=*.up_proj", "second")


def test_a_second_pass_has_to_keep_the_zeros(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_levels(weight: Any) -> Any:
        return weight.sign() + (weight == 0)

    with pytest.raises(CompressionError, match=r"has lost \d+ of its zeros, so that its pruning is gone"):
        compressed_by(two_levels, tiny, tmp_path, monkeypatch, "magnitude:pattern=2:4+rtn:group_size=32")


def compressed_by(
    change: Callable[[Any], Any],
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    name: str = "out",
) -> Path:
    """Compress with an engine that does something else with each layer than the method says."""
    from dataclasses import replace

    from acenv.compressors import METHODS
    from acenv.compressors import magnitude as module

    def run(job: Any) -> None:
        shutil.copytree(job.source.folder, job.out, dirs_exist_ok=True)
        tensors = load_file(job.out / "model.safetensors")
        for layer in job.source.linears:
            tensors[f"{layer}.weight"] = change(tensors[f"{layer}.weight"]).to(torch.bfloat16)
        save_file(tensors, job.out / "model.safetensors", metadata={"format": "pt"})

    from safetensors.torch import load_file, save_file

    plain = module.run
    last = method.split("+")[-1].partition(":")[0]
    monkeypatch.setitem(METHODS, last, replace(METHODS[last], module=module.__name__, package="torch"))
    # Of two passes the first is the real one.
    monkeypatch.setattr(module, "run", lambda job: (run if job.method == last else plain)(job))
    return compress(tiny, method, tmp_path / name, heldout=["the agent calls a tool"])
