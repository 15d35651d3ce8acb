"""ScienceWorld: score, text, expert and repetition, on the real simulator."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import acenv

if reason := acenv.registry.missing("acenv/ScienceWorld-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators import java
from acenv.envs.simulators import scienceworld_tasks as tasks

QUICK = ("find-non-living-thing", "lifespan-shortest-lived", "identify-life-stages-2", "power-component")
EVERY = tuple(tasks.TASKS) if os.environ.get("ACENV_EVERY_TASK") else QUICK
"""All 30 tasks take some minutes."""


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/ScienceWorld-v0", **keywords).unwrapped


@pytest.fixture(scope="module", autouse=True)
def env() -> Iterator[Any]:
    """Java runs as long as one environment is open, so one is held for all tests."""
    held = make(task="lifespan-longest-lived", difficulty="easy")
    held.reset(seed=0)
    pid = held.simulator.machine.process.pid
    yield held
    held.close()
    assert not os.path.exists(f"/proc/{pid}/cwd")


def said(env: Any) -> str:
    return str(env._running.messages[-1]["content"])


def play(env: Any, seed: int) -> tuple[float, list[Any], dict[str, float]]:
    _, info = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        messages, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    return total, messages, info["metrics"]


def test_gymnasium_checks_pass() -> None:
    env = make(task="lifespan-longest-lived", difficulty="easy", render_mode="ansi")
    check_env(env)
    env.close()


def test_the_tasks_and_splits_are_the_simulators(env: Any) -> None:
    simulator = env.simulator
    assert set(simulator.strings("getTaskNames")) == set(tasks.TASKS)
    assert sum(facts.variations for facts in tasks.TASKS.values()) == 7207
    for name, facts in tasks.TASKS.items():
        assert simulator.call("getTaskMaxVariations", name) == facts.variations
    for name in ("boil", "identify-life-stages-1", "inclined-plane-friction-named-surfaces"):
        simulator.call("load", name, 0, "", False)
        for split, method in (("train", "getVariationsTrain"), ("test", "getVariationsTest")):
            assert simulator.call(method).toString() == str(list(tasks.variations(name, split)))
    for name in tasks.TASKS:
        assert not set(tasks.variations(name, "train")) & set(tasks.variations(name, "test"))


@pytest.mark.parametrize("task", EVERY)
def test_the_expert_solves_tasks(task: str) -> None:
    env = make(task=task)
    total, messages, metrics = play(env, 1)
    assert total == pytest.approx(1.0)
    assert metrics["success"] == metrics["progress"] == metrics["grounding"] == 1.0
    assert metrics["failed"] == 0.0
    assert metrics["subgoals"] > 0.5  # Some are optional.
    assert messages in env.observation_space
    env.close()


def test_two_instances_stepped_in_turn_do_not_disturb_each_other() -> None:
    actions = ["open door", "look around", "check valid actions", "0", "wait", "teleport to outside", "look around"]
    envs = [make(task=name, difficulty="easy") for name in ("find-animal", "use-thermometer", "find-animal")]

    def run(env: Any, seed: int) -> Iterator[list[Any]]:
        yield env.reset(seed=seed)[0]
        for action in actions:
            yield env.step(action)[0]

    alone = [list(run(env, 3)) for env in envs[:2]]
    in_turn = list(zip(*(run(env, 3) for env in envs), strict=True))
    assert [steps[0] for steps in in_turn] == [steps[2] for steps in in_turn] == alone[0]
    assert [steps[1] for steps in in_turn] == alone[1]
    for env in envs:
        env.close()


def test_a_snapshot_goes_on_the_same_in_another_instance() -> None:
    first, second = make(task="find-animal"), make(task="find-animal")
    first.reset(seed=5)
    rng = random.Random(5)
    for _ in range(6):
        first.step(rng.choice(["look around", "open door", "0", "wait", "check valid actions", *first.valid_actions()]))
    snapshot = first.snapshot()
    rest = ["look around", *rng.sample(first.valid_actions(), 4), "wait"]
    first.restore(snapshot)

    def go_on(env: Any) -> tuple[Any, ...]:
        return tuple(env.step(action) for action in rest if not env._running.over)

    expected = go_on(first)
    assert second.restore(snapshot) == [*expected[0][0][: len(snapshot.progress.messages)]]
    assert go_on(second) == expected
    first.close()
    second.close()


def test_a_wrong_focus_fails_the_task(env: Any) -> None:
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step("focus on agent")
    assert (terminated, truncated) == (True, False)
    assert reward >= 0
    assert info["metrics"]["failed"] == 1.0
    assert info["metrics"]["success"] == 0.0
    assert env.reset(seed=0)[1]["metrics"]["failed"] == 0.0


def test_what_the_simulator_does_not_understand_is_not_grounded(env: Any) -> None:
    env.reset(seed=0)
    env.step("fly to the moon")
    assert said(env) == "No known action matches that input."
    _, _, _, _, info = env.step("Action: look around")
    assert info["metrics"]["grounding"] == 0.5


def test_an_ambiguous_command_is_asked_back(env: Any) -> None:
    env = make(task="chemistry-mix", difficulty="hard")
    for seed in range(20):
        env.reset(seed=seed)
        env.step("open door")
        if said(env).startswith("Ambiguous request"):
            break
    env.step("check valid actions")
    assert said(env).startswith("Valid actions: 0, 1")
    env.step("open drawer")
    assert said(env) == "There is no choice 'open drawer': nothing is done."
    _, _, _, _, info = env.step("open door")
    assert info["metrics"]["grounding"] == pytest.approx(3 / 4)
    env.step("1")
    assert "door is now open" in said(env)
    env.close()


def test_valid_actions_come_on_request_only(env: Any) -> None:
    opening = env.reset(seed=0)[0][0]["content"]
    assert "pick up OBJ" in opening
    assert "reset task" not in opening
    env.step("check valid actions")
    assert "OBJ is one of: " in said(env)
    assert len(said(env)) < 4000
    valid = env.valid_actions()
    assert "look around" in valid
    assert "reset task" not in valid


def test_the_expert_comes_back_after_looking_around(env: Any) -> None:
    total = 0.0
    env.reset(seed=2)
    for action in ("look around", "nonsense", "inventory", "check valid actions"):
        total += env.step(action)[1]
    over = False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    assert total == pytest.approx(1.0)


def test_an_episode_survives_the_end_of_java(env: Any) -> None:
    env.reset(seed=0)
    env.step("look around")
    before = said(env)
    env.simulator.machine.kill()
    env.step("look around")
    assert said(env) == before
    env.simulator.machine.kill()
    assert env.expert_action()


def test_records_are_picked_by_index(env: Any) -> None:
    env.reset(options={"index": 2})
    assert (env.task.name, env.task.variation) == ("lifespan-longest-lived", tasks.variations(env.task.name, "test")[2])
    with pytest.raises(ValueError, match="from 0 to"):
        env.reset(options={"index": 10_000})


def test_wrong_settings_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'boil'|boil"):
        make(task="boyl")
    with pytest.raises(ValueError, match="openDoors"):
        make(simplifications="openDoor")
    assert make(task="power-component", simplifications="noElectricalAction").sample_task


def test_episodes_may_be_as_long_as_the_walkthrough() -> None:
    for difficulty in ("easy", "medium", "hard"):
        names = tasks.tasks_of(difficulty)  # type: ignore[arg-type]
        assert names
        assert all((tasks.TASKS[n].walkthrough <= tasks.SHORT) == (difficulty == "easy") for n in names) or (
            difficulty == "medium" and len(names) == 30
        )
    env = make(task="lifespan-longest-lived", max_steps=2)
    env.reset(seed=0)
    assert [env.step("look around")[3] for _ in range(2)] == [False, True]
    env.close()


def test_random_text_never_raises(env: Any) -> None:
    rng = random.Random(0)
    env = make(task="lifespan-longest-lived")
    env.reset(seed=0)
    env.action_space.seed(0)
    words = sorted({word for action in env.valid_actions() for word in action.split()})
    nasty: list[Any] = ["", "🙂" * 50, "[" * 5000, "\ud800", "x" * 1_000_000, None, "\x00", "a\nb", "e\\n", "٣", "-1"]
    for number in range(150):
        kind = number % 4
        if kind == 0:
            action = nasty[number // 4 % len(nasty)]
        elif kind == 1:
            action = env.action_space.sample()
        else:
            action = " ".join(rng.sample(words, rng.randint(1, 5)))
        messages, _, terminated, truncated, _ = env.step(action)
        assert messages in env.observation_space
        if terminated or truncated:
            env.reset(seed=number)
    env.close()


def test_java_runs_once_and_ends_with_the_last_environment(env: Any) -> None:
    others = [make(task="find-plant", difficulty="easy") for _ in range(2)]
    for other in others:
        other.reset(seed=0)
    assert len({one.simulator.machine.process.pid for one in (env, *others)}) == 1
    for other in others:
        other.close()
        other.close()
    assert env.simulator.alive
    assert sum(machine.alive for machine in java._machines.values()) == 1
