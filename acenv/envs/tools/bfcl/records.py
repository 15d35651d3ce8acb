"""The official data: questions, right answers and descriptions of functions, in the layout of ``bfcl-eval``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from acenv.envs.sources import RecordError, describe, find_source, read_json_lines, take
from acenv.envs.tools.bfcl.backends import (
    MODULES,
    PACKAGE,
    OfficialBackend,
    backend_class,
    method_parameters,
    package_data,
)
from acenv.envs.tools.bfcl.gold import right_calls
from acenv.envs.tools.bfcl.parsing import parse_gold
from acenv.envs.tools.bfcl.schemas import to_tool
from acenv.envs.tools.bfcl.tasks import (
    MULTI_TURN_CATEGORIES,
    OFFICIAL_CATEGORIES,
    BFCLTask,
    Scenario,
    Turn,
    kind_of,
    language_of,
)
from acenv.envs.tools.calls import Call, CallError
from acenv.types import Message

_NO_CALL = "No function fits."


def load_records(source: str | Path, category: str | None) -> tuple[BFCLTask, ...]:
    """Read the tasks of one category, or of all that the data hold.

    Args:
        source: ``"bfcl-eval"`` for the data in the package, or a folder in the same layout.
        category: One of :data:`.tasks.OFFICIAL_CATEGORIES`; ``None`` for all whose files are there.

    Raises:
        FileNotFoundError: There is no such data.
        ImportError: The package is needed and not installed.
        RecordError: A file or record is not in the official format.
    """
    folder = package_data() if str(source) == PACKAGE else find_source(source, "BFCL")
    tasks: list[BFCLTask] = []
    found = False
    for name in OFFICIAL_CATEGORIES if category is None else (category,):
        if path := _find(folder, name):
            tasks += _load(path, name)
            found = True
    if not found:
        raise FileNotFoundError(f"{folder} holds no BFCL_v4_{category or OFFICIAL_CATEGORIES[0]}.json")
    if not tasks:
        raise ValueError(f"the BFCL data at {folder} have no record for these settings")
    return tuple(tasks)


def _find(folder: Path, category: str) -> Path | None:
    """The newest version of the questions of a category; ``None`` if there is none."""
    names = sorted(folder.glob(f"BFCL_v*_{category}.json"))
    found = [path for path in names if path.name.split("_", 2)[2] == f"{category}.json"]
    return found[-1] if found else None


def _load(path: Path, category: str) -> tuple[BFCLTask, ...]:
    return _load_cached(path.resolve(), category, path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _load_cached(path: Path, category: str, modified: int) -> tuple[BFCLTask, ...]:
    del modified  # only there so that a changed file is read again
    answers = None if kind_of(category) in ("irrelevance", "relevance") else _answers(path)
    read = _multi_turn if category in MULTI_TURN_CATEGORIES else _single_turn
    tasks = []
    for number, record in read_json_lines(path):
        name = take(record, "id", str, path, f"in line {number}")
        if answers is not None and name not in answers:
            raise RecordError(path, name, "an answer of the same id in possible_answer", "none")
        tasks.append(read(record, name, category, answers[name] if answers is not None else [], path))
    return tuple(tasks)


def _answers(path: Path) -> dict[str, list[Any]]:
    file = path.parent / "possible_answer" / path.name
    if not file.is_file():
        raise FileNotFoundError(f"there are no answers at {file}")
    return {
        take(record, "id", str, file, f"in line {number}"): take(
            record, "ground_truth", list, file, f"in line {number}"
        )
        for number, record in read_json_lines(file)
    }


def _messages(record: Mapping[str, Any], path: Path, name: str) -> list[tuple[Message, ...]]:
    """The messages of each turn."""
    turns = []
    for turn in take(record, "question", list, path, name):
        if not isinstance(turn, list):
            raise RecordError(path, name, "a list of messages for each turn", describe(turn))
        messages: list[Message] = []
        for message in turn:
            if not isinstance(message, dict):
                raise RecordError(path, name, "a message with role and content", describe(message))
            role, content = take(message, "role", str, path, name), take(message, "content", str, path, name)
            messages.append({"role": role, "content": content})
        turns.append(tuple(messages))
    if not turns or not turns[0]:
        raise RecordError(path, name, "a message in the first turn of 'question'", "none")
    return turns


def _check_function(function: Any, path: Path, name: str) -> Mapping[str, Any]:
    if not isinstance(function, dict):
        raise RecordError(path, name, "an object for each function", describe(function))
    take(function, "name", str, path, name)
    parameters = take(function, "parameters", dict, path, name)
    for schema in take(parameters, "properties", dict, path, name).values():
        if not isinstance(schema, dict):
            raise RecordError(path, name, "an object for each parameter", describe(schema))
    return function


def _single_turn(record: Mapping[str, Any], name: str, category: str, answers: list[Any], path: Path) -> BFCLTask:
    turns = _messages(record, path, name)
    if len(turns) != 1:
        raise RecordError(path, name, "one turn in 'question'", f"{len(turns)}")
    functions = tuple(_check_function(f, path, name) for f in take(record, "function", list, path, name))
    for answer in answers:
        if not isinstance(answer, dict) or len(answer) != 1 or not isinstance(next(iter(answer.values())), dict):
            raise RecordError(path, name, "answers of the form {function: {parameter: [values]}}", describe(answer))
        for values in next(iter(answer.values())).values():
            if not isinstance(values, list):
                raise RecordError(path, name, "a list of right values for each parameter", describe(values))
    language = language_of(category)
    kind = kind_of(category)
    unscorable = "" if kind in ("irrelevance", "relevance") else _unscorable(functions, answers, category)
    if kind == "irrelevance" or not functions:
        answer = _NO_CALL
    elif kind == "relevance":
        answer = Call(functions[0]["name"].replace(".", "_")).to_json()
    else:
        answer = "\n".join(call.to_json() for call in right_calls(functions, answers, language))
    return BFCLTask(
        category,
        (Turn(turns[0]),),
        tuple(to_tool(function, language) for function in functions),
        name=name,
        functions=functions,
        possible=tuple(answers),
        answer=answer,
        unscorable=unscorable,
    )


def _unscorable(functions: Sequence[Mapping[str, Any]], answers: Sequence[Any], category: str) -> str:
    """Why the official evaluator fails on every answer that comes into question."""
    if not functions or not answers:
        return "the record has no function or no answer"
    names = {function["name"]: function for function in functions}
    for answer in answers:
        name = next(iter(answer))
        function = functions[0] if kind_of(category) == "simple" else names.get(name)
        if function is None:
            return f"the function of the right answer, {name!r}, is not on offer"
        if "required" not in function["parameters"]:
            return f"the function {name!r} does not say which parameters it requires"
    return ""


def _multi_turn(record: Mapping[str, Any], name: str, category: str, answers: list[Any], path: Path) -> BFCLTask:
    turns = _messages(record, path, name)
    if len(answers) != len(turns):
        raise RecordError(path, name, f"right calls for {len(turns)} turns", f"for {len(answers)}")
    classes = tuple(take(record, "involved_classes", list, path, name))
    config = take(record, "initial_config", dict, path, name)
    documents: dict[str, Mapping[str, Any]] = {}
    parameters: dict[str, tuple[str, ...]] = {}
    for class_name in classes:
        if not isinstance(class_name, str) or class_name not in MODULES:
            raise RecordError(path, name, f"classes among {', '.join(MODULES)}", describe(class_name))
        backend_class(class_name)
        parameters |= method_parameters(class_name)
        documents |= _documents(path.parent / "multi_turn_func_doc" / f"{MODULES[class_name]}.json")
    added = {}
    late: set[str] = set()
    for turn, names in (
        take(record, "missed_function", dict, path, name) if "missed_function" in record else {}
    ).items():
        if not isinstance(names, list) or any(key not in documents for key in names):
            raise RecordError(path, name, "names of functions in 'missed_function'", describe(names))
        added[turn] = tuple(to_tool(documents[key]) for key in names)
        late.update(names)
    calls = [_gold(turn, parameters, path, name) for turn in answers]
    scenario = Scenario(classes, config, frozenset(documents), "long_context" in category)
    try:
        OfficialBackend.of(scenario)
    except Exception as error:  # a backend may raise anything on a state that it does not understand
        raise RecordError(
            path, name, "a state for each backend in 'initial_config'", f"something else ({error})"
        ) from error
    return BFCLTask(
        category,
        tuple(Turn(turns[i], calls[i], added.get(str(i), ())) for i in range(len(turns))),
        tuple(to_tool(document) for key, document in documents.items() if key not in late),
        name=name,
        functions=tuple(documents.values()),
        backend=scenario,
    )


def _gold(turn: Any, parameters: Mapping[str, tuple[str, ...]], path: Path, name: str) -> tuple[Call, ...]:
    if not isinstance(turn, list):
        raise RecordError(path, name, "a list of right calls for each turn", describe(turn))
    calls = []
    for text in turn:
        try:
            calls.append(parse_gold(str(text), lambda function: parameters.get(function, ())))
        except CallError as error:
            raise RecordError(path, name, "right calls in Python's notation", f"{describe(text)} ({error})") from error
    return tuple(calls)


@lru_cache(maxsize=32)
def _documents(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """The functions of a backend by name."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no description of functions at {path}")
    return {
        take(record, "name", str, path, f"in line {number}"): _check_function(record, path, f"in line {number}")
        for number, record in read_json_lines(path)
    }
