"""Draws homes, what is where in them, and what is to be done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.world.household.goals import LAMP, Goal, Problem, TaskName
from acenv.envs.world.household.home import DOMAIN, GIVEN, START
from acenv.envs.world.household.kinds import (
    CLOSETS,
    COOKWARE,
    CROCKERY,
    FOOD,
    FROM_THE_KITCHEN,
    ITEMS,
    KITCHEN_PLACES,
    OTHER_PLACES,
    SLICEABLE,
    SURFACES,
    WASHABLE,
    places_of,
)
from acenv.envs.world.strips import Atom

_DISHES = (*FOOD, *CROCKERY)
_KINDS: dict[TaskName, tuple[str, ...]] = {
    "put": (*_DISHES, *COOKWARE, *WASHABLE, *ITEMS),
    "light": (*CROCKERY, *ITEMS),
    "clean": (*_DISHES, *COOKWARE, *WASHABLE),
    "heat": _DISHES,
    "cool": (*_DISHES, *COOKWARE),
    "slice": SLICEABLE,
    "put_two": (*_DISHES, *WASHABLE, *ITEMS),
}

_BASE: dict[TaskName, str] = {"heat": "hot", "cool": "cold", "clean": "clean", "slice": "sliced"}
_ORDER = ("whole", "raw", "sliced", "clean", "cooked", "hot", "cold")
_APART = ({"hot", "cold"}, {"hot", "raw"}, {"hot", "cooked"}, {"cooked", "raw"}, {"sliced", "whole"})
"""Conditions that exclude each other, or of which one says the other."""


@dataclass(slots=True)
class _Draft:
    """A home that is being furnished: the kinds of places, things and lamps by name, and the facts."""

    places: dict[str, str]
    things: dict[str, str] = field(default_factory=dict)
    lamps: list[str] = field(default_factory=list)
    facts: set[Atom] = field(default_factory=lambda: {("at", START), ("hand_empty",)})

    def lay(self, thing: str, kind: str, place: str, spoiled: str = "") -> None:
        """Put a new thing somewhere; ``spoiled`` is what it has lost for good, if anything."""
        self.things[thing] = kind
        self.facts.add(("in", thing, place))
        if kind in SLICEABLE:
            self.facts.add(("sliced" if spoiled == "whole" else "whole", thing))
        if kind in FOOD:
            self.facts.add(("cooked" if spoiled == "raw" else "raw", thing))
        if self.places[place] == "fridge":
            self.facts.add(("cold", thing))

    def stand(self, lamp: str, place: str) -> None:
        """Put a new lamp somewhere."""
        self.lamps.append(lamp)
        self.facts.add(("stands", lamp, place))

    def problem(self, goal: Goal) -> Problem:
        """The finished problem."""
        groups = ({START: "spot"}, self.places, self.things, dict.fromkeys(self.lamps, LAMP))
        objects = tuple(pair for names in groups for pair in names.items())
        return Problem(objects, frozenset(self.facts), goal)


def sample(rng: np.random.Generator, difficulty: Difficulty, task: TaskName) -> Problem:
    """Draw a problem that can be solved and of which nothing is done yet."""
    problem = None
    while problem is None:
        problem = _easy(rng, task) if difficulty == "easy" else _full(rng, difficulty == "hard", task)
    return problem


# Easy ----------------------------------------------------------------------------------------------------------------

_EASY_KINDS = ("apple", "bread", "lemon", "onion", "peach", "pear", "plum", "bowl", "cup", "glass", "plate")
_EASY_ITEMS = ("book", "bottle", "camera", "key", "map", "pen", "pillow", "radio", "vase")
_EASY_SURFACES = ("table", "desk", "shelf", "bed", "sofa")
_EASY_CLOSETS = ("drawer", "cabinet", "box")
_EASY_PLACES = (*_EASY_SURFACES, *_EASY_CLOSETS)
_APPLIANCES: dict[TaskName, str] = {"heat": "microwave", "cool": "fridge", "clean": "sinkbasin"}


def _easy(rng: np.random.Generator, task: TaskName) -> Problem:
    """Three places and two or three things, one of each kind; names have numbers only where two are of a kind."""
    start = pick(rng, _EASY_PLACES)
    end = pick(rng, [p for p in (_EASY_SURFACES if task == "light" else _EASY_PLACES) if p != start])
    third = _APPLIANCES.get(task) or pick(rng, [p for p in _EASY_PLACES if p not in (start, end)])
    draft = _Draft({p: p for p in pick(rng, (start, end, third), 3)})
    draft.facts |= {("open", p) for p in draft.places if p not in _EASY_CLOSETS or rng.random() < 0.5}
    kinds = (*_EASY_KINDS, *_EASY_ITEMS)
    kind = pick(rng, [k for k in kinds if k in _KINDS[task]])
    spots = dict.fromkeys([f"{kind} 1", f"{kind} 2"] if task == "put_two" else [kind], start)
    if task == "slice":
        spots["knife"] = end
    for other in pick(rng, [k for k in kinds if k != kind], int(rng.integers(1, 4 - len(spots)))):
        spots[other] = pick(rng, (start, end))
    for name in pick(rng, list(spots), len(spots)):
        draft.lay(name, name.partition(" ")[0], spots[name])
    if task == "light":
        draft.stand(LAMP, end)
    target = {"light": LAMP, "slice": ""}.get(task, end)
    conditions = (_BASE[task],) if task in _BASE else ()
    return draft.problem(Goal(task, kind, conditions, target, count=2 if task == "put_two" else 1))


# Medium and hard -----------------------------------------------------------------------------------------------------

_KITCHEN = ("fridge", "microwave", "sinkbasin", "garbagecan", "countertop", "cabinet", "drawer")
_ONLY_ONE = frozenset({"fridge", "microwave", "garbagecan"})

OPEN = 0.1
"""Share of the places with doors that are open at the start."""

HIDDEN = 0.7
"""Share of the wanted things that start in closed places, where there is one for them."""

CHILLED = 0.5
"""Share of the hard tasks about hot crockery in which a piece stands in the fridge: it breaks when it is heated."""


def _full(rng: np.random.Generator, hard: bool, task: TaskName) -> Problem | None:
    """A furnished home; None if something has no place in it."""
    draft = _Draft(_furnish(rng, hard))
    draft.facts |= {
        ("open", name) for name, k in draft.places.items() if not DOMAIN.is_a(k, "closet") or rng.random() < OPEN
    }
    kind = pick(rng, _KINDS[task])
    conditions = _conditions(rng, hard, task, kind)
    target = _target(rng, task, kind, conditions, draft)
    if not target:
        return None
    goal = Goal(task, kind, conditions, target, count=2 if task == "put_two" else 1)
    spoiled = [name for name in conditions if name in GIVEN]
    count = goal.count + len(spoiled) + int(rng.integers(3 if hard else 2))
    banned = {target, "fridge"} if "cold" in conditions else {target}
    spoils = pick(rng, [*spoiled, *[""] * (count - len(spoiled))], count)
    for i, spoil in enumerate(spoils):
        chilled = hard and i == 0 and kind in CROCKERY and "hot" in conditions and rng.random() < CHILLED
        spot = "fridge 1" if chilled and target != "fridge" else _spot(rng, kind, draft, banned, wanted=True)
        if not spot:
            return None
        draft.lay(f"{kind} {i + 1}", kind, spot, spoil)
    number = int(rng.integers(20, 31) if hard else rng.integers(10, 19))
    others = [k for k in (*_DISHES, *COOKWARE, *WASHABLE, *ITEMS) if k != kind]
    numbers: dict[str, int] = {}
    for k in ["knife"] * int(rng.integers(1, 3)) + [pick(rng, others) for _ in range(number - count)]:
        spot = _spot(rng, k, draft)
        if spot:
            numbers[k] = numbers.get(k, 0) + 1
            draft.lay(f"{k} {numbers[k]}", k, spot)
    if "knife" not in numbers:
        return None
    draft.things = dict(sorted(draft.things.items()))
    surfaces = [name for name, k in draft.places.items() if k in SURFACES]
    for i, place in enumerate(pick(rng, surfaces, 1 + hard)):
        draft.stand(f"{LAMP} {i + 1}", place)
    return draft.problem(goal)


def _furnish(rng: np.random.Generator, hard: bool) -> dict[str, str]:
    """The places by name, those of one kind together."""
    number = int(rng.integers(16, 23) if hard else rng.integers(9, 15))
    counts = dict.fromkeys((*_KITCHEN, *pick(rng, SURFACES[1:], 2)), 1)
    for kind in pick(rng, (*SURFACES[1:], *CLOSETS), 3 if hard else 1):
        counts.setdefault(kind, 1)
    while sum(counts.values()) < number:
        kind = pick(rng, [k for k in counts if k not in _ONLY_ONE and counts[k] < 4])
        counts[kind] += 1
    return {f"{kind} {i + 1}": kind for kind in sorted(counts) for i in range(counts[kind])}


def _conditions(rng: np.random.Generator, hard: bool, task: TaskName, kind: str) -> tuple[str, ...]:
    """What the task itself asks for, and one or two conditions more, as far as there are any that go with it."""
    chosen = {_BASE[task]} if task in _BASE else set()
    offered = _MORE[task] if hard else _MORE_AT_MEDIUM.get(task, ())
    for _ in range(int(rng.integers(1, 3) if hard else rng.integers(2))):
        possible = [name for name in offered if kind in _CAN_BE[name] and _goes_with(name, chosen)]
        if possible:
            chosen.add(pick(rng, possible))
    return tuple(name for name in _ORDER if name in chosen)


_MORE: dict[TaskName, tuple[str, ...]] = {
    "put": ("whole", "raw"),
    "light": ("clean",),
    "clean": _ORDER,
    "heat": _ORDER,
    "cool": _ORDER,
    "slice": _ORDER,
    "put_two": ("clean", "hot", "cold"),
}
_MORE_AT_MEDIUM: dict[TaskName, tuple[str, ...]] = {"slice": ("clean", "hot", "cold")}

_CAN_BE: dict[str, Collection[str]] = {
    "whole": SLICEABLE,
    "raw": FOOD,
    "sliced": SLICEABLE,
    "clean": _KINDS["clean"],
    "cooked": FOOD,
    "hot": _KINDS["heat"],
    "cold": _KINDS["cool"],
}


def _goes_with(name: str, chosen: Collection[str]) -> bool:
    return name not in chosen and not any(pair <= {name, *chosen} for pair in _APART)


def _target(rng: np.random.Generator, task: TaskName, kind: str, conditions: tuple[str, ...], draft: _Draft) -> str:
    """The kind of place where things must end; empty if the home has none that fits."""
    if task == "light":
        return LAMP
    kinds = KITCHEN_PLACES | {"fridge"} if kind in FROM_THE_KITCHEN else OTHER_PLACES
    if "hot" in conditions or kind in WASHABLE:
        kinds -= {"fridge"}
    if task == "put" and not conditions:
        kinds |= {"garbagecan"}
    fitting = sorted(kinds.intersection(draft.places.values()))
    return str(pick(rng, fitting)) if fitting else ""


def _spot(
    rng: np.random.Generator, kind: str, draft: _Draft, banned: Collection[str] = (), wanted: bool = False
) -> str:
    """Where a thing may be at the start; wanted things are rather hidden. Empty: there is no place for it."""
    allowed = places_of(kind)
    spots = [name for name, k in draft.places.items() if k in allowed and k not in banned]
    closed = [name for name in spots if ("open", name) not in draft.facts]
    if wanted and closed and rng.random() < HIDDEN:
        spots = closed
    return str(pick(rng, spots)) if spots else ""
