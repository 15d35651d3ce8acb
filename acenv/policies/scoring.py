"""Teacher forcing: what a model computes for the assistant's tokens of conversations that are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from acenv.chat import Chat
from acenv.types import Capture, Conversation, Message, TokenOutputs, Tool


def assistant_spans(
    chat: Chat, messages: Sequence[Message], tools: Sequence[Tool]
) -> tuple[str, list[tuple[int, int]]]:
    """Render a conversation and find the assistant's text in it.

    The text before an answer is what the policy saw when it acted: the rendering of the messages so far, with the
    generation prompt. Where the whole rendering does not begin with it (some templates change earlier turns), the
    answer's own text is searched for behind the previous one.

    Returns:
        The rendered text, and start and end of every assistant message in it; the mark that ends the turn is inside.

    Raises:
        ValueError: An answer cannot be found.
    """
    prepared = chat.prepare(messages, tools)
    text = chat.render_prepared(prepared, tools, add_generation_prompt=False)
    spans: list[tuple[int, int]] = []
    for i, message in enumerate(prepared):
        if message["role"] != "assistant":
            continue
        before = _rendered_prefix(chat, prepared[:i], tools, add_generation_prompt=True)
        behind = _rendered_prefix(chat, prepared[: i + 1], tools, add_generation_prompt=False)
        cursor = spans[-1][1] if spans else 0
        content = message["content"].strip()
        if (
            before is not None
            and behind is not None
            and text.startswith(before)
            and text.startswith(behind)
            and content in text[len(before) : len(behind)]
        ):
            spans.append((len(before), len(behind)))
            continue
        start = text.find(content, cursor)
        if start < 0 or not content:
            raise ValueError(
                f"cannot find the assistant's message {len(spans) + 1} in what the chat template renders: the template "
                "leaves it out or changes it, so the model's outputs cannot be matched with it"
            )
        spans.append((start, start + len(content)))
    return text, spans


def assistant_tokens(
    tokenizer: Any, chat: Chat, conversation: Conversation, stop_ids: frozenset[int]
) -> tuple[list[int], list[int]]:
    """A conversation's tokens, and for each the number of the assistant message that it belongs to, or -1.

    See :func:`marked_tokens`, which gives their texts too.
    """
    ids, turns, _ = marked_tokens(tokenizer, chat, conversation, stop_ids)
    return ids, turns


def marked_tokens(
    tokenizer: Any, chat: Chat, conversation: Conversation, stop_ids: frozenset[int]
) -> tuple[list[int], list[int], list[str]]:
    """A conversation's tokens, the assistant message that each belongs to (or -1), and the text of each.

    The token that ends a turn belongs to it, as the model has to write it; what the template puts behind does not.

    Raises:
        ValueError: See :func:`assistant_spans`.
    """
    text, spans = assistant_spans(chat, conversation.messages, conversation.tools)
    encoded = tokenizer(text, add_special_tokens=not chat.has_template, return_offsets_mapping=True, verbose=False)
    ids, offsets = list(encoded["input_ids"]), encoded["offset_mapping"]
    turns = [-1] * len(ids)
    position = 0
    for turn, (start, end) in enumerate(spans):
        while position < len(ids) and (offsets[position][1] <= start or offsets[position][0] == offsets[position][1]):
            position += 1
        while position < len(ids) and offsets[position][0] < end:
            turns[position] = turn
            position += 1
            if ids[position - 1] in stop_ids:
                break
        else:
            if position < len(ids) and ids[position] in stop_ids:
                turns[position] = turn
                position += 1
    # Tokenizers differ in whether a blank belongs to the token behind it; what is left over goes with that token.
    begins = [0, *(end for _, end in offsets[:-1])]
    return ids, turns, [text[begin:end] for begin, (_, end) in zip(begins, offsets, strict=True)]


def teacher_forced(
    model: Any,
    tokenizer: Any,
    chat: Chat,
    conversations: Iterable[Conversation],
    capture: Sequence[Capture],
    *,
    stop_ids: frozenset[int],
    context: int,
) -> Iterator[TokenOutputs]:
    """Run a model over conversations, one at a time, so that nothing is padded and nothing depends on the batch.

    Args:
        model: A transformers causal language model.
        tokenizer: Its tokenizer, which must be a fast one (it gives the place of each token in the text).
        chat: The renderer of that tokenizer.
        conversations: What was said.
        capture: What to give out.
        stop_ids: Tokens that end a turn.
        context: Tokens that fit into the model; longer conversations are cut on the right.

    Raises:
        ValueError: The tokenizer is not a fast one, or see :func:`assistant_spans`.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            f"scoring needs a fast tokenizer, and {type(tokenizer).__name__} is none: save it as tokenizer.json"
        )
    for conversation in conversations:
        ids, turns, texts = marked_tokens(tokenizer, chat, conversation, stop_ids)
        truncated = len(ids) > context
        ids, turns = ids[:context], turns[:context]
        # The very first token is predicted by nothing.
        targets = [i for i, turn in enumerate(turns) if turn >= 0 and i > 0]
        logits, hidden = _outputs(model, ids, [i - 1 for i in targets], capture)
        yield TokenOutputs(
            token_ids=np.array([ids[i] for i in targets], dtype=np.int64),
            turns=np.array([turns[i] for i in targets], dtype=np.int64),
            logits=logits,
            hidden=hidden,
            truncated=truncated,
            texts=[texts[i] for i in targets],
        )


def _outputs(model: Any, ids: list[int], rows: list[int], capture: Sequence[Capture]) -> tuple[Any, Any]:
    """Logits and last hidden states of some positions, as float32 arrays or ``None``."""
    head = model.get_output_embeddings()
    index = torch.tensor(rows, dtype=torch.long, device=model.device)
    sparing = "logits_to_keep" in inspect.signature(model.forward).parameters
    seen: list[Tensor] = []
    # What goes into the output layer is the last hidden state, whatever the architecture calls it.
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        with torch.inference_mode():
            options = {"logits_to_keep": index} if sparing else {}
            output = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False, **options).logits[0]
    finally:
        hook.remove()
    hidden = seen[0].reshape(-1, seen[0].shape[-1])
    if not sparing:
        output, hidden = output[index], hidden[index]
    return (
        output.float().cpu().numpy() if "logits" in capture else None,
        hidden.float().cpu().numpy() if "hidden" in capture else None,
    )


def _rendered_prefix(
    chat: Chat, prepared: Sequence[Message], tools: Sequence[Tool], *, add_generation_prompt: bool
) -> str | None:
    if not prepared:
        return ""
    try:
        return chat.render_prepared(prepared, tools, add_generation_prompt=add_generation_prompt)
    except ValueError:
        return None
