"""The lines of a run's files: episodes and transcripts as JSON, written and read at a million lines in seconds."""

from __future__ import annotations

import json
import math
import mmap
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from acenv.types import Episode, FinishReason, Message, Step, Tool, Transcript, Usage

Key = tuple[str, int]
"""What pairs episodes: ``(env_id, seed)``."""

T = TypeVar("T")

_CHUNK = 1 << 26
"""Bytes that are looked through for ends of lines at a time."""


class EpisodeLine(msgspec.Struct):
    """A line of ``episodes.jsonl``: :class:`acenv.types.Episode`, and where its transcript begins in bytes.

    A return is null in an error episode; a metric is null where it is not a number.
    """

    env_id: str
    seed: int
    return_: float | None
    length: int
    terminated: bool
    truncated: bool
    transcript: int
    error: str | None = None
    metrics: dict[str, float | None] = {}
    usage: Usage = Usage()
    seconds: float = 0.0
    labels: dict[str, str] = {}


class KeyLine(msgspec.Struct):
    """What of a line of ``episodes.jsonl`` is needed to find it again and to know whether it counts."""

    env_id: str
    seed: int
    transcript: int
    return_: float | None = None
    error: str | None = None


class StepLine(msgspec.Struct, omit_defaults=True):
    """A step in a line of ``transcripts.jsonl``; see :class:`acenv.types.Step`."""

    action: str
    reward: float
    finish: FinishReason = "stop"
    logprobs: list[float] | None = None
    fault: str = ""


class TranscriptLine(msgspec.Struct):
    """A line of ``transcripts.jsonl``; see :class:`acenv.types.Transcript`."""

    env_id: str
    seed: int
    messages: list[Message]
    tools: list[Tool]
    steps: list[StepLine]


_encoder = msgspec.json.Encoder()
_episodes = msgspec.json.Decoder(EpisodeLine)
_keys = msgspec.json.Decoder(KeyLine)
_transcripts = msgspec.json.Decoder(TranscriptLine)
_step_fields = tuple(f.name for f in fields(Step))
_finishes: dict[str, FinishReason] = {StepLine.__struct_defaults__[0]: StepLine.__struct_defaults__[0]}


def write_episode(episode: Episode, transcript: int) -> bytes:
    """A line of ``episodes.jsonl``.

    Args:
        episode: The record.
        transcript: Where its transcript begins, in bytes.
    """
    return _line(
        EpisodeLine(
            env_id=episode.env_id,
            seed=episode.seed,
            return_=_number(episode.return_),
            length=episode.length,
            terminated=episode.terminated,
            truncated=episode.truncated,
            transcript=transcript,
            error=episode.error,
            metrics={name: _number(value) for name, value in episode.metrics.items()},
            usage=episode.usage,
            seconds=episode.seconds,
            labels=dict(episode.labels),
        )
    )


def read_episode(line: bytes | memoryview) -> Episode:
    """The inverse of :func:`write_episode`.

    Raises:
        ValueError: It is no such line.
    """
    read = _decode(_episodes, EpisodeLine, line)
    return Episode(
        env_id=read.env_id,
        seed=read.seed,
        return_=math.nan if read.return_ is None else read.return_,
        length=read.length,
        terminated=read.terminated,
        truncated=read.truncated,
        error=read.error,
        metrics={name: math.nan if value is None else value for name, value in read.metrics.items()},
        usage=read.usage,
        seconds=read.seconds,
        labels=read.labels,
    )


def write_transcript(transcript: Transcript) -> bytes:
    """A line of ``transcripts.jsonl``."""
    steps = [StepLine(**{name: getattr(step, name) for name in _step_fields}) for step in transcript.steps]
    for step in steps:
        # A default is left out where it is the same object, which it is not when it comes from another process.
        step.finish = _finishes.get(step.finish, step.finish)
    return _line(
        TranscriptLine(transcript.env_id, transcript.seed, list(transcript.messages), list(transcript.tools), steps)
    )


def read_transcript(line: bytes | memoryview) -> Transcript:
    """The inverse of :func:`write_transcript`.

    Raises:
        ValueError: It is no such line.
    """
    read = _decode(_transcripts, TranscriptLine, line)
    steps = [Step(**{name: getattr(step, name) for name in _step_fields}) for step in read.steps]
    return Transcript(read.env_id, read.seed, read.messages, read.tools, steps)


