"""Train nano, the built-in model, from nothing: expert transcripts in, a checkpoint folder out.

    python examples/train_nano.py --out build/nano

Runs on a CPU. A run that was stopped goes on from its last checkpoint when it is started again with the same ``--out``.
Everything is seeded, and only tasks of the *train* split are seen.

What makes a model of 5 million parameters act after an hour or two:

* a tokenizer in which a value has the same tokens in prose and inside JSON quotes, so that copying is one operation;
* an initialisation with working copy circuits (previous-token heads and induction heads, Olsson et al. 2022), which a
  model of this size would take far more tokens to find;
* loss on the assistant's tokens only, and transcripts with several answers a text;
* Muon (Jordan et al. 2024) for the matrices, AdamW for the rest.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import acenv  # noqa: F401  (registers the environments)
from acenv.transcripts import expert_conversation
from acenv.types import Conversation

VOCABULARY, WIDTH, LAYERS, HEADS, HEAD, HIDDEN, CONTEXT = 2048, 256, 5, 4, 64, 512, 2048
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tools|>"]
TOKENS_A_STEP = 8192
# bfloat16 doubles the speed on processors that multiply in it, and cripples it on those that do not.
BF16 = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_avx512_bf16_supported()

# (share of the tokens at first, share after SWITCH, environment, keywords). Needle texts ask for many facts, so that a
# text teaches many lookups. Calls and moves are learned early; lookups and graphs take longest.
MIX: list[tuple[float, float, str, dict[str, Any]]] = [
    (0.10, 0.00, "acenv/Needle-v0", {"length": 40, "needles": 6, "distractors": 4}),
    (0.12, 0.20, "acenv/Needle-v0", {"needles": 8, "distractors": 2}),
    (0.30, 0.14, "acenv/ToolSandbox-v0", {}),
    (0.26, 0.32, "acenv/WorkflowFunctionCall-v0", {}),
    (0.22, 0.20, "acenv/PDDL-v0", {}),
    (0.00, 0.14, "acenv/Needle-v0", {"length": 0, "needles": 6, "distractors": 3}),
]
SWITCH = 0.49

CHAT_TEMPLATE = """\
{%- if tools -%}<|tools|>
{%- for tool in tools -%}
{%- set f = tool.function -%}
{{ f.name }}({% for name, p in f.parameters.properties.items() %}{{ name }}{% if p.type != "string" %}: {{ p.type }}\
{% endif %}{% if not loop.last %}, {% endif %}{% endfor %}){{ "" if loop.last else "\\n" }}
{%- endfor -%}<|end|>{%- endif -%}
{%- for m in messages -%}
{%- if m.role == "assistant" -%}<|assistant|>{% generation %}{{ m.content }}<|end|>{% endgeneration %}
{%- else -%}<|{{ "user" if m.role == "tool" else m.role }}|>{{ m.content }}<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""


# Data


class Transcripts:
    """Endless expert transcripts of the mix; transcript ``i`` of an entry is the episode of seed ``i``."""

    def __init__(self, first_seed: int = 0) -> None:
        self.envs = [gymnasium.make(i, split="train", difficulty="easy", **kwargs) for _, _, i, kwargs in MIX]
        self.next_seed = [first_seed] * len(MIX)

    def draw(self, entry: int) -> tuple[Conversation, set[int]]:
        """A transcript, and which of its assistant messages (by number) are mistakes, not to be learned."""
        seed = self.next_seed[entry]
        self.next_seed[entry] += 1
        if "PDDL" in MIX[entry][2]:
            return wandering_conversation(self.envs[entry], seed)
        return expert_conversation(self.envs[entry], seed), set()


def wandering_conversation(
    env: gymnasium.Env[Any, Any], seed: int, slips: float = 0.12
) -> tuple[Conversation, set[int]]:
    """The expert acts, but now and then slips into another valid action, so that recovering is in the data too."""
    rng = np.random.default_rng(seed)
    messages, info = env.reset(seed=seed)
    over, step, mistakes = False, 0, set()
    while not over:
        action = env.unwrapped.expert_action()
        if rng.random() < slips:
            before = env.unwrapped.snapshot()
            listing = env.step("check")[0][-1]["content"]
            env.unwrapped.restore(before)
            choices = listing.removeprefix("Valid actions: ").rstrip(".").split(", ")
            slip = choices[rng.integers(len(choices))]
            if slip != action:
                action = slip
                mistakes.add(step)
        messages, _, terminated, truncated, _ = env.step(action)
        over, step = terminated or truncated, step + 1
    return Conversation(messages, info["tools"]), mistakes


