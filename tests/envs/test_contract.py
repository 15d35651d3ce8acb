"""What every environment promises, whatever it is about."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import acenv
from acenv.envs.base import MAX_ACTION_CHARS, PATIENCE
from acenv.registry import SIMULATORS

# Environments on simulators have a contract test of their own, which skips what is not installed.
ENV_IDS = [env_id for env_id in acenv.env_ids() if env_id not in SIMULATORS]
DIFFICULTIES = ("easy", "medium", "hard")


def make(env_id: str, **keywords: Any) -> Any:
    return gymnasium.make(env_id, **keywords).unwrapped


def expert_rollout(env: Any, seed: int) -> tuple[float, list[Any], dict[str, float]]:
    messages, info = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        messages, reward, terminated, truncated, info = env.step(env.expert_action())
        total += reward
        over = terminated or truncated
    return total, messages, info["metrics"]


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_gymnasium_checks_pass(env_id: str) -> None:
    check_env(make(env_id, difficulty="easy", render_mode="ansi"))


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_the_expert_solves_every_task(env_id: str, split: str, difficulty: str) -> None:
    env = make(env_id, split=split, difficulty=difficulty)
    for seed in range(10):
        total, messages, metrics = expert_rollout(env, seed)
        assert total == pytest.approx(1.0, abs=1e-9)
        assert metrics["success"] == metrics["progress"] == metrics["grounding"] == 1.0
        assert messages in env.observation_space


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_two_instances_stepped_in_turn_do_not_disturb_each_other(env_id: str) -> None:
    alone = [expert_rollout(make(env_id, difficulty="easy"), seed)[1] for seed in (3, 4)]
    first, second = make(env_id, difficulty="easy"), make(env_id, difficulty="easy")
    ends: list[Any] = [first.reset(seed=3)[0], second.reset(seed=4)[0]]
    running = {0: first, 1: second}
    while running:
        for number, env in list(running.items()):
            ends[number], _, terminated, truncated, _ = env.step(env.expert_action())
            if terminated or truncated:
                del running[number]
    assert ends == alone


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_a_snapshot_gives_the_same_continuation_any_number_of_times(env_id: str) -> None:
    env = make(env_id, difficulty="medium")
    env.reset(seed=1)
    env.step("nonsense")
    if env._running.over:  # One-message environments: branch at the start.
        env.reset(seed=1)
    before = env.snapshot()

    def go_on() -> tuple[list[Any], float]:
        messages, total, over = env.restore(before), 0.0, False
        while not over:
            messages, reward, terminated, truncated, _ = env.step(env.expert_action())
            total, over = total + reward, terminated or truncated
        env.reset()  # What happens after the branch must not reach into the snapshot.
        return messages, total

    first = go_on()
    assert go_on() == first
    with pytest.raises(ValueError, match="snapshot of"):
        make(next(i for i in ENV_IDS if i != env_id)).restore(before)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_train_and_test_share_no_task(env_id: str) -> None:
    tasks: dict[str, set[str]] = {}
    for split in ("train", "test"):
        env = make(env_id, split=split, difficulty="easy")
        tasks[split] = set()
        for seed in range(60):
            env.reset(seed=seed)
            tasks[split].add(env.fingerprint(env.task))
    assert not tasks["train"] & tasks["test"]
    assert len(tasks["test"]) > 30


def test_easy_episodes_end_when_the_agent_is_stuck_and_others_go_on() -> None:
    for env_id in ("acenv/ToolSandbox-v0", "acenv/PDDL-v0", "acenv/WorkflowFunctionCall-v0"):
        for difficulty, steps in (("easy", PATIENCE), ("medium", PATIENCE + 1)):
            env = make(env_id, difficulty=difficulty)
            env.reset(seed=0)
            ends = [any(env.step("nonsense")[2:4]) for _ in range(steps)]
            assert ends == [False] * (steps - 1) + [difficulty == "easy"]
        env = make(env_id, difficulty="easy")  # One good action in between, and the count starts anew.
        env.reset(seed=1)
        start = env.snapshot()
        assert not any(any(env.step("nonsense")[2:4]) for _ in range(PATIENCE - 1))
        assert env.restore(start)[-1]["role"] == "user"
        assert not any(any(env.step("nonsense")[2:4]) for _ in range(PATIENCE - 1))


NASTY: list[Any] = [
    "",
    " ",
    "🙂" * 50,
    '{"name": "finish", "arguments": {',
    '{"name": null}',
    "[" * 5000,
    "{" * 5000,
    "lone \ud800 surrogate",
    "Node:\n" + "1: a\n" * 500 + "Edge: (1,1)",
    "a" * (MAX_ACTION_CHARS + 1),
    "x" * 10_000_000,
    None,
    7,
    b"bytes",
    "\x00\x1b[31m",
    "NaN",
    '{"name": "finish", "arguments": {"answer": 1e999}}',
]


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_no_action_raises(env_id: str) -> None:
    env = make(env_id, difficulty="easy")
    rng = np.random.default_rng(0)
    env.action_space.seed(0)
    env.reset(seed=0)
    actions = NASTY + [env.action_space.sample() for _ in range(400)]
    for action in actions:
        messages, reward, terminated, truncated, info = env.step(action)
        assert messages in env.observation_space
        assert np.isfinite(reward)
        for message in messages:
            message["content"].encode()
        if terminated or truncated:
            env.reset(seed=int(rng.integers(1000)))


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_changing_an_observation_does_not_change_the_episode(env_id: str) -> None:
    env = make(env_id, difficulty="easy")
    messages, info = env.reset(seed=0)
    before = [dict(m) for m in messages]
    messages[0]["content"] = "hacked"
    messages.clear()
    info["tools"].clear()
    assert env.restore(env.snapshot()) == before


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_steps_out_of_order_are_refused(env_id: str) -> None:
    env = make(env_id, difficulty="easy")
    with pytest.raises(ResetNeeded):
        env.step("x")
    expert_rollout(env, 0)
    with pytest.raises(ResetNeeded, match="over"):
        env.step("x")


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_wrong_settings_are_refused_with_the_choices(env_id: str) -> None:
    with pytest.raises(ValueError, match="easy, medium, hard"):
        make(env_id, difficulty="trivial")
    with pytest.raises(ValueError, match="train, test"):
        make(env_id, split="validation")
    with pytest.raises(ValueError, match="index"):
        make(env_id).reset(options={"index": 3})


def test_the_global_generators_are_left_alone() -> None:
    import random

    for env_id in ENV_IDS:
        random.seed(1)
        np.random.seed(1)
        before = (random.getstate(), np.random.get_state()[1].tolist())  # type: ignore[union-attr,index]
        expert_rollout(make(env_id, difficulty="easy"), 0)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[union-attr,index]
