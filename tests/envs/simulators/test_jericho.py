"""Jericho: a game of the user's in the real Z-machine; TextWorld makes the one that is played here."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import acenv

if reason := acenv.registry.missing("acenv/Jericho-v0") or acenv.registry.missing("acenv/TextWorld-v0"):
    pytest.skip(reason, allow_module_level=True)

from acenv.envs.simulators.games import find_game
from acenv.envs.sources import RecordError


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game that jericho knows nothing about, and its walkthrough beside it."""
    made = Path(find_game("cooking", "easy", "test", 0).story)
    path = tmp_path_factory.mktemp("games") / "meal.z8"
    shutil.copy(made, path)
    lines = json.loads(made.with_suffix(".json").read_text())["metadata"]["walkthrough"]
    path.with_name("meal.txt").write_text("\n".join(lines))
    return path


@pytest.fixture
def env(story: Path) -> Iterator[Any]:
    env = make(story)
    yield env
    env.close()


def make(story: Path, **keywords: Any) -> Any:
    keywords = {"game": story, "walkthrough": story.with_name("meal.txt")} | keywords
    return gymnasium.make("acenv/Jericho-v0", **keywords).unwrapped


def follow(env: Any) -> tuple[float, bool, dict[str, float]]:
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    return total, terminated, info["metrics"]


def test_without_a_game_the_error_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"give game=<file or folder>.*acenv/TextWorld-v0 makes its own"):
        gymnasium.make("acenv/Jericho-v0")


def test_the_walkthrough_wins_and_the_score_is_asked_for(env: Any) -> None:
    messages, info = env.reset(seed=0)
    assert "cookbook" in messages[0]["content"] and info["labels"] == {"task": "meal", "level": "easy"}
    total, terminated, metrics = follow(env)
    assert total == pytest.approx(1.0) and terminated
    assert metrics["success"] == metrics["grounding"] == 1.0 and metrics["points"] == 4.0


def test_the_expert_says_when_the_walkthrough_is_left(env: Any, story: Path) -> None:
    env.reset(seed=0)
    env.step("xyzzy")  # not understood: the walkthrough still holds
    env.step("check valid actions")
    env.step(env.expert_action())
    env.step("look")
    with pytest.raises(NotImplementedError, match="has been left"):
        env.expert_action()
    bare = make(story, walkthrough=None)
    bare.reset(seed=0)
    with pytest.raises(NotImplementedError, match="no walkthrough"):
        bare.expert_action()
    bare.close()


def test_the_walkthrough_of_a_textworld_game_is_found() -> None:
    env = gymnasium.make("acenv/Jericho-v0", game=find_game("cooking", "easy", "test", 0).story).unwrapped
    env.reset(seed=0)
    assert follow(env)[0] == pytest.approx(1.0)
    env.close()


def test_what_the_parser_does_not_understand_is_not_grounded(env: Any) -> None:
    env.reset(seed=0)
    understood = 0
    commands = {"look": 1, "flibber": 0, "go up": 1, "take unicorn": 0, "take": 0, "save": 0}
    for number, (command, valid) in enumerate(commands.items(), 1):
        understood += valid
        metrics = env.step(command)[4]["metrics"]
        assert metrics["grounding"] == pytest.approx(understood / number)
    assert metrics["official_grounding"] == 5 / 6  # AgentBoard's mark appears in none of these; save is refused
    assert "look" in env.valid_actions() and "inventory" in env.valid_actions()


def test_nothing_that_is_written_speaks_to_the_interpreter(env: Any, capfd: pytest.CaptureFixture[str]) -> None:
    env.reset(seed=0)
    for command in ("\\help", "look\\x", "\\set MC 1", "\\\\", "\\"):
        env.step(command)
    assert "look" in env.valid_actions()
    assert capfd.readouterr().out == ""


def test_a_snapshot_is_the_machines_memory(env: Any) -> None:
    env.reset(seed=0)
    for _ in range(3):
        env.step(env.expert_action())
    place = env.snapshot()
    first = follow(env)
    assert env.state.saved is None
    for _ in range(2):
        env.restore(place)
        assert follow(env) == first


def test_annotations_score_as_agentboard_does(story: Path, tmp_path: Path) -> None:
    notes = tmp_path / "labels.jsonl"
    # Punctuation does not matter, capitals do.
    goals = ["You are carrying: nothing!", "you are carrying nothing", "You are carrying nothing"]
    record = {"game_name": "meal", "goal": "Look what you have.", "subgoals": goals, "difficulty": "hard"}
    notes.write_text(json.dumps(record) + "\n")
    env = make(story, annotations=notes)
    messages, info = env.reset(seed=0)
    assert "Your goal: Look what you have." in messages[0]["content"] and info["labels"]["level"] == "hard"
    assert env.step("inventory")[4]["metrics"]["progress"] == pytest.approx(1 / 3)  # one subgoal an observation
    assert env.step("inventory")[4]["metrics"]["progress"] == pytest.approx(2 / 3)
    _, _, terminated, _, info = env.step("inventory")
    assert info["metrics"]["progress"] == pytest.approx(2 / 3) and not terminated
    record["subgoals"] = goals[:1]
    notes.write_text(json.dumps([record]))
    env = make(story, annotations=notes)
    env.reset(seed=0)
    _, _, terminated, _, info = env.step("inventory")
    assert terminated and info["metrics"]["success"] == 1.0
    env.close()
    notes.write_text('{"subgoals": "x"}\n')
    with pytest.raises(RecordError, match="a list of texts"):
        make(story, annotations=notes)
    with pytest.raises(FileNotFoundError, match="no annotations"):
        make(story, annotations=tmp_path / "none.json")


def test_a_folder_holds_several_games(story: Path, tmp_path: Path) -> None:
    for name in ("a.z8", "b.z8", "c.txt"):
        shutil.copy(story, tmp_path / name)
    env = make(tmp_path, walkthrough=None)
    env.reset(seed=0, options={"index": 1})
    assert env.labels()["task"] == "b"
    with pytest.raises(ValueError, match="there are 2 games"):
        env.reset(options={"index": 5})
    with pytest.raises(ValueError, match="walkthrough= is for one game"):
        make(tmp_path, walkthrough=["look"])
    for wrong in (tmp_path / "c.txt", tmp_path / "none.z5"):
        with pytest.raises(FileNotFoundError, match="expected a file that ends in"):
            make(wrong, walkthrough=None)
    env.close()


def test_random_commands_never_raise(env: Any) -> None:
    rng = random.Random(2)
    env.reset(seed=0)
    words = ["take", "drop", "open", "the", "cookbook", "stove", "all", "it", ",", ".", "?", '"', "north", "4", "é"]
    words += ["[", "]", "again", "g", "oops", "no", "yes", "say", "to", "me"]
    for _ in range(400):
        _, _, terminated, truncated, _ = env.step(" ".join(rng.choices(words, k=rng.randint(1, 6))))
        if terminated or truncated:
            env.reset(seed=0)
