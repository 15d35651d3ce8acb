"""Function calling against the checkers of the package ``bfcl-eval``, run on its own data."""

from __future__ import annotations

import copy
import importlib
import random
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("bfcl_eval", reason="bfcl-eval is not installed: pip install --no-deps bfcl-eval==2026.3.23")

from acenv.envs.base import UnscorableError
from acenv.envs.tools.bfcl.checker import check
from acenv.envs.tools.bfcl.environment import BFCLEnv
from acenv.envs.tools.bfcl.gold import right_calls
from acenv.envs.tools.bfcl.parsing import parse_answer, parse_gold
from acenv.envs.tools.bfcl.records import load_records
from acenv.envs.tools.bfcl.tasks import MULTI_TURN_CATEGORIES, SINGLE_TURN_CATEGORIES, BFCLTask, language_of
from acenv.envs.tools.calls import Call

AST_CATEGORIES = [c for c in SINGLE_TURN_CATEGORIES if "relevance" not in c]

# No answer is right by the official checker: the right answers do not agree with the functions, or cannot be written.
REJECTED = {
    "simple_java_36",
    "simple_java_64",
    "simple_java_65",
    "live_simple_106-63-0",
    "live_simple_112-68-0",
    "live_multiple_862-181-3",
    "live_multiple_964-207-0",
}


@pytest.fixture(scope="module")
def official() -> Any:
    """The official checker of calls. The configuration of models that it imports would import every API client."""
    name = "bfcl_eval.constants.model_config"
    stub = ModuleType(name)
    stub.MODEL_CONFIG_MAPPING = {"model": SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
    before = sys.modules.get(name)
    sys.modules[name] = stub
    try:
        yield importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker").ast_checker
    finally:
        sys.modules.pop("bfcl_eval.eval_checker.ast_eval.ast_checker", None)
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before


def officially(official: Any, task: BFCLTask, calls: list[Call]) -> str:
    language = importlib.import_module("bfcl_eval.constants.enums").Language(language_of(task.category))
    # Chat APIs allow no dots in names; here the checker is told the names as the data have them.
    names = {f["name"].replace(".", "_"): f["name"] for f in task.functions}
    output = [{names.get(call.name, call.name): copy.deepcopy(call.arguments)} for call in calls]
    try:
        verdict = official(list(task.functions), output, list(task.possible), language, task.category, "model")
    except Exception:
        return "raises"
    return "right" if verdict["valid"] else "wrong"


def ours(task: BFCLTask, calls: list[Call]) -> str:
    try:
        problem = check(task.kind, calls, task.functions, task.possible, language_of(task.category))
    except UnscorableError:
        return "raises"
    return "wrong" if problem else "right"


@pytest.mark.parametrize("category", AST_CATEGORIES)
def test_gold_answers_are_right_wherever_the_official_checker_accepts_them(official: Any, category: str) -> None:
    env = BFCLEnv(source="bfcl-eval", category=category)
    assert env.records
    for index, task in enumerate(env.records):
        env.reset(options={"index": index})
        action = env.expert_action()
        expected = officially(official, task, parse_answer(action))
        _, reward, terminated, _, info = env.step(action)
        assert terminated
        assert reward == info["metrics"]["accuracy"] == float(expected == "right"), task.name
        assert (expected == "right") == (task.name not in REJECTED), task.name


@pytest.mark.parametrize("category", AST_CATEGORIES)
def test_the_answer_to_another_entry_is_wrong(official: Any, category: str) -> None:
    tasks = load_records("bfcl-eval", category)
    for task, other in zip(tasks, (*tasks[1:], tasks[0]), strict=True):
        calls = parse_answer(other.answer)
        verdict = ours(task, calls)
        assert verdict == officially(official, task, calls), task.name
        # Some entries have the same question, and the same answer, as their neighbour.
        assert verdict == "wrong" or other.possible[0].keys() == task.possible[0].keys(), task.name


@pytest.mark.parametrize("category", AST_CATEGORIES)
def test_changed_answers_are_judged_as_the_official_checker_judges_them(official: Any, category: str) -> None:
    rng = random.Random(category)
    verdicts = set()
    tasks = load_records("bfcl-eval", category)
    for task in tasks:
        gold = right_calls(task.functions, task.possible, language_of(category))
        for _ in range(5 if len(tasks) < 500 else 2):
            calls = change(copy.deepcopy(gold), task, rng)
            expected = officially(official, task, calls)
            verdicts.add(expected)
            assert ours(task, calls) == expected, (task.name, calls)
    assert {"right", "wrong"} <= verdicts


VALUES: list[Any] = [
    "",
    "x",
    0,
    1,
    -1,
    2.5,
    True,
    False,
    None,
    [],
    ["x"],
    [1, 2],
    [{}],
    [{"x": 1}],
    {},
    {"x": 1},
    (1, 2),
]


def change(calls: list[Call], task: BFCLTask, rng: random.Random) -> list[Call]:
    """One of many ways in which an answer may differ from the right one."""
    call = rng.choice(calls)
    arguments = call.arguments
    name = rng.choice(list(arguments)) if arguments else ""
    match rng.randrange(12):
        case 0:
            rng.shuffle(calls)
        case 1:
            calls.remove(call)
        case 2:
            calls.append(copy.deepcopy(call))
        case 3:
            calls[calls.index(call)] = Call(rng.choice(task.functions)["name"], arguments)
        case 4 if name:
            del arguments[name]
        case 5 if name:
            arguments[name] = rng.choice(VALUES)
        case 6:
            arguments[rng.choice(["extra", *task.functions[0]["parameters"]["properties"]])] = rng.choice(VALUES)
        case 7 if isinstance(arguments.get(name), str):
            arguments[name] = rng.choice([str.upper, str.title, lambda s: s.replace(" ", "_"), lambda s: f"'{s}'"])(
                arguments[name]
            )
        case 8 if isinstance(arguments.get(name), (int, float)):
            arguments[name] = rng.choice([float, int, str, bool])(arguments[name])
        case 9 if isinstance(arguments.get(name), list):
            items = arguments[name]
            rng.shuffle(items)
            arguments[name] = rng.choice([items, tuple(items), items[:-1], [*items, rng.choice(VALUES)]])
        case 10 if isinstance(arguments.get(name), dict):
            arguments[name][rng.choice(["x", *arguments[name]])] = rng.choice(VALUES)
        case 11 if name:
            # Another right value, maybe "".
            right = next(iter(task.possible[calls.index(call)].values()), {})
            if right.get(name):
                arguments[name] = copy.deepcopy(rng.choice(right[name]))
    return calls


@pytest.mark.parametrize("category", [c for c in SINGLE_TURN_CATEGORIES if "relevance" in c])
def test_relevance_is_whether_there_is_a_call(category: str) -> None:
    env = BFCLEnv(source="bfcl-eval", category=category)
    for index in range(0, len(env.records or ()), 20):
        for action, called in [
            ("I cannot do that.", 0),
            ("[]", 0),
            ("[f(a=1)]", 1),
            ('{"name": "f", "arguments": {}}', 1),
        ]:
            env.reset(options={"index": index})
            _, reward, *_ = env.step(action)
            assert reward == (called if category == "live_relevance" else 1 - called)


def checked_officially(task: BFCLTask, record: dict[str, Any], turns: list[list[list[str]]], run: str) -> bool:
    module = importlib.import_module("bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker")
    verdict = module.multi_turn_checker(turns, record["ground_truth"], record, task.category, run)
    return bool(verdict["valid"])


@pytest.fixture(scope="module")
def raw_records() -> Any:
    import json
    from pathlib import Path

    import bfcl_eval

    folder = Path(bfcl_eval.__file__).parent / "data"

    def load(category: str) -> list[dict[str, Any]]:
        name = f"BFCL_v4_{category}.json"
        questions = [json.loads(line) for line in (folder / name).read_text().splitlines() if line]
        answers = [json.loads(line) for line in (folder / "possible_answer" / name).read_text().splitlines() if line]
        return [{**q, **a} for q, a in zip(questions, answers, strict=True)]

    return load


def play(env: BFCLEnv, index: int, turns: list[list[list[Call]]]) -> dict[str, Any]:
    """Act out turns, each of them messages, each of them calls."""
    env.reset(options={"index": index})
    total = 0.0
    for messages in turns:
        for action in ["\n".join(call.to_json() for call in calls) for calls in messages] + ["done"]:
            _, reward, terminated, _, info = env.step(action)
            total += reward
            if terminated:
                return {**info["metrics"], "return": total}
    raise AssertionError("the dialogue did not end")


@pytest.mark.parametrize("category", MULTI_TURN_CATEGORIES)
def test_dialogues_are_judged_as_the_official_checker_judges_them(raw_records: Any, category: str) -> None:
    env = BFCLEnv(source="bfcl-eval", category=category)
    rng = random.Random(category)
    seen = {True: 0, False: 0}
    for index, (task, record) in enumerate(zip(env.records or (), raw_records(category), strict=True)):
        gold = [[list(turn.calls)] if turn.calls else [] for turn in task.turns]
        tries = [gold] + [spoil(gold, rng) for _ in range(2)]
        for number, turns in enumerate(tries):
            if any(len(calls) > 16 for messages in turns for calls in messages):
                turns = [[m[i : i + 16] for m in messages for i in range(0, len(m), 16)] for messages in turns]
            texts = [[[as_python(call) for call in calls] for calls in messages] for messages in turns]
            expected = checked_officially(task, copy.deepcopy(record), texts, f"run{number}")
            metrics = play(env, index, turns)
            assert metrics["accuracy"] == float(expected), (task.name, texts)
            assert (metrics["return"] == pytest.approx(1.0)) == expected
            assert number or expected
            seen[expected] += 1
    assert seen[False] > 50


def as_python(call: Call) -> str:
    return f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.arguments.items())})"


