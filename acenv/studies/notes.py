"""Finished episodes of an attribution, kept beside the file to be written, so that an interruption costs little."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from acenv.analysis.attribution import Attribution
from acenv.analysis.deviations import Effort, EpisodeAttribution, episode_from_dict
from acenv.analysis.records import to_jsonable
from acenv.runs import RunError
from acenv.studies.plan import write_json

CaseKey = tuple[str, int, int]
"""Environment, seed, and number of the draw."""


class Notes:
    """Episodes that are done, in a file of lines beside the one that is to be written; use as a context manager."""

    def __init__(self, out: Path | None, settings: Mapping[str, Any]) -> None:
        """Take up what an earlier start with the same ``settings`` left; without ``out`` nothing is written."""
        self.episodes: list[EpisodeAttribution] = []
        self.effort = Effort()
        self._out = out
        self._path = out.with_name(f".{out.name}.partial") if out else None
        self._settings = json.loads(json.dumps(settings, default=repr))
        self._file: TextIO | None = None

    @property
    def keys(self) -> set[CaseKey]:
        """The episodes that are done."""
        return {case_key(episode) for episode in self.episodes}

    def __enter__(self) -> Notes:
        """Open for appending.

        Raises:
            RunError: The folder cannot be written.
        """
        if self._path is None:
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lines = list(self._read())
            self._file = self._path.open("w", encoding="utf-8")
            self._write(self._settings)
            for episode, effort in lines:
                self.append(episode, effort)
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror or error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, episode: EpisodeAttribution, effort: Effort) -> None:
        """Keep an episode."""
        self.episodes.append(episode)
        self.effort += effort
        self._write({"episode": to_jsonable(episode), "effort": to_jsonable(effort)})

    def finish(self, found: Attribution) -> None:
        """Write the result, and forget what led to it.

        Raises:
            RunError: It cannot be written.
        """
        if self._out is None or self._path is None:
            return
        try:
            write_json(self._out, found.to_dict())
            self._path.unlink()
        except OSError as error:
            raise RunError(f"cannot write {self._out}: {error.strerror or error}") from error

    def _read(self) -> Iterator[tuple[EpisodeAttribution, Effort]]:
        """What an earlier start with the same settings left, up to the first line that it could not finish."""
        if self._path is None or not self._path.exists():
            return
        try:
            first, *lines = self._path.read_text(encoding="utf-8").splitlines()
            if json.loads(first) != self._settings:
                return
            for line in lines:
                record = json.loads(line)
                yield episode_from_dict(record["episode"]), Effort(**record["effort"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return

    def _write(self, record: Any) -> None:
        if self._file is not None:
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()


def case_key(episode: EpisodeAttribution) -> CaseKey:
    """What tells episodes and draws of them apart."""
    return episode.env_id, episode.seed, episode.replicate
