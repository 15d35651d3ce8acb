"""Commands to a BabyAI agent: single moves, and errands that it plans on what it has seen."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from acenv.envs.commands import misread
from acenv.envs.simulators.babyai_view import Explorer
from acenv.types import Fault

LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, WAIT = range(7)
"""The simulator's actions, by its numbers; its last one, ``done``, changes nothing."""

MOVES = ("turn left", "turn right", "move forward", "pick up", "drop", "toggle", "wait")
"""What the actions are called."""

_SPELLINGS = {name: number for number, name in enumerate(MOVES)} | {
    "left": LEFT,
    "right": RIGHT,
    "forward": FORWARD,
    "go forward": FORWARD,
    "pickup": PICK_UP,
    "open": TOGGLE,
    "done": WAIT,
}
_ERRAND = re.compile(r"(go to|pick up|toggle and go through|open and go through|go through|toggle|open) (.+)")
_VERBS = frozenset(word for form in (*MOVES, "go to", "open", "check") for word in form.split()[:1])
_NOT_WORDS = re.compile(r"[^a-z0-9 ]+|\b(?:the|a|an)\b")
_TARGET = re.compile(r"(?:([a-z]+) )?([a-z]+)(?: (\d+))?")


class CommandError(Exception):
    """A command that cannot be carried out; the message is for the agent, and ``fault`` says what is wrong with it."""

    def __init__(self, message: str, fault: Fault = "invalid in this world") -> None:
        """Keep both."""
        super().__init__(message)
        self.fault = fault


def read_move(command: str) -> int | None:
    """The single move that a command means, or None.

    >>> read_move("Turn left."), read_move("go to the red ball 1")
    (0, None)
    """
    return _SPELLINGS.get(_words(command))


def read_errand(command: str) -> tuple[str, str]:
    """The verb and the thing of an errand.

    Raises:
        CommandError: The command is none.

    >>> read_errand("Go to the red ball 1.")
    ('go to', 'red ball 1')
    """
    match = _ERRAND.fullmatch(_words(command))
    if match is None:
        raise CommandError(
            "This is no command. Write one of: " + ", ".join(MOVES) + ", go to THING, pick up THING, toggle THING, "
            "go through DOOR, toggle and go through DOOR, check valid actions.",
            misread(_words(command), _VERBS),
        )
    verb = match[1].replace("open", "toggle")
    return verb, match[2]


def why_not(explorer: Explorer, move: int) -> str:
    """Why a single move would change nothing; empty if it would change something."""
    thing = explorer.cell(explorer.front)
    held = explorer.level.carrying
    if move == FORWARD and thing is not None and not thing.can_overlap():
        return f"{_called(explorer, thing)} is in the way"
    if move == PICK_UP:
        if held is not None:
            return f"you already carry {explorer.names[held]}"
        if thing is None or not thing.can_pickup():
            return "there is nothing to pick up right ahead"
    if move == DROP:
        if held is None:
            return "you carry nothing"
        if thing is not None:
            return f"{_called(explorer, thing)} is right ahead, where you would put it"
    if move == TOGGLE:
        if thing is None or thing.type not in ("door", "box"):
            return "there is no door and no box right ahead"
        if thing.type == "door" and thing.is_locked and not _is_key(held, thing):
            return f"{explorer.names[thing]} is locked, and you do not carry a {thing.color} key"
    return ""


def errand(explorer: Explorer, verb: str, target: str) -> Iterator[int]:
    """The moves of an errand, each planned when it is asked for, so that the caller carries it out in between.

    Raises:
        CommandError: Before the first move: nothing of that name was seen, or no way there is known.
    """
    thing, way = _find(explorer, target)
    kind = explorer.names[thing]
    door = thing.type == "door"
    held = explorer.level.carrying
    if verb == "pick up":
        if not thing.can_pickup():
            raise CommandError(f"A {thing.type} cannot be picked up.")
        if held is not None:
            raise CommandError(f"You already carry {explorer.names[held]}.")
        return _chain(way, [PICK_UP])
    if verb == "go to":
        return _chain(way, [] if way else [WAIT])
    if verb == "toggle" and not door and thing.type != "box":
        raise CommandError(f"Only doors and boxes can be toggled, and {kind} is neither.")
    if verb.endswith("go through") and not door:
        raise CommandError(f"Only doors can be gone through, and {kind} is none.")
    if door and thing.is_locked and not _is_key(held, thing):
        raise CommandError(f"{kind.capitalize()} is locked, and you do not carry a {thing.color} key.")
    if verb == "toggle":
        return _chain(way, [TOGGLE])
    if verb == "go through" and not thing.is_open:
        raise CommandError(f"{kind.capitalize()} is closed: toggle and go through it.")
    opening = [] if thing.is_open else [TOGGLE]
    return _chain(way, [*opening, FORWARD, FORWARD])


