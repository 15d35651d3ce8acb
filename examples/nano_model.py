"""nano's architecture, its structured start, and the optimizers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY, WIDTH, LAYERS, HEADS, HEAD, HIDDEN, CONTEXT = 2048, 256, 5, 4, 64, 512, 2048
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tools|>"]
# bfloat16 doubles the speed on processors that multiply in it, and cripples it on those that do not.
BF16 = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()


def build_model(seed: int = 0) -> LlamaForCausalLM:
    """A Llama whose first layers already copy.

    The residual stream holds each token's embedding in dimensions 0 to 127, a constant in 255, and, after layer 0, the
    previous token's embedding in 128 to 254.
    """
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HEAD,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    generator = torch.Generator().manual_seed(seed)
    sigma, constant, content = 0.05, 255, 128
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.normal_(0, WIDTH**-0.5, generator=generator)
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                parameter.zero_()
        embedding = model.model.embed_tokens.weight
        embedding.normal_(0, sigma, generator=generator)
        embedding[:, content:] = 0
        embedding[:, constant] = 3 * sigma
        frequency = 1e5 ** (-torch.arange(HEAD // 2) / (HEAD // 2))
        rms = sigma * math.sqrt((content + 9) / WIDTH)

        def attend_back(layer: int, head: int, offset: int) -> None:
            """Attend to the token ``offset`` places back, whatever it is: phases of the rotary embedding."""
            attention, rows = model.model.layers[layer].self_attn, slice(head * HEAD, (head + 1) * HEAD)
            strength = 3.5 / (3 * sigma / rms)
            query = torch.cat([torch.cos(offset * frequency), -torch.sin(offset * frequency)])
            key = torch.cat([torch.ones(HEAD // 2), torch.zeros(HEAD // 2)])
            slow = torch.cat([frequency < 0.02] * 2)
            attention.q_proj.weight[rows] = 0
            attention.k_proj.weight[rows] = 0
            attention.q_proj.weight[rows, constant] = torch.where(slow, 0.0, query * strength * 2.0)
            attention.k_proj.weight[rows, constant] = torch.where(slow, 0.0, key * strength * 2.0)

        def move(layer: int, head: int, source: int, target: int, gain: float, size: int = HEAD) -> None:
            """Write dimensions ``source…`` of the attended token into ``target…`` of this one."""
            attention, base = model.model.layers[layer].self_attn, head * HEAD
            attention.v_proj.weight[base : base + HEAD] = 0
            for i in range(size):
                attention.v_proj.weight[base + i, source + i] = 1.0
                attention.o_proj.weight[target + i, base + i] = gain * rms

        def attend_to_successor(layer: int, head: int) -> None:
            """Attend to tokens whose previous token is this one (in slow rotary dimensions, blind to distance)."""
            attention, base = model.model.layers[layer].self_attn, head * HEAD
            attention.q_proj.weight[base : base + HEAD] = 0
            attention.k_proj.weight[base : base + HEAD] = 0
            slow = [f for f in range(HEAD // 2) if frequency[f] < 2e-3]
            rows = torch.tensor([base + f for f in slow] + [base + HEAD // 2 + f for f in slow])
            projection = torch.randn(len(rows), content - 1, generator=generator) * (content - 1) ** -0.5
            strength = 14.0 / len(rows) ** 0.5
            attention.q_proj.weight[rows, : content - 1] = projection * strength
            attention.k_proj.weight[rows, content : 2 * content - 1] = projection * strength

        for half in (0, 1):
            attend_back(0, half, offset=1)
            move(0, half, source=half * HEAD, target=content + half * HEAD, gain=1.0, size=HEAD - half)
            for layer in (1, 2):
                attend_to_successor(layer, half)
                move(layer, half, source=half * HEAD, target=half * HEAD, gain=2.0)
            # The tied output would repeat the present token; take it out of the stream.
            attend_back(2, 2 + half, offset=0)
            move(2, 2 + half, source=half * HEAD, target=half * HEAD, gain=-1.0)
    return model


def loss_of(model: LlamaForCausalLM, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over the labelled tokens; logits are made for these alone."""
    with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
        hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state[:, :-1]
        labels = targets[:, 1:]
        keep = labels != -100
        logits = model.lm_head(hidden[keep])
    return F.cross_entropy(logits.float(), labels[keep])


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton-Schulz steps (Jordan et al. 2024); updates of RMS 0.2 times the rate.

    ``torch.optim.Muon`` iterates in bfloat16, matrix by matrix; this one in the weights' own precision and over stacks
    of equal shape, which on processors without bfloat16 is hundreds of times faster.
    """

    def __init__(self, params: list[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
        for parameter in params:
            by_shape.setdefault(parameter.shape, []).append(parameter)
        super().__init__([{"params": group} for group in by_shape.values()], {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            updates = []
            for parameter in group["params"]:
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                updates.append(parameter.grad.lerp(momentum, group["momentum"]))
            x = torch.stack(updates)
            wide = x.shape[1] <= x.shape[2]
            x = x if wide else x.mT
            x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):
                gram = x @ x.mT
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x if wide else x.mT
            scale = 0.2 * max(x.shape[1:]) ** 0.5
            for parameter, update in zip(group["params"], x, strict=True):
                parameter.add_(update, alpha=-group["lr"] * scale)


def optimizers(model: LlamaForCausalLM, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    return [
        Muon(matrices, lr=muon_rate),
        torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]
