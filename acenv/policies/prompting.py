"""From conversations to tokens and back: what all engines that run a checkpoint have in common.

Two engines that share this read the same prompts, token by token, and end their answers in the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.chat import Chat
from acenv.policies.sampling import stop_token_ids
from acenv.types import Decision, Request, Usage

_TEXT_TAIL = 16
_UNLIMITED = 10**9


class Prompter:
    """Renders and encodes requests, and turns what a model wrote into text.

    Attributes:
        tokenizer: The checkpoint's.
        chat: Renders conversations with its chat template.
        context: Tokens that fit, prompt and answer together.
        stop: Texts that end an answer; they are cut off.
        stop_ids: Tokens that end an answer.
    """

    def __init__(self, tokenizer: Any, *, generation_config: Any, context: int, stop: Sequence[str] = ()) -> None:
        """Prepare for a checkpoint, by its transformers tokenizer and generation config."""
        self.tokenizer = tokenizer
        self.chat = Chat(tokenizer)
        self.context = context
        # Without a template nothing but the next speaker's name shows that the assistant has finished.
        texts = (stop,) if isinstance(stop, str) else tuple(stop)
        self.stop = texts if self.chat.has_template else (*texts, "\nuser:", "\nsystem:")
        self.stop_ids = stop_token_ids(tokenizer, generation_config, self.chat)

    def read(self, requests: Sequence[Request]) -> tuple[dict[int, list[int]], dict[int, Decision]]:
        """Turn requests into prompts.

        Returns:
            The tokens of each prompt that leaves room for an answer, and the decisions for all other requests, both by
            the request's position.
        """
        decisions: dict[int, Decision] = {}
        texts: dict[int, str] = {}
        for i, request in enumerate(requests):
            try:
                texts[i] = self.chat.render(request.messages, request.tools)
            except ValueError as error:
                decisions[i] = Decision("", error=str(error))
        prompts: dict[int, list[int]] = {}
        for i, ids in zip(texts, self.encode(list(texts.values())), strict=True):
            if not ids:
                decisions[i] = Decision("", error="the chat template renders this conversation to nothing")
            elif len(ids) >= self.context:
                decisions[i] = Decision("", Usage(len(ids), 0), finish="context")
            else:
                prompts[i] = ids
        return prompts, decisions

    def encode(self, texts: Sequence[str], *, special: bool | None = None) -> list[list[int]]:
        """Tokens of rendered texts; ``special`` as in a tokenizer's ``add_special_tokens``."""
        if not texts:
            return []
        # A template writes the special tokens itself. Tokenizers cannot read lone surrogates.
        special = not self.chat.has_template if special is None else special
        clean = [text.encode(errors="replace").decode() for text in texts]
        encoded = self.tokenizer(clean, add_special_tokens=special, verbose=False)["input_ids"]
        return [list(ids) for ids in encoded]

    def text(self, tokens: Sequence[int]) -> str:
        """What a model wrote, up to the first stop text."""
        text = self._decode(tokens)
        ends = [at for stop in self.stop if (at := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text

    def ends(self, tokens: Sequence[int]) -> bool:
        """Whether a stop text has just been written; a token is at least a byte, so a short tail is enough."""
        if not self.stop:
            return False
        tail = self._decode(tokens[-_TEXT_TAIL - max(len(s.encode()) for s in self.stop) :])
        return any(stop in tail for stop in self.stop)

    def _decode(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def context_length(config: Any, tokenizer: Any) -> int:
    """Tokens that fit: the smaller of what config and tokenizer say (tokenizers say 1e30 where they do not know)."""
    limits = (
        getattr(config.get_text_config(), "max_position_embeddings", None),
        getattr(tokenizer, "model_max_length", None),
    )
    return min((int(n) for n in limits if isinstance(n, int) and 0 < n < _UNLIMITED), default=_UNLIMITED)
