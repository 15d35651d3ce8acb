"""Generated function-calling tasks."""

from __future__ import annotations

import json
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from acenv.envs.base import Difficulty
from acenv.envs.tools.bfcl.environment import BFCLEnv
from acenv.envs.tools.bfcl.generator import generate
from acenv.envs.tools.bfcl.parsing import parse_answer
from acenv.envs.tools.bfcl.tasks import GENERATED_CATEGORIES
from acenv.envs.tools.calls import Call

SINGLE = [category for category in GENERATED_CATEGORIES if category != "multi_turn"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)


def start(category: str, seed: int, difficulty: Difficulty = "easy") -> tuple[BFCLEnv, Any, Any]:
    env = BFCLEnv(category=category, difficulty=difficulty)
    messages, info = env.reset(seed=seed)
    return env, messages, info


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("category", GENERATED_CATEGORIES)
def test_the_expert_is_right_and_the_expert_of_another_task_is_wrong(category: str, difficulty: Difficulty) -> None:
    for seed in range(25):
        env, _, info = start(category, seed, difficulty)
        assert info["labels"] == {"category": category}
        total, over, actions = 0.0, False, []
        while not over:
            actions.append(env.expert_action())
            _, reward, over, _, info = env.step(actions[-1])
            total += reward
        assert total == pytest.approx(1.0)
        assert info["metrics"]["accuracy"] == info["metrics"]["grounding"] == 1.0
        if category == "irrelevance":
            continue
        other, _, _ = start(category, seed + 1000, difficulty)
        total, over = 0.0, False
        while not over and actions:
            _, reward, over, _, info = other.step(actions.pop(0))
            total += reward
        assert info["metrics"]["accuracy"] == 0.0
        assert total < 1.0


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("category", GENERATED_CATEGORIES)
def test_tools_are_valid_schemas_that_the_right_calls_satisfy(category: str, difficulty: Difficulty) -> None:
    for seed in range(20):
        task = generate(category, difficulty, Random(seed))
        tools = {t["function"]["name"]: t["function"] for t in (*task.tools, *(t for u in task.turns for t in u.added))}
        for tool in tools.values():
            Draft202012Validator.check_schema(tool["parameters"])
        calls = [call for turn in task.turns for call in turn.calls]
        if task.kind not in ("multi_turn", "irrelevance"):
            calls = parse_answer(task.answer)
        for call in calls:
            Draft202012Validator(tools[call.name]["parameters"]).validate(call.arguments)
        json.dumps(task.tools)


def test_the_categories_have_their_shape() -> None:
    for difficulty in DIFFICULTIES:
        for seed in range(30):
            count = {c: generate(c, difficulty, Random(seed)) for c in GENERATED_CATEGORIES}
            assert len(count["simple"].tools) == len(count["parallel"].tools) == 1
            assert len(count["multiple"].tools) > 2 and len(count["multiple"].possible) == 1
            assert 2 <= len(count["parallel"].possible) <= 4
            assert len({next(iter(p)) for p in count["parallel_multiple"].possible}) >= 2
            assert not count["irrelevance"].possible
            assert len(count["multi_turn"].turns) in {"easy": (2,), "medium": (3,), "hard": (5, 6)}[difficulty]


@pytest.mark.parametrize("seed", range(10))
def test_parallel_calls_may_come_in_any_order_and_notation(seed: int) -> None:
    env, _, _ = start("parallel", seed, "hard")
    calls = parse_answer(env.expert_action())
    code = ", ".join(f"{c.name}({', '.join(f'{k}={v!r}' for k, v in c.arguments.items())})" for c in reversed(calls))
    *_, info = env.step(f"[{code}]")
    assert info["metrics"]["accuracy"] == 1.0


def test_optional_parameters_of_which_nothing_is_said_may_have_their_default() -> None:
    seen = 0
    for seed in range(40):
        env, _, _ = start("simple", seed, "medium")
        (call,) = parse_answer(env.expert_action())
        (right,) = env.task.possible
        silent = {key: values[1] for key, values in right[call.name].items() if values[0] == "" and values[1] != ""}
        seen += len(silent)
        *_, info = env.step(Call(call.name, {**call.arguments, **silent}).to_json())
        assert info["metrics"]["accuracy"] == 1.0
    assert seen > 10


def test_irrelevance_is_any_text_without_a_call() -> None:
    for action, accuracy in [("none", 1.0), ("I can't.", 1.0), ("", 1.0), ('{"name": "f", "arguments": {}}', 0.0)]:
        env, _, _ = start("irrelevance", 3)
        *_, info = env.step(action)
        assert info["metrics"]["accuracy"] == accuracy


def test_a_needless_change_makes_a_turn_wrong_and_a_needless_look_does_not() -> None:
    for seed in range(30):
        env, _, info = start("multi_turn", seed)
        tools = {t["function"]["name"] for t in info["tools"]}
        if "add_todo" in tools and all(c.name != "add_todo" for c in env.task.turns[0].calls):
            break
    for extra, accuracy in [
        (Call("read_file", {"path": "no/such.txt"}), 1.0),
        (Call("add_todo", {"task": "sleep", "priority": "low"}), 0.0),
    ]:
        env.reset(seed=seed)
        first = env.expert_action()
        env.step(f"{first}\n{extra.to_json()}")
        over = False
        plan = [call.to_json() for call in env.task.turns[0].calls[1:]] + ["done"]
        for action in plan:
            *_, over, _, info = env.step(action)
        while not over:
            *_, over, _, info = env.step(env.expert_action())
        assert info["metrics"]["accuracy"] == accuracy


def test_a_hard_dialogue_may_lack_a_tool_for_a_while() -> None:
    for seed in range(20):
        env, messages, info = start("multi_turn", seed, "hard")
        added = [tool for turn in env.task.turns for tool in turn.added]
        if added:
            break
    assert added[0] not in info["tools"]
    over = False
    while not over:
        messages, _, over, _, info = env.step(env.expert_action())
    assert sum(added[0]["function"]["name"] in m["content"] for m in messages if "From now on" in m["content"]) == 1
    assert info["metrics"]["restraint"] == 1.0


@given(st.text(max_size=200) | st.binary(max_size=50).map(lambda b: b.decode("latin-1")), st.sampled_from(SINGLE))
def test_any_text_is_graded(action: str, category: str) -> None:
    env, _, _ = start(category, 5)
    _, reward, terminated, _, info = env.step(action)
    assert terminated
    assert reward == info["metrics"]["accuracy"] == float(category == "irrelevance" and not calls_in(action))


def calls_in(text: str) -> bool:
    try:
        return bool(parse_answer(text))
    except ValueError:
        return False


def test_a_message_that_is_too_long_can_be_made_again_in_a_dialogue_only() -> None:
    env, _, _ = start("multi_turn", 1)
    messages, _, terminated, _, _ = env.step("x" * 30_000)
    assert not terminated and "30000 characters" in messages[-1]["content"]
    env, _, _ = start("simple", 1)
    _, reward, terminated, _, info = env.step("x" * 30_000)
    assert terminated and reward == 0.0 == info["metrics"]["grounding"]
