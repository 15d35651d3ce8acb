"""What every part of acenv refuses: damaged checkpoints, dangerous ones, and those that contradict themselves."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acenv.checkpoint import Checkpoint, fingerprint, read_checkpoint
from acenv.compressors import compress
from acenv.policies import NANO, load_policy

safetensors_numpy = pytest.importorskip("safetensors.numpy")
hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

LAYERS, HIDDEN, INNER, VOCABULARY = 2, 8, 16, 32


def small_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for i in range(LAYERS):
        stem = f"model.layers.{i}."
        shapes |= {f"{stem}self_attn.{name}_proj.weight": (HIDDEN, HIDDEN) for name in "qkvo"}
        shapes |= {f"{stem}mlp.{name}_proj.weight": (INNER, HIDDEN) for name in ("gate", "up")}
        shapes |= {f"{stem}mlp.down_proj.weight": (HIDDEN, INNER)}
        shapes |= {f"{stem}{name}_layernorm.weight": (HIDDEN,) for name in ("input", "post_attention")}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of a few weights, in two files with an index."""
    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    folder.mkdir()
    tensors = small_tensors()
    names = sorted(tensors)
    files = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, chosen in files.items():
        safetensors_numpy.save_file({name: tensors[name] for name in chosen}, folder / file, {"format": "pt"})
    weight_map = {name: file for file, chosen in files.items() for name in chosen}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    config = {
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    for file in NANO.glob("tokenizer*"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def refused(folder: Path, message: str) -> None:
    """Every way into a checkpoint gives the same error, and nothing is left behind."""
    ways: list[Callable[[], Any]] = [
        lambda: read_checkpoint(folder),
        lambda: load_policy(f"hf:{folder}"),
        lambda: compress(folder, "magnitude", folder.parent / "out"),
    ]
    for way in ways:
        with pytest.raises(ValueError, match=message):
            way()
    assert list(folder.parent.iterdir()) == [folder]


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))


