"""Games for ALFWorld's engine: found in its data, or made from the layouts and the logic that its package brings."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.sources import RecordError

TASKS: dict[Difficulty, tuple[str, ...]] = {
    "easy": ("pick_and_place_simple", "look_at_obj_in_light"),
    "medium": (
        "pick_and_place_simple",
        "look_at_obj_in_light",
        "pick_clean_then_place_in_recep",
        "pick_heat_then_place_in_recep",
        "pick_cool_then_place_in_recep",
        "pick_two_obj_and_place",
    ),
    "hard": (
        "pick_clean_then_place_in_recep",
        "pick_heat_then_place_in_recep",
        "pick_cool_then_place_in_recep",
        "pick_two_obj_and_place",
    ),
}
"""Which of ALFWorld's six types of task each difficulty draws."""

ALL_TASKS = TASKS["medium"]

_SIZES = {"easy": (8, 10), "medium": (18, 24), "hard": (40, 45)}
"""Receptacles at most, and objects besides those of the task."""

_FOLDERS: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("valid_unseen", "valid_seen")}
"""Folders of the official data, the one that AgentBoard evaluates on first."""

_COUNTS = {"StoveBurner": 4, "Toilet": 1, "GarbageCan": 1, "CoffeeMachine": 1, "Toaster": 1, "Bed": 1}
"""Receptacles of which layouts name the type but not the places, and how many a room has."""

STATES = {
    "pick_clean_then_place_in_recep": "Cleanable",
    "pick_heat_then_place_in_recep": "Heatable",
    "pick_cool_then_place_in_recep": "Coolable",
}
"""What a thing must be able to become, for the tasks that change it."""

_APPLIANCES = {"Cleanable": "SinkBasin", "Heatable": "Microwave", "Coolable": "Fridge"}

_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class HouseTask:
    """A household game.

    Attributes:
        name: The official ``task/trial``, or what was generated, such as ``"pick_and_place_simple/FloorPlan7"``.
        kind: One of ALFWorld's types of task.
        thing: The type of the thing that it is about, such as ``"Apple"``.
        place: The type of the place where that goes, or empty.
        lamp: The type of the lamp to use, or empty.
        grammar: The grammar that tells the world, with the goal in it.
        problem: The PDDL problem.
        subgoals: Regular expressions, of what is observed on the way.
        level: AgentBoard's ``"easy"`` or ``"hard"``.
    """

    name: str
    kind: str
    thing: str
    place: str
    lamp: str
    grammar: str
    problem: str
    subgoals: tuple[str, ...]
    level: str


def subgoals_of(kind: str, thing: str, place: str) -> tuple[str, ...]:
    r"""What is observed on the way to the goal of a task, before the goal itself.

    >>> subgoals_of("pick_heat_then_place_in_recep", "Apple", "Fridge")
    ('You pick up the apple \\d+', 'You heat the apple \\d+')
    """
    name = re.escape(thing.lower())
    taken = rf"You pick up the {name} \d+"
    if kind in STATES:
        verb = {"Cleanable": "clean", "Heatable": "heat", "Coolable": "cool"}[STATES[kind]]
        return (taken, rf"You {verb} the {name} \d+")
    if kind == "pick_two_obj_and_place":
        return (taken, rf"You move the {name} \d+ to the {re.escape(place.lower())} \d+")
    return (taken,)


def level_of(subgoals: Sequence[str]) -> str:
    """``"hard"`` for tasks with two or more subgoals before the goal."""
    return "hard" if len(subgoals) > 1 else "easy"


# The official data ---------------------------------------------------------------------------------------------------


