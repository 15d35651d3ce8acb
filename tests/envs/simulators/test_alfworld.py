"""ALFWorld: games made from its layouts, or laid out as its data is, in the real engine."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import acenv

if reason := acenv.registry.missing("acenv/ALFWorld-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators.alfworld_games import ALL_TASKS, HouseTask, generate, package_text
from acenv.envs.sources import RecordError


def make(**keywords: Any) -> Any:
    keywords = {"difficulty": "easy", "source": "generated"} | keywords
    return gymnasium.make("acenv/ALFWorld-v0", **keywords).unwrapped


@pytest.fixture(scope="module")
def env() -> Iterator[Any]:
    env = make()
    yield env
    env.close()


def follow(env: Any) -> tuple[float, list[float], dict[str, float]]:
    total, over, path = 0.0, False, []
    while not over:
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
        path.append(info["metrics"]["progress"])
    return total, path, info["metrics"]


@pytest.mark.parametrize("kind", ALL_TASKS)
def test_the_expert_does_every_type_of_task_also_after_detours(kind: str) -> None:
    env = make(task=kind, max_steps=60)
    rng = random.Random(3)
    for seed in range(2):
        env.reset(seed=seed)
        detours, over = 12 * seed, False
        while not over:
            command = env.expert_action() if env.steps >= detours else rng.choice(env.valid_actions())
            _, _, terminated, truncated, info = env.step(command)
            over = terminated or truncated
        assert info["metrics"]["success"] == info["metrics"]["grounding"] == 1.0
        assert env.labels()["task"] == kind
    env.close()


def test_progress_is_agentboards() -> None:
    env = make(task="pick_heat_then_place_in_recep")
    env.reset(seed=0)
    total, path, metrics = follow(env)
    assert total == pytest.approx(1.0) and metrics["grounding"] == metrics["success"] == 1.0
    assert sorted(set(path)) == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
    assert env.labels()["level"] == "hard"
    env.close()


def test_transcripts_equal_those_of_textworlds_own_environment() -> None:
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
    from textworld.envs import PddlEnv

    argv = list(sys.argv)
    env = make(difficulty="medium", max_steps=1000)
    env.reset(seed=4)
    assert sys.argv == argv
    theirs = AlfredDemangler(PddlEnv(textworld.EnvInfos(admissible_commands=True)))
    task: HouseTask = env.task
    theirs.load({"pddl_domain": package_text("alfred.pddl"), "grammar": task.grammar, "pddl_problem": task.problem})
    state = theirs.reset()
    rng = random.Random(0)
    for _ in range(15):
        admissible = sorted({" ".join(command.split()) for command in state["admissible_commands"]})
        assert env.valid_actions() == admissible
        command = rng.choice([*admissible, "fly"])
        state, _, _ = theirs.step(command)
        messages, _, terminated, _, _ = env.step(command)
        assert terminated == state["won"]
        if terminated:
            break
        assert messages[-1]["content"] == state.feedback
    env.close()
    sys.argv = argv


def test_commands_are_read_kindly_and_refused_plainly(env: Any) -> None:
    env.reset(seed=1)
    place = next(c for c in env.valid_actions() if c.startswith("go to"))
    assert env.step(f"Action: {place.replace('go to ', 'Go to the ')}.")[4]["metrics"]["grounding"] == 1.0
    messages, _, _, _, info = env.step("go to the moon")
    assert messages[-1]["content"] == "Nothing happens." and info["metrics"]["grounding"] == 0.5
    assert env.step("check valid actions")[0][-1]["content"].startswith("Valid actions: ")


def test_problems_are_seeded_and_the_splits_differ() -> None:
    first, second = (generate(np.random.default_rng(5), "hard", ALL_TASKS) for _ in range(2))
    assert first == second
    problems = {}
    for split in ("train", "test"):
        env = make(split=split)
        problems[split] = set()
        for seed in range(5):
            env.reset(seed=seed)
            problems[split].add(env.task.problem)
        env.close()
    assert len(problems["train"]) == len(problems["test"]) == 5
    assert not problems["train"] & problems["test"]


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """Two games in the layout of ALFWorld's data."""
    for number, split in enumerate(("train", "valid_unseen")):
        task = generate(np.random.default_rng(number), "easy", ("pick_and_place_simple",))
        folder = tmp_path / "json_2.1.1" / split / f"pick_and_place_simple-{task.thing}" / f"trial_{number}"
        folder.mkdir(parents=True)
        game = {"pddl_domain": "", "grammar": task.grammar, "pddl_problem": task.problem, "solvable": True}
        (folder / "game.tw-pddl").write_text(json.dumps(game))
        parameters = {"object_target": task.thing, "parent_target": task.place, "toggle_target": ""}
        described = {"task_type": task.kind, "pddl_params": parameters}
        (folder / "traj_data.json").write_text(json.dumps(described))
    return tmp_path


