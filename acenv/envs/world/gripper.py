"""Gripper: a robot with two hands carries balls between rooms."""

from __future__ import annotations

import heapq
import itertools

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.world.puzzle import NAMES, Plan, Problem, Puzzle
from acenv.envs.world.strips import Atom, Literal, Predicate, Schema, State, domain

ROOMS = ("kitchen", "hall", "garden", "office", "bedroom", "cellar", "attic", "garage", "library", "studio")
HANDS = ("left", "right")

_CARRY = (("ball", "ball"), ("hand", "hand"), ("room", "room"))

DOMAIN = domain(
    "gripper",
    {"room": "", "ball": "", "hand": ""},
    [
        Predicate("at", ("room",), "you are in the {0}", "you are not in the {0}", rank=0),
        Predicate("in", ("ball", "room"), "{0} is in the {1}", "{0} is not in the {1}", rank=1),
        Predicate("free", ("hand",), "{0} is free", "{0} is not free", rank=2),
        Predicate("holds", ("hand", "ball"), "{0} holds {1}", "{0} does not hold {1}", rank=2),
        Predicate("door", ("room", "room"), negation="there is no door from the {0} to the {1}"),
    ],
    [
        Schema(
            "move",
            (("from", "room"), ("to", "room")),
            (
                Literal("at", ("from",)),
                Literal("=", ("from", "to"), positive=False, otherwise="you are in the {to} already"),
                Literal("door", ("from", "to")),
            ),
            add=(("at", "to"),),
            delete=(("at", "from"),),
            forms=("move to {to}", "move from {from} to {to}", "go to {to}", "walk to {to}"),
            effect="you are in the {to}.",
        ),
        Schema(
            "pick",
            _CARRY,
            (
                Literal("at", ("room",)),
                Literal("in", ("ball", "room")),
                Literal("free", ("hand",)),
            ),
            add=(("holds", "hand", "ball"),),
            delete=(("in", "ball", "room"), ("free", "hand")),
            forms=(
                "pick {ball} with {hand}",
                "pick up {ball} with {hand}",
                "pick {ball} up with {hand}",
                "pick {ball} in {room} with {hand}",
                "take {ball} with {hand}",
            ),
            effect="{hand} holds {ball}.",
        ),
        Schema(
            "drop",
            _CARRY,
            (
                Literal("holds", ("hand", "ball")),
                Literal("at", ("room",)),
            ),
            add=(("in", "ball", "room"), ("free", "hand")),
            delete=(("holds", "hand", "ball"),),
            forms=(
                "drop {ball} with {hand}",
                "drop {ball} from {hand}",
                "drop {ball} in {room} with {hand}",
                "put down {ball} with {hand}",
            ),
            effect="{ball} is in the {room}.",
        ),
    ],
    fillers=("ball", "room", "hand", "gripper"),
)

_FULL_RULES = (
    "You carry balls between rooms. You have two hands, left and right; each holds one ball. "
    "You can pick a ball in the room where you are, with a free hand, and drop it in another room.\n"
    "Actions, one a message: move to ROOM, pick BALL with HAND, drop BALL with HAND, "
    "look (tells the whole state), check valid actions (lists what can be done now)."
)
RULES: dict[Difficulty, str] = {
    "easy": "Carry balls between rooms. Each hand holds one ball.\n"
    "Actions: move to X, pick X with left, drop X with left, check.",
    "medium": _FULL_RULES,
    "hard": _FULL_RULES + " You can only move through doors.",
}


def sample(rng: np.random.Generator, difficulty: Difficulty) -> Problem:
    """Draw a problem in which no ball is at its goal at the start."""
    balls, rooms, goals, doors = _sizes(rng, difficulty)
    names = pick(rng, pick(rng, NAMES), balls)
    places = pick(rng, ROOMS, rooms)
    links = list(itertools.combinations(places, 2)) if doors is None else _map(rng, places, doors)
    facts: list[Atom] = [("at", pick(rng, places)), *(("free", hand) for hand in HANDS)]
    facts += [("door", *pair) for link in links for pair in (link, link[::-1])]
    goal: list[Atom] = []
    pairs = list(itertools.permutations(places, 2))
    for i, (name, draw) in enumerate(zip(names, rng.random(balls).tolist(), strict=True)):
        start, end = pairs[int(draw * len(pairs))]
        facts.append(("in", name, start))
        if i < goals:
            goal.append(("in", name, end))
    objects = (
        *((p, "room") for p in places),
        *((n, "ball") for n in (names if difficulty == "easy" else pick(rng, names, balls))),
        *((h, "hand") for h in HANDS),
    )
    return Problem("gripper", objects, frozenset(facts), tuple(goal))


def _sizes(rng: np.random.Generator, difficulty: Difficulty) -> tuple[int, int, int, int | None]:
    """Numbers of balls, rooms and goals, and of doors beside those that connect all rooms (None: all doors)."""
    if difficulty == "easy":
        balls = int(rng.integers(1, 3))
        return balls, 2, balls, None
    if difficulty == "medium":
        balls = int(rng.integers(3, 5))
        return balls, int(rng.integers(3, 5)), balls, None
    goals = int(rng.integers(5, 7))
    return goals + 1, 5, goals, 1


