"""What is to be done in a home: goals, the sets of facts that reach them, and the steps that count as progress."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

from acenv.envs.base import Difficulty
from acenv.envs.world.engine import World
from acenv.envs.world.household.home import CONDITIONS, GIVEN
from acenv.envs.world.household.kinds import plural, preposition, with_article
from acenv.envs.world.strips import Atom, Objects, State

TaskName = Literal["put", "light", "clean", "heat", "cool", "slice", "put_two"]

LAMP = "desklamp"

_VERBS = {"hot": "heat", "cold": "cool", "clean": "clean", "sliced": "slice"}


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked for. Any thing of the kind will do, and any place of the target's kind.

    Attributes:
        task: The type of task.
        kind: Kind of the things.
        conditions: What must hold of them, as predicates, in the order in which it can be brought about.
        target: Kind of the place where they must be in the end; ``"desklamp"``: held there, with the lamp on; empty:
            anywhere.
        count: How many things must be in one such place.
    """

    task: TaskName
    kind: str
    conditions: tuple[str, ...] = ()
    target: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """Where an episode starts and what must be reached."""

    objects: Objects
    init: State
    goal: Goal


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach a goal.

    Attributes:
        things: Which things are treated and moved.
        place: Where they end; empty: anywhere.
        lamp: The lamp that must be on; empty: none.
        facts: What must hold together.
    """

    things: tuple[str, ...]
    place: str
    lamp: str
    facts: State


def ways(goal: Goal, world: World, init: State) -> list[Way]:
    """All ways to reach a goal; it is reached when the facts of any of them hold."""
    found = []
    for things in itertools.combinations(world.of_type(goal.kind), goal.count):
        treated: set[Atom] = {(name, thing) for name in goal.conditions for thing in things}
        if goal.target == LAMP:
            for fact in sorted(init):
                if fact[0] == "stands":
                    lit: set[Atom] = {("holds", things[0]), ("at", fact[2]), ("lit", fact[1])}
                    found.append(Way(things, fact[2], fact[1], frozenset(treated | lit)))
        elif goal.target:
            for place in world.of_type(goal.target):
                found.append(Way(things, place, "", frozenset(treated | {("in", thing, place) for thing in things})))
        else:
            found.append(Way(things, "", "", frozenset(treated)))
    return found


# Progress ------------------------------------------------------------------------------------------------------------


def subgoals(goal: Goal) -> tuple[str, ...]:
    """What counts as progress, beside the goal itself.

    >>> subgoals(Goal("heat", "egg", ("clean", "hot"), "table"))
    ('find', 'take', 'clean', 'hot', 'arrive')
    """
    if not goal.target:
        return ("find", "knife")
    knife = ["knife"] if "sliced" in goal.conditions else []
    treated = [name for name in goal.conditions if name not in GIVEN]
    both = ["first", "second"] if goal.count > 1 else []
    return ("find", "take", *knife, *treated, "arrive", *both)


def reached(goal: Goal, world: World, facts: State, here: str) -> set[str]:
    """Which subgoals are reached in a state, ``here`` being the place where the robot is.

    A thing counts if it is of the kind and has what no action brings about (it is uncooked, it is whole). ``find``: one
    is seen or held; ``take``: one is held; ``knife``: a knife is held; the name of a condition: it holds of one;
    ``arrive``: one is held with all that is asked for, at a place of the target's kind; ``first``: one is in its place;
    ``second``: and another one is held, ready for it.
    """
    given = [name for name in goal.conditions if name in GIVEN]
    things = [x for x in world.of_type(goal.kind) if all((name, x) in facts for name in given)]
    held = [x for x in things if ("holds", x) in facts]
    found = {name for name in goal.conditions if name not in GIVEN and any((name, x) in facts for x in things)}
    if held:
        found |= {"find", "take"}
    elif ("open", here) in facts and any(("in", x, here) in facts for x in things):
        found.add("find")
    if any(("holds", knife) in facts for knife in world.of_type("knife")):
        found.add("knife")
    ready = [x for x in things if all((name, x) in facts for name in goal.conditions)]
    ready_in_hand = any(x in held for x in ready)
    if goal.target == LAMP:
        if ready_in_hand and any(("stands", lamp, here) in facts for lamp in world.of_type(LAMP)):
            found.add("arrive")
    elif goal.target:
        places = world.of_type(goal.target)
        if ready_in_hand and here in places:
            found.add("arrive")
        if any(("in", x, place) in facts for x in ready for place in places):
            found.add("first")
            if ready_in_hand:
                found.add("second")
    return found.intersection(subgoals(goal))


def can_be_reached(goal: Goal, world: World, facts: State, all_ways: list[Way]) -> bool:
    """Whether any way is still open: exact, because all else in a home can be undone."""
    bins = world.of_type("garbagecan")

    def gone(thing: str) -> str:
        """Where a thing is for good: a garbage can, or nowhere; empty: it can be brought anywhere."""
        if ("broken", thing) in facts:
            return "nowhere"
        return next((place for place in bins if ("in", thing, place) in facts), "")

    cuts = any(not gone(knife) for knife in world.of_type("knife"))

    def possible(thing: str, way: Way) -> bool:
        missing = [name for name in goal.conditions if (name, thing) not in facts]
        end = gone(thing)
        if end == "nowhere":
            return False
        if end:
            can_be_sliced = missing == ["sliced"] and cuts
            return way.place in ("", end) and (not missing or can_be_sliced)
        return not GIVEN.intersection(missing) and (cuts or "sliced" not in missing)

    return any(all(possible(thing, way) for thing in way.things) for way in all_ways)


# Words ---------------------------------------------------------------------------------------------------------------


def say_goal(goal: Goal, difficulty: Difficulty) -> str:
    """The task in words; at easy it says what to do, above what must be so in the end.

    >>> say_goal(Goal("heat", "egg", ("hot",), "shelf"), "easy")
    'heat the egg and put it on the shelf'
    >>> say_goal(Goal("put_two", "mug", ("clean",), "box", 2), "hard")
    'put two clean mugs in one box'
    """
    *others, last = [CONDITIONS[name] for name in goal.conditions] or [""]
    adjectives = f"{', '.join(others)} and {last}" if others else last
    if difficulty == "easy" and goal.count == 1:
        if goal.target == LAMP:
            return f"look at the {goal.kind} under the {LAMP}"
        put = f"put %s {preposition(goal.target)} the {goal.target}" if goal.target else ""
        if not goal.conditions:
            return put % f"the {goal.kind}"
        treat = " and ".join(_VERBS[name] for name in goal.conditions) + f" the {goal.kind}"
        return f"{treat} and {put % 'it'}" if put else treat
    if goal.count > 1:
        things = f"two {adjectives} {plural(goal.kind)}" if adjectives else f"two {plural(goal.kind)}"
        return f"put {things} {preposition(goal.target)} one {goal.target}"
    thing = with_article(f"{adjectives} {goal.kind}".strip())
    if goal.target == LAMP:
        return f"look at {thing} under {with_article(LAMP)}"
    return f"put {thing} {preposition(goal.target)} {with_article(goal.target)}"
