from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from acenv.compression import dense_folder
from acenv.compressors import compress
from acenv.policies import load_policy
from acenv.types import Request

ASKED = [Request(0, 0, 0, [{"role": "user", "content": "the cat sat"}])]


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    return tmp_path / "copy"


def load(folder: Path, **options):
    return load_policy(f"hf:{folder}", **{"dtype": "float32", "max_new_tokens": 8, **options})


def edit_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_missing_things_are_named(folder):
    with pytest.raises(ValueError, match="there is no folder .*nowhere"):
        load(folder / "nowhere")
    (folder / "model.safetensors").rename(folder / "hidden")
    with pytest.raises(ValueError, match=r"no weights: no \*.safetensors"):
        load(folder)
    (folder / "hidden").rename(folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model.bin, a pickle.*allow_pickle=True"):
        load(folder)
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ValueError, match="no tokenizer: tokenizer.json is missing"):
        load(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is not valid JSON"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="config.json is missing"):
        load(folder)


def test_damaged_weights_are_named(folder):
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-10], whole[:100], whole[:3], b"", b"\xff" * 200):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="model.safetensors is damaged"):
            load(folder)
    file.write_bytes(whole)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "part-2.safetensors"}}))
    with pytest.raises(ValueError, match="part-2.safetensors is missing"):
        load(folder)