def _map(rng: np.random.Generator, rooms: list[str], extra: int) -> list[tuple[str, str]]:
    """Doors that make a random tree of the rooms, and ``extra`` more."""
    links = [(rooms[int(rng.integers(i))], rooms[i]) for i in range(1, len(rooms))]
    others = [pair for pair in itertools.combinations(rooms, 2) if pair not in links]
    return links + list(pick(rng, others, extra))


def place(problem: Problem) -> str:
    """The doors in words, where not every room leads to every other."""
    rooms = [name for name, kind in problem.objects if kind == "room"]
    pairs = [p for p in itertools.combinations(rooms, 2) if ("door", *p) in problem.init]
    if len(pairs) == len(rooms) * (len(rooms) - 1) // 2:
        return ""
    return "Doors: " + ", ".join(f"{a} and {b}" for a, b in pairs) + "."


# The expert --------------------------------------------------------------------------------------------------------


def solve(problem: Problem, state: State) -> Plan:
    """A plan from any state, the shortest of those that drop a ball only in its goal room.

    Balls in hand that have no goal are dropped at once, to have the hands free.

    Raises:
        ValueError: A ball cannot be brought to its goal.
    """
    at = next(f[1] for f in state if f[0] == "at")
    target = {f[1]: f[2] for f in problem.goal}
    hands = {f[1]: f[2] for f in state if f[0] == "holds"}
    where = {f[1]: f[2] for f in state if f[0] == "in"}
    order = [ball for ball, kind in problem.objects if kind == "ball" and ball in target]
    doors: dict[str, list[str]] = {name: [] for name, kind in problem.objects if kind == "room"}
    for name in doors:
        doors[name] = [other for other in doors if ("door", name, other) in state]

    plan: Plan = []
    for hand in [h for h in HANDS if hands.get(h) not in (None, *target)]:
        plan.append(("drop", (hands.pop(hand), hand, at)))
    pending = [ball for ball in order if where.get(ball) != target[ball]]
    jobs = [(where.get(ball), target[ball]) for ball in pending]
    for kind, value in _errands(at, jobs, doors):
        if kind == "move":
            plan.append(("move", (at, str(value))))
            at = str(value)
            continue
        ball = pending[int(value)]
        if kind == "pick":
            hand = next(h for h in HANDS if h not in hands)
            hands[hand] = ball
        else:
            hand = next(h for h, b in hands.items() if b == ball)
            del hands[hand]
        plan.append((kind, (ball, hand, at)))
    return plan


Errand = tuple[str, str | int]
"""``("move", room)``, or ``("pick", i)`` and ``("drop", i)`` for the ``i``-th ball."""


def _errands(at: str, jobs: list[tuple[str | None, str]], doors: dict[str, list[str]]) -> list[Errand]:
    """A* over (room, balls waiting, balls held), the last two as bit masks.

    ``jobs`` has, for each ball, where it waits (None: in a hand) and where it must go.
    """
    bits = [(1 << i, source, goal) for i, (source, goal) in enumerate(jobs)]
    sources = {room: sum(bit for bit, source, _ in bits if source == room) for room in doors}
    goals = {room: sum(bit for bit, _, goal in bits if goal == room) for room in doors}
    held = sum(bit for bit, source, _ in bits if source is None)

    def estimate(node: _Node) -> int:
        """A pick and a drop for each ball, and a move into each room where one waits or must go."""
        room, waiting, held = node
        undone = waiting | held
        moves = sum(1 for r in doors if r != room and (waiting & sources[r] or undone & goals[r]))
        return 2 * waiting.bit_count() + held.bit_count() + moves

    def choices(node: _Node) -> list[tuple[Errand, _Node]]:
        room, waiting, held = node
        ready = held & goals[room]
        if ready:  # to drop it now is never worse than to drop it later
            bit = ready & -ready
            return [(("drop", bit.bit_length() - 1), (room, waiting, held ^ bit))]
        found: list[tuple[Errand, _Node]] = []
        here = waiting & sources[room] if held.bit_count() < len(HANDS) else 0
        while here:
            i = (here & -here).bit_length() - 1
            found.append((("pick", i), (room, waiting ^ (1 << i), held | (1 << i))))
            here &= ~goals[jobs[i][1]]  # of balls with the same way to go, one is enough
        found += [(("move", other), (other, waiting, held)) for other in doors[room]]
        return found

    start: _Node = (at, (1 << len(jobs)) - 1 - held, held)
    ticket = itertools.count()
    heap = [(estimate(start), 0, next(ticket), start)]
    came: dict[_Node, tuple[int, _Node | None, Errand]] = {start: (0, None, ("", 0))}
    while heap:
        _, depth, _, node = heapq.heappop(heap)
        cost = -depth
        if cost > came[node][0]:
            continue
        if not node[1] and not node[2]:
            errands = []
            previous: _Node | None = node
            while previous is not None:
                _, previous, errand = came[previous]
                errands.append(errand)
            return errands[-2::-1]
        for errand, after in choices(node):
            if after not in came or cost + 1 < came[after][0]:
                came[after] = (cost + 1, node, errand)
                # Of equal estimates the deepest is looked at first, and of these the first found.
                heapq.heappush(heap, (cost + 1 + estimate(after), -cost - 1, next(ticket), after))
    raise ValueError("there is no way to bring every ball to its goal")


_Node = tuple[str, int, int]

GRIPPER = Puzzle(DOMAIN, sample, solve, RULES, place)
