"""Official data: the layout, errors for people, and the backends' own bounds."""

from __future__ import annotations

import copy
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acenv.envs.sources import RecordError
from acenv.envs.tools.bfcl.environment import BFCLEnv
from acenv.envs.tools.calls import Call

needs_package = pytest.mark.skipif(importlib.util.find_spec("bfcl_eval") is None, reason="bfcl-eval is not installed")

FUNCTION = {
    "name": "garden.water",
    "description": "Water the garden.",
    "parameters": {
        "type": "dict",
        "properties": {
            "minutes": {"type": "integer"},
            "parts": {"type": "array", "items": {"type": "string"}},
            "share": {"type": "float", "default": 0.5},
        },
        "required": ["minutes"],
    },
}
QUESTION = {"id": "simple_python_0", "question": [[{"role": "user", "content": "Water it."}]], "function": [FUNCTION]}
ANSWER = {"id": "simple_python_0", "ground_truth": [{"garden.water": {"minutes": [5], "parts": [["a"], ""]}}]}


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a data set of one category."""

    def write(question: Any = QUESTION, answer: Any = ANSWER, category: str = "simple_python") -> Path:
        (tmp_path / "possible_answer").mkdir(exist_ok=True)
        name = f"BFCL_v4_{category}.json"
        (tmp_path / name).write_text(json.dumps(question) + "\n")
        (tmp_path / "possible_answer" / name).write_text(json.dumps(answer) + "\n")
        return tmp_path

    return write


def changed(record: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    record = copy.deepcopy(record)
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to
    return record


def test_a_record_becomes_a_task(folder: Callable[..., Path]) -> None:
    env = BFCLEnv(source=folder(), category="simple_python")
    messages, info = env.reset(options={"index": 0})
    assert messages == [{"role": "user", "content": "Water it."}]
    assert info["labels"] == {"category": "simple_python"}
    (tool,) = info["tools"]
    assert tool["function"]["name"] == "garden_water"
    kinds = {name: p["type"] for name, p in tool["function"]["parameters"]["properties"].items()}
    assert kinds == {"minutes": "integer", "parts": "array", "share": "number"}
    _, reward, terminated, _, info = env.step("[garden.water(minutes=5, parts=['A'])]")
    assert (reward, terminated, info["metrics"]["accuracy"]) == (1.0, True, 1.0)


def test_both_splits_have_all_records_and_seeds_draw_them(folder: Callable[..., Path]) -> None:
    for split in ("train", "test"):
        env = BFCLEnv(source=folder(), split=split)  # type: ignore[arg-type]
        env.reset(seed=1)
        assert env.task.name == "simple_python_0"


def test_an_answer_on_which_the_official_checker_fails_is_not_scored(folder: Callable[..., Path]) -> None:
    lines = {"type": "array", "items": {"type": "dict"}}
    question = changed(QUESTION, "function", 0, "parameters", "properties", "parts", to=lines)
    answer = changed(ANSWER, "ground_truth", 0, "garden.water", "parts", to=[[{"a": [1]}], ""])
    env = BFCLEnv(source=folder(question, answer))
    env.reset(options={"index": 0})
    _, reward, terminated, _, info = env.step("garden.water(minutes=5, parts=[1])")
    assert (reward, terminated, info["metrics"]["unscored"]) == (0.0, True, 1.0)
    assert "accuracy" not in info["metrics"]


def test_a_record_that_cannot_be_scored_is_an_error_and_no_zero(folder: Callable[..., Path]) -> None:
    question = changed(QUESTION, "function", 0, "parameters", to={"type": "dict", "properties": {}})
    env = BFCLEnv(source=folder(question))
    env.reset(options={"index": 0})
    *_, info = env.step("garden.water()")
    assert "requires" in info["unscored"]


@pytest.mark.parametrize(
    ("question", "answer", "complaint"),
    [
        ([1], ANSWER, "a JSON object"),
        (changed(QUESTION, "id", to=3), ANSWER, "in line 1: expected a text in 'id'"),
        (changed(QUESTION, "question", to=[]), ANSWER, "simple_python_0: expected a message"),
        (changed(QUESTION, "question", to=[[1]]), ANSWER, "role and content"),
        (changed(QUESTION, "question", 0, 0, to={"role": "user"}), ANSWER, "'content'"),
        (changed(QUESTION, "function", to={}), ANSWER, "a list in 'function'"),
        (changed(QUESTION, "function", 0, "parameters", to=[]), ANSWER, "an object in 'parameters'"),
        (QUESTION, changed(ANSWER, "id", to="other"), "an answer of the same id"),
        (QUESTION, changed(ANSWER, "ground_truth", to="x"), "a list in 'ground_truth'"),
        (QUESTION, changed(ANSWER, "ground_truth", 0, to={"a": 1}), "{function: {parameter: [values]}}"),
        (QUESTION, changed(ANSWER, "ground_truth", 0, "garden.water", "minutes", to=5), "a list of right values"),
    ],
)
def test_malformed_records_are_named(folder: Callable[..., Path], question: Any, answer: Any, complaint: str) -> None:
    path = folder(question, answer)
    with pytest.raises(RecordError) as error:
        BFCLEnv(source=path)
    assert str(path) in str(error.value) and complaint in str(error.value)


def test_missing_data_are_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="BFCL_v4_simple_python"):
        BFCLEnv(source=tmp_path)
    path = folder()
    with pytest.raises(FileNotFoundError, match="BFCL_v4_multiple"):
        BFCLEnv(source=path, category="multiple")
    (path / "possible_answer" / "BFCL_v4_simple_python.json").unlink()
    with pytest.raises(FileNotFoundError, match="possible_answer"):
        BFCLEnv(source=path)
    with pytest.raises(ValueError, match="simple_python, simple_java"):
        BFCLEnv(source=path, category="simple")
    with pytest.raises(ValueError, match="simple, multiple"):
        BFCLEnv(category="simple_python")


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "bfcl_eval" else find(name, *rest)
    )
    for source in ("bfcl-eval", None):
        with pytest.raises(ImportError, match="pip install --no-deps bfcl-eval"):
            BFCLEnv(source=source)
    BFCLEnv(source="generated").reset(seed=0)


# Multi-turn, on the backends of the package --------------------------------------------------------------------------


def dialogue(category: str, name: str) -> BFCLEnv:
    env = BFCLEnv(source="bfcl-eval", category=category)
    assert env.records is not None
    index = next(i for i, task in enumerate(env.records) if task.name == name)
    env.reset(options={"index": index})
    return env


def write(*calls: tuple[str, dict[str, Any]]) -> str:
    return "\n".join(Call(name, arguments).to_json() for name, arguments in calls)


@needs_package
def test_a_missing_function_is_announced_when_it_turns_up() -> None:
    env = dialogue("multi_turn_miss_func", "multi_turn_miss_func_0")
    missing = "sort"
    assert missing not in {tool["function"]["name"] for tool in env.task.tools}
    told = []
    over = False
    while not over:
        messages, _, terminated, truncated, info = env.step(env.expert_action())
        told.append(messages[-1]["content"])
        over = terminated or truncated
    assert sum(f'"name": "{missing}"' in text for text in told) == 1
    assert info["metrics"]["accuracy"] == info["metrics"]["restraint"] == info["metrics"]["success"] == 1.0


@needs_package
def test_the_first_wrong_turn_ends_the_episode_and_the_turns_before_it_count() -> None:
    env = dialogue("multi_turn_base", "multi_turn_base_0")
    while env.state.dialogue is not None and env.state.dialogue.turn < 1:
        env.step(env.expert_action())
    _, _, terminated, _, info = env.step("I think that is all.")
    assert terminated
    assert info["metrics"]["progress"] == 1 / len(env.task.turns)
    assert info["metrics"]["accuracy"] == 0.0


@needs_package
def test_a_turn_has_room_for_twenty_messages_with_calls() -> None:
    env = dialogue("multi_turn_base", "multi_turn_base_0")
    for _ in range(20):
        *_, terminated, _, _ = env.step("pwd()")
        assert not terminated
    *_, terminated, _, info = env.step("pwd()")
    assert terminated and info["metrics"]["accuracy"] == 0.0


@needs_package
def test_a_snapshot_keeps_the_backends() -> None:
    env = dialogue("multi_turn_base", "multi_turn_base_0")
    env.step(env.expert_action())
    before = env.snapshot()
    ends = []
    for _ in range(2):
        env.restore(before)
        over, total = False, 0.0
        while not over:
            _, reward, over, _, _ = env.step(env.expert_action())
            total += reward
        ends.append(total)
        env.reset(seed=0)
    assert ends == pytest.approx([1.0, 1.0])


@needs_package
@pytest.mark.parametrize(
    "calls",
    [
        [("power", {"base": 10, "exponent": 10**9})],
        [("logarithm", {"value": 2, "base": 3, "precision": 10**9})],
        [("logarithm", {"value": 2, "base": 3, "precision": "1000000000"})],
        [("square_root", {"number": 2, "precision": 1e9})],
        [("round_number", {"number": 5, "decimal_places": -(10**9)})],
        [("mkdir", {"dir_name": "."}), ("cp", {"source": ".", "destination": "a"}), ("find", {})],
        [("mkdir", {"dir_name": "a"}), ("mv", {"source": "a", "destination": "a"}), ("find", {})],
        [("mkdir", {"dir_name": "a"}), ("cp", {"source": "a", "destination": "a"}), ("du", {})],
        [("__init__", {}), ("_load_scenario", {"scenario": {}}), ("no_such_thing", {})],
        [
            ("cd", {"folder": ["x"]}),
            ("echo", {"content": {}, "file_name": 3}),
            ("tail", {"file_name": "x", "lines": {}}),
        ],
    ],
    ids=lambda calls: calls[-1][0],
)
@pytest.mark.usefixtures("no_collections")
def test_calls_that_could_run_away_are_refused(calls: list[tuple[str, dict[str, Any]]]) -> None:
    # One has the file system, one the mathematics.
    env = dialogue("multi_turn_base", "multi_turn_base_0")
    assert env.records is not None
    for class_name in ("GorillaFileSystem", "MathAPI"):
        index = next(i for i, t in enumerate(env.records) if class_name in getattr(t.backend, "classes", ()))
        env.reset(options={"index": index})
        start = time.thread_time()
        messages, *_ = env.step(write(*calls))
        assert time.thread_time() - start < 0.1
        assert "rror" in messages[-1]["content"]
        env.snapshot()


@needs_package
@pytest.mark.usefixtures("no_collections")
def test_folders_cannot_multiply_without_end() -> None:
    env = dialogue("multi_turn_base", "multi_turn_base_0")
    text = ""
    for i in range(20):
        start = time.thread_time()
        calls: list[tuple[str, dict[str, Any]]] = [("mkdir", {"dir_name": n}) for n in (f"p{i}", f"q{i}")]
        if i:
            calls += [("cp", {"source": s, "destination": f"p{i}"}) for s in (f"p{i - 1}", f"q{i - 1}")]
        calls += [("cp", {"source": f"p{i}", "destination": f"q{i}"}), ("find", {}), ("du", {})]
        messages, *_ = env.step(write(*calls))
        text += messages[-1]["content"]
        assert time.thread_time() - start < 0.1
    assert "the file system is full" in text


@needs_package
def test_the_precision_of_the_process_is_left_alone() -> None:
    import decimal

    import mpmath

    before = (decimal.getcontext().prec, mpmath.mp.dps)
    env = BFCLEnv(source="bfcl-eval", category="multi_turn_base")
    assert env.records is not None
    index = next(i for i, t in enumerate(env.records) if "MathAPI" in getattr(t.backend, "classes", ()))
    env.reset(options={"index": index})
    env.step(
        write(("logarithm", {"value": 2, "base": 3, "precision": 50}), ("square_root", {"number": 2, "precision": 7}))
    )
    assert (decimal.getcontext().prec, mpmath.mp.dps) == before
