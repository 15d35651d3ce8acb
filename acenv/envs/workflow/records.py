"""Official workflow records: the ``graph_eval.json`` files of WorfBench."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import networkx as nx

from acenv.envs.workflow.graph import WorkflowGraph, parse_graph
from acenv.envs.workflow.task import WorkflowTask
from acenv.spaces import ROLES
from acenv.types import Message

FILE_NAME = "graph_eval.json"


def load_records(source: Path) -> tuple[WorkflowTask, ...]:
    """Read the records of one split.

    Args:
        source: A ``graph_eval.json`` file or the folder that holds one. It is a list of records whose
            ``conversations`` are messages, the last of which is the gold workflow.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not in the official format; the message names the record and what was expected.
    """
    path = source / FILE_NAME if source.is_dir() else source
    if not path.is_file():
        folders = sorted(p.parent.name for p in source.glob(f"**/{FILE_NAME}")) if source.is_dir() else []
        hint = f"these folders in it do: {', '.join(folders)}" if folders else "the WorfBench repository has them"
        raise FileNotFoundError(f"no {FILE_NAME} at {source}: expected such a file, or a folder that holds one; {hint}")
    return _read(path.resolve(), path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, modified: int) -> tuple[WorkflowTask, ...]:
    del modified  # only there so that a changed file is read again
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON in UTF-8: {error}") from error
    if not isinstance(records, list) or not records:
        raise ValueError(f"{path}: expected a list of records, got {_kind(records) if records else 'none'}")
    return tuple(_task(record, f"{path}, record {i}") for i, record in enumerate(records))


def _task(record: Any, where: str) -> WorkflowTask:
    if not isinstance(record, dict) or "conversations" not in record:
        raise ValueError(f"{where}: expected an object with 'conversations', got {_kind(record)}")
    messages = record["conversations"]
    if not isinstance(messages, list) or len(messages) < 2:
        raise ValueError(f"{where}: 'conversations' must be a list of at least a question and the gold workflow")
    for k, message in enumerate(messages):
        if (
            not isinstance(message, dict)
            or not isinstance(message.get("content"), str)
            or message.get("role") not in ROLES
        ):
            raise ValueError(
                f"{where}, message {k}: expected 'content' with a text and 'role' with one of {', '.join(ROLES)}"
            )
    *prompt, answer = messages
    if answer["role"] != "assistant":
        raise ValueError(
            f"{where}: the last message must be the assistant's, the gold workflow, not {answer['role']}'s"
        )
    gold = parse_graph(answer["content"])
    if gold is None or not gold.inner:
        raise ValueError(
            f"{where}: expected a gold workflow with 'Node:' lines such as '1: step' and edges such as '(START,1)'"
        )
    check_gold(gold, where)
    return WorkflowTask(
        tuple(Message(role=message["role"], content=message["content"]) for message in prompt), answer["content"], gold
    )


def check_gold(gold: WorkflowGraph, where: str) -> None:
    """Make sure that answers can be compared with a gold workflow.

    Raises:
        ValueError: It has a cycle, or an edge to a node that does not exist.
    """
    for edge in gold.edges:
        if max(edge) > gold.end:
            raise ValueError(
                f"{where}: the gold workflow has an edge to node {max(edge)}, but its last is {gold.end - 1}"
            )
    if not nx.is_directed_acyclic_graph(nx.DiGraph(gold.edges)):
        raise ValueError(f"{where}: the gold workflow has a cycle, so that no order of its nodes is right")


def _kind(value: Any) -> str:
    names: dict[type, str] = {list: "a list", dict: "an object", str: "a text"}
    return names.get(type(value), repr(value)[:40])
