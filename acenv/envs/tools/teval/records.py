"""The official T-Eval files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acenv.envs.sources import RecordError, describe, find_file, read_json, take
from acenv.envs.tools.calls import dump_json
from acenv.envs.tools.teval.parsing import ENDS, PARTS, format_load, template_problem
from acenv.envs.tools.teval.scoring import FINISH, read_plan
from acenv.envs.tools.teval.task import Format, Kind, TevalTask, write_call
from acenv.types import Message

_NEXT_CALL = ("reason", "retrieve", "understand")
_FORMATS: Mapping[str, Format] = {"json": "json", "str": "str", "string": "str"}


def read_tasks(path: Path, kind: Kind, formats: Sequence[Format]) -> list[TevalTask]:
    """Read the records of one task.

    Args:
        path: A folder with the files under their official names (``plan_json_v2.json``, ``review_str_subset.json``,
            ...), or one of the files.
        kind: The task.
        formats: The formats wanted. One file holds instruct in both; reason, retrieve and understand share a file in
            JSON; review has letters only, and where other formats are wanted beside them these may be missing.

    Raises:
        FileNotFoundError: A file is missing.
        RecordError: A file or record is not in the official format.
    """
    if path.is_file():
        return _read_file(path, kind, formats)
    if kind == "instruct":
        return _read_file(find_file(path, *_names("instruct")), kind, formats)
    if kind == "review" and len(formats) > 1:
        formats = ("str",)
    tasks: list[TevalTask] = []
    for wanted in formats:
        shared = wanted == "json" and kind in _NEXT_CALL
        stem = "reason_retrieve_understand_json" if shared else f"{kind}_{wanted}"
        tasks += _read_file(find_file(path, *_names(stem)), kind, (wanted,))
    return tasks


def _names(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}{ending}.json" for ending in ("_v2", "_subset", "_v2_subset", "_v1"))


def _read_file(path: Path, kind: Kind, formats: Sequence[Format]) -> list[TevalTask]:
    records = read_json(path)
    if not isinstance(records, dict):
        raise RecordError(path, None, "an object with the records by their id", describe(records))
    tasks = []
    for number, record in records.items():
        if not isinstance(record, dict):
            raise RecordError(path, number, "an object", describe(record))
        found = _format(record, kind, path, number)
        if kind == "instruct" and found not in (None, *formats):
            continue  # the file holds both
        if found is None:
            found = "str" if "_str" in path.name and "str" in formats else formats[0]
        if found not in formats:
            raise RecordError(path, number, f"the format {' or '.join(formats)}", found)
        tasks.append(_READERS[kind](record, kind, found, path, number))
    return tasks


def _format(record: Mapping[str, Any], kind: Kind, path: Path, number: str) -> Format | None:
    field, key = ("meta", "prompt_type") if kind == "plan" else ("meta_data", "response_format")
    if kind in ("instruct", "review"):
        take(take(record, field, dict, path, number), key, str, path, number)
    value = record.get(field, {})
    if not isinstance(value, dict):
        raise RecordError(path, number, f"an object in {field!r}", describe(value))
    name = value.get(key)
    if name is None:
        return None
    if name not in _FORMATS:
        raise RecordError(path, number, f"'json', 'str' or 'string' in {key!r}", describe(name))
    return _FORMATS[name]


def _messages(record: Mapping[str, Any], path: Path, number: str) -> tuple[Message, ...]:
    """The official prompt; see the environments for the roles."""
    messages: list[Message] = []
    for turn in take(record, "origin_prompt", list, path, number):
        if not isinstance(turn, dict):
            raise RecordError(path, number, "objects with role and content in 'origin_prompt'", describe(turn))
        role = take(turn, "role", str, path, number)
        content = take(turn, "content", str, path, number)
        if role != "assistant" and not (role == "system" and not messages):
            role = "user"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n{content}"
        else:
            messages.append({"role": role, "content": content})
    if not messages:
        raise RecordError(path, number, "messages in 'origin_prompt'", "an empty list")
    return tuple(messages)


def _read_instruct(record: Mapping[str, Any], kind: Kind, form: Format, path: Path, number: str) -> TevalTask:
    template = take(record, "template", dict, path, number)
    names = PARTS if form == "json" else ENDS
    used = {name: take(template, name, str, path, number) for name in names}
    gold = take(record, "ground_truth", dict, path, number)
    action, args = take(gold, "action", str, path, number), take(gold, "args", dict, path, number)
    answer = write_call(used, str(gold.get("thought", "")), action, args)
    problem = template_problem(used) if form == "str" else ""
    messages = _messages(record, path, number)
    return TevalTask(kind, form, messages, {"action": action, "args": args}, answer, number, used, unscorable=problem)


def _read_plan(record: Mapping[str, Any], kind: Kind, form: Format, path: Path, number: str) -> TevalTask:
    steps = read_plan(take(record, "ground_truth", (list, str), path, number))
    apis: tuple[str, ...] = ()
    if form == "str":
        names = take(take(record, "meta", dict, path, number), "API_list", list, path, number)
        if not all(isinstance(name, str) for name in names):
            raise RecordError(path, number, "names of tools in 'API_list'", describe(names))
        apis = tuple(names)
        answer = "\n".join(f"{step['name']} {step['args']}" for step in steps)
    else:
        answer = dump_json(steps)
    problem = ""
    if not steps:
        problem = "the right plan is no list of steps with name, id and args, so every answer gets 0"
    elif [step["name"] for step in steps] == [FINISH]:
        problem = f"the right plan is {FINISH} alone, which the official evaluator cannot compare"
    messages = _messages(record, path, number)
    return TevalTask(kind, form, messages, steps, answer, number, apis=apis, unscorable=problem)


def _read_next_call(record: Mapping[str, Any], kind: Kind, form: Format, path: Path, number: str) -> TevalTask:
    raw = take(record, "ground_truth", (dict, str), path, number)
    try:
        gold = format_load(raw, "{", "}")
    except ValueError:
        gold = None
    if not isinstance(gold, dict):
        raise RecordError(path, number, "an object with thought, name and args in 'ground_truth'", describe(raw))
    wanted = {"reason": "thought", "retrieve": "name", "understand": "args"}[kind]
    if wanted not in gold:
        take(gold, wanted, object, path, number)
    gold = {"thought": "", "name": "", "args": {}, **gold}
    answer = dump_json({key: gold[key] for key in ("thought", "name", "args")})
    return TevalTask(
        kind, form, _messages(record, path, number), gold, answer if form == "json" else str(gold[wanted]), number
    )


def _read_review(record: Mapping[str, Any], kind: Kind, form: Format, path: Path, number: str) -> TevalTask:
    truth = take(record, "ground_truth", dict, path, number)
    gold: Any = take(truth, "answer", str if form == "str" else dict, path, number)
    if form == "str" and gold not in tuple("ABCDE"):
        raise RecordError(path, number, "a letter from A to E in 'answer'", describe(gold))
    if form == "json":
        take(gold, "review", bool, path, number)
    answer = gold if form == "str" else dump_json({"is_finished": gold["review"]})
    return TevalTask(kind, form, _messages(record, path, number), gold, answer, number)


_READERS = {
    "instruct": _read_instruct,
    "plan": _read_plan,
    "review": _read_review,
    **dict.fromkeys(_NEXT_CALL, _read_next_call),
}
