"""LongBench's records in their official form, and the prompts that are made of them."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, overload

from acenv.envs.longcontext.longbench.tasks import TASKS
from acenv.envs.sources import RecordError, describe, read_json, read_json_lines, take
from acenv.types import Message

PROMPTS = "dataset2prompt.json"
LENGTHS = "dataset2maxlen.json"


@dataclass(frozen=True, slots=True)
class LongBenchTask:
    """A question about a long text.

    Attributes:
        task: Which of the 21.
        prompt: All that the model is told.
        answers: The right answers; each alone is one.
        all_classes: The classes, where the answer is one of them.
        length: Of input, context and answers: words, or characters where they are Chinese.
        max_new_tokens: How long an answer may be.
        unscorable: Why the official metric can score no answer.
    """

    task: str
    prompt: str
    answers: tuple[str, ...]
    all_classes: tuple[str, ...]
    length: int
    max_new_tokens: int
    unscorable: str = ""
    messages: tuple[Message, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", (Message(role="user", content=self.prompt),))

    @property
    def answer(self) -> str:
        """The first of the right answers."""
        return self.answers[0] if self.answers else ""


@dataclass(frozen=True, slots=True)
class Config:
    """The official prompts and lengths of answers, by task."""

    prompts: Mapping[str, str]
    max_new_tokens: Mapping[str, int]


def read_config(source: Path, config: str | Path | None) -> Config:
    """Read ``dataset2prompt.json`` and ``dataset2maxlen.json``.

    Args:
        source: The data set; they are looked for beside it, in the two folders above, and in ``config`` folders there.
        config: The folder that holds them, if it is another.

    Raises:
        FileNotFoundError: One of them is in none of these places.
        RecordError: One of them is not an object of texts, or of whole numbers.
    """
    if config is None:
        start = source.resolve() if source.is_dir() else source.resolve().parent
        near = [start, *list(start.parents)[:2]]
        folders = [folder for parent in near for folder in (parent, parent / "config")]
    else:
        given = Path(config).expanduser()
        folders = [given, given / "config"]
    return Config(_read_map(folders, PROMPTS, str), _read_map(folders, LENGTHS, int))


def _read_map(folders: Sequence[Path], name: str, kind: type) -> Any:
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"LongBench's {name} is not in {', '.join(map(str, folders))}: its repository has it in LongBench/config; "
            "name that folder with config="
        )
    content = read_json(path)
    if not isinstance(content, dict):
        raise RecordError(path, None, "an object with an entry a task", describe(content))
    for task in content:
        take(content, task, kind, path, None)
    return content


class LongBenchRecords(Sequence[LongBenchTask]):
    """The records of one or several tasks; a prompt is made, and cut to size, when it is asked for."""

    def __init__(
        self,
        source: Path,
        tasks: Sequence[str],
        *,
        extended: bool,
        every: bool,
        config: str | Path | None,
        cut: Callable[[str, bool], str],
    ) -> None:
        """Read the files.

        Args:
            source: A folder that holds ``<task>.jsonl`` or ``data/<task>.jsonl``, or a ``data.zip`` that does (as the
                hub has it); or one such file.
            tasks: Whose records.
            extended: Read LongBench-E, ``<task>_e.jsonl``.
            every: All tasks must be there; else those are read that are, at least one.
            config: See :func:`read_config`.
            cut: Shortens a prompt; its second argument says whether that is Chinese.

        Raises:
            FileNotFoundError: A file is missing.
            RecordError: A record is not as officially.
        """
        self._cut = cut
        self._records: list[tuple[str, dict[str, Any]]] = []
        ending = "_e.jsonl" if extended else ".jsonl"
        if every and source.is_file() and source.suffix != ".zip":
            files = {tasks[0]: source}  # whatever it is called
        else:
            files = {task: path for task in tasks if (path := _find(source, f"{task}{ending}")) is not None}
        if not files or (every and len(files) < len(tasks)):
            missing = [f"{task}{ending}" for task in tasks if task not in files]
            raise FileNotFoundError(
                f"{source} holds no LongBench data: expected {' or '.join(missing[:3])}, in it, in data/ or in data.zip"
            )
        self._config = read_config(source, config)
        for task, path in files.items():
            for given in (self._config.prompts, self._config.max_new_tokens):
                if task not in given:
                    raise ValueError(f"{PROMPTS} or {LENGTHS} has no entry {task!r}")
            for number, record in read_json_lines(path):
                _check(record, path, f"in line {number}")
                _fill(self._config.prompts[task], record)
                self._records.append((task, record))

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> LongBenchTask: ...
    @overload
    def __getitem__(self, index: slice) -> list[LongBenchTask]: ...
    def __getitem__(self, index: int | slice) -> LongBenchTask | list[LongBenchTask]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        task, record = self._records[index]
        answers, classes = tuple(record["answers"]), tuple(record.get("all_classes") or ())
        prompt = self._cut(_fill(self._config.prompts[task], record), TASKS[task].chinese)
        return LongBenchTask(
            task=task,
            prompt=prompt,
            answers=answers,
            all_classes=classes,
            length=record["length"],
            max_new_tokens=self._config.max_new_tokens[task],
            unscorable=_why_unscorable(task, answers, classes),
        )


def _find(source: Path, name: str) -> Path | None:
    if source.is_file() and source.suffix != ".zip":
        return source if source.name == name else None
    for path in (source / name, source / "data" / name):
        if path.is_file():
            return path
    archive = source if source.suffix == ".zip" else source / "data.zip"
    if archive.is_file() and zipfile.is_zipfile(archive):
        for place in (f"data/{name}", name):
            inside = zipfile.Path(archive, place)
            if inside.is_file():
                return cast(Path, inside)  # it has what reading needs: open("rb") and a name
    return None


def _check(record: dict[str, Any], path: Path, number: str) -> None:
    for key in ("input", "context"):
        take(record, key, str, path, number)
    take(record, "length", int, path, number)
    if "all_classes" in record:
        take(record, "all_classes", (list, type(None)), path, number)
    take(record, "answers", list, path, number)
    for key in ("answers", "all_classes"):
        for item in record.get(key) or []:
            if not isinstance(item, str):
                raise RecordError(path, number, f"a list of texts in {key!r}", describe(item))


def _fill(template: str, record: Mapping[str, Any]) -> str:
    """What ``template.format(**record)`` gives, without the attributes and indices that it could reach into."""

    def part(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        if match[1] not in record:
            raise ValueError(f"{PROMPTS} asks for a field {match[1]!r}, and a record has none: {json.dumps([*record])}")
        return str(record[match[1]])

    return re.sub(r"\{\{|\}\}|\{(\w+)\}", part, template)


def _why_unscorable(task: str, answers: tuple[str, ...], classes: tuple[str, ...]) -> str:
    if not answers:
        return "the record has no answer to compare with"
    try:
        for answer in answers:
            TASKS[task].metric("", answer, classes)
    except ValueError as error:
        return str(error)
    return ""
