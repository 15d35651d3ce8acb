"""What every environment promises, whatever it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import pytest

import acenv
from acenv.envs.base import PATIENCE
from acenv.registry import SIMULATORS
from acenv.testing import ENV_CHECKS

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


@pytest.mark.parametrize("check", ENV_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_the_contract_is_kept(env_id: str, check: Callable[[Callable[[], Any]], None]) -> None:
    check(lambda: make(env_id, difficulty="easy", render_mode="ansi"))


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


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_wrong_settings_are_refused_with_the_choices(env_id: str) -> None:
    with pytest.raises(ValueError, match="easy, medium, hard"):
        make(env_id, difficulty="trivial")
    with pytest.raises(ValueError, match="train, test"):
        make(env_id, split="validation")
    with pytest.raises(ValueError, match="index"):
        make(env_id).reset(options={"index": 3})
