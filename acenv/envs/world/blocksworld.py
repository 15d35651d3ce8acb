"""Blocksworld with four actions: a hand, a table and blocks in towers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.world.puzzle import NAMES, Plan, Problem, Puzzle
from acenv.envs.world.strips import Atom, Literal, Predicate, Schema, State, domain

TABLE = ""
"""Stands for the table where a block's support is asked for; no block has this name."""

OPTIMAL_UP_TO = 4
"""Blocks up to which plans are the shortest possible."""

_X = (("x", "block"),)
_XY = (("x", "block"), ("y", "block"))
_EMPTY = Literal("hand_empty", (), otherwise="your hand is not empty")

DOMAIN = domain(
    "blocksworld",
    {"block": ""},
    [
        Predicate("on", ("block", "block"), "{0} is on {1}", "{0} is not on {1}"),
        Predicate("on_table", ("block",), "{0} is on the table", "{0} is not on the table"),
        Predicate("clear", ("block",)),
        Predicate("holding", ("block",), "you hold {0}", "you do not hold {0}", rank=1),
        Predicate("hand_empty", (), "your hand is empty", "your hand is not empty", rank=1),
    ],
    [
        Schema(
            "pick_up",
            _X,
            (
                Literal("on_table", ("x",)),
                Literal("clear", ("x",), otherwise="another block is on {x}"),
                _EMPTY,
            ),
            add=(("holding", "x"),),
            delete=(("on_table", "x"), ("clear", "x"), ("hand_empty",)),
            forms=("pick up {x}", "pickup {x}", "pick {x} up", "pick up {x} from table", "take {x} from table"),
            effect="you hold {x}.",
        ),
        Schema(
            "put_down",
            _X,
            (Literal("holding", ("x",)),),
            add=(("on_table", "x"), ("clear", "x"), ("hand_empty",)),
            delete=(("holding", "x"),),
            forms=("put down {x}", "putdown {x}", "put {x} down", "put down {x} on table", "put {x} on table"),
            effect="{x} is on the table.",
        ),
        Schema(
            "stack",
            _XY,
            (
                Literal("=", ("x", "y"), positive=False, otherwise="{x} cannot be on itself"),
                Literal("holding", ("x",)),
                Literal("clear", ("y",), otherwise="another block is on {y}"),
            ),
            add=(("on", "x", "y"), ("clear", "x"), ("hand_empty",)),
            delete=(("holding", "x"), ("clear", "y")),
            forms=("stack {x} on {y}", "stack {x} onto {y}", "stack {x} on top of {y}", "put {x} on {y}"),
            effect="{x} is on {y}.",
        ),
        Schema(
            "unstack",
            _XY,
            (
                Literal("on", ("x", "y")),
                Literal("clear", ("x",), otherwise="another block is on {x}"),
                _EMPTY,
            ),
            add=(("holding", "x"), ("clear", "y")),
            delete=(("on", "x", "y"), ("clear", "x"), ("hand_empty",)),
            forms=("unstack {x} from {y}", "unstack {x} off {y}", "unstack {x} on {y}", "take {x} from {y}"),
            effect="you hold {x}.",
        ),
    ],
    fillers=("block", "blocks"),
)

_FULL_RULES = (
    "You arrange blocks on a table with one hand, which holds one block at a time. "
    "Only a block with nothing on top can be taken or built upon. "
    "Take a block from the table with pick up, and a block from another block with unstack. "
    "Put the block that you hold on the table with put down, or on a block with stack.\n"
    "Actions, one a message: pick up X, put down X, stack X on Y, unstack X from Y, "
    "look (tells the whole state), check valid actions (lists what can be done now)."
)
RULES: dict[Difficulty, str] = {
    "easy": "Move one block at a time. A block with another on it cannot move.\n"
    "Actions: pick up X, put down X, stack X on Y, unstack X from Y, check.",
    "medium": _FULL_RULES,
    "hard": _FULL_RULES,
}

# Smallest and largest number of blocks, and smallest number of goal facts; there is one fact fewer than blocks at most.
_SIZES: dict[Difficulty, tuple[int, int, int]] = {"easy": (3, 3, 1), "medium": (5, 6, 3), "hard": (7, 9, 5)}


def sample(rng: np.random.Generator, difficulty: Difficulty) -> Problem:
    """Draw a problem in which no goal fact holds at the start."""
    least, most, fewest_goals = _SIZES[difficulty]
    count = int(rng.integers(least, most + 1))
    blocks = pick(rng, pick(rng, NAMES), count)
    goals = int(rng.integers(fewest_goals, count))
    facts: list[Atom] = []
    while len(facts) < goals:
        end = _towers(rng, blocks)
        feet = set(end.values()) if difficulty != "easy" else set()  # above easy, a tower's place can be a goal too
        facts = [_support_fact(x, y) for x, y in end.items() if y != TABLE or x in feet]
    # Told from the bottom up, the order in which it can be built; larger models have to find that order.
    chosen = pick(rng, facts, goals)
    goal = tuple(sorted(chosen, key=facts.index) if difficulty == "easy" else chosen)
    start = _towers(rng, blocks)
    while any(start[fact[1]] == _support(fact) for fact in goal):
        start = _towers(rng, blocks)
    return Problem("blocksworld", tuple((b, "block") for b in blocks), _state_of(start), goal)


