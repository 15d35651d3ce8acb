"""The episodes that a report carries with it: what both models said, for the viewer in the page.

The page has a row for every episode at hand, and the transcripts in chunks, compressed: a browser reads a chunk when
one of its episodes is opened, and all of them when it searches. So a page with thousands of episodes opens at once.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from acenv.analysis.failures.listing import EpisodeFailures, transcript_of
from acenv.analysis.report_data import Candidate, ReportData
from acenv.analysis.verdict import short_name
from acenv.analysis.words import count
from acenv.lines import Key
from acenv.types import Episode, Message, Transcript

MAX_EPISODES = 10_000
"""Pairs of episodes that a page carries: those whose returns differ most, losses first, then the others."""

MAX_CHARS = 6_000
"""Longer messages are cut in the middle."""

CHUNK_CHARS = 400_000
"""A chunk is closed when its transcripts are this long; browsers read one in about 10 ms."""

CHANGED = 1e-9
"""A smaller difference of two returns is none."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What the viewer reads.

    Attributes:
        index: JSON-ready: ``methods``, ``envs`` and ``failures`` by name, and a row for each pair of episodes:
            [method, env, seed, return of the original, return of the compressed model, failures, main failure, chunk,
            transcript of the original, that of the compressed model, first message that differs, its step, tokens].
            Names are indices; ``failures`` are [name, step] of the compressed model. -1 stands for what there is not,
            ``None`` for the return of an error episode, step 0 for transcripts that are equal. Transcripts and tokens
            are indices in the chunk.
        chunks: Each, before compression, ``texts`` (each once), ``transcripts`` as lists of [role, text, reward], and
            ``tokens`` as lists of the turns of :func:`acenv.analysis.replay.replay`'s file of tokens.
        lost: Episodes with a lower return than the original's, over all methods.
        gained: Those with a higher one.
        left_out: Pairs that are not in ``index``.
        cut: Messages that were cut in the middle.
    """

    index: dict[str, Any]
    chunks: tuple[dict[str, Any], ...]
    lost: int
    gained: int
    left_out: int
    cut: int

    def index_json(self) -> str:
        """The index as text that is safe inside a ``<script>`` element, whatever is in it."""
        # HTML ends the element at "</script" and changes its mode at "<!--"; without "<" there is neither.
        return _json(self.index).replace("<", "\\u003c")

    def packed(self) -> Iterator[str]:
        """The chunks, as gzip in base64: no text of an episode stands in the page as it is."""
        for chunk in self.chunks:
            data = gzip.compress(_json(chunk).encode("utf-8"), compresslevel=6, mtime=0)
            yield base64.b64encode(data).decode("ascii")

    @property
    def note(self) -> str:
        """How many episodes changed, and what of all this is on the page."""
        parts = [
            f"{count(self.lost, 'episode')} with a lower return than the original's and {self.gained:,} with a higher "
            "one, over all methods."
            if self.lost or self.gained
            else "No episode was lost: every paired episode has the same return."
        ]
        if self.left_out:
            parts.append(
                f"The page holds the {len(self.index['rows']):,} largest changes; {self.left_out:,} more pairs are in "
                "the run folders."
            )
        if self.cut:
            parts.append(f"{count(self.cut, 'long message')} cut in the middle; a note there says by how much.")
        return " ".join(parts)


def viewer_values(data: ReportData) -> dict[str, Any]:
    """What the template of the viewer needs.

    Raises:
        ImportError: jinja2 is not installed.
    """
    from markupsafe import Markup

    payload = build_payload(data)
    rows = payload.index["rows"]
    return {
        "index": Markup(payload.index_json()),
        "chunks": [Markup(text) for text in payload.packed()],
        "note": payload.note,
        "rows": len(rows),
        "methods": payload.index["methods"],
        "envs": [(env_id, short_name(env_id)) for env_id in payload.index["envs"]],
        "failures": sorted({payload.index["failures"][row[6]] for row in rows if row[6] >= 0}),
        "errors": any(row[3] is None or row[4] is None for row in rows),
        "colours": any(row[12] >= 0 for row in rows),
    }


def build_payload(data: ReportData, limit: int = MAX_EPISODES) -> Payload:
    """Collect the pairs of episodes, transcripts of one task side by side in one chunk.

    Args:
        data: The report's.
        limit: Pairs at most.
    """
    pairs, order = list(_pairs(data)), {id(c): i for i, c in enumerate(data.candidates)}
    kept = sorted(pairs, key=lambda p: (-abs(p.change), p.change, p.key, order[id(p.candidate)]))[:limit]
    place = {id(pair): i for i, pair in enumerate(kept)}
    envs = list(dict.fromkeys(pair.key[0] for pair in pairs))
    tokens = {c.name: _tokens(c.tokens, {p.key for p in kept if p.candidate is c}) for c in data.candidates}
    rows: list[list[Any]] = [[] for _ in kept]
    failures: dict[str, int] = {}
    chunks: list[_Chunk] = []
    # All that was said about one task is alike, and best compressed together.
    for key, same_task in groupby(sorted(kept, key=lambda p: (envs.index(p.key[0]), p.key[1])), lambda p: p.key):
        if not chunks or chunks[-1].chars > CHUNK_CHARS:
            chunks.append(_Chunk())
        chunk = chunks[-1]
        base = transcript_of(data.reference, key)
        for pair in same_task:
            other = transcript_of(pair.candidate.results, key)
            found = EpisodeFailures.of(pair.episode, other, base)
            names = [failures.setdefault(f.kind, len(failures)) for f in found.failures]
            row = [order[id(pair.candidate)], envs.index(key[0]), key[1], _short(pair.before), _short(pair.after)]
            row.append([[name, f.step] for name, f in zip(names, found.failures, strict=True)])
            row.append(failures[found.primary.kind] if found.primary else -1)
            row += [len(chunks) - 1, *chunk.pair(pair.candidate.name, key, base, other)]
            row.append(chunk.add_tokens(tokens[pair.candidate.name].get(key)))
            rows[place[id(pair)]] = row
    index = {
        "methods": [c.name for c in data.candidates],
        "envs": envs,
        "failures": list(failures),
        "rows": rows,
    }
    return Payload(
        index,
        tuple(chunk.to_dict() for chunk in chunks),
        sum(pair.change < -CHANGED for pair in pairs),
        sum(pair.change > CHANGED for pair in pairs),
        len(pairs) - len(kept),
        sum(chunk.cut for chunk in chunks),
    )


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


@dataclass(frozen=True, slots=True)
class _Pair:
    candidate: Candidate
    key: Key
    before: float | None
    after: float | None
    episode: Episode

    @property
    def change(self) -> float:
        """Of the return; none where a side has no return, because its episode ended in an error."""
        return 0.0 if self.before is None or self.after is None else self.after - self.before


def _pairs(data: ReportData) -> Iterator[_Pair]:
    """Every episode that both the original and a compressed model have played, also to an error."""
    returns = data.reference.returns()
    played = {episode.key for episode in data.reference.episodes}
    for candidate in data.candidates:
        theirs = candidate.results.returns()
        for episode in candidate.results.episodes:
            key = episode.key
            if key in played:
                yield _Pair(candidate, key, returns.get(key), theirs.get(key), episode)


@dataclass(slots=True)
class _Chunk:
    """Texts and transcripts, each stored once: prompts and the original's episodes come back for every method."""

    texts: list[str] = field(default_factory=list)
    transcripts: list[list[list[Any]]] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    chars: int = 0
    cut: int = 0
    _text_ids: dict[str, int] = field(default_factory=dict)
    _transcript_ids: dict[tuple[str, Key], int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"texts": self.texts, "transcripts": self.transcripts, "tokens": self.tokens}

    def pair(self, method: str, key: Key, base: Transcript, other: Transcript) -> tuple[int, int, int, int]:
        """Transcript ids of both sides, index of the first differing message, and the step that it belongs to."""
        if not base.messages or not other.messages:
            return -1, -1, 0, 0
        fork = first_difference(base.messages, other.messages)
        ids = self._transcript(("", key), base), self._transcript((method, key), other)
        if fork is None:
            return *ids, len(base.messages), 0
        return *ids, fork, 1 + max(0, _spoken(base.messages[:fork]) - _given(base))

    def add_tokens(self, turns: Any) -> int:
        if turns is None:
            return -1
        self.tokens.append(turns)
        self.chars += 20 * sum(len(turn["tokens"]) for turn in turns)
        return len(self.tokens) - 1

    def _transcript(self, name: tuple[str, Key], transcript: Transcript) -> int:
        if name not in self._transcript_ids:
            rewards = iter([*[None] * _given(transcript), *(step.reward for step in transcript.steps)])
            rows: list[list[Any]] = []
            for message in transcript.messages:
                reward = next(rewards, None) if message["role"] == "assistant" else None
                row: list[Any] = [message["role"], self._text(message["content"])]
                rows.append(row if reward is None else [*row, _short(reward)])
            self._transcript_ids[name] = len(self.transcripts)
            self.transcripts.append(rows)
        return self._transcript_ids[name]

    def _text(self, text: str) -> int:
        if text not in self._text_ids:
            self._text_ids[text] = len(self.texts)
            self.texts.append(abbreviate(text))
            self.chars += min(len(text), MAX_CHARS)
            self.cut += len(text) > MAX_CHARS
        return self._text_ids[text]


def _tokens(path: Path | None, wanted: Iterable[Key]) -> dict[Key, list[Any]]:
    """The turns of a file of tokens, by episode; a line that cannot be read is none, since colours are an extra."""
    found: dict[Key, list[Any]] = {}
    keys = set(wanted)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path else []
    except (OSError, ValueError):
        return {}
    for line in lines:
        try:
            record = json.loads(line)
            key = str(record["env_id"]), int(record["seed"])
            turns = [
                {
                    "turn": int(turn["turn"]),
                    "tokens": [str(text) for text in turn["tokens"]],
                    "kl": [float(value) for value in turn["kl"]],
                    "flip": [int(value) for value in turn["flip"]],
                }
                for turn in record["turns"]
            ]
        except (ValueError, KeyError, TypeError):
            continue
        if key in keys:
            found[key] = turns
    return found


def _json(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Lone surrogates cannot be written as UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _spoken(messages: Sequence[Message]) -> int:
    return sum(m["role"] == "assistant" for m in messages)


def _given(transcript: Transcript) -> int:
    """Assistant messages that were there before the first step, such as worked examples in the prompt."""
    return max(0, _spoken(transcript.messages) - len(transcript.steps))
