"""Which models can be called with a packed batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from acenv.policies.attention import Piece, Plan
from acenv.policies.kv import Arena
from acenv.policies.packing import can_pack, packed_logits

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 400,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def make(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SMALL, **options})
    return transformers.AutoModelForCausalLM.from_config(config).eval()


PACKS = [
    ("Qwen3", {"num_key_value_heads": 2, "head_dim": 16}),
    ("Mistral", {"num_key_value_heads": 1, "sliding_window": None}),
    ("GPT2", {}),  # positions that are learned
    ("GPTNeoX", {}),
    ("Mixtral", {"num_key_value_heads": 2, "num_local_experts": 4}),
    (
        "DeepseekV3",  # values that are narrower than keys
        {
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 12,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
]


@pytest.mark.parametrize("name, options", PACKS)
@torch.inference_mode()
def test_packed_conversations_get_the_logits_that_each_gets_alone(name: str, options: dict[str, Any]) -> None:
    model = make(name, **options)
    attention = model.config._attn_implementation
    assert can_pack(model)
    texts = [[(i * i + 7 * k) % 400 for i in range(20 + 9 * k)] for k in range(5)]
    arena = Arena(2, 1 << 14)
    spans = [arena.allocate(80) for _ in texts]
    done = 0
    for upto in (11, 12, 13, 20):
        pieces = [Piece(span, done, text[done:upto]) for span, text in zip(spans, texts, strict=True) if span]
        found = packed_logits(model, Plan(arena, pieces, model))
        done = upto
        # The model itself is as it was: whoever calls it gets transformers' own attention, with padding masked.
        assert model.config._attn_implementation == attention
        alone = torch.stack([model(torch.tensor([text[:upto]]), use_cache=False).logits[0, -1] for text in texts])
        torch.testing.assert_close(found, alone, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "name, options",
    [
        ("Bloom", {"n_layer": 2, "n_head": 4}),  # its positions are in a bias of its own
        ("Mistral", {"sliding_window": 8}),
        ("Mamba", {}),
        ("Qwen2", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}}),
    ],
)
def test_models_that_would_compute_something_else_are_found_out(name: str, options: dict[str, Any]) -> None:
    assert not can_pack(make(name, **options))
