"""The tasks of ScienceWorld: their variations, and how long they take."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from acenv.envs.base import Difficulty, Split


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What is known of a task before it is loaded.

    Attributes:
        variations: How many there are.
        walkthrough: Commands in the simulator's walkthrough, nothing being made easier: three quarters are not longer,
            among all variations where there are 36 or less, and among ten otherwise (two in genetics).
    """

    variations: int
    walkthrough: int


TASKS: dict[str, TaskFacts] = {
    "boil": TaskFacts(30, 120),
    "change-the-state-of-matter-of": TaskFacts(30, 62),
    "chemistry-mix": TaskFacts(32, 39),
    "chemistry-mix-paint-secondary-color": TaskFacts(36, 19),
    "chemistry-mix-paint-tertiary-color": TaskFacts(36, 26),
    "find-animal": TaskFacts(300, 16),
    "find-living-thing": TaskFacts(300, 14),
    "find-non-living-thing": TaskFacts(300, 9),
    "find-plant": TaskFacts(300, 14),
    "freeze": TaskFacts(30, 81),
    "grow-fruit": TaskFacts(126, 97),
    "grow-plant": TaskFacts(126, 70),
    "identify-life-stages-1": TaskFacts(14, 41),
    "identify-life-stages-2": TaskFacts(10, 17),
    "inclined-plane-determine-angle": TaskFacts(168, 157),
    "inclined-plane-friction-named-surfaces": TaskFacts(1386, 85),
    "inclined-plane-friction-unnamed-surfaces": TaskFacts(162, 111),
    "lifespan-longest-lived": TaskFacts(125, 8),
    "lifespan-longest-lived-then-shortest-lived": TaskFacts(125, 9),
    "lifespan-shortest-lived": TaskFacts(125, 4),
    "measure-melting-point-known-substance": TaskFacts(436, 72),
    "measure-melting-point-unknown-substance": TaskFacts(300, 96),
    "melt": TaskFacts(30, 62),
    "mendelian-genetics-known-plant": TaskFacts(120, 145),
    "mendelian-genetics-unknown-plant": TaskFacts(480, 149),
    "power-component": TaskFacts(20, 13),
    "power-component-renewable-vs-nonrenewable-energy": TaskFacts(20, 28),
    "test-conductivity": TaskFacts(900, 39),
    "test-conductivity-of-unknown-substances": TaskFacts(600, 23),
    "use-thermometer": TaskFacts(540, 22),
}

SHORT = 30
"""Commands in the walkthrough of a task that counts as short, at most: AgentBoard cuts every episode there."""

ALL_SIMPLIFICATIONS = ("noElectricalAction", "openContainers", "openDoors", "selfWateringFlowerPots", "teleportAction")

SIMPLIFICATIONS: dict[Difficulty, str] = {
    "easy": "easy",
    "medium": "selfWateringFlowerPots,openContainers,openDoors,noElectricalAction",
    "hard": "",
}
"""What is made easier: all but open containers in the simulator's word ``easy``; AgentBoard's list; nothing."""

POLLINATED = ("grow-fruit", "mendelian-genetics-known-plant", "mendelian-genetics-unknown-plant")
"""Tasks that need bees. With open containers the hive is open from the start, and the bees are gone before the plants
are in bloom: the simulator's own walkthroughs fail. So ``"medium"`` leaves that simplification out there."""


def tasks_of(difficulty: Difficulty) -> tuple[str, ...]:
    """The tasks that a difficulty draws from: the short ones, all, the long ones."""
    if difficulty == "medium":
        return tuple(TASKS)
    return tuple(name for name, facts in TASKS.items() if (facts.walkthrough <= SHORT) == (difficulty == "easy"))


def task_name(name: str) -> str:
    """Check the name of a task.

    Raises:
        ValueError: There is no such task; the message has the closest names.

    >>> task_name("boil")
    'boil'
    """
    if name not in TASKS:
        close = ", ".join(difflib.get_close_matches(name, TASKS, n=3, cutoff=0.3)) or "boil"
        raise ValueError(
            f"task must be 'mixed' or one of ScienceWorld's {len(TASKS)} tasks, such as {close}, not {name!r}"
        )
    return name


def variations(name: str, split: Split) -> Sequence[int]:
    """The simulator's own split: the first half for training, then a quarter for development, the rest for testing.

    >>> list(variations("identify-life-stages-2", "train")), list(variations("identify-life-stages-2", "test"))
    ([0, 1, 2, 3], [6, 7, 8, 9])
    """
    count = TASKS[name].variations
    quarter = count // 4
    return range(2 * quarter) if split == "train" else range(3 * quarter, count)


def usual_simplifications(name: str, difficulty: Difficulty) -> str:
    """What a difficulty makes easier in one task.

    >>> usual_simplifications("grow-fruit", "medium")
    'selfWateringFlowerPots,openDoors,noElectricalAction'
    """
    parts = SIMPLIFICATIONS[difficulty].split(",")
    if name in POLLINATED:
        parts = [part for part in parts if part != "openContainers"]
    return allowed_simplifications(name, ",".join(parts))


def allowed_simplifications(name: str, wanted: str) -> str:
    """Those of the wanted simplifications that a task can do with: it may need electricity.

    Raises:
        ValueError: An unknown simplification.

    >>> allowed_simplifications("power-component", "openDoors,noElectricalAction")
    'openDoors'
    """
    parts = [part.strip() for part in wanted.split(",") if part.strip()]
    if unknown := [part for part in parts if part not in ("easy", *ALL_SIMPLIFICATIONS)]:
        raise ValueError(f"simplifications are 'easy' or some of {', '.join(ALL_SIMPLIFICATIONS)}, not {unknown[0]!r}")
    if "power-component" in name or "conductivity" in name:
        parts = [part for part in parts if part != "noElectricalAction"]
    return ",".join(parts)
