"""What every environment on a simulator promises; those whose simulator is not installed are skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import acenv
from acenv.registry import SIMULATORS, missing

Make = Callable[..., Any]

NASTY: list[Any] = [
    "",
    " ",
    "🙂" * 50,
    "lone \ud800 surrogate",
    "x" * 1_000_000,
    None,
    7,
    "\x00\x1b[31m",
    "open\nquit",
    "[[[",
    "0",
]
WITHOUT_EXPERT = "acenv/MiniWoB-v0"
"""Most of its tasks have no expert; the tests of its own are about those that have."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game for the Z-machine, as a user would give one."""
    env = gymnasium.make("acenv/TextWorld-v0", difficulty="easy", games=1).unwrapped
    env.reset(seed=0)
    return Path(env.task.story)


@pytest.fixture(params=sorted(SIMULATORS))
def make(request: pytest.FixtureRequest) -> Any:
    """Makes environments of one id, which are closed after the test."""
    env_id = request.param
    if reason := missing(env_id):
        pytest.skip(reason)
    keywords: dict[str, Any] = {}
    if env_id == "acenv/Jericho-v0":
        if reason := missing("acenv/TextWorld-v0"):
            pytest.skip(f"the game is made by TextWorld: {reason}")
        keywords["game"] = str(request.getfixturevalue("story"))
    if env_id == "acenv/TextWorld-v0":
        keywords["games"] = 2
    made: list[Any] = []

    def make_one(**more: Any) -> Any:
        env = gymnasium.make(env_id, **({"difficulty": "easy"} | keywords | more)).unwrapped
        made.append(env)
        return env

    make_one.env_id = env_id  # type: ignore[attr-defined]
    yield make_one
    for env in made:
        env.close()


def play(env: Any, seed: int, commands: list[str]) -> list[Any]:
    messages, _ = env.reset(seed=seed)
    for command in commands:
        messages, _, terminated, truncated, _ = env.step(command)
        if terminated or truncated:
            break
    return list(messages)


def test_gymnasium_checks_pass(make: Make) -> None:
    check_env(make(render_mode="ansi"), skip_render_check=True)


def test_the_same_seed_is_the_same_episode_and_instances_do_not_disturb_each_other(make: Make) -> None:
    commands = ["look", "check valid actions", "inventory", "go forward"]
    alone = [play(make(), seed, commands) for seed in (3, 4)]
    envs = [make(), make()]
    ends = [env.reset(seed=seed)[0] for env, seed in zip(envs, (3, 4), strict=True)]
    running = {0, 1}
    for command in commands:
        for number in sorted(running):
            ends[number], _, terminated, truncated, _ = envs[number].step(command)
            if terminated or truncated:
                running.discard(number)
    assert ends == alone


def test_a_snapshot_can_be_gone_back_to_or_is_refused(make: Make) -> None:
    env = make()
    env.reset(seed=1)
    env.step("look")
    if not env.branches:
        with pytest.raises(NotImplementedError, match="cannot be branched"):
            env.snapshot()
        return
    before = env.snapshot()
    ends = []
    for branch in (env, env, make()):
        branch.restore(before)
        for command in ("inventory", "check", "look"):
            messages, _, terminated, truncated, _ = branch.step(command)
            if terminated or truncated:
                break
        ends.append(messages)
    assert ends[0] == ends[1] == ends[2]


def test_the_expert_solves_what_it_meets(make: Make) -> None:
    env = make()
    if env.env_id == WITHOUT_EXPERT:
        pytest.skip("few of its tasks have an expert")
    for seed in range(3):
        env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, info = env.step(env.expert_action())
            total, over = total + reward, terminated or truncated
        assert total == pytest.approx(1.0)
        assert info["metrics"]["success"] == info["metrics"]["grounding"] == 1.0


def test_no_action_raises(make: Make) -> None:
    env = make(max_steps=200)
    env.action_space.seed(0)
    env.reset(seed=0)
    for action in NASTY + [env.action_space.sample() for _ in range(40)]:
        messages, _, terminated, truncated, _ = env.step(action)
        assert messages in env.observation_space
        for message in messages:
            message["content"].encode()
        if terminated or truncated:
            env.reset(seed=1)


def test_steps_out_of_order_are_refused_and_close_can_come_twice(make: Make) -> None:
    env = make()
    with pytest.raises(ResetNeeded):
        env.step("look")
    env.close()
    env.reset(seed=0)  # Whoever closes too early can go on: the simulator starts again.
    env.close()
    env.close()


def test_an_evaluation_gives_labels_and_agentboards_metrics(make: Make) -> None:
    env_id = make.env_id  # type: ignore[attr-defined]
    env = make()
    keywords = {"difficulty": "easy", "max_steps": 5}
    if env_id == "acenv/Jericho-v0":
        keywords["game"] = str(env.game)
    results = acenv.evaluate(env_id, "random", range(2), env_kwargs=keywords, slots=2)
    assert not results.errors
    for episode in results.episodes:
        assert episode.labels["task"] and episode.labels["level"] in ("easy", "hard")
        assert {"progress", "success", "grounding"} <= episode.metrics.keys()
