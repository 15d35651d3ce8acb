from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from acenv.envs.base import split_of
from acenv.envs.world.engine import World
from acenv.envs.world.household.environment import HouseholdEnv
from acenv.envs.world.household.expert import solve
from acenv.envs.world.household.goals import Goal, Problem, can_be_reached, ways
from acenv.envs.world.household.home import DOMAIN, START
from acenv.envs.world.planner import PlanningError, plan
from acenv.envs.world.strips import Atom, State

PLACES = {"desk 1": "desk", "drawer 1": "drawer", "fridge 1": "fridge", "microwave 1": "microwave"}
PLACES |= {"sinkbasin 1": "sinkbasin", "garbagecan 1": "garbagecan", "shelf 1": "shelf"}
THINGS = {
    "apple 1": ("apple", "desk 1"),
    "apple 2": ("apple", "drawer 1"),
    "book 1": ("book", "drawer 1"),
    "knife 1": ("knife", "desk 1"),
    "mug 1": ("mug", "fridge 1"),
    "mug 2": ("mug", "shelf 1"),
    "pan 1": ("pan", "shelf 1"),
}


def problem(goal: Goal, *more: Atom, leave_out: tuple[str, ...] = ()) -> Problem:
    """The home above, in which mug 1 is cold and the drawer, the fridge and the microwave are closed."""
    things = {name: pair for name, pair in THINGS.items() if name not in leave_out}
    objects = ((START, "spot"), *PLACES.items(), *((name, kind) for name, (kind, _) in things.items()))
    facts: set[Atom] = {("at", START), ("hand_empty",), ("cold", "mug 1"), ("stands", "desklamp 1", "desk 1"), *more}
    facts |= {("open", place) for place in ("desk 1", "sinkbasin 1", "garbagecan 1", "shelf 1")}
    facts |= {("in", name, place) for name, (_, place) in things.items()}
    facts |= {(name, apple) for apple in ("apple 1", "apple 2") for name in ("raw", "whole")}
    return Problem((*objects, ("desklamp 1", "desklamp")), frozenset(facts), goal)


class OneHome(HouseholdEnv):
    """An environment with a single problem."""

    def __init__(self, goal: Goal, difficulty: Any = "medium", leave_out: tuple[str, ...] = ()) -> None:
        super().__init__(difficulty=difficulty, max_steps=500)
        self.problem = problem(goal, leave_out=leave_out)
        self.split = split_of(self.fingerprint(self.problem))
        self.reset(seed=0)

    def sample_task(self, rng: np.random.Generator) -> Problem:
        return self.problem

    def said(self, *actions: str) -> str:
        """What the agent is told after the last of some actions."""
        for action in actions:
            messages = self.step(action)[0]
        return messages[-1]["content"]

    def dead(self, *actions: str) -> bool:
        """Whether the goal is out of reach after some actions."""
        for action in actions:
            info = self.step(action)[4]
        return bool(info["metrics"]["dead_end"])


PUT_BOOK = Goal("put", "book", (), "shelf")
HOT_MUG = Goal("heat", "mug", ("hot",), "desk")


def test_a_closed_place_shows_nothing_before_it_is_open() -> None:
    env = OneHome(PUT_BOOK)
    assert env.said("go to drawer 1") == "you are at drawer 1. it is closed."
    assert env.said("take book 1 from drawer 1") == "Drawer 1 is closed."
    assert env.said("examine book 1") == "You see no book 1 here."
    assert env.said("check") == (
        "Valid actions: go to desk 1, go to fridge 1, go to microwave 1, go to sinkbasin 1, go to garbagecan 1, "
        "go to shelf 1, open drawer 1, examine drawer 1, look, inventory."
    )
    assert env.said("open drawer 1") == "drawer 1 is open. in it: apple 2, book 1."
    assert env.said("take book 1 from drawer 1") == "you hold book 1."
    assert env.said("inventory") == "you hold book 1."
    assert env.said("look") == "you are at drawer 1. in it: apple 2."
    assert env.said("close drawer 1") == "drawer 1 is closed."
    assert env.said("put book 1 in drawer 1") == "Drawer 1 is closed."