def test_what_is_missing_is_not_made_up(tiny_tokenizer, tmp_path):
    """transformers fills parameters that a checkpoint lacks with random numbers."""
    config = transformers.GPTNeoXConfig(
        vocab_size=len(tiny_tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    whole, lacking = tmp_path / "whole", tmp_path / "lacking"
    transformers.GPTNeoXForCausalLM(config).save_pretrained(whole)
    tiny_tokenizer.save_pretrained(whole)
    assert load(whole).act(ASKED)[0].error is None
    shutil.copytree(whole, lacking)
    state = load_file(whole / "model.safetensors")
    name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"
    save_file({k: v for k, v in state.items() if k != name}, lacking / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=f"has no tensor {name}"):
        load(lacking)
    with pytest.raises(ValueError, match=f"has no tensor {name}"):
        compress(lacking, "magnitude", tmp_path / "out")


def test_code_of_a_checkpoint_is_not_run_unless_asked_for(folder):
    edit_config(folder, model_type="own", auto_map={"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.Config"})
    (folder / "evil.py").write_text("raise SystemExit('this code ran')")
    with pytest.raises(ValueError, match="needs Python code of its own.*trust_remote_code=True"):
        load(folder)


def test_settings_that_make_no_sense_are_refused(tiny_checkpoint):
    for option, value in (
        ("max_new_tokens", 0),
        ("temperature", -1),
        ("top_p", 0),
        ("top_k", -1),
        ("dtype", "int4"),
        ("device", "abacus"),
    ):
        with pytest.raises(ValueError, match=option):
            load(tiny_checkpoint, **{option: value})
    with pytest.raises(ValueError, match="unknown option 'temp'"):
        load(tiny_checkpoint, temp=1)


def test_gguf_files_are_checked(tmp_path, tiny_checkpoint):
    pytest.importorskip("gguf")
    (tmp_path / "broken.gguf").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a GGUF file"):
        load_policy(f"gguf:{tmp_path / 'broken.gguf'}")
    with pytest.raises(ValueError, match="is a file; give the checkpoint's folder"):
        load(tiny_checkpoint / "config.json")


def pack_rows(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes ``[n, m]`` as a stream of bits down each column, in 32 bit words: ``[n * bits / 32, m]``."""
    words = np.zeros((codes.shape[0] * bits // 32, codes.shape[1]), dtype=np.uint64)
    for i, row in enumerate(codes.astype(np.uint64)):
        word, shift = divmod(i * bits, 32)
        words[word] |= (row << np.uint64(shift)) & np.uint64(0xFFFFFFFF)
        if shift + bits > 32:
            words[word + 1] |= row >> np.uint64(32 - shift)
    return words.astype(np.uint32).view(np.int32)


def quantise(folder: Path, method: str, bits: int) -> dict[str, torch.Tensor]:
    """Rewrite a checkpoint with packed weights; gives the dense weights that they stand for."""
    state = load_file(folder / "model.safetensors")
    rng = np.random.default_rng(bits)
    packed, dense = {}, {}
    for name, weight in state.items():
        # Packed zero points fill whole words, so a layer of too few outputs stays as it is.
        if not name.endswith("proj.weight") or weight.shape[0] * bits % 32:
            packed[name] = dense[name] = weight
            continue
        outs, ins = weight.shape
        codes = rng.integers(0, 2**bits, size=(ins, outs))
        zeros = rng.integers(1, 2**bits, size=(ins // 16, outs))
        scales = rng.uniform(0.05, 0.1, size=zeros.shape).astype(np.float16)
        groups = np.arange(ins) // 16 if method == "awq" else rng.permutation(np.arange(ins) // 16)
        dense[name] = torch.tensor(scales.astype(np.float32)[groups] * (codes - zeros[groups])).T.float().contiguous()
        stem = name.removesuffix("weight")
        if method == "awq":
            order = [0, 2, 4, 6, 1, 3, 5, 7]
            shuffled = [m.reshape(len(m), -1, 8)[:, :, order].reshape(m.shape) for m in (codes, zeros)]
            words = [np.ascontiguousarray(pack_rows(m.T, 4).T) for m in shuffled]
        else:
            words = [pack_rows(codes, bits), np.ascontiguousarray(pack_rows((zeros - 1).T, bits).T)]
            packed[stem + "g_idx"] = torch.tensor(groups, dtype=torch.int32)
        packed[stem + "qweight"], packed[stem + "qzeros"] = map(torch.from_numpy, words)
        packed[stem + "scales"] = torch.tensor(scales)
    save_file({k: v.contiguous() for k, v in packed.items()}, folder / "model.safetensors", {"format": "pt"})
    layout = {"quant_method": method, "bits": bits, "group_size": 16, "version": "gemm"}
    layout["checkpoint_format"] = "gemm" if method == "awq" else "gptq"
    edit_config(folder, quantization_config=layout)
    return dense


@pytest.mark.parametrize(("method", "bits"), [("gptq", 2), ("gptq", 3), ("gptq", 4), ("gptq", 8), ("awq", 4)])
def test_packed_weights_become_the_dense_ones_that_they_stand_for(folder, method, bits):
    dense = quantise(folder, method, bits)
    policy = load(folder)
    loaded = policy.model.state_dict()
    assert all(torch.allclose(loaded[name], weight) for name, weight in dense.items())
    assert policy.act(ASKED)[0].error is None


def test_a_gguf_file_acts(tmp_path, tiny_model, tiny_tokenizer):
    gguf = pytest.importorskip("gguf")
    file = tmp_path / "tiny.gguf"
    config, state = tiny_model.config, tiny_model.state_dict()
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(tiny_tokenizer.get_vocab().items(), key=lambda item: item[1])
    merges = json.loads(tiny_tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in tiny_tokenizer.all_special_tokens else 1 for token, _ in vocabulary])
    writer.add_token_merges([" ".join(m) for m in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(tiny_tokenizer.chat_template)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q"}
    names |= {"self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output"}
    names |= {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    names |= {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for name, tensor in state.items():
        array = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:  # GGUF keeps the halves of a head's rotary pairs interleaved
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        stem = name.removesuffix(".weight").replace("model.layers.", "blk.")
        for long, short in names.items():
            stem = stem.replace(long, short) if long in name else stem
        writer.add_tensor(stem + ".weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    policy = load_policy(f"gguf:{file}", dtype="float32", max_new_tokens=8)
    loaded = policy.model.state_dict()
    assert all(torch.allclose(loaded[name], weight) for name, weight in state.items())
    assert policy.act(ASKED)[0].usage.prompt_tokens > 5
    assert policy.describe()["checkpoint"]

    unpacked = dense_folder(file, tmp_path / "dense")
    dense = load(unpacked)
    for name, value in tiny_model.state_dict().items():
        assert torch.allclose(dense.model.state_dict()[name], value, atol=0.02), name
    (tmp_path / "dense" / "mark").write_text("used again", encoding="utf-8")
    assert (dense_folder(tmp_path, unpacked) / "mark").exists()
