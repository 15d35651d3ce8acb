"""Choosing the next token, greedily or by chance, and finding where a model wants to stop."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from acenv.chat import Chat
from acenv.types import Message


def check_sampling(max_new_tokens: int, temperature: float, top_p: float, top_k: int) -> None:
    """Refuse settings that make no sense.

    Raises:
        ValueError: One of them; the message says what it may be.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or above, not {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")
    if top_k < 0:
        raise ValueError(f"top_k must be 0 (all tokens) or above, not {top_k}")


def uniforms(seed: int, step: int, count: int) -> Tensor:
    """``count`` uniform numbers of [0, 1) for one action: float64 ``[count]``, a function of seed and step alone."""
    digest = hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    return torch.rand(count, generator=generator, dtype=torch.float64)


def choose(logits: Tensor, draws: Tensor | None, *, temperature: float, top_p: float, top_k: int) -> Tensor:
    """Next tokens.

    Args:
        logits: ``[batch, vocabulary]``.
        draws: A uniform number for each row, ``[batch]``, or ``None`` to take the most probable token.
        temperature: Divides the logits.
        top_p: Keep the most probable tokens that together reach this probability (nucleus sampling).
        top_k: Keep this many of the most probable tokens; 0 keeps all.

    Returns:
        int64 ``[batch]``. A row's token depends on its own logits and draw alone.
    """
    if draws is None:
        return logits.argmax(-1)
    if 0 < top_k < logits.shape[-1]:
        scores, order = (logits.float() / temperature).topk(top_k, dim=-1)
    else:
        scores, order = (logits.float() / temperature).sort(dim=-1, descending=True, stable=True)
    probabilities = scores.softmax(-1).double()
    cumulative = probabilities.cumsum(-1)
    if top_p < 1:
        # A token stays if those before it do not reach top_p yet; the first one always stays.
        probabilities = probabilities.masked_fill(cumulative - probabilities >= top_p, 0)
        cumulative = probabilities.cumsum(-1)
    threshold = draws.to(cumulative)[:, None] * cumulative[:, -1:]
    # The last token of positive probability catches rounding at the upper end.
    last = (probabilities > 0).sum(-1) - 1
    picks = torch.minimum((cumulative <= threshold).sum(-1), last)
    return order.gather(-1, picks[:, None])[:, 0]


def stop_token_ids(tokenizer: Any, generation_config: Any, chat: Chat) -> frozenset[int]:
    """All tokens that end an answer: those of the generation config, of the tokenizer, and of the chat template.

    Checkpoints often name only one of them; instruction-tuned models end their turn with a token that the base model's
    configuration knows nothing of.
    """
    configured = getattr(generation_config, "eos_token_id", None)
    ids = {configured} if isinstance(configured, int) else set(configured or ())
    ids.add(tokenizer.eos_token_id)
    ids.add(_end_of_turn(tokenizer, chat))
    return frozenset(int(i) for i in ids if i is not None)


def _end_of_turn(tokenizer: Any, chat: Chat) -> int | None:
    """The special token that the template puts right behind the assistant's text."""
    if not chat.has_template:
        return None
    messages: list[Message] = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "WORD"}]
    try:
        text = chat.render(messages, add_generation_prompt=False)
    except ValueError:
        return None
    behind = text.rpartition("WORD")[2].lstrip()
    special = {str(t): i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    matches = [t for t in special if t and behind.startswith(t)]
    return special[max(matches, key=len)] if matches else None
