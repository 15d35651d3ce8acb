"""Choosing the next token, greedily or by chance, and finding where a model wants to stop."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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


def seed_of(seed: int, step: int, sampling_seed: int = 0) -> int:
    """The seed of one action, in [0, 2**63): a function of the episode's seed, the step and the sampling seed alone."""
    text = f"{seed}:{step}:{sampling_seed}" if sampling_seed else f"{seed}:{step}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def uniforms(seed: int, step: int, count: int, sampling_seed: int = 0) -> Tensor:
    """``count`` uniform numbers of [0, 1) for one action: float64 ``[count]``, a function of the seeds and the step."""
    generator = torch.Generator().manual_seed(seed_of(seed, step, sampling_seed))
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


@dataclass(frozen=True, slots=True)
class Sampler:
    """Chooses tokens, for :func:`choose`'s settings.

    Attributes:
        temperature: See there.
        top_p: See there.
        top_k: See there.
        logprobs: Whether to tell the log-probabilities of what is chosen.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    logprobs: bool = False

    def pick(self, logits: Tensor, draws: Sequence[float] | None) -> tuple[list[int], Sequence[float | None]]:
        """Next tokens, and their log-probabilities, ``None`` if not wanted.

        Args:
            logits: ``[batch, vocabulary]``.
            draws: A uniform number for each row, or ``None`` to take the most probable token.

        Returns:
            Tokens, -1 where the logits hold nan; and the natural logarithm of each one's probability under the logits
            as they are, so at temperature 1 and over the whole vocabulary.
        """
        uniform = None if draws is None else torch.tensor(draws, dtype=torch.float64, device=logits.device)
        tokens = choose(logits, uniform, temperature=self.temperature, top_p=self.top_p, top_k=self.top_k)
        # Whether greedy or sorted, nan comes first.
        chosen = logits.gather(-1, tokens[:, None])[:, 0]
        picked = tokens.masked_fill(chosen.isnan(), -1).tolist()
        if not self.logprobs:
            return picked, [None] * len(picked)
        return picked, (chosen.float() - logits.float().logsumexp(-1)).tolist()


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
