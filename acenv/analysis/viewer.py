"""The episodes that a report carries with it: transcripts of both models, as JSON for the viewer in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acenv.analysis.comparison import Comparison
from acenv.lines import Key
from acenv.runs import Results
from acenv.types import Message, Transcript

MAX_LOST = 30
"""Lost episodes that are carried for each method and environment."""

MAX_GAINED = 10
"""The same for episodes whose return rose."""

MAX_CHARS = 6_000
"""Longer messages are cut in the middle."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What the viewer reads.

    Attributes:
        data: JSON-ready: ``methods`` and ``envs`` by name; ``texts``, each once; ``transcripts`` as lists of [role,
            text, reward]; ``episodes`` as [method, env, seed, return of the original, return of the candidate,
            transcript of the original, transcript of the candidate, index of the first message that differs, its
            step]. All references are indices; -1 stands for a transcript that was not recorded, step 0 for transcripts
            that are equal.
        lost: Lost episodes, over all methods and environments.
        gained: Gained episodes.
        left_out: How many of them are not in ``data``.
        cut: Messages that were cut in the middle.
    """

    data: dict[str, Any]
    lost: int
    gained: int
    left_out: int
    cut: int

    def to_json(self) -> str:
        """As text that is safe inside a ``<script>`` element, whatever the transcripts say."""
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        # HTML ends the element at "</script" and changes its mode at "<!--"; without "<" there is neither. Lone
        # surrogates cannot be written as UTF-8.
        return text.replace("<", "\\u003c").encode("utf-8", "replace").decode("utf-8")


def build_payload(reference: Results, candidates: Mapping[str, tuple[Results, Comparison]]) -> Payload:
    """Collect the changed episodes of every candidate, the largest changes first.

    Args:
        reference: The original's results.
        candidates: Results and comparison of each method, by its name.
    """
    pool = _Pool()
    envs: list[str] = []
    rows: list[list[Any]] = []
    lost = gained = left_out = 0
    returns = reference.returns()
    for method, (results, comparison) in enumerate(candidates.values()):
        theirs = results.returns()
        for part in comparison.environments:
            if part.env_id not in envs:
                envs.append(part.env_id)
            lost, gained = lost + len(part.lost), gained + len(part.gained)
            for keys, limit in ((part.lost, MAX_LOST), (part.gained, MAX_GAINED)):
                order = sorted(keys, key=lambda k: (-abs(theirs[k] - returns[k]), k[1]))
                left_out += len(order[limit:])
                for key in order[:limit]:
                    change = [round(returns[key], 4), round(theirs[key], 4)]
                    rows.append(
                        [method, envs.index(part.env_id), key[1], *change, *pool.pair(method, key, reference, results)]
                    )
    data = {
        "methods": list(candidates),
        "envs": envs,
        "texts": pool.texts,
        "transcripts": pool.transcripts,
        "episodes": rows,
    }
    return Payload(data, lost, gained, left_out, pool.cut)


def first_difference(base: Sequence[Message], other: Sequence[Message]) -> int | None:
    """Index of the first message in which two transcripts differ; ``None`` if they are equal.

    >>> say = lambda text: {"role": "assistant", "content": text}
    >>> first_difference([say("a"), say("b")], [say("a"), say("c")])
    1
    >>> first_difference([say("a")], [say("a"), say("b")])
    1
    """
    for i, (a, b) in enumerate(zip(base, other, strict=False)):
        if (a["role"], a["content"]) != (b["role"], b["content"]):
            return i
    return None if len(base) == len(other) else min(len(base), len(other))


def abbreviate(text: str, limit: int = MAX_CHARS) -> str:
    """Cut a long text in the middle, and say how much is gone.

    >>> abbreviate("abcdefgh", 4).splitlines()
    ['ab', '[… 4 characters left out …]', 'gh']
    """
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - head
    return f"{text[:head]}\n[… {len(text) - limit:,} characters left out …]\n{text[-tail:]}"


class _Pool:
    """Texts and transcripts, each stored once: prompts and the original's episodes come back for every method."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.transcripts: list[list[list[Any]]] = []
        self.cut = 0
        self._text_ids: dict[str, int] = {}
        self._transcript_ids: dict[tuple[int, Key], int] = {}

    def pair(self, method: int, key: Key, reference: Results, results: Results) -> tuple[int, int, int, int]:
        """Transcript ids of both sides, index of the first differing message, and the step that it belongs to."""
        try:
            base, other = reference.transcript(key), results.transcript(key)
        except KeyError:
            return -1, -1, 0, 0
        fork = first_difference(base.messages, other.messages)
        ids = self._transcript((-1, key), base), self._transcript((method, key), other)
        if fork is None:
            return *ids, len(base.messages), 0
        return *ids, fork, 1 + max(0, _spoken(base.messages[:fork]) - _given(base))

    def _transcript(self, name: tuple[int, Key], transcript: Transcript) -> int:
        if name not in self._transcript_ids:
            rewards = iter([*[None] * _given(transcript), *(step.reward for step in transcript.steps)])
            rows: list[list[Any]] = []
            for message in transcript.messages:
                reward = next(rewards, None) if message["role"] == "assistant" else None
                row: list[Any] = [message["role"], self._text(message["content"])]
                rows.append(row if reward is None else [*row, round(reward, 4)])
            self._transcript_ids[name] = len(self.transcripts)
            self.transcripts.append(rows)
        return self._transcript_ids[name]

    def _text(self, text: str) -> int:
        if text not in self._text_ids:
            self._text_ids[text] = len(self.texts)
            self.texts.append(abbreviate(text))
            self.cut += len(text) > MAX_CHARS
        return self._text_ids[text]


def _spoken(messages: Sequence[Message]) -> int:
    return sum(m["role"] == "assistant" for m in messages)


def _given(transcript: Transcript) -> int:
    """Assistant messages that were there before the first step, such as worked examples in the prompt."""
    return max(0, _spoken(transcript.messages) - len(transcript.steps))