def _chain(*legs: list[int]) -> Iterator[int]:
    for leg in legs:
        yield from leg


def errands(explorer: Explorer) -> Iterator[str]:
    """All errands that could be done now."""
    reached = _reach(explorer)
    held = explorer.level.carrying
    for thing, name in explorer.names.items():
        index = explorer.at(thing)
        if index is None or not any(index - explorer.step_of(d) in reached for d in range(4)):
            continue
        yield f"go to {name}"
        if held is None and thing.can_pickup():
            yield f"pick up {name}"
        if thing.type == "box":
            yield f"toggle {name}"
        if thing.type == "door":
            if thing.is_open:
                yield f"go through {name}"
            elif not thing.is_locked or _is_key(held, thing):
                yield f"toggle {name}"
                yield f"toggle and go through {name}"


def way_to(explorer: Explorer, index: int) -> list[int] | None:
    """The fewest turns and steps after which the agent faces a cell, through cells that it has seen; None: no way."""
    start = (explorer.position, int(explorer.level.agent_dir))
    came: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {start: None}
    queue = deque([start])
    steps = [explorer.step_of(direction) for direction in range(4)]
    passable = _passable(explorer)
    while queue:
        state = queue.popleft()
        position, direction = state
        if position + steps[direction] == index:
            moves = []
            while (before := came[state]) is not None:
                state, move = before
                moves.append(move)
            return moves[::-1]
        following = [((position, (direction + 3) % 4), LEFT), ((position, (direction + 1) % 4), RIGHT)]
        if passable(position + steps[direction]):
            following.insert(0, ((position + steps[direction], direction), FORWARD))
        for reached, move in following:
            if reached not in came:
                came[reached] = (state, move)
                queue.append(reached)
    return None


def _reach(explorer: Explorer) -> set[int]:
    """All cells that the agent can get to through cells that it has seen."""
    passable = _passable(explorer)
    steps = [explorer.step_of(direction) for direction in range(4)]
    reached = {explorer.position}
    queue = deque(reached)
    while queue:
        position = queue.popleft()
        for step in steps:
            if position + step not in reached and passable(position + step):
                reached.add(position + step)
                queue.append(position + step)
    return reached


def _passable(explorer: Explorer) -> Callable[[int], bool]:
    known, cells = explorer.known, explorer.level.grid.grid

    def passable(index: int) -> bool:
        return index in known and (cells[index] is None or cells[index].can_overlap())

    return passable


def _find(explorer: Explorer, target: str) -> tuple[Any, list[int]]:
    """The nearest thing that is called so, and the way to it."""
    match = _TARGET.fullmatch(target)
    called = []
    for thing, name in explorer.names.items():
        colour, kind, number = name.split(" ")
        fits = match is not None and match[2] in (kind, "object", "thing") and match[1] in (None, colour)
        if fits and match is not None and match[3] in (None, number):
            called.append(thing)
    if not called:
        raise CommandError(f"You have seen nothing that is called {target[:40]}.", "wrong argument")
    lying = [(thing, index) for thing in called if (index := explorer.at(thing)) is not None]
    if not lying:
        held = any(thing is explorer.level.carrying for thing in called)
        raise CommandError("You carry it." if held else "It is not there any more.")
    ways = [(thing, way) for thing, index in lying if (way := way_to(explorer, index)) is not None]
    if not ways:
        raise CommandError(f"You know no free way to {explorer.names[lying[0][0]]}.")
    return min(ways, key=lambda pair: len(pair[1]))


def _called(explorer: Explorer, thing: Any) -> str:
    return explorer.names.get(thing, "a wall")


def _is_key(held: Any, door: Any) -> bool:
    return held is not None and held.type == "key" and held.color == door.color


def _words(command: str) -> str:
    return " ".join(_NOT_WORDS.sub(" ", command.lower()).split())
