"""RULER's records: as its generator has written them to files, or as it writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from acenv.envs.sources import RecordError, describe, find_file, read_json, read_json_lines, take
from acenv.types import Message


@dataclass(frozen=True, slots=True)
class RulerTask:
    """A prompt and what the answer must hold.

    Attributes:
        task: RULER's name of the task.
        prompt: What the agent reads.
        references: What a right answer holds: all of them, or in question answering any of them.
        length: Tokens of the prompt; in an official record, of prompt and answer together, or 0 if it does not say.
        unscorable: Why no answer can be scored; empty for all sound records.
    """

    task: str
    prompt: str
    references: tuple[str, ...]
    length: int
    unscorable: str = ""

    @property
    def messages(self) -> Sequence[Message]:
        """One message with the whole prompt."""
        return [{"role": "user", "content": self.prompt}]

    @property
    def answer(self) -> str:
        """The references, or the first one where any of them is right."""
        return ", ".join(self.references[:1] if is_part(self.task) else self.references)


def is_part(task: str) -> bool:
    """Whether any one reference is a right answer to the task, as in RULER's question answering."""
    return task.startswith("qa")


def read_folder(path: Path, tasks: Sequence[str]) -> list[RulerTask]:
    """The records of every one of the tasks that has a file.

    A file is ``<task>/validation.jsonl`` as RULER writes it, ``<task>.jsonl``, or ``<task>.json`` with one record; the
    task of a single file is told by its name or its folder's, or is the only one asked for.

    Raises:
        FileNotFoundError: There is no file for any of the tasks.
        RecordError: A record is malformed.
        ValueError: It cannot be told which task a single file is of.
    """
    if path.is_file():
        named = next((name for name in (path.stem, path.parent.name) if name in tasks), None)
        if named is None and len(tasks) > 1:
            raise ValueError(f"{path} can be of any RULER task: say which with task=, or name it after its task")
        return list(_read_file(path, named or tasks[0]))
    records: list[RulerTask] = []
    for task in tasks:
        try:
            file = find_file(path, f"{task}/validation.jsonl", f"{task}.jsonl", f"{task}.json")
        except FileNotFoundError:
            if len(tasks) == 1:
                raise
            continue
        records.extend(_read_file(file, task))
    if not records:
        there = ", ".join(sorted(p.name for p in path.iterdir())[:12]) or "nothing"
        raise FileNotFoundError(
            f"{path} holds no RULER samples: expected <task>/validation.jsonl, <task>.jsonl or <task>.json, or the "
            f"repository of RULER; it holds {there}"
        )
    return records


def _read_file(path: Path, task: str) -> Iterator[RulerTask]:
    if path.suffix == ".json":
        record = read_json(path)
        if not isinstance(record, dict):
            raise RecordError(path, None, "one record, a JSON object", describe(record))
        yield parse(record, task, path, None)
        return
    for number, record in read_json_lines(path):
        yield parse(record, task, path, f"in line {number}")


def parse(record: dict[str, Any], task: str, path: Path, number: object) -> RulerTask:
    """A record with RULER's fields ``input``, ``outputs`` and, where there are, ``answer_prefix`` and ``length``.

    The prompt is ``input`` with ``answer_prefix`` after it, as RULER gives it to a base model. RULER lets a chat model
    continue an assistant's turn that begins with the prefix; chat APIs cannot do that, so there it ends the question.

    Raises:
        RecordError: A field is missing or of another type.
    """
    text = take(record, "input", str, path, number)
    outputs = take(record, "outputs", list, path, number)
    for output in outputs:
        if not isinstance(output, str):
            raise RecordError(path, number, "texts in 'outputs'", describe(output))
    prefix = take(record, "answer_prefix", str, path, number) if "answer_prefix" in record else ""
    length = take(record, "length", int, path, number) if "length" in record else 0
    reason = "" if outputs else f"{path}, record {number}: 'outputs' is empty, where RULER's score divides by zero"
    return RulerTask(task, text + prefix, tuple(outputs), length, reason)


class OfficialRecords(Sequence[RulerTask]):
    """The samples of RULER's generator, task after task; each task is drawn as far as it has been asked for."""

    def __init__(
        self,
        tasks: Sequence[str],
        count: int,
        samples: Callable[[str], Iterator[dict[str, Any]]],
        path: Path,
    ) -> None:
        """Get ready, and fail here if a task lacks what it needs.

        Args:
            tasks: The tasks, in order.
            count: Samples of each task.
            samples: Gives the records of a task.
            path: The repository, for errors.
        """
        self._tasks = tuple(tasks)
        self._count = count
        self._path = path
        self._coming = {task: samples(task) for task in self._tasks}
        self._drawn: dict[str, list[RulerTask]] = {task: [] for task in self._tasks}

    def __len__(self) -> int:
        return len(self._tasks) * self._count

    @overload
    def __getitem__(self, index: int) -> RulerTask: ...
    @overload
    def __getitem__(self, index: slice) -> list[RulerTask]: ...
    def __getitem__(self, index: int | slice) -> RulerTask | list[RulerTask]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(f"no record {index} of {len(self)}")
        number, within = divmod(index, self._count)
        task = self._tasks[number]
        drawn = self._drawn[task]
        while len(drawn) <= within:
            drawn.append(parse(next(self._coming[task]), task, self._path, len(drawn)))
        return drawn[within]