def spoil(gold: list[list[list[Call]]], rng: random.Random) -> list[list[list[Call]]]:
    """Leave out, repeat, move or change a call."""
    turns = copy.deepcopy(gold)
    filled = [i for i, messages in enumerate(turns) if messages]
    turn = rng.choice(filled)
    calls = turns[turn][0]
    i = rng.randrange(len(calls))
    match rng.randrange(6):
        case 0:
            del calls[i]
        case 1:
            calls.insert(i, calls[i])
        case 2:
            other = rng.choice(filled)
            turns[other][0].append(calls[i])
        case 3:
            calls[i] = Call(rng.choice(["pwd", "ls", "get_user_id", "nothing"]), {})
        case 4 if calls[i].arguments:
            key = rng.choice(list(calls[i].arguments))
            calls[i].arguments[key] = rng.choice(["x", 3, True, [], "..", calls[i].arguments[key]])
        case 5:
            rng.shuffle(calls)
    turns[turn] = [calls] if calls else []
    return turns


def test_gold_calls_by_position_get_the_names_of_their_parameters() -> None:
    task = next(t for t in load_records("bfcl-eval", "multi_turn_base") if t.name == "multi_turn_base_0")
    assert task.turns[2].calls == (parse_gold("sort(file_name='final_report.pdf')", lambda _: ()),)
