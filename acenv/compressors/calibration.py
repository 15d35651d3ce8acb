"""Calibration texts as token ids, rendered as the model reads conversations when it acts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acenv.types import Conversation

MAX_TOKENS = 2048
"""Longest calibration text, as in GPTQ's and Wanda's experiments; what is longer loses its end."""


def check_types(calibration: Sequence[Conversation | str]) -> None:
    """Check that there are only conversations and texts.

    Raises:
        ValueError: There is something else.
    """
    if isinstance(calibration, str):
        raise ValueError("calibration is one text; give a list of texts or conversations")
    for i, item in enumerate(calibration):
        if not isinstance(item, Conversation | str):
            raise ValueError(f"calibration[{i}] is of type {type(item).__name__}; give conversations or texts")


def tokenize(folder: Path, calibration: Sequence[Conversation | str], context: int) -> list[list[int]]:
    """Token ids of each text.

    Args:
        folder: The checkpoint, for its tokenizer and chat template.
        calibration: Conversations, rendered with their tools, or plain texts.
        context: Positions that the model knows.

    Returns:
        One list of ids for each text that has at least two tokens.

    Raises:
        ValueError: The tokenizer cannot be loaded, a conversation cannot be rendered, or all texts are empty.
    """
    from transformers import AutoTokenizer

    from acenv.chat import Chat

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # many libraries are at work in there
        raise ValueError(f"cannot load the tokenizer of {folder}: {error}") from error
    chat = Chat(tokenizer)
    limit = min(MAX_TOKENS, context)
    sequences = []
    for i, item in enumerate(calibration):
        if not (item if isinstance(item, str) else item.messages):
            continue
        try:
            if isinstance(item, str):
                ids = tokenizer(item)["input_ids"]
            else:
                # The template writes the special tokens itself.
                text = chat.render(item.messages, item.tools, add_generation_prompt=False)
                ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        except (TypeError, ValueError) as error:
            raise ValueError(f"calibration[{i}] cannot be turned into tokens: {error}") from error
        if len(ids) > 1:
            sequences.append([int(t) for t in ids[:limit]])
    if calibration and not sequences:
        raise ValueError("the calibration texts are all empty; give texts of the domain in which the model will act")
    return sequences


def summary(sequences: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Count, tokens and sha256 of the token ids, for the manifest."""
    digest = hashlib.sha256()
    for ids in sequences:
        digest.update(len(ids).to_bytes(4, "little"))
        digest.update(b"".join(i.to_bytes(4, "little") for i in ids))
    return {"texts": len(sequences), "tokens": sum(map(len, sequences)), "sha256": digest.hexdigest()}
