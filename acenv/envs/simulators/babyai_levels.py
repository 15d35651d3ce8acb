"""The levels of BabyAI by difficulty, and how one is started."""

from __future__ import annotations

import difflib
import hashlib
import types
from dataclasses import dataclass
from typing import Any

import gymnasium

from acenv.envs.base import Difficulty

LEVELS: dict[Difficulty, tuple[str, ...]] = {
    "easy": (
        *("GoToRedBallGrey", "GoToRedBall", "GoToRedBallNoDists", "GoToRedBlueBall", "GoToDoor"),
        *("GoToObj", "GoToObjS4", "GoToObjS6", "GoToLocal", "GoToLocalS5N2", "GoToLocalS6N2", "GoToLocalS6N3"),
        *("GoToLocalS6N4", "GoToLocalS7N4", "GoToLocalS7N5", "GoToLocalS8N2", "GoToLocalS8N3", "GoToLocalS8N4"),
        *("GoToLocalS8N5", "GoToLocalS8N6", "GoToLocalS8N7", "OpenRedDoor", "OpenDoor", "OpenDoorDebug"),
        *("OpenDoorColor", "OpenDoorLoc", "PickupLoc", "PickupDist", "PickupDistDebug"),
        *("OneRoomS8", "OneRoomS12", "OneRoomS16", "OneRoomS20"),
    ),
    "medium": (
        *("GoTo", "GoToOpen", "GoToObjDoor", "ActionObjDoor", "GoToObjMaze", "GoToObjMazeOpen", "GoToObjMazeS4R2"),
        *("GoToObjMazeS4", "GoToObjMazeS5", "GoToObjMazeS6", "GoToObjMazeS7", "GoToSeqS5R2", "Open", "OpenTwoDoors"),
        *("OpenRedBlueDoors", "OpenRedBlueDoorsDebug", "OpenDoorsOrderN2", "OpenDoorsOrderN4", "Pickup"),
        *("PickupAbove", "PutNextLocal", "PutNextLocalS5N3", "PutNextLocalS6N4", "PutNextS4N1", "PutNextS5N1"),
        *("PutNextS5N2", "PutNextS6N3", "PutNextS7N4", "UnlockLocal", "UnlockLocalDist", "UnlockPickup"),
        *("UnlockPickupDist", "FindObjS5", "FindObjS6", "FindObjS7", "KeyCorridorS3R1", "KeyCorridorS3R2"),
        *("KeyCorridorS3R3", "SynthS5R2"),
    ),
    "hard": (
        *("GoToImpUnlock", "GoToSeq", "Unlock", "UnblockPickup", "BlockedUnlockPickup", "UnlockToUnlock", "KeyInBox"),
        *("KeyCorridor", "KeyCorridorS4R3", "KeyCorridorS5R3", "KeyCorridorS6R3", "PutNextS5N2Carrying"),
        *("PutNextS6N3Carrying", "PutNextS7N4Carrying", "MoveTwoAcrossS5N2", "MoveTwoAcrossS8N9", "Synth"),
        *("SynthLoc", "SynthSeq", "MiniBossLevel", "BossLevel", "BossLevelNoUnlock"),
    ),
}
"""Easy: one short errand, mostly in one room. Medium: several rooms, or two errands, or a key to be found. Hard: mazes
with locked or blocked doors, and missions of several errands."""

UNSOLVABLE = ("OpenDoorsOrderN2Debug", "OpenDoorsOrderN4Debug")
"""Levels that are never drawn: in a mission of two doors, the opening of the first is also judged as an opening of the
second, and fails the mission, whatever the agent does. They can be asked for by name."""

NAMES = (*LEVELS["easy"], *LEVELS["medium"], *LEVELS["hard"], *UNSOLVABLE)


@dataclass(frozen=True, slots=True)
class LevelTask:
    """One mission in one maze.

    Attributes:
        level: Name of the level.
        seed: What the simulator is seeded with.
        content: Hash of maze, start and mission.
    """

    level: str
    seed: int
    content: str


def level_name(name: str) -> str:
    """A level by its name, or by its id in Gymnasium.

    Raises:
        ValueError: There is no such level; the message has the closest names.

    >>> level_name("BabyAI-GoToLocal-v0")
    'GoToLocal'
    """
    short = name.removeprefix("BabyAI-").rsplit("-v", 1)[0]
    if short not in NAMES:
        close = ", ".join(difflib.get_close_matches(short, NAMES, n=3, cutoff=0.3)) or "GoToLocal"
        raise ValueError(f"level must be 'mixed' or one of BabyAI's {len(NAMES)} levels, such as {close}, not {name!r}")
    return short


def level_id(name: str) -> str:
    """The id of a level in Gymnasium.

    >>> level_id("GoToLocal")
    'BabyAI-GoToLocal-v0'
    """
    return f"BabyAI-{name}-v{1 if name == 'GoToObjS6' else 0}"