def test_a_whole_checkpoint_is_no_reason_to_complain(folder: Path) -> None:
    checkpoint = read_checkpoint(folder)
    assert checkpoint.tensors.keys() == small_tensors().keys()
    assert [file.name for file in checkpoint.weights] == [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for file in list(checkpoint.weights):  # as in the cache of the hub
        shutil.move(file, folder.parent / f"blob-{file.name}")
        file.symlink_to(folder.parent / f"blob-{file.name}")
    assert read_checkpoint(folder).tensors.keys() == small_tensors().keys()


@pytest.mark.parametrize("shard", [1, 2])
def test_cut_off_files(folder: Path, shard: int) -> None:
    file = folder / f"model-0000{shard}-of-00002.safetensors"
    whole = file.read_bytes()
    header = int.from_bytes(whole[:8], "little")
    for length in (0, 5, 8, 8 + header // 2, 8 + header, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{file.name} is damaged"):
            read_checkpoint(folder)
    refused(folder, f"{file.name} is damaged")
    file.write_bytes(whole + b"more")
    refused(folder, f"{file.name} is damaged")
    file.unlink()
    refused(folder, f"{file.name} is missing")


def test_an_index_that_does_not_fit_its_files(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    names = json.loads(index.read_text())["weight_map"]
    first, second = sorted(set(names.values()))
    for entry, message in (
        ({"lm_head.weight": first}, "lm_head.weight is in .*, and no file has it"),
        ({"model.norm.weight": first if names["model.norm.weight"] == second else second}, "it is in model-0000"),
        ({"a": "../copy/model.safetensors"}, "no file of this folder"),
        ({"a": str(folder / first)}, "no file of this folder"),
        ({"a": "..safetensors/../../x.safetensors"}, "no file of this folder"),
        ({"a": 3}, "no file of this folder"),
        ({"a": "model-00003.safetensors"}, "model-00003.safetensors is missing"),
    ):
        index.write_text(json.dumps({"weight_map": {**names, **entry}}))
        refused(folder, message)
    for content in ({}, {"weight_map": []}, {"weight_map": {}}):
        index.write_text(json.dumps(content))
        refused(folder, "has no weight_map")
    index.write_text("[" * 100_000)
    refused(folder, "is not valid JSON")
    index.unlink()
    refused(folder, "2 .* files and no model.safetensors.index.json")


def test_one_model_too_many(folder: Path) -> None:
    safetensors_numpy.save_file(small_tensors(), folder / "model.safetensors")
    refused(folder, "some programs read the one and some the others")


def test_pickles_are_refused_whatever_they_are_called(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path.parent / "the-code-ran"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (mark,)

    data = pickle.dumps(Evil())
    file = folder / "model-00001-of-00002.safetensors"
    file.write_bytes(data)
    refused(folder, "is a pickle under a wrong name")
    for path in folder.glob("model*"):
        path.unlink()
    for name in ("pytorch_model.bin", "model.pt", "consolidated.00.pth"):
        (folder / name).write_bytes(data)
        refused(folder, f"{name}, a pickle that can run code")
        with pytest.raises(ValueError, match="cannot load|no file that transformers loads"):
            load_policy(f"hf:{folder}", allow_pickle=True)
        (folder / name).unlink()
    (folder / "training_args.bin").write_bytes(data)
    refused(folder, "a pickle")
    assert not mark.exists()


def test_code_of_a_checkpoint(folder: Path) -> None:
    config, tokenizer = folder / "config.json", folder / "tokenizer_config.json"
    kept = {file: file.read_text() for file in (config, tokenizer)}
    code = {"AutoModelForCausalLM": "evil.Model"}
    for file, changes, message in (
        (config, {"model_type": "own", "auto_map": code}, "own: auto_map in config.json"),
        (tokenizer, {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["evil.Own", None]}}, "Own: auto_map in"),
        (tokenizer, {"tokenizer_class": "Own", "auto_map": ["evil.Own", None]}, "Own: auto_map in tokenizer_config"),
        (config, {"quantization_config": {"quant_method": "own", "auto_map": code}}, "auto_map in the quantization"),
        (config, {"quantization_config": {"a": [{"b": "me/repository--evil.Quantizer"}]}}, "me/repository--evil"),
        (config, {"quantization_config": {"module": "evil.py"}}, "evil.py in the quantization_config"),
        (config, {"_attn_implementation": "me/kernel"}, "the kernel me/kernel of _attn_implementation"),
    ):
        edit(file, **changes)
        refused(folder, f"needs Python code of its own .*{re.escape(message)}")
        file.write_text(kept[file])
    # What transformers has by now is loaded from there, whatever else the folder has.
    edit(config, auto_map=code)
    assert read_checkpoint(folder)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("raise SystemExit('this code ran')")
    refused(folder, "needs Python code of its own .*custom_generate/generate.py")
    assert read_checkpoint(folder, trust_remote_code=True)


def test_adapters(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    refused(folder, "holds an adapter")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 33}, "embed_tokens.weight is 32 x 8, .* asks for 33 x any"),
        ({"hidden_size": 16}, "asks for 32 x 16"),
        ({"hidden_size": 10**12}, "asks for hidden_size=1000000000000, which no model of these weights has"),
        ({"num_hidden_layers": 10**9}, "asks for num_hidden_layers=1000000000"),
        ({"num_hidden_layers": 3}, "asks for 3 layers, and the weights have 2"),
        ({"num_hidden_layers": 1}, "asks for 1 layers, and the weights have 2"),
        ({"intermediate_size": 17}, "gate_proj.weight is 16 x 8, .* asks for 17 x 8"),
        ({"num_key_value_heads": 1}, "k_proj.weight is 8 x 8, .* asks for 4 x 8"),
        ({"num_attention_heads": 0}, "gives num_attention_heads as 0"),
        ({"hidden_size": "8"}, "gives hidden_size as 8, where a size is needed"),
        ({"hidden_size": None}, "gives hidden_size as None"),
        ({"head_dim": [4]}, "head_dim"),
        ({"num_hidden_layers": -1}, "asks for num_hidden_layers=-1"),
        ({"quantization_config": ["gptq"]}, "must hold a JSON object as quantization_config"),
    ],
)
def test_weights_that_are_none_of_the_configs(folder: Path, changes: dict[str, Any], message: str) -> None:
    edit(folder / "config.json", **changes)
    refused(folder, message)