class EpisodeIndex:
    """Where each episode of a run is, and what it returned: some 30 bytes an episode, whatever was said in it.

    An episode that was run again, after an error, counts once: its last line.

    Attributes:
        env_ids: The environments, in the order of their first episode.
        env: Which of them, int32 ``[n]``.
        seed: Seeds, int64 ``[n]``.
        return_: Returns, float64 ``[n]``; ``nan`` in error episodes.
        error: Whether it is an error episode, bool ``[n]``.
        start: Where its line begins, int64 ``[n]``.
        end: Where it ends, its line break excluded.
        transcript: Where its transcript begins, int64 ``[n]``.
    """

    def __init__(self, path: Path) -> None:
        """Read ``episodes.jsonl``; a last line without a line break was torn, and is passed over.

        Raises:
            ValueError: A line is damaged; the message names it.
        """
        self._map = _map(path)
        ends = _line_ends(self._map)
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]) if len(ends) else ends
        numbers: dict[str, int] = {}
        count = len(ends)
        env, seed = np.empty(count, np.int32), np.empty(count, np.int64)
        return_, error = np.empty(count), np.zeros(count, bool)
        transcript = np.empty(count, np.int64)
        view = memoryview(self._map) if count else memoryview(b"")
        for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            try:
                read = _decode(_keys, KeyLine, view[start:end])
            except ValueError as problem:
                raise ValueError(f"{path}, line {i + 1}, is damaged: {problem}") from problem
            env[i] = numbers.setdefault(read.env_id, len(numbers))
            seed[i], transcript[i] = read.seed, read.transcript
            error[i] = read.error is not None
            return_[i] = math.nan if read.return_ is None else read.return_
        kept = _last_of_each(env, seed)
        self.env_ids = list(numbers)
        self.env, self.seed, self.return_, self.error = env[kept], seed[kept], return_[kept], error[kept]
        self.start, self.end, self.transcript = starts[kept], ends[kept], transcript[kept]
        self._order: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.env)

    def key(self, i: int) -> Key:
        """Environment and seed of episode ``i``."""
        return self.env_ids[self.env[i]], int(self.seed[i])

    def episode(self, i: int) -> Episode:
        """The record of episode ``i``."""
        return read_episode(self._map[self.start[i] : self.end[i]])

    def find(self, key: Key) -> int | None:
        """The number of an episode."""
        if key[0] not in self.env_ids:
            return None
        if self._order is None:
            self._order = np.lexsort((self.seed, self.env))
        wanted = self.env_ids.index(key[0])
        low, high = (int(np.searchsorted(self.env[self._order], wanted, side)) for side in ("left", "right"))
        place = low + int(np.searchsorted(self.seed[self._order[low:high]], key[1]))
        if place < high and self.seed[self._order[place]] == key[1]:
            return int(self._order[place])
        return None


def _last_of_each(env: npt.NDArray[np.int32], seed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The last row of each key, at the place of its first."""
    if not len(env):
        return np.zeros(0, np.int64)
    order = np.lexsort((seed, env))  # stable: rows of a key stay in the order of the file
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(env[order]) != 0) | (np.diff(seed[order]) != 0)
    firsts = order[new]
    lasts = order[np.append(np.flatnonzero(new)[1:], len(order)) - 1]
    kept: npt.NDArray[np.int64] = lasts[np.argsort(firsts)]
    return kept


def _map(path: Path) -> mmap.mmap | bytes:
    """The bytes of a file, read from the disk when they are looked at."""
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):  # nothing can be mapped of an empty file
        return b""


def _line_ends(data: mmap.mmap | bytes) -> npt.NDArray[np.int64]:
    """Where the line breaks are."""
    found = [
        np.flatnonzero(np.frombuffer(data, np.uint8, min(_CHUNK, len(data) - start), start) == ord("\n")) + start
        for start in range(0, len(data), _CHUNK)
    ]
    return np.concatenate([np.zeros(0, np.int64), *found], dtype=np.int64)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _line(record: msgspec.Struct) -> bytes:
    try:
        return _encoder.encode(record) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate, which is no text
        plain = json.dumps(msgspec.to_builtins(record), ensure_ascii=False, separators=(",", ":"))
        return plain.encode("utf-8", "replace") + b"\n"


def _decode(decoder: msgspec.json.Decoder[T], kind: type[T], line: bytes | memoryview) -> T:
    try:
        try:
            return decoder.decode(line)
        except msgspec.DecodeError:
            # JSON as Python writes it may have NaN in it.
            return msgspec.convert(json.loads(bytes(line)), kind)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
