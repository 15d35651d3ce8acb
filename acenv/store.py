"""Writing a run: finished episodes are appended to a folder, and a run that was stopped goes on where it was.

The transcript is written and flushed before the episode's line, so an episode that is listed is complete. A line that
was torn by a crash is cut off when the run is opened again, and its episode runs again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from acenv.lines import Key, write_episode, write_transcript
from acenv.runs import EPISODES, FORMAT, MANIFEST, TRANSCRIPTS, RunError, read_index, read_manifest
from acenv.types import Episode, Transcript

# These may grow or differ between two starts of one run; everything else must be equal.
_NOT_IDENTITY = ("created", "env_ids", "seeds", "slots", "workers")


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
        with ExitStack() as opened:  # Nothing stays open, and locked, where this fails.
            try:
                self._files = self._open(opened)
            except OSError as error:
                raise RunError(f"cannot write to the run folder {self.folder}: {error.strerror or error}") from error
            opened.pop_all()
        return self

    def _open(self, opened: ExitStack) -> _Files:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = opened.enter_context((self.folder / ".lock").open("ab"))
        _take_lock(lock, self.folder)
        if (self.folder / MANIFEST).exists():
            self._check_same_run(read_manifest(self.folder))
        for name in (TRANSCRIPTS, EPISODES):
            _cut_torn_line(self.folder / name)
        _write_atomically(self.folder / MANIFEST, json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n")
        # Unbuffered: what the disk refuses must not be tried again when the file is closed.
        transcripts = opened.enter_context((self.folder / TRANSCRIPTS).open("ab", buffering=0))
        episodes = opened.enter_context((self.folder / EPISODES).open("ab", buffering=0))
        self.finished = self._take_up(transcripts.tell())
        return _Files(episodes, transcripts, lock)

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
            offset = _append(self._files.transcripts, write_transcript(transcript))
            _append(self._files.episodes, write_episode(episode, offset))
        except OSError as error:
            raise RunError(
                f"cannot append to the run in {self.folder}: {error.strerror or error}. "
                "The finished episodes are safe; make room and start the same command again."
            ) from error
        if episode.error is None:
            self.finished.add(episode.key)

    def _take_up(self, written: int) -> set[Key]:
        """The episodes that were scored; those whose transcript the machine has lost in a crash are taken off the list.

        They are the last ones, since both files are only appended to.
        """
        index = read_index(self.folder)
        kept = index.transcript < written
        if not kept.all():
            os.truncate(self.folder / EPISODES, int(index.start[~kept].min()))
        return {index.key(i) for i in (kept & ~index.error).nonzero()[0].tolist()}

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


def _append(file: IO[bytes], line: bytes) -> int:
    """Write a line whole or not at all, and give the place where it begins."""
    place = file.seek(0, os.SEEK_END)
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[os.write(file.fileno(), rest) :]
    except OSError:
        with suppress(OSError):  # Should this fail too, the next start cuts off the torn line.
            file.truncate(place)
        raise
    return place


def different_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between the manifest of a run folder and that of a run now, of all that changes results."""
    names = (set(old) | set(new)) - set(_NOT_IDENTITY)
    # A round trip through JSON, because a manifest on disk has had one.
    here = json.loads(json.dumps(new))
    changed = differences({n: old.get(n) for n in names}, {n: here.get(n) for n in names})
    return [f"{name}: {before!r} in the folder, {now!r} now" for name, before, now in changed]


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """What differs between two nested objects: dotted name, old value, new value.

    >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}))
    [('a.c', 2, None)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(set(old) | set(new)):
            yield from differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield path, old, new


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