def test_a_config_that_is_none(folder: Path) -> None:
    for text, message in (("[]", "must hold a JSON object"), ("{", "not valid JSON"), ("\xff", "not valid JSON")):
        (folder / "config.json").write_bytes(text.encode("latin-1"))
        refused(folder, f"config.json .*{message}|config.json {message}")


def test_a_missing_tensor(folder: Path) -> None:
    for path in folder.glob("model*"):
        path.unlink()
    tensors = small_tensors()
    del tensors["model.layers.1.mlp.up_proj.weight"]
    safetensors_numpy.save_file(tensors, folder / "model.safetensors")
    refused(folder, "has no tensor model.layers.1.mlp.up_proj.weight")


def test_the_manifest_of_another_model(folder: Path) -> None:
    sha256 = fingerprint(read_checkpoint(folder), companions=False)
    manifest = folder / "compression.json"
    manifest.write_text(json.dumps({"checkpoint": {"sha256": sha256}}))
    assert read_checkpoint(folder)
    edit(folder / "tokenizer_config.json", model_max_length=7)  # people do that
    assert read_checkpoint(folder)
    edit(folder / "config.json", rope_theta=7.0)
    message = "compression.json describes another checkpoint .* delete the manifest"
    with pytest.raises(ValueError, match=message):
        read_checkpoint(folder)
    refused(folder, message)
    manifest.write_text(json.dumps({"checkpoint": sha256}))
    refused(folder, message)
    manifest.write_text("no JSON")
    refused(folder, "compression.json is not valid JSON")
    manifest.write_text(json.dumps({"method": "rtn"}))  # from before there was the entry
    assert read_checkpoint(folder)


def test_fingerprints_of_large_files_take_no_time_and_see_changes(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with file.open("wb") as handle:
        handle.truncate(10**10)  # a sparse file: it takes no room
    start = time.perf_counter()
    before = fingerprint(Checkpoint(tmp_path, (file,)))
    assert time.perf_counter() - start < 1
    for position in (0, 10**10 - 1):
        with file.open("r+b") as handle:
            handle.seek(position)
            handle.write(b"x")
        after = fingerprint(Checkpoint(tmp_path, (file,)))
        assert after != before
        before = after


def test_looking_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from acenv.checkpoint import fingerprint, read_checkpoint\n"
        f"print(len(fingerprint(read_checkpoint(Path({str(folder)!r})))), 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "64 False\n"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_in_a_header_is_named_or_changes_nothing(original: Path, data: st.DataObject) -> None:
    """Bytes cut off or flipped in a header: a ``ValueError``, or the very same tensors."""
    folder = original.parent / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    file = folder / f"model-0000{data.draw(st.integers(1, 2))}-of-00002.safetensors"
    content = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 3))):
        if position := data.draw(st.integers(0, max(0, min(header, len(content)) - 1))):
            content[position] ^= data.draw(st.integers(1, 255))
    changed = bytes(content) != file.read_bytes()
    file.write_bytes(bytes(content))
    try:
        checkpoint = read_checkpoint(folder)
    except ValueError as error:
        assert changed
        assert str(folder) in str(error) or "model." in str(error)
        return
    assert {n: (t.dtype, t.shape) for n, t in checkpoint.tensors.items()} == {
        n: (t.dtype, t.shape) for n, t in read_checkpoint(original).tensors.items()
    }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_nonsense_in_json_files_is_a_value_error(original: Path, data: st.DataObject) -> None:
    folder = original.parent / "nonsense"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    name = data.draw(st.sampled_from(["config.json", "model.safetensors.index.json", "tokenizer_config.json"]))
    content = json.loads((folder / name).read_text())
    keys = [*content, "auto_map", "quantization_config", "text_config", "tokenizer_class", "head_dim"]
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    values = st.recursive(
        leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3)
    )
    content[data.draw(st.sampled_from(keys))] = data.draw(values)
    (folder / name).write_text(json.dumps(content))
    try:
        read_checkpoint(folder)
    except ValueError as error:
        assert str(error)