def official_folder(source: str | Path) -> Path | None:
    """Where the official data is: at the path, or for ``"auto"`` in ``$ALFWORLD_DATA`` if that holds any.

    Raises:
        FileNotFoundError: A path was given, and there is no data.
    """
    given = os.environ.get("ALFWORLD_DATA", "") if source == "auto" else str(source)
    folder = Path(given).expanduser()
    if given and folder.is_dir() and next(folder.rglob("game.tw-pddl"), None) is not None:
        return folder
    if source == "auto":
        return None
    raise FileNotFoundError(
        f"no ALFWorld games at {folder}: expected a folder with game.tw-pddl files, such as the one that "
        "alfworld-download fills ($ALFWORLD_DATA); source='generated' needs none"
    )


@lru_cache(maxsize=8)
def official_games(folder: Path, split: Split, kinds: tuple[str, ...]) -> tuple[Path, ...]:
    """The solvable games of a split, in order of their names; all that are there, if no folder is named like a split.

    Raises:
        FileNotFoundError: There is none of these types.
    """
    roots = [path for name in _FOLDERS[split] for path in sorted(folder.rglob(name)) if path.is_dir()][:1] or [folder]
    games = []
    for path in sorted(roots[0].rglob("game.tw-pddl")):
        described = path.with_name("traj_data.json")
        if "movable" in str(path) or "Sliced" in str(path) or not described.is_file():
            continue
        if _read(described).get("task_type") in kinds and _read(path).get("solvable"):
            games.append(path)
    if not games:
        raise FileNotFoundError(f"{roots[0]} holds no solvable game of the types {', '.join(kinds)}")
    return tuple(games)


