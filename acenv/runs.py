"""The results of a run, in memory or in a folder with a manifest and append-only JSON lines.

A run folder holds

* ``manifest.json``: what produced the run; written once, before the first episode;
* ``transcripts.jsonl``: a line per finished episode with everything that was said;
* ``episodes.jsonl``: a line per finished episode with its scores and the place of its transcript.

:mod:`acenv.store` writes it. What is read of a folder is an index; episodes and transcripts are read when asked for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from acenv.lines import EpisodeIndex, Key, read_transcript
from acenv.types import Episode, Transcript

if TYPE_CHECKING:
    from acenv.analysis.charts import Plots
    from acenv.analysis.comparison import Comparison

__all__ = ["FORMAT", "Key", "Results", "RunError", "StoredEpisodes", "read_index", "read_manifest"]

FORMAT = 1
MANIFEST, EPISODES, TRANSCRIPTS = "manifest.json", "episodes.jsonl", "transcripts.jsonl"


class RunError(Exception):
    """A run folder that cannot be used as asked; the message says what to do."""


class StoredEpisodes(Sequence[Episode]):
    """The episodes of a run folder, read from the disk when they are asked for."""

    def __init__(self, index: EpisodeIndex) -> None:
        """Take them from an index."""
        self.table = index

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, i: int) -> Episode: ...

    @overload
    def __getitem__(self, i: slice) -> list[Episode]: ...

    def __getitem__(self, i: int | slice) -> Episode | list[Episode]:
        numbers = range(len(self))[i]
        if isinstance(numbers, range):
            return [self.table.episode(number) for number in numbers]
        return self.table.episode(numbers)

    def __iter__(self) -> Iterator[Episode]:
        return map(self.table.episode, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(ours == theirs for ours, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} episodes on disk>"


class Results:
    """The episodes of one run, in memory or in a folder."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        episodes: Sequence[Episode],
        transcripts: Mapping[Key, Transcript] | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        """Hold episodes together with what produced them.

        Args:
            manifest: Settings and versions of the run.
            episodes: One record per episode.
            transcripts: What was said, for results that are not in a folder.
            folder: The folder of :class:`StoredEpisodes`.
        """
        self.manifest: dict[str, Any] = dict(manifest)
        self.episodes: Sequence[Episode] = episodes if isinstance(episodes, StoredEpisodes) else list(episodes)
        self._transcripts = dict(transcripts or {})
        self._folder = folder

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Open a run folder, finished or not. What is read is an index: a million episodes open in seconds.

        Raises:
            RunError: There is no run, or a line in the middle of it is damaged.
        """
        path = Path(folder)
        return cls(read_manifest(path), StoredEpisodes(read_index(path)), folder=path)

    @property
    def errors(self) -> list[Episode]:
        """Episodes that the machinery failed to finish; they are in no score."""
        if isinstance(self.episodes, StoredEpisodes):
            index = self.episodes.table
            return [index.episode(i) for i in index.error.nonzero()[0].tolist()]
        return [e for e in self.episodes if e.error is not None]

    def returns(self) -> dict[Key, float]:
        """``{(env_id, seed): return}`` of the scored episodes."""
        return dict(self._scored())

    def mean_returns(self) -> dict[str, float]:
        """Mean return of each environment over its scored episodes."""
        sums: dict[str, list[float]] = {}
        for (env_id, _), value in self._scored():
            sums.setdefault(env_id, []).append(value)
        return {env_id: math.fsum(values) / len(values) for env_id, values in sums.items()}

    def transcript(self, key: Key) -> Transcript:
        """What was said in one episode.

        Raises:
            KeyError: The run has no such episode.
            RunError: Its line is damaged.
        """
        if key in self._transcripts:
            return self._transcripts[key]
        index = self.episodes.table if isinstance(self.episodes, StoredEpisodes) else None
        number = index.find(key) if index is not None else None
        if index is None or number is None or self._folder is None:
            raise KeyError(f"no transcript of {key[0]} seed {key[1]} in this run")
        path = self._folder / TRANSCRIPTS
        with path.open("rb") as file:
            file.seek(int(index.transcript[number]))
            try:
                return read_transcript(file.readline())
            except ValueError as error:
                raise RunError(f"{path}: the transcript of {key[0]} seed {key[1]} is damaged: {error}") from error

    def transcripts(self, keys: Iterable[Key] | None = None) -> Iterator[Transcript]:
        """What was said in the given episodes (all scored ones by default), one at a time."""
        for key in (key for key, _ in self._scored()) if keys is None else keys:
            yield self.transcript(key)

    def compare(self, reference: Results, **options: Any) -> Comparison:
        """Compare with the original model's results, paired on (environment, seed).

        See :func:`acenv.analysis.comparison.compare` for the options.
        """
        from acenv.analysis.comparison import compare

        return compare(reference, self, **options)

    @property
    def plot(self) -> Plots:
        """Charts, for notebooks; those of a comparison are ``acenv.gather(reference, {name: results}).plot``."""
        from acenv.analysis.report_data import gather

        return gather(self, {}).plot

    def _scored(self) -> Iterator[tuple[Key, float]]:
        if not isinstance(self.episodes, StoredEpisodes):
            yield from ((e.key, e.return_) for e in self.episodes if e.error is None)
            return
        index = self.episodes.table
        for i in (~index.error).nonzero()[0].tolist():
            yield index.key(i), float(index.return_[i])

    def __len__(self) -> int:
        return len(self.episodes)

    def __repr__(self) -> str:
        means = ", ".join(f"{env_id.removeprefix('acenv/')} {mean:.3f}" for env_id, mean in self.mean_returns().items())
        errors = f", {len(self.errors)} errors" if self.errors else ""
        return f"Results({len(self.episodes)} episodes{errors}: {means})"


def read_index(folder: Path) -> EpisodeIndex:
    """The index of a run folder's episodes.

    Raises:
        RunError: A line is damaged.
    """
    try:
        return EpisodeIndex(folder / EPISODES)
    except ValueError as error:
        raise RunError(str(error)) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """What produced the run in a folder.

    Raises:
        RunError: There is no run, or its manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{folder} is no run folder: it has no manifest.json") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
    if not isinstance(manifest, dict):
        raise RunError(f"{path} should hold a JSON object")
    return manifest
