from __future__ import annotations

import json
import random
import warnings
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import acenv  # noqa: F401  (registers the environments)
from acenv.envs.tools.calls import Call
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.sandbox import ToolSandboxEnv

DIFFICULTIES = ("easy", "medium", "hard")


def make(difficulty: str = "medium", **keywords: Any) -> ToolSandboxEnv:
    return ToolSandboxEnv(difficulty=difficulty, **keywords)  # type: ignore[arg-type]


def play(env: ToolSandboxEnv, seed: int) -> tuple[float, bool, list[dict[str, str]], dict[str, float]]:
    env.reset(seed=seed)
    total, over, terminated, info = 0.0, False, False, {}
    observation: list[dict[str, str]] = []
    while not over:
        observation, reward, terminated, truncated, info = env.step(env.expert_action())  # type: ignore[assignment]
        total, over = total + reward, terminated or truncated
    return total, terminated, observation, info["metrics"]


def call(name: str, /, **arguments: Any) -> str:
    return Call(name, arguments).to_json()


def seed_for(env: ToolSandboxEnv, *tools: str, answer: bool | None = None) -> int:
    """The first seed whose solution uses just these tools."""
    for seed in range(2000):
        env.reset(seed=seed)
        names = [s.call.name for s in env.task.steps]
        if names == list(tools) and (answer is None or answer == (env.task.answer is not None)):
            return seed
    raise AssertionError(f"no task with {tools}")


