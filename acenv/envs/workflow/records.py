"""Official workflow records: the ``graph_eval.json`` files of WorfBench, and its examples for few-shot prompts."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from acenv.envs.base import UnscorableError
from acenv.envs.sources import RecordError, describe, read_json, take
from acenv.envs.workflow.graph import END, START, WorkflowGraph, parse_graph
from acenv.envs.workflow.scoring import topological_orders
from acenv.envs.workflow.task import WorkflowTask
from acenv.spaces import ROLES
from acenv.types import Message

FILE_NAME = "graph_eval.json"
EXAMPLES_FILE = Path("prompts", "eval_prompt.py")
EXAMPLES_NAME = "two_shot_example"

TURN = "Now it's your turn.\n"
"""Stands officially before the question, so that it is not taken for another example."""


def load_records(source: Path, splits: Sequence[str], task: str | None = None) -> tuple[WorkflowTask, ...]:
    """Read records.

    Args:
        source: A file in the format of ``graph_eval.json``; or the folder of a split, which holds one; or a folder with
            the folders of several splits, such as ``gold_traj`` or what contains it. A file is a list of records whose
            ``conversations`` are messages, the last of which is the gold workflow.
        splits: Those that may be read from a folder with several. A file that is named itself may be of any split.
        task: The one split to read; None for all.

    Returns:
        The records, split by split. One whose gold workflow cannot be scored says so in ``unscorable``.

    Raises:
        FileNotFoundError: There is no such file, or none of these splits.
        RecordError: The file is not in the official format; the message names the record and what was expected.
    """
    if source.is_file() or (source / FILE_NAME).is_file():
        tasks = _read_once(source if source.is_file() else source / FILE_NAME, None)
        chosen = tuple(t for t in tasks if task in (None, t.kind))
        if not chosen:
            kinds = ", ".join(sorted({t.kind for t in tasks}))
            raise FileNotFoundError(f"{source} has no record of the task {task!r}: its records are of {kinds}")
        return chosen
    files = {path.parent.name: path for path in sorted(source.glob(f"**/{FILE_NAME}"))}
    wanted = splits if task is None else (task,)
    if not any(split in files for split in wanted):
        there = f"it has those of {', '.join(sorted(files))}" if files else "it has none"
        raise FileNotFoundError(
            f"no {FILE_NAME} at {source} for {', '.join(wanted)}: expected such a file, the folder that holds it, or a "
            f"folder with folders of these names; {there}"
        )
    return tuple(task for split in wanted if split in files for task in _read_once(files[split], split))


def _read_once(path: Path, kind: str | None) -> tuple[WorkflowTask, ...]:
    return _read(path.resolve(), path.stat().st_mtime_ns, kind)


@lru_cache(maxsize=16)
def _read(path: Path, modified: int, kind: str | None) -> tuple[WorkflowTask, ...]:
    del modified  # only there so that a changed file is read again
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise RecordError(path, None, "a list of records", describe(records))
    return tuple(_task(record, path, i, kind) for i, record in enumerate(records))


def _task(record: Any, path: Path, number: int, kind: str | None) -> WorkflowTask:
    if not isinstance(record, dict):
        raise RecordError(path, number, "an object with 'conversations'", describe(record))
    messages = take(record, "conversations", list, path, number)
    if len(messages) < 2:
        raise RecordError(path, number, "a question and the gold workflow in 'conversations'", describe(messages))
    for k, message in enumerate(messages):
        if not _is_message(message):
            expected = f"'content' with a text and 'role' with one of {', '.join(ROLES)} in message {k}"
            raise RecordError(path, number, expected, describe(message))
    *prompt, answer = messages
    if answer["role"] != "assistant":
        raise RecordError(path, number, "the assistant's gold workflow as last message", f"one of {answer['role']}")
    gold = parse_graph(answer["content"])
    return WorkflowTask(
        tuple(Message(role=message["role"], content=message["content"]) for message in prompt),
        answer["content"],
        gold or WorkflowGraph((START, END), ()),
        # Among the folders of several splits the folder has the name; a file by itself goes by what its records say.
        kind or str(record.get("source") or path.parent.name),
        gold_fault(gold),
    )


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("content"), str) and value.get("role") in ROLES


def gold_fault(gold: WorkflowGraph | None) -> str:
    """Why the official evaluator can score no answer against this gold workflow; empty if it can."""
    if gold is None:
        return "the gold text has no workflow: no 'Node' or no edge such as (START,1)"
    if not gold.inner:
        return "the gold workflow has no node"
    try:
        topological_orders(gold)
    except UnscorableError as error:
        return str(error)
    return ""


def load_examples(source: Path, splits: Sequence[str]) -> dict[str, tuple[Message, ...]]:
    """Read the official examples for few-shot prompts; the file is parsed, and never executed.

    Args:
        source: ``eval_prompt.py``, or the folder of the official repository, which has it in ``prompts``.
        splits: Those whose examples are needed.

    Returns:
        The messages of the examples, by split.

    Raises:
        FileNotFoundError: There is no such file.
        RecordError: It assigns no dictionary of lists of messages to ``two_shot_example``, or a split is missing.
    """
    path = source if source.is_file() else source / EXAMPLES_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"no few-shot examples at {path}: expected {EXAMPLES_FILE.as_posix()} of the WorfBench repository; name it "
            "or the repository's folder with few_shot="
        )
    examples = _assigned(path)
    found = {}
    for split in splits:
        if split not in examples:
            there = ", ".join(map(str, examples)) or "no task"
            raise RecordError(path, None, f"examples of the task {split!r} in {EXAMPLES_NAME}", f"those of {there}")
        messages = examples[split]
        if not isinstance(messages, list) or not all(map(_is_message, messages)):
            raise RecordError(path, split, "a list of messages with 'role' and 'content'", describe(messages))
        found[split] = tuple(Message(role=message["role"], content=message["content"]) for message in messages)
    return found


def _assigned(path: Path) -> dict[Any, Any]:
    try:
        body = ast.parse(path.read_bytes()).body
        for node in body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == EXAMPLES_NAME for target in targets):
                value = ast.literal_eval(getattr(node, "value", None) or ast.Constant(None))
                if isinstance(value, dict):
                    return value
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        got = f"something else ({error})"
        raise RecordError(path, None, f"a literal dictionary in {EXAMPLES_NAME}", got) from error
    raise RecordError(path, None, f"an assignment of a dictionary to {EXAMPLES_NAME}", "none")


def with_examples(task: WorkflowTask, examples: Mapping[str, Sequence[Message]]) -> WorkflowTask:
    """The task with a few-shot prompt: the system message, the examples, and the question, announced as such."""
    first = 1 if task.messages[0]["role"] == "system" else 0
    system, query = task.messages[:first], task.messages[first:]
    turns = [
        Message(role=m["role"], content=TURN + m["content"] if m["role"] == "user" else m["content"]) for m in query
    ]
    return replace(task, messages=(*system, *examples[task.kind], *turns))
