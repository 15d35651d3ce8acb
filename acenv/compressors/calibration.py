"""Calibration texts as token ids, rendered as the model reads conversations when it acts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acenv.types import Conversation

MAX_TOKENS = 2048
"""Longest calibration text, as in GPTQ's and Wanda's experiments; what is longer loses its end."""

ASIDE = 8
"""One text in so many is kept aside where there are no held-out ones."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Token ids of the texts of a compression.

    Attributes:
        calibration: What the method looks at.
        heldout: On what the two models are compared; empty where there is no text at all.
        origin: Where these are from, in words.
    """

    calibration: list[list[int]]
    heldout: list[list[int]]
    origin: str

    @classmethod
    def choose(cls, calibration: list[list[int]], heldout: list[list[int]], looks: bool) -> Texts:
        """Decide what is looked at and what is not.

        Args:
            calibration: The texts to calibrate on.
            heldout: Texts that are not among them; without any, one in eight of the calibration is kept aside.
            looks: Whether the method looks at texts.

        >>> texts = Texts.choose([[i, i] for i in range(10)], [], True)
        >>> len(texts.calibration), texts.heldout, texts.origin
        (8, [[0, 0], [8, 8]], 'kept aside of the calibration')
        """
        if not looks:
            return cls([], heldout or calibration, "given" if heldout or calibration else "ids of the vocabulary")
        if heldout:
            return cls(calibration, heldout, "given")
        if len(calibration) < 2:
            return cls(calibration, calibration, "the calibration itself")
        kept = [ids for i, ids in enumerate(calibration) if i % ASIDE]
        return cls(kept, calibration[::ASIDE], "kept aside of the calibration")


def check_types(calibration: Sequence[Conversation | str], name: str = "calibration") -> None:
    """Check that there are only conversations and texts.

    Args:
        calibration: The texts.
        name: What to call them in an error.

    Raises:
        ValueError: There is something else.
    """
    if isinstance(calibration, str):
        raise ValueError(f"{name} is one text; give a list of texts or conversations")
    for i, item in enumerate(calibration):
        if not isinstance(item, Conversation | str):
            raise ValueError(f"{name}[{i}] is of type {type(item).__name__}; give conversations or texts")


def tokenize(
    folder: Path, calibration: Sequence[Conversation | str], context: int, name: str = "calibration"
) -> list[list[int]]:
    """Token ids of each text.

    Args:
        folder: The checkpoint, for its tokenizer and chat template.
        calibration: Conversations, rendered with their tools, or plain texts.
        context: Positions that the model knows.
        name: What to call the texts in an error.

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
            raise ValueError(f"{name}[{i}] cannot be turned into tokens: {error}") from error
        if len(ids) > 1:
            sequences.append([int(t) for t in ids[:limit]])
    if calibration and not sequences:
        raise ValueError(f"the {name} texts are all empty; give texts of the domain in which the model will act")
    return sequences


def summary(sequences: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Count, tokens and sha256 of the token ids, for the manifest."""
    digest = hashlib.sha256()
    for ids in sequences:
        digest.update(len(ids).to_bytes(4, "little"))
        digest.update(b"".join(i.to_bytes(4, "little") for i in ids))
    return {"texts": len(sequences), "tokens": sum(map(len, sequences)), "sha256": digest.hexdigest()}
