"""Needle-in-a-Haystack as ACBench runs it: the grid, the needle, and how it is put into the essays.

Texts and steps are those of ``run_needle_in_haystack.py`` (ACBench's copy of KVCache-Factory, after Greg Kamradt's
LLMTest_NeedleInAHaystack); the essays themselves are read from a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

LENGTHS = tuple(range(1000, 40001, 1000))
DEPTHS = (0, 11, 22, 33, 44, 56, 67, 78, 89, 100)

# The benchmark's own sentences, without which it cannot be run: no data file of it has them.
NEEDLE = "\nThe best thing to do in San Francisco is eat a sandwich and sit in Dolores Park on a sunny day.\n"
QUESTION = "The best thing to do in San Francisco is: "
EXPECTED = "eat a sandwich and sit in Dolores Park on a sunny day."
PROMPT = (
    "<|im_start|> This is a very long story book: <book> {context} </book>.\n"
    " Based on the content of the book, Question: {question}\nAnswer:"
)

BUFFER = 200
"""Tokens of a length that are kept free for the question and the answer."""


class Codec(Protocol):
    """Turns text into tokens and back."""

    def encode(self, text: str) -> list[Any]: ...  # noqa: D102
    def decode(self, tokens: list[Any]) -> str: ...  # noqa: D102
    def ends_sentence(self, token: Any) -> bool: ...  # noqa: D102


class TokenCodec:
    """A tokenizer's tokens; a sentence ends with one of the period tokens."""

    def __init__(self, tokenizer: Any, period_tokens: Sequence[int] | None = None) -> None:
        """Wrap a tokenizer.

        Args:
            tokenizer: An object with ``encode(text)`` and ``decode(tokens)``.
            period_tokens: The tokens after which the needle may stand. ``None`` takes what ``encode(".")`` gives, as
                the script does for other models than these: ``[13]`` for LLaMA 3, Qwen and InternLM, ``[842, 28723]``
                for Mistral.

        Raises:
            ValueError: It lacks one of the two methods.
        """
        if not hasattr(tokenizer, "encode") or not hasattr(tokenizer, "decode"):
            raise ValueError(f"the official needle test needs a tokenizer with encode and decode, not {tokenizer!r}")
        self._tokenizer = tokenizer
        self._periods = set(tokenizer.encode(".") if period_tokens is None else period_tokens)
        # tiktoken's decode knows no special tokens to skip.
        self._options = {"skip_special_tokens": True} if hasattr(tokenizer, "all_special_ids") else {}

    def encode(self, text: str) -> list[Any]:
        """The ids, with the special tokens that the tokenizer adds."""
        return list(self._tokenizer.encode(text))

    def decode(self, tokens: list[Any]) -> str:
        """The text, without special tokens."""
        return str(self._tokenizer.decode(tokens, **self._options))

    def ends_sentence(self, token: Any) -> bool:
        """Whether it is a period token."""
        return token in self._periods


class WordCodec:
    """Words with the white space before them, where there is no tokenizer; a sentence ends with a full stop."""

    def encode(self, text: str) -> list[Any]:
        r"""The words; white space at the end goes to the last one.

        >>> WordCodec().encode("a b.\n")
        ['a', ' b.\n']
        """
        return re.findall(r"\s*\S+(?:\s+$)?", text)

    def decode(self, tokens: list[Any]) -> str:
        """The text again."""
        return "".join(tokens)

    def ends_sentence(self, token: Any) -> bool:
        """Whether it is a word with a full stop at its end."""
        return str(token).rstrip().endswith(".")


class Essays:
    """The essays of a folder as one haystack, whose tokens are computed once."""

    def __init__(self, folder: Path, codec: Codec, longest: int) -> None:
        """Find the files; they are read when the first haystack is made.

        Args:
            folder: Holds ``*.txt`` files, or a folder ``PaulGrahamEssays`` that does.
            codec: Makes the tokens.
            longest: Tokens of the longest haystack: the essays are repeated until they have as many.

        Raises:
            ValueError: There are no such files, or one is not UTF-8 text.
        """
        self._files = sorted(folder.glob("*.txt")) or sorted((folder / "PaulGrahamEssays").glob("*.txt"))
        if not self._files:
            raise ValueError(f"{folder} holds no text: expected the essays as *.txt files, or PaulGrahamEssays/*.txt")
        self._codec = codec
        self._longest = longest
        self._tokens: list[Any] = []
        self._last: tuple[int, list[Any]] = (0, [])

    def haystack(self, length: int, depth: float) -> str:
        """So many tokens of essays, less :data:`BUFFER`, with the needle at a depth in percent.

        The needle goes after the last period token before its depth. The official script joins the files in whatever
        order the file system lists them; here it is the order of their names.
        """
        return self._codec.decode(
            insert_needle(self._trimmed(length), self._codec.encode(NEEDLE), length - BUFFER, depth, self._codec)
        )

    def _trimmed(self, length: int) -> list[Any]:
        """The first tokens of the essays; as in the script, their text is encoded anew after the cut."""
        if not self._tokens:
            self._tokens = self._read()
        if len(self._tokens) <= length:
            return self._tokens
        if self._last[0] != length:
            self._last = (length, self._codec.encode(self._codec.decode(self._tokens[:length])))
        return self._last[1]

    def _read(self) -> list[Any]:
        parts: list[str] = []
        for file in self._files:
            try:
                parts.append(file.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                raise ValueError(f"{file} is not UTF-8 text: {error}") from error
        text = "".join(parts)
        if not text.strip():
            raise ValueError(f"the text files at {self._files[0].parent} are empty")
        tokens = self._codec.encode(text)
        while len(tokens) < self._longest:  # Too long does no harm: only the first tokens are used.
            text *= -(-self._longest // len(tokens)) + 1
            tokens = self._codec.encode(text)
        return tokens


def insert_needle(haystack: list[Any], needle: list[Any], room: int, depth: float, codec: Codec) -> list[Any]:
    """Put the needle into a haystack that is cut so that both fit into the room.

    Args:
        haystack: Tokens.
        needle: Tokens.
        room: How many tokens there may be.
        depth: In percent; 100 appends the needle, a smaller depth steps back to the end of a sentence.
        codec: Knows which token ends a sentence.
    """
    kept = haystack[: max(0, room - len(needle))] if len(haystack) + len(needle) > room else haystack
    if depth >= 100:
        return kept + needle
    place = int(len(kept) * (depth / 100))
    while place and not codec.ends_sentence(kept[place - 1]):
        place -= 1
    return kept[:place] + needle + kept[place:]
