from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from acenv.envs.world.engine import World
from acenv.envs.world.environment import HARD_GOALS, PUZZLES, PDDLEnv, say, understand
from acenv.types import Message

SETTINGS = list(itertools.product(("easy", "medium", "hard"), tuple(PUZZLES), ("train", "test")))


def follow(env: PDDLEnv) -> tuple[list[Message], float]:
    """Follow the expert to the end of the episode; the conversation and the sum of the rewards."""
    total, over = 0.0, False
    while not over:
        messages, reward, terminated, truncated, _ = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    return messages, total


def finish(env: PDDLEnv) -> float:
    """The sum of the rewards when the expert takes over."""
    return follow(env)[1]


def said(env: PDDLEnv, action: Any) -> str:
    """What the agent is told after an action."""
    return env.step(action)[0][-1]["content"]


def valid_actions(env: PDDLEnv) -> list[str]:
    world = World(PUZZLES[env.task.domain].domain, env.task.objects)
    return [say(world.domain, action) for action in world.applicable(env.state.facts)]


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.filterwarnings("ignore:.*render")
def test_check_env(difficulty: Any) -> None:
    check_env(PDDLEnv(difficulty=difficulty), skip_render_check=True)


@pytest.mark.parametrize(("difficulty", "domain", "split"), SETTINGS)
def test_the_expert_returns_exactly_one_and_starts_at_zero(difficulty: Any, domain: Any, split: Any) -> None:
    env = PDDLEnv(difficulty=difficulty, domain=domain, split=split)
    for seed in range(60):
        _, info = env.reset(seed=seed)
        assert info["metrics"]["progress"] == info["metrics"]["lost"] == 0.0
        assert not any(fact in env.task.init for fact in env.task.goal)
        assert finish(env) == 1.0
        detours = 4 if env.difficulty == "easy" else env.steps + 4
        assert env.steps + detours <= env.max_steps


@pytest.mark.parametrize(("difficulty", "domain"), sorted({(d, n) for d, n, _ in SETTINGS}))
def test_the_expert_recovers_from_wandering(difficulty: Any, domain: Any) -> None:
    env = PDDLEnv(difficulty=difficulty, domain=domain, max_steps=500)
    rng = np.random.default_rng(0)
    for seed in range(30):
        env.reset(seed=seed)
        total, over = 0.0, False
        for i in range(5):
            actions = valid_actions(env)
            _, reward, over, _, info = env.step(actions[int(rng.integers(len(actions)))])
            total += reward
            assert info["metrics"]["grounding"] == 1.0
            if over:
                break
            if i % 2:
                env.expert_action()  # asking changes nothing
        lost = env.state.lost
        assert not lost or (domain == "barman" and difficulty != "easy")
        total += 0.0 if over else finish(env)
        assert total == pytest.approx(env.state.best)
        assert (env.state.best < 1.0) == lost


@pytest.mark.parametrize(("difficulty", "domain"), sorted({(d, n) for d, n, _ in SETTINGS}))
def test_progress_is_a_running_maximum(difficulty: Any, domain: Any) -> None:
    env = PDDLEnv(difficulty=difficulty, domain=domain, max_steps=60)
    rng = np.random.default_rng(3)
    fell = 0
    for seed in range(10):
        env.reset(seed=seed)
        best, total, over = 0.0, 0.0, False
        while not over:
            actions = valid_actions(env)
            action = env.expert_action() if rng.random() < 0.5 else actions[int(rng.integers(len(actions)))]
            _, reward, terminated, truncated, info = env.step(action)
            share = sum(fact in env.state.facts for fact in env.task.goal) / len(env.task.goal)
            fell += share < best
            best, total, over = max(best, share), total + reward, terminated or truncated
            assert reward >= 0.0
            assert info["metrics"]["progress"] == best == pytest.approx(total)
            assert terminated == (share == 1.0) == bool(info["metrics"]["success"])
    assert fell or difficulty == "easy"


@pytest.mark.parametrize("domain", PUZZLES)
def test_easy_episodes_are_short(domain: Any) -> None:
    env = PDDLEnv(difficulty="easy", domain=domain)
    for seed in range(50):
        messages, _ = env.reset(seed=seed)
        assert len(messages) == 1
        assert len(messages[0]["content"].split()) <= 70
        messages, _ = follow(env)
        assert all(len(m["content"].split()) <= 25 for m in messages[2::2])


def test_every_listed_action_is_understood() -> None:
    for difficulty, domain, split in SETTINGS:
        env = PDDLEnv(difficulty=difficulty, domain=domain, split=split)
        env.reset(seed=5)
        start = env.snapshot()
        listed = said(env, "check").removeprefix("Valid actions: ").rstrip(".").split(", ")
        assert listed == valid_actions(env)
        for action in listed:
            env.restore(start)
            assert env.step(action)[4]["metrics"]["grounding"] == 1.0