def start_level(name: str, seed: int) -> Any:
    """A level at the start of an episode, without the wrappers that :func:`gymnasium.make` puts around it."""
    import minigrid  # noqa: F401  (registers the levels)
    from minigrid.envs.babyai.core.roomgrid_level import RoomGridLevel

    level: Any = gymnasium.make(level_id(name), disable_env_checker=True).unwrapped
    # While it draws a maze, the simulator prints a line for every one that it rejects. Standard output belongs to
    # the whole process, so it cannot be redirected; the one function that prints gets a print of its own instead.
    loud = RoomGridLevel._gen_grid
    quiet = types.FunctionType(
        loud.__code__, {**loud.__globals__, "print": _say_nothing}, loud.__name__, loud.__defaults__, loud.__closure__
    )
    level._gen_grid = types.MethodType(quiet, level)
    # Its own observation costs most of a step, and is not used: acenv.envs.simulators.babyai_view reads the grid.
    level.gen_obs = dict
    level.reset(seed=seed)
    return level


def content_of(level: Any) -> str:
    """A hash of maze, start and mission: levels with equal hashes are the same task."""
    start = (level.mission, [int(v) for v in level.agent_pos], int(level.agent_dir), level.grid.encode().tolist())
    return hashlib.blake2b(repr(start).encode(), digest_size=16).hexdigest()


def _say_nothing(*_: Any) -> None:
    """What the simulator prints with."""


# Progress ----------------------------------------------------------------------------------------------------------


def parts(instruction: Any) -> int:
    """Into how many parts a mission falls: one for each instruction in it, and two for each *put next to*."""
    if hasattr(instruction, "instr_a"):
        return parts(instruction.instr_a) + parts(instruction.instr_b)
    return 2 if hasattr(instruction, "desc_move") else 1


def parts_done(instruction: Any, carried: Any) -> int:
    """How many parts of an unfinished mission are done.

    An instruction that has to wait for another counts nothing before it is its turn. The first part of *put next to*
    is done while the right object is carried.

    Args:
        instruction: The simulator's own instruction, which keeps what is done.
        carried: The object that the agent carries, or None.
    """
    if hasattr(instruction, "instr_a"):
        kind = type(instruction).__name__
        done = 0
        for part, status, waits_for in (
            (instruction.instr_a, instruction.a_done, instruction.b_done if kind == "AfterInstr" else "success"),
            (instruction.instr_b, instruction.b_done, instruction.a_done if kind == "BeforeInstr" else "success"),
        ):
            if status == "success":
                done += parts(part)
            elif waits_for == "success":
                done += parts_done(part, carried)
        return done
    lifted = carried is not None and hasattr(instruction, "desc_move")
    return int(lifted and any(carried is thing for thing in instruction.desc_move.obj_set))


def open_instructions(instruction: Any) -> list[Any]:
    """The instructions that are still to be done, in the order in which they may be done."""
    if not hasattr(instruction, "instr_a"):
        return [instruction]
    first, second = (instruction.instr_a, instruction.a_done), (instruction.instr_b, instruction.b_done)
    ordered = (second, first) if type(instruction).__name__ == "AfterInstr" else (first, second)
    return [one for part, status in ordered if status != "success" for one in open_instructions(part)]


def _descriptions(level: Any) -> list[Any]:
    """What the open instructions say about the things that they are about."""
    return [
        getattr(one, name)
        for one in open_instructions(level.instrs)
        for name in ("desc", "desc_move", "desc_fixed")
        if hasattr(one, name)
    ]


def things_needed(level: Any) -> list[Any]:
    """All things that the open instructions of a level are about."""
    return [thing for description in _descriptions(level) for thing in description.obj_set]


def hopeless(level: Any) -> bool:
    """Whether all things that an open instruction is about are gone, so that the mission cannot be done any more."""
    here = {id(thing) for thing in level.grid.grid} | {id(level.carrying)}
    return any(not any(id(thing) in here for thing in description.obj_set) for description in _descriptions(level))


def possible(level: Any) -> bool:
    """Whether all that a mission is about can be got to; some mazes have the key of a locked room inside of it."""
    width, cells = level.grid.width, level.grid.grid
    x, y = level.agent_pos
    colors = {level.carrying.color} if level.carrying is not None and level.carrying.type == "key" else set()
    while True:
        reached, queue = {int(y * width + x)}, [int(y * width + x)]
        while queue:
            index = queue.pop()
            for following in (index - 1, index + 1, index - width, index + width):
                thing = cells[following]
                wall = thing is not None and thing.type == "wall"
                locked = thing is not None and thing.type == "door" and thing.is_locked and thing.color not in colors
                if following not in reached and not wall and not locked:
                    reached.add(following)
                    queue.append(following)
        things = [cells[index] for index in reached if cells[index] is not None]
        things += [thing.contains for thing in things if thing.contains is not None]
        found = {thing.color for thing in things if thing.type == "key"}
        if found <= colors:
            break
        colors |= found
    here = {id(thing) for thing in things} | {id(level.carrying)}
    return all(any(id(thing) in here for thing in description.obj_set) for description in _descriptions(level))
