from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.envs.world.blocksworld import BLOCKSWORLD
from acenv.envs.world.engine import World
from acenv.envs.world.environment import PUZZLES
from acenv.envs.world.gripper import GRIPPER
from acenv.envs.world.puzzle import NAMES, Plan, Problem
from acenv.envs.world.strips import State


def shortest(world: World, problem: Problem, start: State) -> int:
    """Length of the shortest plan, by breadth first search with the engine alone."""
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        state, depth = queue.popleft()
        if state.issuperset(problem.goal):
            return depth
        for action in world.applicable(state):
            after = action.result(state)
            if after not in seen:
                seen.add(after)
                queue.append((after, depth + 1))
    raise AssertionError("unsolvable")


def execute(world: World, state: State, plan: Plan) -> State:
    for name, arguments in plan:
        action = world.ground(name, arguments)
        assert world.explain(state, action) == ""
        state = action.result(state)
    return state


@pytest.mark.parametrize("puzzle", PUZZLES.values(), ids=PUZZLES)
def test_easy_plans_are_the_shortest_from_any_state(puzzle: Any) -> None:
    rng = np.random.default_rng(1)
    for _ in range(12):
        problem = puzzle.sample(rng, "easy")
        world = World(puzzle.domain, problem.objects)
        state = problem.init
        for _ in range(int(rng.integers(5))):
            actions = world.applicable(state)
            state = actions[int(rng.integers(len(actions)))].result(state)
        plan = puzzle.solve(problem, state)
        assert execute(world, state, plan).issuperset(problem.goal)
        assert len(plan) == shortest(world, problem, state)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["medium", "hard"]),
    st.sampled_from(list(PUZZLES.values())),
    st.integers(0, 9),
)
def test_plans_reach_the_goal_from_any_state(seed: int, difficulty: Any, puzzle: Any, wander: int) -> None:
    rng = np.random.default_rng(seed)
    problem = puzzle.sample(rng, difficulty)
    world = World(puzzle.domain, problem.objects)
    state = problem.init
    for _ in range(wander):
        actions = world.applicable(state)
        state = actions[int(rng.integers(len(actions)))].result(state)
    if puzzle.lost(problem, state):
        return
    assert execute(world, state, puzzle.solve(problem, state)).issuperset(problem.goal)


@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
@pytest.mark.parametrize("puzzle", PUZZLES.values(), ids=PUZZLES)
@pytest.mark.usefixtures("no_collections")
def test_no_goal_fact_holds_at_the_start_and_the_plan_is_found_at_once(puzzle: Any, difficulty: Any) -> None:
    rng = np.random.default_rng(5)
    slowest = 0.0
    for _ in range(100):
        problem = puzzle.sample(rng, difficulty)
        assert problem.progress(problem.init) == 0.0
        assert not puzzle.lost(problem, problem.init)
        began = time.thread_time()
        plan = puzzle.solve(problem, problem.init)
        slowest = max(slowest, time.thread_time() - began)
        world = World(puzzle.domain, problem.objects)
        assert problem.progress(execute(world, problem.init, plan)) == 1.0
    assert slowest < 0.05


def test_impossible_goals_are_refused() -> None:
    circle = (("on", "b", "c"), ("on", "c", "b"))
    for count in (3, 5):
        names = ("b", "c", "d", "f", "g")[:count]
        init = frozenset([("hand_empty",), *((p, b) for b in names for p in ("on_table", "clear"))])
        with pytest.raises(ValueError, match="no arrangement"):
            BLOCKSWORLD.solve(Problem("blocksworld", tuple((b, "block") for b in names), init, circle), init)
    rooms = (("hall", "room"), ("attic", "room"), ("b", "ball"), ("left", "hand"), ("right", "hand"))
    facts = [("at", "hall"), ("in", "b", "hall"), ("free", "left"), ("free", "right")]
    with pytest.raises(ValueError, match="no way"):
        GRIPPER.solve(Problem("gripper", rooms, frozenset(facts), (("in", "b", "attic"),)), frozenset(facts))


def test_names_are_no_words_of_commands() -> None:
    names = [name for group in NAMES for name in group]
    assert len(names) == len(set(names)) == 40
    used = {w for p in PUZZLES.values() for a in p.domain.actions.values() for f in a.forms for w in f.split()}
    used |= {w for p in PUZZLES.values() for w in p.domain.fillers} | {"a", "an", "the", "check", "look", "table"}
    assert not used & set(names)