@pytest.mark.parametrize(
    "text",
    [
        "put book 1 in/on shelf 1",
        "put book 1 on shelf 1",
        "put the book 1 in the shelf 1",
        "move book 1 to shelf 1",
        "Put book1 onto Shelf1.",
        "THOUGHT: there.\nAction: put book 1 in/on shelf 1\nObservation: done",
    ],
)
def test_forms_of_putting_are_all_understood(text: str) -> None:
    env = OneHome(PUT_BOOK)
    env.said("go to drawer 1", "open drawer 1", "pick up book 1", "go to shelf 1")
    messages, reward, terminated, *_ = env.step(text)
    assert messages[-1]["content"] == "The goal is reached."
    assert terminated
    assert reward == 0.25


@pytest.mark.parametrize(
    ("actions", "answer"),
    [
        (["dance"], "This is no action; say one of: go to PLACE, open PLACE"),
        (["go to attic 1"], "There is no attic 1 here."),
        (["go to desk 1", "go to desk 1"], "You are at desk 1 already."),
        (["take apple 1 from desk 1"], "You are not at desk 1."),
        (["take apple 1"], "You see no apple 1 here."),
        (["go to desk 1", "take book 1 from desk 1"], "You see no book 1 here."),
        (["go to desk 1", "take apple 9"], "You see no apple 9 here."),
        (["go to desk 1", "take desklamp 1"], "Desklamp 1 cannot be taken."),
        (["go to desk 1", "take apple 1", "take apple 1"], "You hold apple 1 already."),
        (["go to desk 1", "take apple 1", "take knife 1"], "Your hand is not empty."),
        (["go to desk 1", "take apple 1", "slice apple 1 with knife 1"], "Apple 1 does not lie here."),
        (["go to desk 1", "slice apple 1 with knife 1"], "You do not hold knife 1."),
        (["go to desk 1", "slice knife 1 with apple 1"], "Knife 1 cannot be sliced."),
        (["go to desk 1", "slice apple 1 with desklamp 1"], "Desklamp 1 is no knife."),
        (["go to desk 1", "put apple 1 on desk 1"], "You do not hold apple 1."),
        (["go to desk 1", "open desk 1"], "Desk 1 does not open or close."),
        (["go to desk 1", "use apple 1"], "Apple 1 cannot be used."),
        (["use desklamp 1"], "You see no desklamp 1 here."),
        (["go to desk 1", "take apple 1", "heat apple 1 with microwave 1"], "You are not at microwave 1."),
        (["go to desk 1", "take apple 1", "heat apple 1 with desk 1"], "Desk 1 is no microwave."),
        (
            ["go to shelf 1", "take pan 1", "go to microwave 1", "heat pan 1 with microwave 1"],
            "Pan 1 cannot be heated.",
        ),
        (["go to fridge 1", "open fridge 1", "open fridge 1"], "Fridge 1 is open already."),
        (["go to fridge 1", "close fridge 1"], "Fridge 1 is closed already."),
        (["go to fridge 1", "open fridge 1", "cool mug 1 with fridge 1"], "You do not hold mug 1."),
        (["examine desk 1"], "You are not at desk 1."),
    ],
)
def test_what_cannot_be_done_is_explained_and_changes_nothing(actions: list[str], answer: str) -> None:
    env = OneHome(PUT_BOOK)
    if actions[:-1]:
        env.said(*actions[:-1])
    before = env.state.facts
    messages, reward, _, _, info = env.step(actions[-1])
    assert messages[-1]["content"].startswith(answer)
    assert reward == 0.0
    assert env.state.facts == before
    assert info["metrics"]["grounding"] == pytest.approx((len(actions) - 1) / len(actions))


