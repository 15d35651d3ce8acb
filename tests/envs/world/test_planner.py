from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.world.engine import World
from acenv.envs.world.environment import PUZZLES
from acenv.envs.world.planner import Planner, PlanningError, plan
from acenv.envs.world.puzzle import Plan
from acenv.envs.world.strips import Atom, Literal, Predicate, Schema, State, domain

# Lamps and switches: every feature of the language that a plan can turn on.
HOUSE = domain(
    "house",
    {"thing": "", "lamp": "thing", "key": "thing"},
    [
        Predicate("on", ("lamp",)),
        Predicate("used", ("thing",)),
        Predicate("near", ("thing", "thing")),
        Predicate("main", ("lamp",)),
    ],
    [
        Schema(
            "swap",
            (("x", "lamp"), ("y", "lamp")),
            (
                Literal("=", ("x", "y"), positive=False),
                Literal("on", ("x",)),
                Literal("on", ("y",), positive=False),
            ),
            add=(("on", "y"),),
            delete=(("on", "x"),),
            forms=("swap {x} {y}",),
            effect="",
        ),
        Schema(
            "wire",
            (("x", "lamp"), ("k", "key")),
            (Literal("near", ("x", "k")), Literal("used", ("k",), positive=False), Literal("on", ("attic",))),
            add=(("on", "x"), ("used", "k")),
            delete=(),
            forms=("wire {x} {k}",),
            effect="",
        ),
        Schema(
            "reset",
            (("k", "key"),),
            (),
            add=(("used", "hall"),),
            delete=(("used", "k"), ("on", "hall")),
            forms=("reset {k}",),
            effect="",
        ),
        Schema(
            "bring",
            (("x", "thing"), ("k", "key")),
            (Literal("near", ("x", "k"), positive=False), Literal("main", ("x",), positive=False)),
            add=(("near", "x", "k"),),
            delete=(("near", "attic", "k"),),
            forms=("bring {x} {k}",),
            effect="",
        ),
    ],
)
THINGS = (("hall", "lamp"), ("attic", "lamp"), ("brass", "key"))
ATOMS: list[Atom] = [
    *[("on", lamp) for lamp in ("hall", "attic")],
    *[("used", thing) for thing in ("hall", "attic", "brass")],
    *[("near", thing, "brass") for thing in ("hall", "attic", "brass")],
    ("main", "hall"),
]


def reach(world: World, start: State) -> dict[State, int]:
    """All states that can be reached, with the lengths of the shortest plans, by the engine alone."""
    depths, queue = {start: 0}, deque([start])
    while queue:
        state = queue.popleft()
        for action in world.applicable(state):
            after = action.result(state)
            if after not in depths:
                depths[after] = depths[state] + 1
                queue.append(after)
    return depths


def execute(world: World, state: State, steps: Plan) -> State:
    for name, arguments in steps:
        action = world.ground(name, arguments)
        assert action.first_failure(state) is None
        state = action.result(state)
    return state


@settings(max_examples=60, deadline=None)
@given(
    st.frozensets(st.sampled_from(ATOMS)),
    st.lists(st.sampled_from(ATOMS), max_size=3, unique=True),
    st.lists(st.sampled_from(ATOMS), max_size=2, unique=True),
)
def test_a_plan_is_found_exactly_where_there_is_one(init: State, goal: list[Atom], unwanted: list[Atom]) -> None:
    world = World(HOUSE, THINGS)
    met = [d for s, d in reach(world, init).items() if s.issuperset(goal) and not s.intersection(unwanted)]
    if not met:
        with pytest.raises(PlanningError, match="reached"):
            plan(world, init, goal, unwanted=unwanted)
        return
    found = plan(world, init, goal, unwanted=unwanted)
    end = execute(world, init, found)
    assert end.issuperset(goal) and not end.intersection(unwanted)
    assert min(met) <= len(found) <= 2 * min(met) + 2


@pytest.mark.parametrize("difficulty", ["easy", "medium"])
@pytest.mark.parametrize("name", PUZZLES)
def test_all_domains_are_planned_in_from_any_state_and_the_same_each_time(name: str, difficulty: Any) -> None:
    puzzle = PUZZLES[name]
    rng = np.random.default_rng(7)
    for _ in range(4 if difficulty == "easy" else 1):
        problem = puzzle.sample(rng, difficulty)
        world = World(puzzle.domain, problem.objects)
        planner = Planner(world, problem.init, problem.goal)
        state = problem.init
        for wander in (0, 4):
            for _ in range(wander):
                actions = world.applicable(state)
                state = actions[int(rng.integers(len(actions)))].result(state)
            if puzzle.lost(problem, state):
                continue
            found = planner.plan(state)
            assert execute(world, state, found).issuperset(problem.goal)
            assert found == Planner(World(puzzle.domain, problem.objects), problem.init, problem.goal).plan(state)
            assert len(found) <= 2 * len(puzzle.solve(problem, state)) + 2


def test_hard_barman_which_leads_relaxed_plans_astray_is_planned() -> None:
    puzzle = PUZZLES["barman"]
    problem = puzzle.sample(np.random.default_rng(0), "hard")
    world = World(puzzle.domain, problem.objects)
    assert execute(world, problem.init, plan(world, problem.init, problem.goal)).issuperset(problem.goal)


def test_the_limit_is_kept() -> None:
    puzzle = PUZZLES["barman"]
    problem = puzzle.sample(np.random.default_rng(0), "hard")
    with pytest.raises(PlanningError, match="no plan was found within 20 states"):
        plan(World(puzzle.domain, problem.objects), problem.init, problem.goal, max_expansions=20)


def test_a_goal_that_holds_needs_no_action() -> None:
    assert plan(World(HOUSE, THINGS), frozenset({("on", "hall")}), [("on", "hall")]) == []


def test_no_action_of_a_plan_can_be_left_out() -> None:
    puzzle = PUZZLES["gripper"]
    rng = np.random.default_rng(2)
    for _ in range(5):
        problem = puzzle.sample(rng, "hard")
        world = World(puzzle.domain, problem.objects)
        found = plan(world, problem.init, problem.goal)
        for skipped in range(len(found)):
            state = problem.init
            for name, arguments in found[:skipped] + found[skipped + 1 :]:
                action = world.ground(name, arguments)
                if action.first_failure(state) is None:
                    state = action.result(state)
            assert not state.issuperset(problem.goal)
