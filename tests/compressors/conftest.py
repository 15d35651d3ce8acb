from __future__ import annotations

import json
from pathlib import Path

import pytest

from acenv.types import Conversation

WORDS = [
    "the",
    "a",
    "file",
    "list",
    "agent",
    "calls",
    "tool",
    "move",
    "block",
    "onto",
    "table",
    "red",
    "blue",
    "green",
    "ball",
    "room",
    "north",
    "door",
    "key",
    "opens",
    "pick",
    "up",
    "put",
    "down",
    "answer",
    "is",
    "needle",
    "in",
    "hay",
    "find",
    "send",
    "message",
    "to",
    "calendar",
    "at",
    "noon",
    "three",
    "four",
    "five",
    "six",
    "seven",
]


@pytest.fixture(scope="session")
def calibration() -> list[Conversation]:
    def words(start: int, count: int) -> str:
        return " ".join(WORDS[(start + k * (start + 3)) % len(WORDS)] for k in range(count))

    tool = {"type": "function", "function": {"name": "find", "description": "Find a file.", "parameters": {}}}
    return [
        Conversation(
            [{"role": "user", "content": words(i, 20)}, {"role": "assistant", "content": words(i + 7, 12 + i)}], [tool]
        )
        for i in range(12)
    ]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with random weights, in bf16, with a tokenizer and a chat template."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("models") / "tiny"
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<end>", "<unk>", "user", "assistant", ":", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>")
    fast.chat_template = (
        "{% if tools %}{{ tools | tojson }} {% endif %}"
        "{% for m in messages %}{{ m.role }} : {{ m.content }} <end> {% endfor %}"
    )
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    fast.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 1, "pad_token_id": 0}))
    return folder