def test_treatments_and_what_they_take_away() -> None:
    env = OneHome(PUT_BOOK)
    env.said("go to desk 1", "take apple 1 from desk 1", "go to microwave 1")
    assert env.said("heat apple 1 with microwave 1") == "apple 1 is hot."
    assert env.said("inventory") == "you hold apple 1 (hot, cooked)."
    assert env.said("go to fridge 1", "cool apple 1 with fridge 1") == "apple 1 is cold."
    assert env.said("examine apple 1") == "apple 1 (cold, cooked): nothing else to note."
    assert env.said("go to sinkbasin 1", "clean apple 1 with sinkbasin 1") == "apple 1 is clean."
    assert env.said("inventory") == "you hold apple 1 (clean, cooked)."
    env.said("go to desk 1", "put apple 1 on desk 1", "take knife 1")
    assert env.said("slice apple 1 with knife 1") == "apple 1 is sliced."
    assert env.said("look") == "you are at desk 1. on it: apple 1 (clean, cooked, sliced), desklamp 1."
    assert env.said("slice apple 1 with knife 1") == "Apple 1 is sliced already."


def test_crockery_breaks_between_heat_and_cold() -> None:
    env = OneHome(HOT_MUG)
    assert env.said("go to fridge 1", "open fridge 1", "take mug 1") == "you hold mug 1."
    assert env.said("go to microwave 1", "heat mug 1 with microwave 1") == "mug 1 was cold and breaks."
    assert env.said("inventory") == "your hand is empty."
    assert env.state.dead_end is False
    env.said("go to shelf 1", "take mug 2", "go to microwave 1", "heat mug 2 with microwave 1")
    assert env.said("go to fridge 1", "cool mug 2 with fridge 1") == "mug 2 was hot and breaks."
    assert env.state.dead_end is True
    assert env.expert_action() == "look"


def test_the_expert_washes_cold_crockery_before_it_is_heated() -> None:
    env = OneHome(HOT_MUG, leave_out=("mug 2",))
    actions, over = [], False
    while not over:
        actions.append(env.expert_action())
        over = env.step(actions[-1])[2]
    assert actions[2:7] == [
        "take mug 1 from fridge 1",
        "go to sinkbasin 1",
        "clean mug 1 with sinkbasin 1",
        "go to microwave 1",
        "heat mug 1 with microwave 1",
    ]


def test_what_is_lost_for_good_is_a_dead_end_only_if_the_goal_needs_it() -> None:
    assert OneHome(Goal("slice", "apple", ("sliced",), "shelf")).dead(
        "go to desk 1", "take knife 1", "go to garbagecan 1", "put knife 1 in garbagecan 1"
    )
    throw_book = ("go to drawer 1", "open drawer 1", "take book 1", "go to garbagecan 1", "put book 1 in garbagecan 1")
    env = OneHome(PUT_BOOK)
    assert env.dead(*throw_book)
    assert env.said("take book 1 from garbagecan 1") == "What is in garbagecan 1 cannot be taken out."
    assert not OneHome(Goal("heat", "apple", ("hot",), "desk")).dead(*throw_book)
    cook = ("go to desk 1", "take apple 1", "go to microwave 1", "heat apple 1 with microwave 1")
    assert not OneHome(Goal("put", "apple", ("raw",), "shelf")).dead(*cook)
    assert OneHome(Goal("put", "apple", ("raw",), "shelf"), leave_out=("apple 2",)).dead(*cook)
    cut = ("go to desk 1", "take knife 1", "slice apple 1 with knife 1")
    assert OneHome(Goal("clean", "apple", ("whole", "clean"), "shelf"), leave_out=("apple 2",)).dead(*cut)
    assert OneHome(Goal("put_two", "apple", ("whole",), "shelf", 2)).dead(*cut)


def test_the_lamp_must_be_on_while_the_thing_is_held_there() -> None:
    env = OneHome(Goal("light", "book", (), "desklamp"))
    assert env.said("go to desk 1", "use desklamp 1") == "desklamp 1 is on."
    assert env.said("look") == "you are at desk 1. on it: apple 1, knife 1, desklamp 1 (on)."
    assert env.said("use desklamp 1") == "desklamp 1 is off."
    assert env.said("turn on desklamp 1") == "desklamp 1 is on."
    env.said("go to drawer 1", "open drawer 1", "take book 1 from drawer 1")
    _, reward, terminated, _, info = env.step("go to desk 1")
    assert terminated
    assert info["metrics"]["progress"] == 1.0


