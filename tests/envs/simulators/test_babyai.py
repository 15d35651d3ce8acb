"""BabyAI: text, errands, expert and progress, on the real simulator."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import acenv

if reason := acenv.registry.missing("acenv/BabyAI-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators import babyai_levels as levels
from acenv.envs.simulators.babyai_commands import MOVES
from acenv.envs.simulators.babyai_view import SIZE, view_cells


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/BabyAI-v0", **keywords).unwrapped


def follow_expert(env: Any) -> tuple[float, dict[str, float]]:
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    return total, info["metrics"]


def said(env: Any) -> str:
    return env.restore(env.snapshot())[-1]["content"]


def test_all_levels_of_the_simulator_have_a_place() -> None:
    import minigrid  # noqa: F401

    registered = {levels.level_name(name) for name in gymnasium.registry if name.startswith("BabyAI-")}
    assert registered == set(levels.NAMES)
    assert len(levels.NAMES) == 96
    assert all(levels.level_id(name) in gymnasium.registry for name in levels.NAMES)


def test_gymnasium_checks_pass() -> None:
    check_env(make(level="GoToLocal", render_mode="ansi"))


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_expert_solves_mixed_levels(difficulty: str, split: str) -> None:
    env = make(difficulty=difficulty, split=split)
    for seed in range(6):
        _, info = env.reset(seed=seed)
        assert info["labels"]["task"] in levels.LEVELS[difficulty]
        total, metrics = follow_expert(env)
        assert total == pytest.approx(1.0)
        assert metrics["success"] == metrics["grounding"] == 1.0
        assert metrics["reward"] > 0


@pytest.mark.parametrize("level", ["PutNextS5N2Carrying", "KeyInBox", "UnlockToUnlock"])
def test_the_expert_solves_levels_that_the_bot_alone_does_not(level: str) -> None:
    env = make(level=level)
    for seed in range(3):
        env.reset(seed=seed)
        assert follow_expert(env)[0] == pytest.approx(1.0)


def test_the_expert_finds_back_from_detours() -> None:
    rng = random.Random(0)
    for level in ("GoToObjMazeS4", "UnlockPickup", "MiniBossLevel", "PutNextS4N1"):
        env = make(level=level)
        for seed in range(3):
            env.reset(seed=seed)
            total, over = 0.0, False
            for _ in range(8):
                actions = [action for action in env.valid_actions() if "toggle" not in action]
                _, reward, terminated, truncated, info = env.step(rng.choice(actions))
                total, over = total + reward, terminated or truncated
                if over:
                    break
            if not over:
                total += follow_expert(env)[0]
            assert total == pytest.approx(1.0)


def test_what_is_seen_is_what_the_simulator_shows() -> None:
    rng = np.random.default_rng(0)
    for level in ("GoToObjMazeS5", "BossLevel", "KeyCorridorS3R2"):
        env = make(level=level)
        env.reset(seed=1)
        game, explorer = env._explorer.level, env._explorer
        for _ in range(150):
            grid, mask = game.gen_obs_grid()
            explorer.known.clear()
            explorer.look()
            x, y = (int(v) for v in game.agent_pos)
            rows = view_cells(game.grid.width, game.grid.height, x, y, game.agent_dir)
            expected = {
                rows[SIZE - 1 - j][i]
                for i in range(SIZE)
                for j in range(SIZE)
                if mask[i, j] and rows[SIZE - 1 - j][i] >= 0
            }
            assert explorer.known == expected
            if any(game.step(int(rng.integers(6)))[2:4]):
                break


def test_same_seed_same_transcript_with_two_instances_in_turn(capfd: pytest.CaptureFixture[str]) -> None:
    def run(seeds: list[int]) -> list[Any]:
        envs = [make(level="GoToSeq") for _ in seeds]
        ends = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
        for _ in range(15):
            for number, env in enumerate(envs):
                ends[number] = env.step(env.expert_action())[0]
        return ends

    assert run([1, 2]) == [*run([1]), *run([2])]
    assert capfd.readouterr().out == ""  # The simulator's own messages on rejected mazes.


def test_a_snapshot_continues_the_same_way() -> None:
    env = make(level="UnlockPickup")
    env.reset(seed=0)
    for action in ("turn left", "go to box", *(env.expert_action() for _ in range(1))):
        env.step(action)
    snapshot = env.snapshot()
    first = follow_expert(env)
    env.reset(seed=5)
    other = make(level="UnlockPickup")
    assert other.restore(snapshot) == env.restore(snapshot)
    assert follow_expert(env)[0] == follow_expert(other)[0] == first[0]


def test_errands_use_only_what_was_seen() -> None:
    env = make(level="OpenRedDoor")
    env.reset(seed=0)
    env.step("go to green ball 7")
    assert "You have seen nothing that is called green ball 7" in said(env)
    while "red door 1" not in said(env):
        env.step("turn left")
    before = env._explorer.level.step_count
    _, _, _, _, info = env.step("Action: go through the red door 1")
    assert "closed" in said(env)
    assert env._explorer.level.step_count == before
    _, reward, terminated, _, info = env.step("open red door")
    assert terminated
    assert reward == 1.0
    assert info["metrics"]["moves"] > before


def test_useless_moves_say_why_and_do_not_count_as_grounded() -> None:
    env = make(level="GoToObjMaze")
    env.reset(seed=0)
    for action, answer in (
        ("drop", "you carry nothing"),
        ("pick up", "nothing to pick up"),
        ("toggle", "no door and no box"),
        ("dance", "This is no command"),
    ):
        _, reward, _, _, info = env.step(action)
        assert answer in said(env)
        assert reward == 0
    assert info["metrics"]["grounding"] == 0
    env.step("check valid actions")
    assert "turn left, turn right" in said(env)


def test_every_valid_action_can_be_carried_out() -> None:
    rng = random.Random(1)
    for level in ("Pickup", "UnlockPickupDist", "OneRoomS8"):
        env = make(level=level)
        env.reset(seed=2)
        for _ in range(25):
            _, _, terminated, truncated, info = env.step(rng.choice(env.valid_actions()))
            assert info["metrics"]["grounding"] == 1.0
            if terminated or truncated:
                break


def test_progress_is_the_share_of_the_missions_parts() -> None:
    env = make(level="MoveTwoAcrossS5N2")
    _, info = env.reset(seed=0)
    assert info["labels"]["level"] == "hard"
    seen, over = [0.0], False
    while not over:
        _, _, terminated, truncated, info = env.step(env.expert_action())
        over = terminated or truncated
        seen.append(info["metrics"]["progress"])
    assert sorted(set(seen)) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert seen == sorted(seen)


def test_a_strict_level_fails_for_good() -> None:
    env = make(level="OpenDoorsOrderN2Debug", split="train")
    outcomes = set()
    for seed in range(8):
        env.reset(seed=seed)
        total, metrics = follow_expert(env)
        outcomes.add((total, metrics["failed"]))
    assert outcomes == {(1.0, 0.0), (0.5, 1.0)}


def test_ten_thousand_actions_raise_nothing() -> None:
    rng = random.Random(0)
    env = make(level="BossLevel", max_steps=500)
    env.action_space.seed(0)
    env.reset(seed=0)
    words = [
        *MOVES,
        "go to",
        "red",
        "ball",
        "key",
        "door",
        "1",
        "2",
        "box",
        "the",
        "\ud800",
        "🙂",
        "toggle and go through",
    ]
    for number in range(10_000):
        if number % 20 == 0:
            action: Any = env.action_space.sample()
        elif number % 50 == 1:
            action = rng.choice([None, 7, "", "x" * 30_000, "go to " * 40])
        else:
            action = " ".join(rng.choice(words) for _ in range(rng.randint(1, 5)))
        if any(env.step(action)[2:4]):
            env.reset(seed=number)


def test_train_and_test_share_no_mission() -> None:
    contents = {}
    for split in ("train", "test"):
        env = make(level="GoToObjS4", split=split)
        contents[split] = set()
        for seed in range(60):
            env.reset(seed=seed)
            contents[split].add(env.fingerprint(env.task))
    assert not contents["train"] & contents["test"]


def test_the_levels_own_limit_cuts_an_episode() -> None:
    env = make(level="GoToObjS4")
    env.reset(seed=0)
    limit = env.max_steps
    ends = [env.step("check valid actions")[2:4] for _ in range(limit)]
    assert ends == [(False, False)] * (limit - 1) + [(False, True)]


def test_unknown_levels_are_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="GoToLocal"):
        make(level="GoToLocl")