def read_labels(path: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """AgentBoard's labels: subgoals and level by the name ``task/trial``.

    Raises:
        FileNotFoundError: There is no such file.
        RecordError: A line is not in the official format.
    """
    labels = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            name, subgoals = record["additional_info"]["description"], record["subgoals"]
            labels[str(name)] = (tuple(str(goal) for goal in subgoals), str(record.get("difficulty", "")))
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(
                path, number, "an object with subgoals and additional_info.description", repr(error)
            ) from error
    return labels


def official_task(path: Path, labels: dict[str, tuple[tuple[str, ...], str]]) -> HouseTask:
    """One of the official games.

    Raises:
        RecordError: A file is not in the official format.
    """
    game, trajectory = _read(path), _read(path.with_name("traj_data.json"))
    name = f"{path.parent.parent.name}/{path.parent.name}"
    try:
        kind, parameters = str(trajectory["task_type"]), trajectory["pddl_params"]
        thing, place = str(parameters["object_target"]), str(parameters["parent_target"])
        made = subgoals_of(kind, thing, place)
        subgoals, level = labels.get(name, (made, level_of(made)))
        lamp = str(parameters.get("toggle_target", ""))
        level = level or level_of(subgoals)
        return HouseTask(name, kind, thing, place, lamp, game["grammar"], game["pddl_problem"], subgoals, level)
    except (KeyError, TypeError) as error:
        raise RecordError(path, None, "an ALFWorld game with its traj_data.json", f"no {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(path, None, "a JSON object", str(error)) from error
    if not isinstance(value, dict):
        raise RecordError(path, None, "a JSON object", type(value).__name__)
    return value


# Games of our own ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _House:
    """A room that is being furnished: the types of receptacles and objects by their names."""

    receptacles: dict[str, str]
    objects: dict[str, str]
    inside: dict[str, str]


def generate(rng: np.random.Generator, difficulty: Difficulty, kinds: Sequence[str]) -> HouseTask:
    """Furnish one of ALFWorld's 120 layouts and choose a task that can be done in it.

    Receptacles and the types of objects are the layout's, where an object may lie is ALFRED's table, and the goals are
    those of ALFRED's goal library. Only the objects' places are drawn.
    """
    for _ in range(_ATTEMPTS):
        kind = pick(rng, kinds)
        task = _try(rng, difficulty, kind)
        if task is not None:
            return task
    raise ValueError(f"no layout has room for a task of the types {', '.join(kinds)}")


def _try(rng: np.random.Generator, difficulty: Difficulty, kind: str) -> HouseTask | None:
    import alfworld.gen.constants as alfred
    from alfworld.gen.goal_library import gdict

    scenes = [number for scene in sorted(alfred.GOALS_VALID[kind]) for number in alfred.SCENE_TYPE[scene]]
    plan = pick(rng, scenes)
    types, places = _layout(plan)
    most, clutter = _SIZES[difficulty]
    fits = {place: alfred.VAL_RECEPTACLE_OBJECTS.get(place, set()) for place in set(places.values())}

    needed = STATES.get(kind)
    appliance = _APPLIANCES.get(needed or "", "")
    lamps = [name for name in ("DeskLamp", "FloorLamp") if name in types]
    if (appliance and appliance not in fits) or (kind == "look_at_obj_in_light" and not lamps):
        return None
    actions = alfred.VAL_ACTION_OBJECTS
    movable = [t for t in types if t in alfred.OBJECTS_SET - set(alfred.RECEPTACLES) - set(actions["Toggleable"])]
    movable += [t for t in types if t in alfred.MOVABLE_RECEPTACLES_SET]
    movable = sorted(t for t in set(movable) if any(t in held for held in fits.values()))
    targets = [t for t in movable if needed is None or t in actions[needed]]
    goals = [(t, p) for t in targets for p in sorted(fits) if t in fits[p] and p != appliance]
    if not goals:
        return None
    thing, place = pick(rng, goals)
    lamp = pick(rng, lamps) if kind == "look_at_obj_in_light" else ""

    starts = sorted(p for p, t in places.items() if thing in fits[t] and t != place)
    if not starts:
        return None
    copies = int(rng.integers(2, 4)) if kind == "pick_two_obj_and_place" else int(rng.integers(1, 3))
    chosen = [pick(rng, starts) for _ in range(copies)]
    kept = {*chosen, *(p for p, t in places.items() if t in (place, appliance))}
    stands = sorted(p for p, t in places.items() if t in ("Desk", "SideTable", "Dresser", "DiningTable", "CoffeeTable"))
    if lamp and not stands:
        return None
    lamp_place = pick(rng, stands) if lamp else ""
    kept |= {lamp_place} - {""}
    others = pick(rng, sorted(set(places) - kept), len(set(places) - kept))
    house = _House({p: places[p] for p in sorted(kept | set(others[: max(0, most - len(kept))]))}, {}, {})
    for start in chosen:
        _put(rng, house, thing, start)
    if lamp:
        _put(rng, house, lamp, lamp_place)
    for _ in range(clutter):
        other = pick(rng, movable)
        spots = [p for p, t in house.receptacles.items() if other in fits[t]]
        few = list(house.objects.values()).count(other) < alfred.MAX_NUM_OF_OBJ_INSTANCES
        if other != thing and spots and few:
            _put(rng, house, other, pick(rng, spots))

    words = {"obj": thing, "recep": place, "toggle": lamp}
    says = pick(rng, gdict[kind]["templates"]).format(**{key: value.lower() for key, value in words.items()})
    goal = gdict[kind]["pddl"].format(**words).replace("#", "-")
    subgoals = subgoals_of(kind, thing, place)
    grammar = package_text("alfred.twl2").replace("UNKNOWN GOAL", says)
    name = f"{kind}/FloorPlan{plan}"
    problem = _problem(house, goal)
    return HouseTask(name, kind, thing, place, lamp, grammar, problem, subgoals, level_of(subgoals))


def _put(rng: np.random.Generator, house: _House, kind: str, place: str) -> None:
    """A new object, with a name such as ALFRED gives, of its type and where it is."""
    numbers = "|".join(f"{value:+06.2f}" for value in rng.uniform(-9, 9, 3))
    name = _pddl_name(f"{kind}|{numbers}")
    if name not in house.objects:
        house.objects[name] = kind
        house.inside[name] = place


@lru_cache(maxsize=128)
def _layout(plan: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The types of things in a room, and the receptacles that can be reached, with their types."""
    import alfworld.gen.constants as alfred

    folder = _package_folder() / "gen" / "layouts"
    types = tuple(sorted(json.loads((folder / f"FloorPlan{plan}-objects.json").read_text(encoding="utf-8"))))
    named = sorted(json.loads((folder / f"FloorPlan{plan}-openable.json").read_text(encoding="utf-8")))
    places = {}
    for name in named:
        last = name.rsplit("|", 1)[-1]
        kind = last if last.endswith("Basin") else name.split("|", 1)[0]
        if kind in alfred.VAL_RECEPTACLE_OBJECTS and kind not in alfred.MOVABLE_RECEPTACLES_SET:
            places[_pddl_name(name)] = kind
    for kind, count in _COUNTS.items():
        if kind in types and kind not in places.values():
            places |= {_pddl_name(f"{kind}|+00.00|+00.00|+{number:02d}.00"): kind for number in range(count)}
    return types, places


def _problem(house: _House, goal: str) -> str:
    """The PDDL problem, with the predicates of ALFWorld's domain; every receptacle is a place of its own."""
    import alfworld.gen.constants as alfred

    able = alfred.VAL_ACTION_OBJECTS
    spots = {name: f"loc_bar_{number}" for number, name in enumerate(house.receptacles, 1)}
    receptacle_types = sorted(set(house.receptacles.values()))
    object_types = sorted(set(house.objects.values()))
    declared = [
        "agent1 - agent",
        "loc_bar_0 - location",
        *(f"{spot} - location" for spot in spots.values()),
        *(f"{name} - receptacle" for name in house.receptacles),
        *(f"{name} - object" for name in house.objects),
        *(f"{kind}Type - rtype" for kind in receptacle_types),
        *(f"{kind}Type - otype" for kind in object_types),
    ]
    facts = ["atLocation agent1 loc_bar_0"]
    for name, kind in house.receptacles.items():
        facts += [f"receptacleType {name} {kind}Type", f"receptacleAtLocation {name} {spots[name]}"]
        facts += [f"openable {name}"] if kind in alfred.OPENABLE_CLASS_SET else []
    for kind in receptacle_types:
        held = alfred.VAL_RECEPTACLE_OBJECTS[kind]
        facts += [f"canContain {kind}Type {other}Type" for other in object_types if other in held]
    for name, kind in house.objects.items():
        place = house.inside[name]
        facts += [f"objectType {name} {kind}Type", f"inReceptacle {name} {place}"]
        facts += [f"objectAtLocation {name} {spots[place]}"]
        facts += [f"toggleable {name}"] if kind in able["Toggleable"] else [f"pickupable {name}"]
        for predicate in ("Cleanable", "Heatable", "Coolable", "Sliceable"):
            facts += [f"{predicate.lower()} {name}"] if kind in able[predicate] else []
    objects, init = "\n".join(declared), "\n".join(f"({fact})" for fact in facts)
    # The goal of the library closes the problem too.
    return f"(define (problem acenv)\n(:domain alfred)\n(:objects\n{objects}\n)\n(:init\n{init}\n)\n{goal.strip()}\n"


def _pddl_name(name: str) -> str:
    """ALFWorld's way to write an object's name in PDDL, from which it reads the words back."""
    for char, word in (("-", "_minus_"), ("|", "_bar_"), ("+", "_plus_"), (".", "_dot_")):
        name = name.replace(char, word)
    return name


def _package_folder() -> Path:
    import alfworld

    return Path(alfworld.__file__).parent


@lru_cache(maxsize=4)
def package_text(name: str) -> str:
    """A file of ALFWorld's data folder: ``alfred.pddl`` (the domain) or ``alfred.twl2`` (the grammar)."""
    return (_package_folder() / "data" / name).read_text(encoding="utf-8")
