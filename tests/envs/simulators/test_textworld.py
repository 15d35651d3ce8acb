"""TextWorld: games made, compiled and kept, and played in the real Z-machine."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import acenv

if reason := acenv.registry.missing("acenv/TextWorld-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators.games import cache_folder, find_game
from acenv.envs.simulators.zmachine import OffLimitsError, ZMachine, game_line

KINDS = ("quest", "cooking", "treasure")


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/TextWorld-v0", **({"difficulty": "easy", "games": 1} | keywords)).unwrapped


@pytest.fixture(scope="module")
def cooking() -> Iterator[Any]:
    env = make(game="cooking", max_steps=100)
    yield env
    env.close()


def last(env: Any, action: str) -> tuple[str, dict[str, float]]:
    messages, _, _, _, info = env.step(action)
    return messages[-1]["content"], info["metrics"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_expert_wins_also_after_detours(kind: str) -> None:
    env = make(game=kind)
    rng = random.Random(0)
    env.reset(seed=0)
    for _ in range(3):
        harmless = [c for c in env.valid_actions() if c.split()[0] in ("look", "inventory", "examine", "go", "open")]
        env.step(rng.choice(harmless))
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    assert total == pytest.approx(1.0)
    assert info["metrics"] == {"success": 1.0, "progress": 1.0, "grounding": 1.0, "lost": 0.0}
    env.close()


def test_score_and_grounding_are_the_games_own(cooking: Any) -> None:
    messages, info = cooking.reset(seed=0)
    assert info["labels"] == {"task": "cooking", "level": "easy"}
    assert "cookbook" in messages[0]["content"] and "$$" not in messages[0]["content"]
    assert last(cooking, "look")[1]["grounding"] == 1.0
    assert last(cooking, "xyzzy")[1]["grounding"] == 1 / 2  # not understood
    assert last(cooking, "go up")[1]["grounding"] == 1 / 3  # understood and refused
    assert last(cooking, "check valid actions")[0].startswith("Valid actions: ")
    before = cooking.valid_actions()
    steps = 0
    while last(cooking, cooking.expert_action())[1]["progress"] == 0.0:
        steps += 1
        assert steps < 10
    assert cooking.valid_actions() != before


def test_burning_the_food_loses_the_game(cooking: Any) -> None:
    cooking.reset(seed=0)
    while not cooking.expert_action().startswith("cook"):
        last(cooking, cooking.expert_action())
    cook = cooking.expert_action()
    last(cooking, cook)
    text, metrics = last(cooking, cook)
    assert "burned" in text and "lost" in text
    assert metrics["lost"] == 1.0 and metrics["success"] == 0.0 and 0.0 < metrics["progress"] < 1.0


@pytest.mark.parametrize(
    "command", ["save", "Restart", "quit", "look, save", "restore it", "#record", "tw-trace-actions"]
)
def test_the_interpreter_and_its_files_are_out_of_reach(
    command: str, cooking: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cooking.reset(seed=0)
    story = Path(cooking.task.story)
    before = sorted(story.parent.iterdir())
    text, metrics = last(cooking, command)
    assert "no part of the game" in text and metrics["grounding"] == 0.0
    last(cooking, f"look. {command}")  # of several commands only the first is taken
    assert sorted(story.parent.iterdir()) == before and not list(tmp_path.iterdir())


def test_lines_for_the_game_are_plain() -> None:
    assert game_line("say [x - succeeded] *** The End ***") == "say x - succeeded  The End"
    assert game_line("take key then go north") == "take key"
    assert len(game_line("é\x00" + "x" * 1000)) <= 150
    with pytest.raises(OffLimitsError):
        game_line("undo!")


def test_train_and_test_are_different_games_and_numbers_too() -> None:
    games = [find_game("quest", "easy", split, 0) for split in ("train", "test")]
    assert len({game.content for game in games}) == 2
    again = [find_game("quest", "easy", split, 0) for split in ("train", "test")]
    assert again == games


def test_two_processes_that_make_the_same_game_at_once_keep_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACENV_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    code = "from acenv.envs.simulators.games import find_game; print(find_game('treasure', 'easy', 'test', 0).content)"
    makers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    contents = [maker.communicate(timeout=120)[0].strip() for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    task = find_game("treasure", "easy", "test", 0)
    assert contents == [task.content, task.content]
    monkeypatch.delenv("ACENV_CACHE")
    assert find_game("treasure", "easy", "test", 0).content == task.content
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    folders = list(Path(task.story).parent.parent.iterdir())
    assert [folder.name for folder in folders] == ["test-0000"]  # no workshop is left
    assert {file.name for file in folders[0].iterdir()} == {"game.z8", "game.json", "content"}


def test_own_games_are_played_too(cooking: Any, tmp_path: Path) -> None:
    cooking.reset(seed=0)
    story = Path(cooking.task.story)
    for name in ("one", "two"):
        for suffix in (".z8", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes(story.with_suffix(suffix).read_bytes())
    env = make(source=tmp_path)
    env.reset(seed=0, options={"index": 1})
    assert env.task.name == "two" and env.labels()["task"] == "own"
    with pytest.raises(ValueError, match="there are 2 games"):
        env.reset(options={"index": 2})
    (tmp_path / "two.json").unlink()
    with pytest.raises(FileNotFoundError, match="tw-make"):
        env.reset(options={"index": 1})
    with pytest.raises(FileNotFoundError, match="holds no game"):
        make(source=Path(__file__).parent)


def test_random_commands_never_raise_and_leave_nothing_behind(cooking: Any) -> None:
    rng = random.Random(1)
    cooking.reset(seed=0)
    words = json.loads(Path(cooking.task.story).with_suffix(".json").read_text())["metadata"]["entities"]
    verbs = [
        "take",
        "open",
        "go",
        "x",
        "put",
        "cook",
        "eat",
        "drop",
        "say",
        "ask",
        "\x07",
        "take all from",
        "all",
        "it",
    ]
    for number in range(600):
        command = f"{rng.choice(verbs)} {rng.choice(words)} {rng.choice(['', 'with', 'on', ',', '.', '[', 'é'])}"
        _, _, terminated, truncated, _ = cooking.step(command + rng.choice(["", rng.choice(words)]))
        if terminated or truncated or number % 150 == 0:
            cooking.reset(seed=0)
    maps = Path("/proc/self/maps")
    if maps.exists():
        before = maps.read_text().count("libfrotz")
        for _ in range(5):
            cooking.reset(seed=0)
        assert maps.read_text().count("libfrotz") <= before


def test_threads_play_side_by_side() -> None:
    results: dict[int, list[str]] = {}

    def play(number: int) -> None:
        env = make(game="cooking")
        env.reset(seed=0)
        over = False
        while not over:
            messages, _, terminated, truncated, _ = env.step(env.expert_action())
            over = terminated or truncated
        results[number] = [message["content"] for message in messages]
        env.close()

    threads = [threading.Thread(target=play, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 4 and all(result == results[0] for result in results.values())


def test_options_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match="game must be one of"):
        make(game="chess")
    with pytest.raises(ValueError, match="games must be at least 1"):
        make(games=0)
    with pytest.raises(ValueError, match="not a game for the Z-machine"):
        ZMachine(Path(__file__), seed=1)