def test_the_official_data_is_played_where_it_is(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(official))
    names = set()
    for split in ("train", "test"):
        env = make(source="auto", split=split)
        env.reset(seed=0)
        names.add(env.task.name.split("/")[1])
        assert follow(env)[0] == pytest.approx(1.0)
        env.reset(options={"index": 0})
        with pytest.raises(ValueError, match="the split has 1 games"):
            env.reset(options={"index": 1})
        env.close()
    assert names == {"trial_0", "trial_1"}


def test_agentboards_labels_give_the_subgoals(official: Path, tmp_path: Path) -> None:
    name = make(source=official)
    name.reset(seed=0)
    labels = tmp_path / "labels.jsonl"
    record = {"subgoals": ["You arrive at", "no such text"], "difficulty": "hard"}
    labels.write_text(json.dumps({**record, "additional_info": {"description": name.task.name}}))
    env = make(source=official, labels=labels)
    env.reset(seed=0)
    assert env.labels()["level"] == "hard"
    place = next(c for c in env.valid_actions() if c.startswith("go to"))
    assert env.step(place)[4]["metrics"]["progress"] == pytest.approx(1 / 3)
    labels.write_text(json.dumps(record))
    with pytest.raises(RecordError, match="additional_info"):
        make(source=official, labels=labels)
    with pytest.raises(FileNotFoundError, match="alfworld-download"):
        make(source=tmp_path / "nowhere")
    env.close()
    name.close()


def test_going_back_needs_no_new_game_and_closing_gives_the_engine_back(env: Any) -> None:
    env.reset(seed=2)
    env.step(env.expert_action())
    place = env.snapshot()
    first = follow(env)
    for _ in range(2):
        env.restore(place)
        assert follow(env) == first

    def make_and_close() -> None:
        other = make()
        other.reset(seed=0)
        other.close()

    maps = Path("/proc/self/maps")
    if maps.exists():
        make_and_close()
        before = maps.read_text().count("libdownward")
        for _ in range(3):
            make_and_close()
        assert maps.read_text().count("libdownward") == before


def test_random_commands_never_raise_also_from_threads() -> None:
    results: dict[int, list[Any]] = {}

    def play(number: int) -> None:
        env = make(max_steps=60)
        rng = random.Random(0)
        env.reset(seed=3)
        for _ in range(60):
            junk = rng.choice(["", "go to", "take it from there", "é🙂", "put a in b", "{r}", "#intro#", "open " * 40])
            messages, _, terminated, truncated, _ = env.step(rng.choice([junk, *env.valid_actions()]))
            if terminated or truncated:
                break
        results[number] = messages
        env.close()

    threads = [threading.Thread(target=play, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 3 and all(result == results[0] for result in results.values())


def test_a_wrong_task_is_named() -> None:
    with pytest.raises(ValueError, match="task must be one of"):
        make(task="dance")