WORDS = [
    "pick",
    "up",
    "stack",
    "on",
    "from",
    "left",
    "the",
    "Action:",
    "\n",
    "move",
    "to",
    "{x}",
    "red",
    "check",
    "🙂",
    "\ud800",
]


def test_no_text_raises() -> None:
    rng = np.random.default_rng(0)
    env = PDDLEnv(max_steps=10_000)
    env.action_space.seed(0)
    for i in range(2000):
        if i % 50 == 0:
            env.reset(seed=i)
        words = [WORDS[int(k)] for k in rng.integers(len(WORDS), size=int(rng.integers(8)))]
        text = " ".join(words) if i % 2 else env.action_space.sample()
        _, reward, terminated, _, _ = env.step(text)
        assert reward == 0.0
        assert not terminated


@pytest.mark.parametrize("domain", ["mixed", *PUZZLES])
def test_two_instances_stepped_in_turn_do_not_disturb_each_other(domain: Any) -> None:
    alone = []
    for seed in (11, 12):
        env = PDDLEnv(domain=domain)
        env.reset(seed=seed)
        alone.append(follow(env)[0])
    envs = [PDDLEnv(domain=domain) for _ in alone]
    together = [env.reset(seed=seed)[0] for env, seed in zip(envs, (11, 12), strict=True)]
    running = {0, 1}
    while running:
        for i in sorted(running):
            together[i], _, terminated, truncated, _ = envs[i].step(envs[i].expert_action())
            if terminated or truncated:
                running.remove(i)
    assert together == alone


@pytest.mark.parametrize("domain", PUZZLES)
def test_snapshots_branch_and_move_between_instances(domain: Any) -> None:
    env, other = PDDLEnv(domain=domain), PDDLEnv(domain=domain)
    env.reset(seed=4)
    env.step(env.expert_action())
    branch = env.snapshot()
    expected, limit = env.expert_action(), env.max_steps
    rest = finish(env)
    other.reset(seed=9)
    for target in (env, other, env):
        target.restore(branch)
        assert (target.steps, target.max_steps, target.expert_action()) == (1, limit, expected)
        target.step("check")
        assert finish(target) == rest


def test_the_seed_decides_the_domain_and_splits_share_no_problem() -> None:
    prints: dict[str, set[str]] = {"train": set(), "test": set()}
    for split, found in prints.items():
        env = PDDLEnv(difficulty="easy", split=split)  # type: ignore[arg-type]
        domains = set()
        for seed in range(300):
            env.reset(seed=seed)
            domains.add(env.task.domain)
            found.add(env.fingerprint(env.task))
        assert domains == set(PUZZLES)
        assert len(found) > 280
    assert not prints["train"] & prints["test"]


def test_limits_and_settings() -> None:
    env = PDDLEnv(max_steps=2)
    env.reset(seed=0)
    assert env.step("look")[3] is False
    assert env.step("look")[3] is True
    with pytest.raises(
        ValueError, match="domain must be one of mixed, gripper, blocksworld, barman, tyreworld, not 'tyres'"
    ):
        PDDLEnv(domain="tyres")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_steps must be at least 1"):
        PDDLEnv(max_steps=0)
    env = PDDLEnv()
    env.reset(seed=1)
    assert env.max_steps == 2 * len(env.state.plan) + 4
    finish(env)
    with pytest.raises(ResetNeeded, match="the goal is reached"):
        env.expert_action()


def test_labels_tell_domain_and_level() -> None:
    levels = set()
    for domain in PUZZLES:
        env = PDDLEnv(domain=domain, difficulty="hard")  # type: ignore[arg-type]
        for seed in range(5):
            labels = env.reset(seed=seed)[1]["labels"]
            assert labels == {"task": domain, "level": "hard" if len(env.task.goal) >= HARD_GOALS else "easy"}
            levels.add(labels["level"])
    assert levels == {"easy", "hard"}


@pytest.mark.parametrize(("difficulty", "domain"), sorted({(d, n) for d, n, _ in SETTINGS}))
def test_what_is_said_of_an_action_is_understood(difficulty: Any, domain: Any) -> None:
    env = PDDLEnv(difficulty=difficulty, domain=domain)
    for seed in range(5):
        env.reset(seed=seed)
        world = World(PUZZLES[domain].domain, env.task.objects)
        state = env.task.init
        for name, arguments in PUZZLES[domain].solve(env.task, state):
            action = world.ground(name, arguments)
            for other in world.applicable(state):
                assert understand(world, state, say(world.domain, other)) == other
            state = action.result(state)
