from __future__ import annotations

from typing import Any

import pytest

from acenv.envs.base import split_of
from acenv.envs.world.barman import BARMAN, DOMAIN
from acenv.envs.world.engine import World
from acenv.envs.world.environment import PDDLEnv, say
from acenv.envs.world.planner import PlanningError, plan
from acenv.envs.world.puzzle import Problem
from acenv.envs.world.strips import Atom, State

OBJECTS = (
    *((name, "shot") for name in ("red", "blue")),
    ("shaker", "shaker"),
    *((name, "ingredient") for name in ("plum", "fig", "lime")),
    *((name, "hand") for name in ("left", "right")),
    ("b", "cocktail"),
    *((name, "level") for name in ("empty", "half-full", "full")),
)
FIXED: list[Atom] = [
    ("recipe", "b", "plum", "fig"),
    ("next", "empty", "half-full"),
    ("next", "half-full", "full"),
    ("bottom", "empty"),
    ("on_table", "shaker"),
    ("level", "shaker", "empty"),
]
TABLE: list[Atom] = [("on_table", "red"), ("on_table", "blue"), ("free", "left"), ("free", "right")]


class Bar(PDDLEnv):
    """One problem: red gets the cocktail and blue a lime; red is clean and blue stained with fig."""

    def __init__(self, difficulty: Any = "medium") -> None:
        super().__init__(difficulty=difficulty, max_steps=500)
        facts = [*FIXED, *TABLE, ("clean", "red"), ("stained", "blue", "fig")]
        self.problem = Problem("barman", OBJECTS, frozenset(facts), (("has", "red", "b"), ("has", "blue", "lime")))
        self.split = split_of(self.fingerprint(self.problem))
        self.reset(seed=0)

    def sample_task(self, rng: Any) -> Problem:
        return self.problem


def said(env: PDDLEnv, *actions: str) -> str:
    """What the agent is told after the last action."""
    for action in actions:
        told = env.step(action)[0][-1]["content"]
    return told


def test_the_opening_has_all_that_is_needed() -> None:
    opening = Bar().reset(seed=0)[0][0]["content"]
    assert opening.endswith(
        "Shots: red, blue. Ingredients: plum, fig, lime. Shaker: shaker.\n"
        "Cocktails: b is made of plum and fig.\n"
        "Goal: red has b. blue has lime.\n"
        "State: red is clean. blue is stained with fig. shaker is empty. left is free. right is free."
    )


def test_the_easy_text() -> None:
    env = PDDLEnv(domain="barman", difficulty="easy")
    assert env.reset(seed=1)[0][0]["content"] == (
        "Fill clean shots. One hand holds the shot, the other hand is free.\n"
        "Actions: pick X with left, put down X, fill X with Y, empty X, clean X, check.\n"
        "Goal: pink has melon.\n"
        "State: pink has grape. left is free. right is free."
    )
    assert said(env, "pick pink with left") == "pink has grape. left holds pink. right is free."


def test_refusals_name_the_precondition_that_fails() -> None:
    env = Bar()
    assert said(env, "fill red with plum") == "You cannot fill red with plum: you do not hold red."
    assert said(env, "fill red with b") == "There is no ingredient called b."
    assert said(env, "pick red with left", "pick blue with left") == "You cannot pick blue with left: left is not free."
    assert said(env, "pick red with right") == "You cannot pick red with right: you hold red already."
    assert said(env, "clean red") == "You cannot clean red: red is clean already."
    assert said(env, "empty red") == "You cannot empty red: red is empty already."
    assert said(env, "pour red into shaker") == "You cannot pour red into shaker: red is empty."
    assert said(env, "refill red with plum") == "You cannot refill red with plum: red is not stained with plum."
    assert said(env, "pick blue with right", "fill red with plum") == (
        "You cannot fill red with plum: your other hand is not free."
    )
    assert said(env, "put down blue", "fill red with plum", "clean red") == "You cannot clean red: red is not empty."
    assert said(env, "fill red with fig") == "You cannot fill red with fig: red is not clean."
    assert said(env, "shake shaker") == "You cannot shake shaker: you do not hold shaker."
    assert said(env, "pick shaker with right", "put down red", "shake shaker") == (
        "You cannot shake shaker: shaker is empty."
    )
    assert said(env, "empty shaker") == "You cannot empty shaker: shaker is not shaken."
    assert said(env, "clean shaker") == "You cannot clean shaker: shaker is not dirty."
    assert env.state.best == 0.0


