"""TextWorldExpress: score, text, expert and repetition, on the real simulator."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import acenv

if reason := acenv.registry.missing("acenv/TextWorldExpress-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators.textworld_express import FIRST_SEED, GAMES, SEEDS

EVERY = [(game, difficulty) for game, settings in GAMES.items() for difficulty in settings]


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/TextWorldExpress-v0", **keywords).unwrapped


@pytest.fixture(scope="module", autouse=True)
def env() -> Iterator[Any]:
    """Java runs as long as one environment is open, so one is held for all tests."""
    held = make(game="cookingworld", difficulty="easy")
    held.reset(seed=0)
    pid = held.simulator.machine.process.pid
    yield held
    held.close()
    assert not os.path.exists(f"/proc/{pid}/cwd")


def play(env: Any) -> tuple[float, list[Any], dict[str, float]]:
    total, over = 0.0, False
    while not over:
        messages, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    return total, messages, info["metrics"]


def test_gymnasium_checks_pass() -> None:
    env = make(difficulty="easy", render_mode="ansi")
    check_env(env)
    env.close()


@pytest.mark.parametrize(("game", "difficulty"), EVERY)
def test_the_expert_wins(game: str, difficulty: str) -> None:
    for split in ("train", "test"):
        env = make(game=game, difficulty=difficulty, split=split)
        for seed in range(2):
            _, info = env.reset(seed=seed)
            assert info["labels"]["task"] == game
            total, messages, metrics = play(env)
            assert total == pytest.approx(1.0)
            assert metrics == {"success": 1.0, "progress": 1.0, "grounding": 1.0, "failed": 0.0}
            assert messages in env.observation_space
        env.close()


def test_mixed_draws_all_games_of_the_difficulty() -> None:
    for difficulty, count in (("easy", 6), ("medium", 8)):
        env = make(difficulty=difficulty)
        rng = np.random.default_rng(0)
        assert len({env.sample_task(rng).game for _ in range(200)}) == count


def test_the_seeds_are_the_simulators(env: Any) -> None:
    simulator = env.simulator
    assert set(simulator.strings("getGameNames")) == set(GAMES)
    for split, method in (("train", "getSeedsTrain"), ("test", "getSeedsTest")):
        seeds = simulator.call(method)
        assert seeds.size() == SEEDS
        assert seeds.get(0) == FIRST_SEED[split]  # type: ignore[index]


@pytest.mark.parametrize("game", sorted(GAMES))
def test_instances_stepped_in_turn_and_branches_agree(game: str) -> None:
    first, second = make(game=game), make(game=game)
    rng = random.Random(3)
    first.reset(seed=7)
    actions = []
    for _ in range(8):
        actions.append(rng.choice(["look around", "nonsense", "check valid actions", *first.valid_actions()]))
        if any(first.step(actions[-1])[2:4]):
            break
    alone = [dict(message) for message in first._running.messages]
    first.reset(seed=7)
    second.reset(seed=7)
    ends: Any = None
    for number, action in enumerate(actions):
        ends = first.step(action)
        if number == 0:
            middle = first.snapshot()
        assert second.step(action) == ends
    assert ends[0] == alone
    third = make(game=game)
    third.restore(middle)
    for action in actions[1:]:
        branched = third.step(action)
    if len(actions) > 1:
        assert branched == ends
    for env in (first, second, third):
        env.close()


def test_a_mistake_loses_the_game() -> None:
    env = make(game="simonsays")
    env.reset(seed=0)
    wrong = next(action for action in env.valid_actions() if action != env.expert_action())
    env.step(env.expert_action())
    wrong = next(action for action in env.valid_actions() if action != env.expert_action())
    _, reward, terminated, _, info = env.step(wrong)
    assert terminated
    assert reward == 0.0
    assert info["metrics"]["failed"] == 1.0
    assert 0.0 < info["metrics"]["progress"] < 1.0
    env.close()


def test_only_what_the_game_takes_is_grounded(env: Any) -> None:
    opening = env.reset(seed=0)[0][0]["content"]
    assert "cookbook" in opening
    env.step("sing a song")
    env.step("I look first.\nAction: TAKE COOKBOOK")
    messages, _, _, _, info = env.step("check valid actions")
    assert "read cookbook" in messages[-1]["content"]
    assert info["metrics"]["grounding"] == pytest.approx(2 / 3)


def test_wrong_settings_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="cookingworld, twc"):
        make(game="chess")
    with pytest.raises(ValueError, match="medium"):
        make(game="sorting", difficulty="easy")


def test_random_text_never_raises() -> None:
    rng = random.Random(0)
    env = make()
    env.reset(seed=0)
    env.action_space.seed(0)
    nasty: list[Any] = ["", "🙂" * 50, "[" * 5000, "\ud800", "x" * 1_000_000, None, "\x00", "a\nb", "e\\n", "٣", "-1"]
    for number in range(600):
        kind = number % 4
        if kind == 0:
            action = nasty[number // 4 % len(nasty)]
        elif kind == 1:
            action = env.action_space.sample()
        else:
            action = rng.choice(env.valid_actions()) + rng.choice(["", "", " now"])
        messages, reward, terminated, truncated, _ = env.step(action)
        assert messages in env.observation_space
        assert reward >= 0.0
        if terminated or truncated:
            env.reset(seed=number)
    env.close()
