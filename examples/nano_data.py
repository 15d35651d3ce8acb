"""What nano is trained on: expert transcripts, a tokenizer made for them, and batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import torch
from nano_model import CONTEXT, SPECIAL, VOCABULARY
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import acenv  # noqa: F401  (registers the environments)
from acenv.transcripts import expert_conversation
from acenv.types import Conversation

TOKENS_A_STEP = 8192

WANDERING = ("acenv/PDDL-v0", "acenv/Household-v0")
"""Worlds in which a wrong move leads to a state that no expert gets into, and to come back has to be learned too."""

Entry = tuple[float, str, dict[str, Any]]
"""Share of the tokens, environment, keywords."""

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


class Transcripts:
    """Endless expert transcripts; transcript ``i`` of an entry of the mix is the episode of seed ``i``."""

    def __init__(self, next_seed: dict[str, int] | None = None) -> None:
        self.next_seed = next_seed or {}
        self.envs: dict[str, gymnasium.Env[Any, Any]] = {}

    def draw(self, entry: Entry) -> tuple[Conversation, set[int]]:
        """A transcript, and which of its assistant messages (by number) are mistakes, not to be learned."""
        _, env_id, keywords = entry
        key = f"{env_id} {json.dumps(keywords)}"
        if key not in self.envs:
            self.envs[key] = gymnasium.make(env_id, split="train", difficulty="easy", **keywords)
        seed = self.next_seed.get(key, 0)
        self.next_seed[key] = seed + 1
        if env_id in WANDERING:
            return wandering_conversation(self.envs[key], seed)
        return expert_conversation(self.envs[key], seed), set()


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


def build_tokenizer(transcripts: Transcripts, mix: list[Entry], each: int = 1500) -> PreTrainedTokenizerFast:
    """Byte-level BPE within words; values look the same after a space and after a quote."""
    import re

    texts: list[str] = []
    for entry in mix:
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

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, transcripts: Transcripts, mix: list[Entry], seed: int
    ) -> None:
        self.tokenizer, self.transcripts, self.mix = tokenizer, transcripts, mix
        self.rng = np.random.default_rng(seed)
        self.queue: list[list[tuple[list[int], list[int]]]] = []

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        shares = np.array([share for share, _, _ in self.mix])
        while True:
            if not self.queue:
                pool: list[tuple[list[int], list[int]]] = []
                spent = np.zeros(len(self.mix))  # The shares hold within a pool.
                while spent.sum() < 16 * TOKENS_A_STEP:
                    entry = int(np.argmin(spent / shares))
                    ids, labels = encode(self.tokenizer, *self.transcripts.draw(self.mix[entry]))
                    spent[entry] += len(ids)
                    if len(ids) <= CONTEXT // 2:
                        pool.append((ids, labels))
                pool.sort(key=lambda item: len(item[0]))
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
