from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.base import split_of
from acenv.envs.world.environment import PDDLEnv
from acenv.envs.world.puzzle import Problem


def said(env: PDDLEnv, action: Any) -> str:
    """What the agent is told after an action."""
    return env.step(action)[0][-1]["content"]


class OneProblem(PDDLEnv):
    """An environment with a single problem."""

    def __init__(self, problem: Problem, difficulty: Any) -> None:
        super().__init__(difficulty=difficulty, max_steps=500)
        self.problem = problem
        self.split = split_of(self.fingerprint(problem))
        self.reset(seed=0)

    def sample_task(self, rng: np.random.Generator) -> Problem:
        return self.problem


def blocks(difficulty: Any = "easy") -> PDDLEnv:
    """red on blue, and green beside them; the goal is green on red."""
    facts = {("on", "red", "blue"), ("on_table", "blue"), ("on_table", "green"), ("clear", "red"), ("clear", "green")}
    objects = (("red", "block"), ("blue", "block"), ("green", "block"))
    init = frozenset(facts | {("hand_empty",)})
    return OneProblem(Problem("blocksworld", objects, init, (("on", "green", "red"),)), difficulty)


def rooms(difficulty: Any = "medium") -> PDDLEnv:
    """You and the plum in the hall, the fig in the attic behind the office; the plum goes to the attic."""
    doors = [("hall", "office"), ("office", "hall"), ("office", "attic"), ("attic", "office")]
    facts = {("at", "hall"), ("in", "plum", "hall"), ("in", "fig", "attic"), ("free", "left"), ("free", "right")}
    objects = [(r, "room") for r in ("hall", "office", "attic")] + [("plum", "ball"), ("fig", "ball")]
    objects += [("left", "hand"), ("right", "hand")]
    init = frozenset(facts | {("door", *d) for d in doors})
    return OneProblem(Problem("gripper", tuple(objects), init, (("in", "plum", "attic"),)), difficulty)


def test_the_easy_text_of_blocksworld() -> None:
    env = blocks()
    assert env.reset(seed=0)[0] == [
        {
            "role": "user",
            "content": "Move one block at a time. A block with another on it cannot move.\n"
            "Actions: pick up X, put down X, stack X on Y, unstack X from Y, check.\n"
            "Goal: green is on red.\n"
            "State: red is on blue. blue is on the table. green is on the table. your hand is empty.",
        }
    ]
    assert said(env, "pick up green") == "red is on blue. blue is on the table. you hold green."
    assert said(env, "stack green on red") == "The goal is reached."


def test_the_easy_text_of_gripper() -> None:
    env = rooms("easy")
    assert env.reset(seed=0)[0][0]["content"] == (
        "Carry balls between rooms. Each hand holds one ball.\n"
        "Actions: move to X, pick X with left, drop X with left, check.\n"
        "Doors: hall and office, office and attic.\n"
        "Goal: plum is in the attic.\n"
        "State: you are in the hall. plum is in the hall. fig is in the attic. left is free. right is free."
    )
    assert (
        said(env, "pick plum with left") == "you are in the hall. fig is in the attic. left holds plum. right is free."
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("pick up red", "You cannot pick up red: red is not on the table."),
        ("pick up blue", "You cannot pick up blue: another block is on blue."),
        ("unstack blue from red", "You cannot unstack blue from red: blue is not on red."),
        ("stack red on green", "You cannot stack red on green: you do not hold red."),
        ("stack red on red", "You cannot stack red on red: red cannot be on itself."),
        ("put down red", "You cannot put down red: you do not hold red."),
        ("pick up pink", "There is no block called pink."),
        ("dance", "This is no action; say one of: pick up BLOCK, put down BLOCK, stack BLOCK on BLOCK, "),
        ("", "This is no action"),
        ("pick up", "This is no action"),
    ],
)
def test_invalid_actions_in_blocksworld_are_explained(text: str, answer: str) -> None:
    env = blocks("medium")
    before = env.state.facts
    messages, reward, terminated, truncated, info = env.step(text)
    assert messages[-1]["content"].startswith(answer)
    assert (reward, terminated, truncated, info["metrics"]["grounding"]) == (0.0, False, False, 0.0)
    assert env.state.facts == before


def test_a_full_hand_and_a_covered_block_are_explained() -> None:
    env = blocks("medium")
    assert said(env, "pick up green") == "you hold green."
    assert said(env, "unstack red from blue") == "You cannot unstack red from blue: your hand is not empty."
    assert said(env, "stack green on blue") == "You cannot stack green on blue: another block is on blue."
    assert said(env, "put down green") == "green is on the table."


def test_invalid_actions_in_gripper_are_explained() -> None:
    env = rooms()
    assert said(env, "move to hall") == "You cannot move to hall: you are in the hall already."
    assert said(env, "move to attic") == "You cannot move to attic: there is no door from the hall to the attic."
    assert said(env, "pick fig with left") == "You cannot pick fig with left: fig is not in the hall."
    assert said(env, "drop plum with left") == "You cannot drop plum with left: left does not hold plum."
    assert said(env, "pick plum with foot") == "There is no hand called foot."
    assert said(env, "pick plum with left") == "left holds plum."
    assert said(env, "pick plum with left") == "You cannot pick plum with left: plum is not in the hall."
    assert said(env, "move to office") == "you are in the office."
    assert said(env, "drop plum with left") == "plum is in the office."


@pytest.mark.parametrize(
    "text",
    [
        "pick up green",
        "Action: pick up green",
        "  Pick up the GREEN block.  ",
        "I hold nothing yet.\nACTION : `pick up green`\nObservation: you hold blue",
        '"pick green up"!',
        "pick up a green block\nand then stack it",
        "**pick up green** 🙂",
    ],
)
def test_labels_punctuation_case_and_articles_are_tolerated(text: str) -> None:
    env = blocks()
    assert said(env, text).endswith("you hold green.")


def test_check_and_look_take_a_step_and_count_as_valid() -> None:
    env = blocks("hard")
    for text in ("check", "Check valid actions.", "Action: check valid actions"):
        assert said(env, text) == "Valid actions: pick up green, unstack red from blue."
    messages, reward, _, _, info = env.step("look")
    assert messages[-1]["content"] == "red is on blue. blue is on the table. green is on the table. your hand is empty."
    assert (reward, env.steps, info["metrics"]["grounding"]) == (0.0, 4, 1.0)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300))
def test_any_unicode_is_answered(text: str) -> None:
    env = blocks()
    assert said(env, text) and said(env, f"Action: stack {text} on {text}")


def test_long_and_foreign_actions_are_answered() -> None:
    env = blocks()
    env.patience = None
    for action in ("stack " * 2_000_000, "on " * 6000, "stack a on b " * 1500, None, 3, b"look"):
        assert said(env, action)