def test_gymnasium_accepts_it() -> None:
    env = gymnasium.make("acenv/ToolSandbox-v0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_oracle_is_perfect(difficulty: str, split: str) -> None:
    env = make(difficulty, split=split)
    for seed in range(300):
        total, terminated, _, metrics = play(env, seed)
        assert total == 1.0 and terminated, f"seed {seed}: {total}"
        assert metrics["success"] == metrics["call_recall"] == metrics["call_precision"] == metrics["grounding"] == 1.0


@pytest.mark.parametrize(
    ("difficulty", "calls", "tools"),
    [("easy", (1, 2), (3, 4)), ("medium", (3, 5), (8, 12)), ("hard", (5, 9), (15, 20))],
)
def test_difficulties_are_as_described(difficulty: str, calls: tuple[int, int], tools: tuple[int, int]) -> None:
    env = make(difficulty)
    for seed in range(200):
        observation, info = env.reset(seed=seed)
        assert calls[0] <= len(env.task.steps) <= calls[1]
        assert tools[0] <= len(info["tools"]) - 1 <= tools[1]
        assert info["tools"][-1]["function"]["name"] == "finish"
        assert len(set(env.task.tools)) == len(env.task.tools)
        assert env.max_steps >= 2 * len(env.task.steps) + 2
        if difficulty == "easy":
            assert sum(len(m["content"].split()) for m in observation) <= 60


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_finishing_at_once_gives_nothing(difficulty: str) -> None:
    env = make(difficulty)
    for seed in range(100):
        env.reset(seed=seed)
        _, reward, terminated, _, info = env.step(call("finish", answer="none"))
        assert terminated and reward == 0.0 and info["metrics"]["success"] == 0.0


def test_train_and_test_have_no_request_in_common() -> None:
    requests = {}
    for split in ("train", "test"):
        env = make("easy", split=split)
        requests[split] = set()
        for seed in range(400):
            env.reset(seed=seed)
            requests[split].add(env.task.request)
    assert not requests["train"] & requests["test"]
    assert len(requests["train"]) > 390


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_two_instances_stepped_in_turn_say_the_same(difficulty: str) -> None:
    first, second = make(difficulty), make(difficulty)
    for seed in (3, 4):
        a, b = first.reset(seed=seed), second.reset(seed=seed)
        assert a == b
        over = False
        while not over:
            x, y = first.step(first.expert_action()), second.step(second.expert_action())
            assert x == y
            over = x[2] or x[3]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_snapshots_branch(difficulty: str) -> None:
    env, other = make(difficulty), make(difficulty)
    env.reset(seed=5)
    env.step(env.expert_action())
    snapshot = env.snapshot()
    endings = []
    for target in (env, other, env):
        target.restore(snapshot)
        # Vandalism in one branch must not show in another.
        for tables in target.state.world.tables.values():
            assert "vandal" not in tables
        over, trace = False, []
        while not over:
            trace.append(target.step(target.expert_action()))
            over = trace[-1][2] or trace[-1][3]
        endings.append(trace)
        for tables in target.state.world.tables.values():
            tables["vandal"] = {"x": 1}
    assert endings[0] == endings[1] == endings[2]


def test_rewards_sum_to_the_score_and_damage_costs() -> None:
    env = make("easy")
    env.reset(seed=seed_for(env, "send_message"))
    to, text = (env.task.steps[0].call.arguments[k] for k in ("to", "text"))
    total = env.step(call("send_message", to=to, text="something else"))[1]
    assert 0 < total < 0.5
    assert env.expert_action() == call("send_message", to=to, text=text)
    total += env.step(env.expert_action())[1]
    assert 0.5 < total < 1.0
    _, reward, _, _, info = env.step(call("send_message", to=to, text=text))
    assert reward < 0
    total += reward
    assert env.expert_action() == call("finish")
    _, reward, terminated, _, info = env.step(env.expert_action())
    assert terminated and info["metrics"]["progress"] == total + reward < 1.0
    assert info["metrics"]["success"] == 0.0


def test_a_change_that_rests_on_nothing_read_does_not_count() -> None:
    env = make("easy")
    env.reset(seed=seed_for(env, "get_contact", "send_message"))
    read, send = env.task.steps
    env.step(send.call.to_json())
    assert env.expert_action() == read.call.to_json()
    env.step(env.expert_action())
    assert env.expert_action() == call("finish")
    metrics = env.step(env.expert_action())[4]["metrics"]
    assert metrics["state_score"] == 1.0 and metrics["call_recall"] == 0.5 and metrics["success"] == 0.0


def test_another_reading_with_the_same_facts_counts() -> None:
    env = make("medium")
    for seed in range(200):
        env.reset(seed=seed)
        step = env.task.steps[0]
        if step.call.name == "search_items":
            env.step(call("search_items", word=""))
            assert env.state.counted[0]
            return
    raise AssertionError("no such task")


def test_answers_are_compared_by_meaning() -> None:
    env = make("easy")
    seed = seed_for(env, "get_balance", answer=True)
    for form, right in (("{}", 1.0), ("It is {}.0 now.", 1.0), ("{} or 7", 0.0), ("", 0.0)):
        env.reset(seed=seed)
        env.step(env.expert_action())
        metrics = env.step(call("finish", answer=form.format(env.task.answer)))[4]["metrics"]
        assert metrics["answer_correct"] == metrics["success"] == right


def test_errors_are_observations_and_are_counted() -> None:
    env = make("easy", max_steps=20)
    env.patience = None
    env.reset(seed=seed_for(env, "get_balance", answer=True))
    said = []
    for action in ("hello", call("no_such_tool"), call("get_balance", account=3), call("get_balance", account="x")):
        observation, reward, terminated, truncated, info = env.step(action)
        assert reward == 0 and not terminated and not truncated
        said.append(json.loads(observation[-1]["content"])["error"])
    assert (
        '"name"' in said[0]
        and "The tools are" in said[1]
        and "not of type 'string'" in said[2]
        and "no account" in said[3]
    )
    assert {k: v for k, v in info["metrics"].items() if k.endswith("_errors")} == {
        "parse_errors": 1.0,
        "schema_errors": 2.0,
        "tool_errors": 1.0,
    }
    assert env.step(env.expert_action())[4]["metrics"]["grounding"] == 0.2


def test_several_calls_in_a_message_run_in_order() -> None:
    env = make("easy")
    env.reset(seed=seed_for(env, "read_file", "send_message"))
    text = "\n".join(step.call.to_json() for step in env.task.steps)
    observation, reward, terminated, _, _ = env.step(text + call("finish") + call("delete_file", path="x"))
    assert reward == 1.0 and terminated


def test_tools_that_are_not_on_offer_do_nothing() -> None:
    env = make("easy")
    env.reset(seed=1)
    missing = next(name for name in TOOLS if name not in env.task.tools)
    observation = env.step(call(missing))[0]
    assert "no tool named" in observation[-1]["content"]


def _hostile_actions(r: random.Random) -> list[str]:
    names = [*TOOLS, "finish", "__class__", "../x", ""]
    values: list[Any] = [
        "../../etc/passwd",
        "'; DROP TABLE contacts; --",
        "x" * 3000,
        "\x00\u202e🙂",
        10**40,
        -1,
        1.5,
        None,
        True,
        [],
        {"a": {"b": []}},
        "{{7*7}}",
        "Monday",
        "12:00",
    ]
    actions = [
        "",
        "{" * 20_000,
        "x" * 10_000_000,
        "\ud800",
        '{"name": "finish", "arguments": {"answer": 3}}',
        "[" * 5000,
    ]
    for _ in range(60):
        name = r.choice(names)
        keys = list(TOOLS[name].schema["function"]["parameters"]["properties"]) if name in TOOLS else ["answer", "x"]
        text = json.dumps({"name": name, "arguments": {k: r.choice(values) for k in keys if r.random() < 0.9}})
        actions.append(text if r.random() < 0.8 else text[: r.randrange(len(text))])
    return actions


def test_five_thousand_hostile_actions_raise_nothing() -> None:
    r = random.Random(0)
    envs = [make(difficulty, max_steps=100) for difficulty in DIFFICULTIES]
    bystander = make("medium")
    before = bystander.reset(seed=9)[0]
    world = bystander.state.world.copy()
    steps = seed = 0
    actions = _hostile_actions(r)
    while steps < 5000:
        env = r.choice(envs)
        env.reset(seed=seed)
        seed += 1
        total, over = 0.0, False
        while not over:
            action = env.action_space.sample() if r.random() < 0.2 else r.choice(actions)
            if r.random() < 0.2:
                action = env.expert_action()
            observation, reward, terminated, truncated, info = env.step(action)
            "".join(m["content"] for m in observation).encode()
            total, steps, over = total + reward, steps + 1, terminated or truncated
            assert -1e-9 <= total <= 1.0 and total == info["metrics"]["progress"]
        if seed % 50 == 0:
            actions = _hostile_actions(r)
    assert bystander.state.world == world
    assert play(bystander, 9)[2][: len(before)] == before
    assert play(bystander, 9)[0] == 1.0


@given(st.integers(0, 10_000), st.sampled_from(DIFFICULTIES), st.data())
@settings(max_examples=40, deadline=None)
def test_the_expert_recovers_from_anything(seed: int, difficulty: str, data: st.DataObject) -> None:
    env = make(difficulty, max_steps=60)
    env.patience = None
    env.reset(seed=seed)
    actions = _hostile_actions(random.Random(seed))
    clean = True
    for _ in range(data.draw(st.integers(0, 6))):
        action = data.draw(st.sampled_from(actions))
        _, _, terminated, _, info = env.step(action)
        clean = clean and not env.state.stray
        if terminated:
            return
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(env.expert_action())
        over = terminated or truncated
    assert terminated
    if clean:
        assert info["metrics"]["success"] == 1.0


def test_settings_are_checked() -> None:
    for keywords in ({"difficulty": "trivial"}, {"split": "dev"}, {"max_steps": 0}):
        with pytest.raises(ValueError, match="must be"):
            ToolSandboxEnv(**keywords)  # type: ignore[arg-type]
