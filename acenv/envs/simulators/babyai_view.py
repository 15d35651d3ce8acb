"""What a BabyAI agent sees, has seen and can name, in words."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import compress
from typing import Any

SIZE = 7
"""Cells of the view in each direction: the agent stands in the middle of its last row and looks along it."""

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""What one step changes, by the simulator's direction: right, down, left, up."""

_BITS = [tuple(bool(mask >> i & 1) for i in range(SIZE)) for mask in range(1 << SIZE)]
_MIDDLE = SIZE // 2


@lru_cache(maxsize=8192)
def view_cells(width: int, height: int, x: int, y: int, direction: int) -> tuple[tuple[int, ...], ...]:
    """Indices into the simulator's list of cells, one row a tuple, the agent's own row first, from left to right.

    Cells outside of the maze are -1, which is the last cell of the list: a wall, as all outer cells are.
    """
    ahead_x, ahead_y = STEPS[direction]
    right_x, right_y = -ahead_y, ahead_x
    rows = []
    for ahead in range(SIZE):
        row = []
        for side in range(-_MIDDLE, SIZE - _MIDDLE):
            i, j = x + ahead * ahead_x + side * right_x, y + ahead * ahead_y + side * right_y
            row.append(j * width + i if 0 <= i < width and 0 <= j < height else -1)
        rows.append(tuple(row))
    return tuple(rows)


@cache
def spread(seen: int, clear: int) -> tuple[int, int]:
    """How sight spreads from the cells of a row to the cells beside them and to the next row, as in minigrid.

    Args:
        seen: Cells of the row that are seen so far, as bits.
        clear: Cells of the row that can be seen through.

    Returns:
        All cells of the row that are seen, and those of the next row.
    """
    following = 0
    for i in range(SIZE - 1):
        if seen & clear & 1 << i:
            seen |= 2 << i
            following |= 3 << i
    for i in range(SIZE - 1, 0, -1):
        if seen & clear & 1 << i:
            seen |= 1 << i - 1
            following |= 3 << i - 1
    return seen, following


@cache
def place(ahead: int, side: int) -> str:
    """Where a cell lies, as seen by the agent.

    >>> place(2, -1), place(1, 0)
    ('2 steps ahead and 1 to the left', '1 step ahead')
    """
    hand = "left" if side < 0 else "right"
    if not side:
        return f"{ahead} step{'s' if ahead > 1 else ''} ahead"
    if not ahead:
        return f"{abs(side)} step{'s' if abs(side) > 1 else ''} to the {hand}"
    return f"{place(ahead, 0)} and {abs(side)} to the {hand}"


class Explorer:
    """What the agent knows of a level: the cells it has seen, and names for the things in them.

    The level itself is the simulator's. Only the agent moves or opens anything, and only right in front of it, so a
    cell that was seen once holds what the agent believes it to hold.
    """

    def __init__(self, level: Any) -> None:
        """Look at a level from its start.

        Args:
            level: A BabyAI level, without wrappers.
        """
        self.level = level
        self.known: set[int] = set()
        """Indices of the cells that the agent has seen."""
        self.names: dict[Any, str] = {}
        """Things that the agent has seen, with a number each, in the order in which they were seen first."""
        self.where: dict[Any, int] = {}
        """The cell in which each thing was seen last."""
        self._counts: dict[str, int] = {}
        self.look()

    def cell(self, index: int) -> Any:
        """What is in a cell: None, or an object of the simulator."""
        return self.level.grid.grid[index]

    @property
    def position(self) -> int:
        """The cell of the agent."""
        x, y = self.level.agent_pos
        return int(y * self.level.grid.width + x)

    @property
    def front(self) -> int:
        """The cell right ahead of the agent."""
        return self.position + self.step_of(self.level.agent_dir)

    def step_of(self, direction: int) -> int:
        """What one step changes in the index of a cell."""
        x, y = STEPS[direction]
        return int(y * self.level.grid.width + x)

    def at(self, thing: Any) -> int | None:
        """The cell in which a thing lies; None if it is carried, or gone."""
        index = self.where[thing]
        return index if self.cell(index) is thing else None

    def look(self) -> str:
        """Take in what is in sight, and say it."""
        level = self.level
        grid = level.grid
        cells = grid.grid
        names, where = self.names, self.where
        x, y = level.agent_pos
        rows = view_cells(grid.width, grid.height, int(x), int(y), level.agent_dir)
        seen = 1 << _MIDDLE
        said: list[str] = []
        walls: list[str] = []
        wall_ahead = 0
        for ahead, row in enumerate(rows):
            here = [cells[index] for index in row]
            clear = 0
            things = []
            blocked = []
            for i, thing in enumerate(here):
                if thing is None:
                    clear |= 1 << i
                elif thing.type != "wall":
                    things.append(i)
                    if thing.type != "door" or thing.is_open:
                        clear |= 1 << i
                else:
                    blocked.append(i)
            seen, following = spread(seen, clear)
            bits = _BITS[seen]
            self.known.update(compress(row, bits))
            for i in things:
                if bits[i] and (ahead or i != _MIDDLE):
                    thing = here[i]
                    where[thing] = row[i]
                    name = names.get(thing) or self._name(thing)
                    said.append(f"{name}{_state(thing)}, {place(ahead, i - _MIDDLE)}")
            if not ahead:
                left = max((i for i in blocked if i < _MIDDLE and bits[i]), default=-1)
                right = min((i for i in blocked if i > _MIDDLE and bits[i]), default=SIZE)
                if left >= 0:
                    walls.append(place(0, left - _MIDDLE))
                if right < SIZE:
                    walls.append(place(0, right - _MIDDLE))
            elif not wall_ahead and _MIDDLE in blocked and bits[_MIDDLE]:
                wall_ahead = ahead
            if not following:
                break
            seen = following
        self.known.discard(-1)
        parts = [f"You see {'; '.join(said) or 'nothing but the room'}."]
        if wall_ahead:
            walls.insert(0, place(wall_ahead, 0))
        if walls:
            parts.append(f"Walls: {', '.join(walls)}.")
        standing = cells[rows[0][_MIDDLE]]
        if standing is not None:
            parts.append(f"You stand in {names.get(standing) or self._name(standing)}.")
        held = level.carrying
        if held is not None:
            parts.append(f"You carry {names.get(held) or self._name(held)}.")
        return " ".join(parts)

    def _name(self, thing: Any) -> str:
        kind = f"{thing.color} {thing.type}"
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self.names[thing] = f"{kind} {self._counts[kind]}"
        self.where.setdefault(thing, self.position)
        return self.names[thing]


def _state(thing: Any) -> str:
    if thing.type != "door":
        return ""
    return " (open)" if thing.is_open else " (locked)" if thing.is_locked else " (closed)"
