from __future__ import annotations

from typing import Any

import pytest

from acenv.envs.base import split_of
from acenv.envs.world.engine import World
from acenv.envs.world.environment import PDDLEnv
from acenv.envs.world.puzzle import Problem
from acenv.envs.world.strips import Atom
from acenv.envs.world.tyreworld import DOMAIN, TYREWORLD

OBJECTS = (
    ("wrench", "wrench"),
    ("jack", "jack"),
    ("pump", "pump"),
    ("boot", "boot"),
    *((name, "wheel") for name in ("red", "blue")),
    *((name, "hub") for name in ("hub1", "hub2")),
    *((name, "nuts") for name in ("nuts1", "nuts2")),
)
FACTS: list[Atom] = [
    *[("have", thing) for thing in ("wrench", "jack", "pump")],
    ("closed", "boot"),
    ("in", "blue", "boot"),
    ("on", "red", "hub1"),
    ("tight", "nuts1", "hub1"),
    ("fastened", "hub1"),
    ("on_ground", "hub1"),
    ("punctured", "red"),
    ("on_ground", "hub2"),
    ("free", "hub2"),
    ("have", "nuts2"),
]


class Garage(PDDLEnv):
    """One problem: blue goes on hub1, and red into the boot."""

    def __init__(self, difficulty: Any = "medium") -> None:
        super().__init__(difficulty=difficulty, max_steps=500)
        goal = (("on", "blue", "hub1"), ("inflated", "blue"), ("in", "red", "boot"))
        self.problem = Problem("tyreworld", OBJECTS, frozenset(FACTS), goal)
        self.split = split_of(self.fingerprint(self.problem))
        self.reset(seed=0)

    def sample_task(self, rng: Any) -> Problem:
        return self.problem


def said(env: PDDLEnv, *actions: str) -> str:
    """What the agent is told after the last action."""
    for action in actions:
        told = env.step(action)[0][-1]["content"]
    return told


def test_refusals_name_the_precondition_that_fails() -> None:
    env = Garage()
    assert said(env, "take blue from boot") == "You cannot take blue from boot: boot is closed."
    assert said(env, "take pump from boot") == "You cannot take pump from boot: you have pump already."
    assert said(env, "close boot") == "You cannot close boot: boot is closed already."
    assert said(env, "undo nuts1") == "You cannot undo nuts1: nuts1 are not loose on hub1."
    assert said(env, "remove red from hub1") == "You cannot remove red from hub1: hub1 is not jacked up."
    assert said(env, "inflate red") == "You cannot inflate red: red is punctured."
    assert said(env, "jack up hub1") == "jack is under hub1."
    assert said(env, "loosen nuts1") == "You cannot loosen nuts1: hub1 is jacked up."
    assert said(env, "jack up hub2") == "You cannot jack up hub2: you do not have jack."
    assert said(env, "remove red from hub1") == "You cannot remove red from hub1: there are nuts on hub1."
    assert said(env, "jack down hub1", "loosen nuts1") == "nuts1 are loose on hub1."
    assert said(env, "jack up hub1", "undo nuts1") == "you have nuts1."
    assert said(env, "put blue on hub1") == "You cannot put blue on hub1: you do not have blue."
    assert said(env, "open boot", "take blue from boot", "put blue on hub1") == (
        "You cannot put blue on hub1: another wheel is on hub1."
    )
    assert said(env, "open boot") == "You cannot open boot: boot is open already."
    assert said(env, "remove red from hub1", "put the blue wheel on hub1") == "blue is on hub1."
    assert said(env, "put wrench in boot", "do up nuts1 on hub1") == (
        "You cannot do up nuts1 on hub1: you do not have wrench."
    )
    assert env.state.best == pytest.approx(1 / 3)


def test_the_easy_texts() -> None:
    env = PDDLEnv(domain="tyreworld", difficulty="easy")
    texts = {env.reset(seed=seed)[0][0]["content"].split("\nGoal")[0] for seed in range(60)}
    hub = "loosen X, undo X, remove X from car, put X on car, do up X on car, tighten X, "
    hub += "jack up car, jack down car, check."
    assert texts == {
        "Work on a car.\nActions: open box, close box, take X from box, put X in box, inflate X, check.",
        f"Work on a car.\nActions: {hub}",
        f"Work on a car.\nActions: open box, take X from box, {hub}",
    }


def test_the_expert_gets_out_of_a_muddle() -> None:
    """The wheel for hub1 is on hub2 with the nuts of hub1, the jack under hub1, and the wrench in the closed boot."""
    facts = [f for f in FACTS if f[0] not in ("tight", "fastened") and f not in (("have", "wrench"), ("have", "jack"))]
    facts = [f for f in facts if f not in (("in", "blue", "boot"), ("free", "hub2"), ("on_ground", "hub1"))]
    facts += [("under", "jack", "hub1"), ("in", "wrench", "boot"), ("on", "blue", "hub2")]
    facts += [("tight", "nuts1", "hub2"), ("fastened", "hub2")]
    goal = (("on", "blue", "hub1"), ("tight", "nuts1", "hub1"), ("inflated", "blue"), ("closed", "boot"))
    problem = Problem("tyreworld", OBJECTS, frozenset(facts), goal)
    world = World(DOMAIN, OBJECTS)
    state = problem.init
    for name, arguments in TYREWORLD.solve(problem, state):
        action = world.ground(name, arguments)
        assert world.explain(state, action) == ""
        state = action.result(state)
    assert problem.progress(state) == 1.0


def test_a_punctured_wheel_cannot_be_wanted_inflated() -> None:
    problem = Problem("tyreworld", OBJECTS, frozenset(FACTS), (("inflated", "red"),))
    with pytest.raises(ValueError, match="red is punctured"):
        TYREWORLD.solve(problem, problem.init)