def build_tokenizer(transcripts: Transcripts, each: int = 1500) -> PreTrainedTokenizerFast:
    """Byte-level BPE within words; values look the same after a space and after a quote."""
    import re

    texts: list[str] = []
    for entry in range(len(MIX)):
        for _ in range(each):
            conversation, _ = transcripts.draw(entry)
            texts.extend(m["content"] for m in conversation.messages)
            for tool in conversation.tools:
                function = tool["function"]
                texts.append(f"{function['name']}({', '.join(function['parameters']['properties'])})")
    # A word that never stands at the start of a value keeps its space: one token instead of two.
    after_space: Counter[str] = Counter()
    elsewhere: Counter[str] = Counter()
    for text in texts:
        for match in re.finditer(r"( ?)([A-Za-z_]+)", text):
            (after_space if match[1] else elsewhere)[match[2]] += 1
    common = [w for w, n in after_space.most_common() if n >= 100 and elsewhere[w] <= 0.002 * n][:700]
    pattern = "|".join(
        [
            f" (?:{'|'.join(sorted(common, key=lambda w: (-len(w), w)))})(?![A-Za-z_])" if common else "(?!)",
            "[A-Za-z_]+",
            "[0-9]{1,2}",
            " ",
            r"\n+",
            r"[^\sA-Za-z0-9_]+(?: [^\sA-Za-z0-9_]+)*",
            r"\s",
        ]
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def encode(
    tokenizer: PreTrainedTokenizerFast, conversation: Conversation, mistakes: set[int]
) -> tuple[list[int], list[int]]:
    """Token ids, and labels that are -100 wherever the assistant does not speak, or should not have."""
    encoded = tokenizer.apply_chat_template(
        list(conversation.messages),
        tools=list(conversation.tools) or None,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    labels: list[int] = []
    turn, before = -1, 0
    for token, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True):
        turn += mask and not before
        labels.append(token if mask and turn not in mistakes else -100)
        before = mask
    return encoded["input_ids"], labels


class Batches:
    """Batches of about ``TOKENS_A_STEP`` tokens, of transcripts of like length, in the proportions of the mix."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, transcripts: Transcripts, seed: int) -> None:
        self.tokenizer, self.transcripts = tokenizer, transcripts
        self.rng = np.random.default_rng(seed)
        self.spent = np.zeros(len(MIX))
        self.late = False
        self.queue: list[list[tuple[list[int], list[int]]]] = []

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            shares = np.array([late if self.late else early for early, late, _, _ in MIX])
            if not self.queue:
                pool: list[tuple[list[int], list[int]]] = []
                total = 0
                while total < 16 * TOKENS_A_STEP:
                    entry = int(np.argmin(np.where(shares > 0, self.spent / np.maximum(shares, 1e-9), np.inf)))
                    ids, labels = encode(self.tokenizer, *self.transcripts.draw(entry))
                    self.spent[entry] += len(ids)
                    if len(ids) <= CONTEXT // 2:
                        pool.append((ids, labels))
                        total += len(ids)
                pool.sort(key=lambda item: len(item[0]))
                self.spent[:] = 0  # The shares hold within a pool.
                self.queue = list(_pack(pool))
                self.rng.shuffle(self.queue)  # type: ignore[arg-type]
            batch = self.queue.pop()
            length = max(len(ids) for ids, _ in batch)
            inputs = torch.zeros(len(batch), length, dtype=torch.long)
            targets = torch.full((len(batch), length), -100)
            for row, (ids, labels) in enumerate(batch):
                inputs[row, : len(ids)] = torch.tensor(ids)
                targets[row, : len(ids)] = torch.tensor(labels)
            yield inputs, targets


def _pack(pool: list[tuple[list[int], list[int]]]) -> Iterator[list[tuple[list[int], list[int]]]]:
    batch: list[tuple[list[int], list[int]]] = []
    for item in pool:
        if batch and (len(batch) + 1) * len(item[0]) > TOKENS_A_STEP:
            yield batch
            batch = []
        batch.append(item)
    yield batch


def repeated_spans(rng: np.random.Generator, span: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens, then the same again: what can only be predicted by copying."""
    first = rng.integers(len(SPECIAL), VOCABULARY, size=(TOKENS_A_STEP // (2 * span), span))
    inputs = torch.tensor(np.concatenate([first, first], axis=1))
    targets = inputs.clone()
    targets[:, : span + 1] = -100
    return inputs, targets


# Model


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


# Training


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


def train(out: Path, budget: int, seed: int, muon_rate: float, adam_rate: float, checkpoint_minutes: float) -> None:
    """Train on ``budget`` tokens, then save the model as bfloat16."""
    torch.set_num_threads(2)
    out.mkdir(parents=True, exist_ok=True)
    state_path, log_path = out / "training.pt", out / "log.jsonl"
    transcripts = Transcripts()
    if not (out / "tokenizer.json").exists():
        build_tokenizer(transcripts).save_pretrained(out)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out)
    model = build_model(seed)
    optimizer_list = optimizers(model, muon_rate, adam_rate)
    step, tokens, spent = 0, 0, 0.0
    warm_up = 60  # steps of half a million tokens of repeated spans in all
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizer_list, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        step, tokens, spent, transcripts.next_seed = state["step"], state["tokens"], state["spent"], state["next_seed"]
    base_rates = [muon_rate, adam_rate]
    data = Batches(tokenizer, transcripts, seed + step)
    batches = iter(data)
    rng = np.random.default_rng(seed + step)
    last_save = began = time.monotonic()
    spent_before = spent
    losses: list[float] = []
    while tokens < budget:
        spent = spent_before + time.monotonic() - began
        progress = tokens / budget
        data.late = progress >= SWITCH
        # Linear decay, after a short rise.
        rate = max(0.02, 1 - progress) * min(1.0, (step + 1) / 20)
        inputs, targets = repeated_spans(rng) if step < warm_up else next(batches)
        loss = loss_of(model, inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, base in zip(optimizer_list, base_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * rate
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        step, tokens = step + 1, tokens + inputs.numel()
        if step % 20 == 0:
            record = {
                "step": step,
                "tokens": tokens,
                "seconds": round(spent),
                "loss": round(sum(losses) / len(losses), 4),
            }
            with log_path.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(record, flush=True)
            losses.clear()
        if time.monotonic() - last_save > checkpoint_minutes * 60:
            last_save = time.monotonic()
            _checkpoint(state_path, model, optimizer_list, step, tokens, spent, transcripts)
            save(model, tokenizer, out)
    _checkpoint(state_path, model, optimizer_list, step, tokens, spent, transcripts)
    save(model, tokenizer, out)


def _checkpoint(
    path: Path,
    model: LlamaForCausalLM,
    optimizer_list: list[torch.optim.Optimizer],
    step: int,
    tokens: int,
    spent: float,
    transcripts: Transcripts,
) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "model": model.state_dict(),
            "optimizers": [o.state_dict() for o in optimizer_list],
            "step": step,
            "tokens": tokens,
            "spent": spent,
            "next_seed": transcripts.next_seed,
        },
        temporary,
    )
    temporary.replace(path)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write what ``load_policy("hf:…")`` needs: bfloat16 weights, configuration, tokenizer, generation settings."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    GenerationConfig(eos_token_id=1, pad_token_id=0, do_sample=False).save_pretrained(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/nano"))
    parser.add_argument("--tokens", type=float, default=10.2e6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--muon-rate", type=float, default=1.2e-3)
    parser.add_argument("--adam-rate", type=float, default=1.5e-3)
    parser.add_argument("--checkpoint-minutes", type=float, default=5)
    arguments = parser.parse_args()
    train(
        arguments.out,
        int(arguments.tokens),
        arguments.seed,
        arguments.muon_rate,
        arguments.adam_rate,
        arguments.checkpoint_minutes,
    )


if __name__ == "__main__":
    main()