def test_shots_are_reused_and_the_shaker_is_emptied_and_cleaned() -> None:
    env = Bar()
    told = said(env, "pick red with left", "fill red with plum", "pour red into shaker", "refill red with plum")
    assert told == "red has plum."
    assert said(env, "empty red") == "red is stained with plum."
    assert said(env, "clean red", "fill red with fig", "pour red into shaker") == "shaker has fig. shaker is full."
    assert said(env, "clean red", "put down red", "pick shaker with left", "shake shaker") == (
        "shaker has b. shaker is shaken."
    )
    assert said(env, "pour shaker into blue") == "You cannot pour shaker into blue: blue is not clean."
    assert said(env, "empty shaker") == "shaker is empty. shaker is dirty."
    assert said(env, "pick red with right", "put down shaker", "fill red with fig", "pour red into shaker") == (
        "You cannot pour red into shaker: shaker is dirty."
    )
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.expert_action())
        total, over = total + reward, terminated or truncated
    assert total == 1.0


@pytest.mark.parametrize("second", ["lime", "plum"])
def test_a_wrong_mixture_is_final_and_told_apart(second: str) -> None:
    env = Bar()
    actions = [
        "pick red with left",
        "fill red with plum",
        "pour red into shaker",
        "clean red",
        f"fill red with {second}",
    ]
    assert said(env, *actions) == f"red has {second}."
    assert env.step("check")[4]["metrics"]["lost"] == 0.0
    assert env.step("pour red into shaker")[4]["metrics"]["lost"] == 1.0
    assert said(env, "put down red", "pick shaker with left", "shake shaker") == (
        "You cannot shake shaker: what shaker has makes no cocktail."
    )
    world = World(DOMAIN, OBJECTS)
    with pytest.raises(PlanningError):
        plan(world, env.state.facts, env.task.goal)
    # The lime can still be served, and then nothing is left to do.
    reward = 0.0
    while reward == 0.0:
        reward = env.step(env.expert_action())[1]
    assert reward == 0.5
    assert env.expert_action() == "look"


def test_half_of_a_wrong_mixture_is_lost_only_if_no_cocktail_has_it() -> None:
    env = Bar()
    said(env, "pick red with left", "fill red with lime")
    assert env.step("pour red into shaker")[4]["metrics"]["lost"] == 1.0


def test_any_other_state_of_the_bar_is_won() -> None:
    """Every state that can be reached, but for lost ones, of a bar with one shot."""
    objects = tuple(pair for pair in OBJECTS if pair[0] not in ("blue", "lime"))
    world = World(DOMAIN, objects)
    start: State = frozenset([*FIXED, ("on_table", "red"), ("free", "left"), ("free", "right"), ("clean", "red")])
    problem = Problem("barman", objects, start, (("has", "red", "b"),))
    seen, queue, lost = {start}, [start], 0
    for state in queue:  # which grows
        if BARMAN.lost(problem, state):
            lost += 1
        else:
            now = state
            for name, arguments in BARMAN.solve(problem, state):
                action = world.ground(name, arguments)
                assert world.explain(now, action) == "", say(DOMAIN, action)
                now = action.result(now)
            assert problem.progress(now) == 1.0
        for action in world.applicable(state):
            after = action.result(state)
            if after not in seen:
                seen.add(after)
                queue.append(after)
    assert 0 < lost < len(seen) / 2