def _towers(rng: np.random.Generator, blocks: list[str]) -> dict[str, str]:
    """Support of each block in a random arrangement, lower blocks first."""
    draws = rng.random(2 * len(blocks)).tolist()  # one call: many arrangements are drawn for each problem
    support: dict[str, str] = {}
    tops = [TABLE]
    for _, block, draw in sorted(zip(draws, blocks, draws[len(blocks) :], strict=False)):
        below = tops[int(draw * len(tops))]
        support[block] = below
        if below != TABLE:
            tops.remove(below)
        tops.append(block)
    return support


def _support_fact(block: str, below: str) -> Atom:
    return ("on_table", block) if below == TABLE else ("on", block, below)


def _support(fact: Atom) -> str:
    return TABLE if fact[0] == "on_table" else fact[2]


def _state_of(support: Mapping[str, str]) -> State:
    below = set(support.values())
    facts = [_support_fact(x, y) for x, y in support.items()]
    facts += [("clear", x) for x in support if x not in below]
    return frozenset([*facts, ("hand_empty",)])


# The expert --------------------------------------------------------------------------------------------------------


def solve(problem: Problem, state: State) -> Plan:
    """A plan from any state: the shortest for up to four blocks, short for more.

    With more blocks, each move either puts a block where it stays or clears one away onto the table (Gupta and Nau
    1992, "On the complexity of blocks-world planning"), and what is right already is never touched.

    Raises:
        ValueError: The goal asks for an impossible arrangement.
    """
    blocks = [name for name, _ in problem.objects]
    support = {f[1]: _support(f) for f in state if f[0] in ("on", "on_table")}
    held = next((f[1] for f in state if f[0] == "holding"), None)
    goal = {f[1]: _support(f) for f in problem.goal}
    search = _shortest if len(blocks) <= OPTIMAL_UP_TO else _constructive
    plan: Plan = []
    for block, source, target in search(blocks, support, goal):
        if block != held:
            plan.append(("pick_up", (block,)) if source == TABLE else ("unstack", (block, source)))
        plan.append(("put_down", (block,)) if target == TABLE else ("stack", (block, target)))
        held = None
    return plan


Move = tuple[str, str, str]
"""A block, what it is taken from, and what it is put on."""


def _shortest(blocks: list[str], support: dict[str, str], goal: Mapping[str, str]) -> list[Move]:
    """Breadth first over arrangements; of equally short plans the one that prefers goals, then the table.

    ``support`` lacks the block in the hand, which is put somewhere first.
    """
    start = tuple((b, support[b]) for b in blocks if b in support)
    queue: deque[tuple[tuple[tuple[str, str], ...], list[Move]]] = deque([(start, [])])
    seen = {start}
    while queue:
        here, moves = queue.popleft()
        now = dict(here)
        if len(now) == len(blocks) and all(now[b] == x for b, x in goal.items()):
            return moves
        covered = set(now.values())
        clear = [b for b in blocks if b in now and b not in covered]
        for block in clear if len(now) == len(blocks) else [b for b in blocks if b not in now]:
            wish = goal.get(block, TABLE)
            targets = [t for t in (wish, TABLE, *clear) if t == TABLE or (t in clear and t != block)]
            for target in dict.fromkeys(targets):
                after = tuple((b, target if b == block else now[b]) for b in blocks if b == block or b in now)
                if after not in seen:
                    seen.add(after)
                    queue.append((after, [*moves, (block, now.get(block, TABLE), target)]))
    raise ValueError("no arrangement of the blocks satisfies the goal")


def _constructive(blocks: list[str], support: dict[str, str], goal: Mapping[str, str]) -> Iterator[Move]:
    now = dict(support)
    held = next((b for b in blocks if b not in now), None)
    builders = {x: b for b, x in goal.items() if x != TABLE}  # who must stand on x

    def settled(block: str) -> bool:
        """Whether the block, and all below it, may stay where they are."""
        while block != TABLE:
            below = now.get(block)
            if below is None or goal.get(block, below) != below or builders.get(below, block) != block:
                return False
            block = below
        return True

    def above(block: str) -> list[str]:
        """What stands on the block, from the bottom up."""
        on = {y: x for x, y in now.items()}
        tower = []
        while block != TABLE and block in on:
            block = on[block]
            tower.append(block)
        return tower

    def next_move() -> Move | None:
        if held is not None and held not in now:
            target = goal.get(held, TABLE)
            if target != TABLE and (target not in now or above(target) or not settled(target)):
                target = TABLE
            return (held, TABLE, target)
        waiting = [b for b in blocks if b in goal and not settled(b)]
        best: tuple[int, str] | None = None
        for block in waiting:
            target = goal[block]
            if not settled(target):
                continue
            over, blocking = above(block), above(target)
            if not over and not blocking:
                return (block, now[block], target)
            cost = len(set(over) | set(blocking))
            if best is None or cost < best[0]:
                best = (cost, (over or blocking)[-1])
        if best is not None:
            return (best[1], now[best[1]], TABLE)
        # Every target is itself in the wrong place, so some tower with a wrong block is taken down.
        for block in blocks:
            if not above(block) and now[block] != TABLE and not settled(block):
                return (block, now[block], TABLE)
        return None

    for _ in range(4 * len(blocks) + 1):
        if all(now.get(b) == x for b, x in goal.items()):
            return
        move = next_move()
        if move is None:
            break
        now[move[0]] = move[2]
        yield move
    raise ValueError("no arrangement of the blocks satisfies the goal")


BLOCKSWORLD = Puzzle(DOMAIN, sample, solve, RULES)
