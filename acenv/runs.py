"""The run store: a folder with a manifest and append-only JSON lines, and the results read from it.

A run folder holds

* ``manifest.json``: what produced the run; written once, before the first episode;
* ``transcripts.jsonl``: a line per finished episode with everything that was said;
* ``episodes.jsonl``: a line per finished episode with its scores and the place of its transcript.

The transcript is written and flushed before the episode's line, so an episode that is listed is complete. A line that
was torn by a crash is cut off when the run is opened again, and its episode runs again.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from acenv.types import Episode, Step, Transcript, Usage

if TYPE_CHECKING:
    from acenv.analysis.comparison import Comparison

Key = tuple[str, int]
FORMAT = 1

# These may grow or differ between two starts of one run; everything else must be equal.
_NOT_IDENTITY = ("created", "env_ids", "seeds", "slots", "workers")


class RunError(Exception):
    """A run folder that cannot be used as asked; the message says what to do."""


class Results:
    """The episodes of one run, in memory or in a folder."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        episodes: Sequence[Episode],
        transcripts: Mapping[Key, Transcript] | None = None,
        *,
        folder: Path | None = None,
        offsets: Mapping[Key, int] | None = None,
    ) -> None:
        """Hold episodes together with what produced them.

        Args:
            manifest: Settings and versions of the run.
            episodes: One record per episode.
            transcripts: What was said, for results that are not in a folder.
            folder: Where the transcripts lie, with ``offsets`` (bytes into ``transcripts.jsonl``).
            offsets: Byte offset of each episode's transcript.
        """
        self.manifest: dict[str, Any] = dict(manifest)
        self.episodes: list[Episode] = list(episodes)
        self._transcripts = dict(transcripts or {})
        self._folder = folder
        self._offsets = dict(offsets or {})

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Read a run folder, finished or not.

        Raises:
            RunError: There is no run, or a line in the middle of it is damaged.
        """
        path = Path(folder)
        manifest = _read_manifest(path)
        episodes: dict[Key, Episode] = {}
        offsets: dict[Key, int] = {}
        for record in _read_lines(path / "episodes.jsonl"):
            episode = _episode_from(record)
            episodes[episode.key] = episode
            offsets[episode.key] = record["transcript"]
        return cls(manifest, list(episodes.values()), folder=path, offsets=offsets)

    @property
    def errors(self) -> list[Episode]:
        """Episodes that the machinery failed to finish; they are in no score."""
        return [e for e in self.episodes if e.error is not None]

    def returns(self) -> dict[Key, float]:
        """``{(env_id, seed): return}`` of the scored episodes."""
        return {e.key: e.return_ for e in self.episodes if e.error is None}

    def mean_returns(self) -> dict[str, float]:
        """Mean return of each environment over its scored episodes."""
        sums: dict[str, list[float]] = {}
        for episode in self.episodes:
            if episode.error is None:
                sums.setdefault(episode.env_id, []).append(episode.return_)
        return {env_id: math.fsum(values) / len(values) for env_id, values in sums.items()}

    def transcript(self, key: Key) -> Transcript:
        """What was said in one episode.

        Raises:
            KeyError: The run has no such episode.
        """
        if key in self._transcripts:
            return self._transcripts[key]
        if self._folder is None or key not in self._offsets:
            raise KeyError(f"no transcript of {key[0]} seed {key[1]} in this run")
        with (self._folder / "transcripts.jsonl").open("rb") as file:
            file.seek(self._offsets[key])
            return _transcript_from(json.loads(file.readline()))

    def transcripts(self, keys: Iterable[Key] | None = None) -> Iterator[Transcript]:
        """What was said in the given episodes (all scored ones by default), one at a time."""
        for key in self.returns() if keys is None else keys:
            yield self.transcript(key)

    def compare(self, reference: Results, **options: Any) -> Comparison:
        """Compare with the original model's results, paired on (environment, seed).

        See :func:`acenv.analysis.comparison.compare` for the options.
        """
        from acenv.analysis.comparison import compare

        return compare(reference, self, **options)

    def __len__(self) -> int:
        return len(self.episodes)

    def __repr__(self) -> str:
        means = ", ".join(f"{env_id.removeprefix('acenv/')} {mean:.3f}" for env_id, mean in self.mean_returns().items())
        errors = f", {len(self.errors)} errors" if self.errors else ""
        return f"Results({len(self.episodes)} episodes{errors}: {means})"


@dataclass(frozen=True, slots=True)
class _Files:
    episodes: IO[bytes]
    transcripts: IO[bytes]
    lock: IO[bytes]


class RunStore:
    """Appends finished episodes to a run folder; use as a context manager.

    Opening an existing folder resumes the run: :attr:`finished` says which episodes need not run again. Error episodes
    are not among them, so a resumed run tries them once more.
    """

    def __init__(self, folder: str | Path, manifest: Mapping[str, Any]) -> None:
        """Name the folder and what is about to produce the run.

        Args:
            folder: Made if need be.
            manifest: Settings of the run; those that change the results must equal those of a run that is resumed.
        """
        self.folder = Path(folder)
        self.manifest = {"format": FORMAT, **manifest}
        self.finished: set[Key] = set()
        self._files: _Files | None = None

    def __enter__(self) -> RunStore:
        """Open for appending.

        Raises:
            RunError: The folder holds a run of other settings, another process writes to it, or it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("ab")
        except OSError as error:
            raise RunError(f"cannot write to the run folder {self.folder}: {error.strerror or error}") from error
        _take_lock(lock, self.folder)
        if (self.folder / "manifest.json").exists():
            self._check_same_run(_read_manifest(self.folder))
        for name in ("transcripts.jsonl", "episodes.jsonl"):
            _cut_torn_line(self.folder / name)
        _write_atomically(self.folder / "manifest.json", json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n")
        episodes_path = self.folder / "episodes.jsonl"
        if episodes_path.exists():
            records = [_episode_from(r) for r in _read_lines(episodes_path)]
            latest = {episode.key: episode for episode in records}
            self.finished = {key for key, episode in latest.items() if episode.error is None}
        self._files = _Files(episodes_path.open("ab"), (self.folder / "transcripts.jsonl").open("ab"), lock)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._files is not None:
            for file in (self._files.transcripts, self._files.episodes, self._files.lock):
                file.close()
            self._files = None

    def append(self, episode: Episode, transcript: Transcript) -> None:
        """Put a finished episode on disk; it survives the process from the moment this returns.

        Raises:
            RunError: The disk refused (full, read-only). What was there before is intact.
        """
        if self._files is None:
            raise RunError("the run store is closed: use it in a 'with' block")
        try:
            offset = self._files.transcripts.tell()
            self._files.transcripts.write(_line(_transcript_record(transcript)))
            self._files.transcripts.flush()
            record = asdict(episode) | {"transcript": offset}
            if math.isnan(episode.return_):
                record["return_"] = None
            self._files.episodes.write(_line(record))
            self._files.episodes.flush()
        except OSError as error:
            raise RunError(
                f"cannot append to the run in {self.folder}: {error.strerror or error}. "
                "The finished episodes are safe; make room and start the same command again."
            ) from error
        if episode.error is None:
            self.finished.add(episode.key)

    def _check_same_run(self, there: Mapping[str, Any]) -> None:
        if there.get("format") != FORMAT:
            raise RunError(f"{self.folder} holds a run of format {there.get('format')}; this version reads {FORMAT}")
        if changes := different_settings(there, self.manifest):
            raise RunError(
                f"{self.folder} holds a run with other settings, and results of two settings are never mixed:\n"
                + "\n".join(f"  {change}" for change in changes)
                + "\nStart with the old settings to finish it, or choose another folder."
            )
        merged_ids = list(dict.fromkeys([*there.get("env_ids", []), *self.manifest.get("env_ids", [])]))
        self.manifest["env_ids"] = merged_ids
        self.manifest["created"] = there.get("created", self.manifest.get("created"))


def different_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between the manifest of a run folder and that of a run now, of all that changes results."""
    names = (set(old) | set(new)) - set(_NOT_IDENTITY)
    # A round trip through JSON, because a manifest on disk has had one.
    here = json.loads(json.dumps(new))
    return list(_differences({n: old.get(n) for n in names}, {n: here.get(n) for n in names}))


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(set(old) | set(new)):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield f"{path}: {old!r} in the folder, {new!r} now"


def _take_lock(lock: IO[bytes], folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no flock; runs there are not guarded against a second process.
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise RunError(
            f"another process is writing to the run in {folder}; wait for it or choose another folder"
        ) from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{folder} is no run folder: it has no manifest.json") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
    if not isinstance(manifest, dict):
        raise RunError(f"{path} should hold a JSON object")
    return manifest


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a JSONL file; a last line without a line break was torn and is passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError as error:
                raise RunError(f"{path}, line {number}, is damaged: {error}") from error
            yield record


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 65536)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            file.truncate(position)


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _episode_from(record: Mapping[str, Any]) -> Episode:
    fields = {name: value for name, value in record.items() if name != "transcript"}
    if fields["return_"] is None:
        fields["return_"] = math.nan
    return Episode(**fields | {"usage": Usage(**fields["usage"])})


def _transcript_record(transcript: Transcript) -> dict[str, Any]:
    record = asdict(transcript)
    for step in record["steps"]:
        if step["logprobs"] is None:  # Most policies give none, and millions of steps need not say so.
            del step["logprobs"]
    return record


def _transcript_from(record: Mapping[str, Any]) -> Transcript:
    return Transcript(**dict(record) | {"steps": [Step(**step) for step in record["steps"]]})