def test_progress_counts_subgoals_as_agentboard_does() -> None:
    env = OneHome(Goal("put_two", "apple", ("clean",), "shelf", 2))  # find, take, clean, arrive, first, second
    scores = []
    for action in (
        *("go to desk 1", "take apple 1", "go to shelf 1", "go to sinkbasin 1", "clean apple 1 with sinkbasin 1"),
        *("go to shelf 1", "put apple 1 on shelf 1", "take apple 1", "put apple 1 on shelf 1", "go to drawer 1"),
        *("open drawer 1", "take apple 2", "go to sinkbasin 1", "clean apple 2 with sinkbasin 1", "go to shelf 1"),
        "put apple 2 on shelf 1",
    ):
        scores.append(round(env.step(action)[4]["metrics"]["progress"] * 7, 6))
    assert scores == [1, 2, 2, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5, 6, 6, 7]


def test_the_easy_text() -> None:
    env = OneHome(Goal("heat", "book", (), "shelf"), "easy", leave_out=("apple 2", "mug 1", "mug 2", "pan 1"))
    assert env.reset(seed=0)[0][0]["content"] == (
        "Actions: go to X, open X, take X from Y, heat X with Y, put X in Y, check.\n"
        "Task: put the book on the shelf.\n"
        "Places: desk 1, drawer 1, fridge 1, microwave 1, sinkbasin 1, garbagecan 1, shelf 1. apple 1 is on desk 1. "
        "book 1 is in drawer 1. knife 1 is on desk 1. desklamp 1 is on desk 1. drawer 1 is closed. "
        "fridge 1 is closed. microwave 1 is closed."
    )
    assert env.said("go to desk 1") == "you are at desk 1."
    assert env.said("go to drawer 1") == "you are at drawer 1. it is closed."
    assert env.said("open drawer 1") == "drawer 1 is open."


GOALS = [
    PUT_BOOK,
    HOT_MUG,
    Goal("put", "apple", ("raw",), "shelf"),
    Goal("put", "book", (), "garbagecan"),
    Goal("cool", "apple", ("sliced", "cold"), "garbagecan"),
    Goal("clean", "apple", ("whole", "clean", "cooked"), "drawer"),
    Goal("slice", "apple", ("sliced",), ""),
    Goal("put_two", "mug", ("cold",), "desk", 2),
    Goal("light", "mug", ("clean",), "desklamp"),
]


def test_dead_ends_are_told_exactly() -> None:
    """Whatever happened: the test, the expert, and a general planner agree on what can still be reached."""
    rng = np.random.default_rng(0)
    answers = []
    for goal in GOALS * 7:
        one = problem(goal)
        world = World(DOMAIN, one.objects)
        all_ways = ways(goal, world, one.init)
        facts = one.init
        for _ in range(int(rng.integers(90))):
            # Going around is the larger part of what can be done; most of it is passed over.
            actions = [a for a in world.applicable(facts) if a.name != "go" or rng.random() < 0.3]
            if actions:
                facts = actions[int(rng.integers(len(actions)))].result(facts)
        answers.append(can_be_reached(goal, world, facts, all_ways))
        assert answers[-1] == any(planned(world, facts, way.facts) for way in all_ways)
        for name, arguments in solve(goal, world, facts, all_ways):
            action = world.ground(name, arguments)
            assert world.explain(facts, action) == ""
            facts = action.result(facts)
        assert answers[-1] == any(way.facts <= facts for way in all_ways)
    assert set(answers) == {True, False}


def planned(world: World, facts: State, goal: State) -> bool:
    """Whether the planner of the engine finds a plan; it must be sure."""
    try:
        plan(world, facts, goal)
    except PlanningError as error:
        assert "cannot be reached" in str(error) or "never be reached" in str(error)
        return False
    return True
