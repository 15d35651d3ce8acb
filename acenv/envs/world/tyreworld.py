"""Tyreworld: wheels are changed with a wrench, a jack and a pump from the boot."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.world.puzzle import NAMES, Problem, Puzzle
from acenv.envs.world.strips import Atom, Literal, Predicate, Schema, domain
from acenv.envs.world.tyreworld_expert import solve

BOOT, HUB, NUTS = "boot", "hub", "nuts"
BOX, CAR = "box", "car"
WRENCH, JACK, PUMP = TOOLS = ("wrench", "jack", "pump")

_STORED = (("item", "item"), ("boot", "boot"))
_NUTS = (("nuts", "nuts"), ("hub", "hub"), ("wrench", "wrench"))
_JACKED = (("hub", "hub"), ("jack", "jack"))
_MOUNT = (("wheel", "wheel"), ("hub", "hub"), ("jack", "jack"))
_OPEN = Literal("closed", ("boot",), positive=False)
_WRENCH = Literal("have", ("wrench",))
_GROUND = Literal("on_ground", ("hub",), otherwise="{hub} is jacked up")
_UP = Literal("under", ("jack", "hub"), otherwise="{hub} is not jacked up")
_BARE = Literal("fastened", ("hub",), positive=False, otherwise="there are nuts on {hub}")

DOMAIN = domain(
    "tyreworld",
    {
        "boot": "",
        "item": "",
        "tool": "item",
        "wrench": "tool",
        "jack": "tool",
        "pump": "tool",
        "wheel": "item",
        "nuts": "item",
        "hub": "",
    },
    [
        Predicate("closed", ("boot",), "{0} is closed", "{0} is open", rank=0),
        Predicate("in", ("item", "boot"), "{1} has {0}", "{1} does not have {0}", rank=1),
        Predicate("have", ("item",), "you have {0}", "you do not have {0}", rank=2),
        Predicate("on_ground", ("hub",), negation="{0} is not on the ground"),
        Predicate("under", ("jack", "hub"), "{0} is under {1}", "{0} is not under {1}", rank=3),
        Predicate("on", ("wheel", "hub"), "{0} is on {1}", "{0} is not on {1}", rank=4),
        Predicate("loose", ("nuts", "hub"), "{0} are loose on {1}", "{0} are not loose on {1}", rank=5),
        Predicate("tight", ("nuts", "hub"), "{0} are tight on {1}", "{0} are not tight on {1}", rank=5),
        Predicate("punctured", ("wheel",), "{0} is punctured", "{0} is not punctured", rank=6),
        Predicate("inflated", ("wheel",), "{0} is inflated", "{0} is not inflated", rank=6),
        Predicate("free", ("hub",), negation="there is a wheel on {0}"),
        Predicate("fastened", ("hub",), negation="there are no nuts on {0}"),
    ],
    [
        Schema(
            "open",
            (("boot", "boot"),),
            (Literal("closed", ("boot",), otherwise="{boot} is open already"),),
            add=(),
            delete=(("closed", "boot"),),
            forms=("open {boot}",),
            effect="{boot} is open.",
        ),
        Schema(
            "close",
            (("boot", "boot"),),
            (Literal("closed", ("boot",), positive=False, otherwise="{boot} is closed already"),),
            add=(("closed", "boot"),),
            delete=(),
            forms=("close {boot}",),
            effect="{boot} is closed.",
        ),
        Schema(
            "take",
            _STORED,
            (
                Literal("have", ("item",), positive=False, otherwise="you have {item} already"),
                _OPEN,
                Literal("in", ("item", "boot")),
            ),
            add=(("have", "item"),),
            delete=(("in", "item", "boot"),),
            forms=("take {item} from {boot}", "fetch {item} from {boot}", "get {item} from {boot}", "take {item}"),
            effect="you have {item}.",
        ),
        Schema(
            "put_away",
            _STORED,
            (Literal("have", ("item",)), _OPEN),
            add=(("in", "item", "boot"),),
            delete=(("have", "item"),),
            forms=("put {item} in {boot}", "put {item} into {boot}", "put away {item} in {boot}", "put away {item}"),
            effect="{boot} has {item}.",
        ),
        Schema(
            "loosen",
            _NUTS,
            (_WRENCH, Literal("tight", ("nuts", "hub")), _GROUND),
            add=(("loose", "nuts", "hub"),),
            delete=(("tight", "nuts", "hub"),),
            forms=("loosen {nuts}", "loosen {nuts} on {hub}"),
            effect="{nuts} are loose on {hub}.",
        ),
        Schema(
            "tighten",
            _NUTS,
            (_WRENCH, Literal("loose", ("nuts", "hub")), _GROUND),
            add=(("tight", "nuts", "hub"),),
            delete=(("loose", "nuts", "hub"),),
            forms=("tighten {nuts}", "tighten {nuts} on {hub}"),
            effect="{nuts} are tight on {hub}.",
        ),
        Schema(
            "jack_up",
            _JACKED,
            (Literal("have", ("jack",)), _GROUND),
            add=(("under", "jack", "hub"),),
            delete=(("have", "jack"), ("on_ground", "hub")),
            forms=("jack up {hub}", "jack up {hub} with {jack}"),
            effect="{jack} is under {hub}.",
        ),
        Schema(
            "jack_down",
            _JACKED,
            (_UP,),
            add=(("have", "jack"), ("on_ground", "hub")),
            delete=(("under", "jack", "hub"),),
            forms=("jack down {hub}",),
            effect="{hub} is on the ground. you have {jack}.",
        ),
        Schema(
            "undo",
            (*_NUTS, ("jack", "jack")),
            (_WRENCH, Literal("loose", ("nuts", "hub")), _UP),
            add=(("have", "nuts"),),
            delete=(("loose", "nuts", "hub"), ("fastened", "hub")),
            forms=("undo {nuts}", "undo {nuts} on {hub}"),
            effect="you have {nuts}.",
        ),
        Schema(
            "do_up",
            (*_NUTS, ("jack", "jack")),
            (_WRENCH, Literal("have", ("nuts",)), _UP, _BARE),
            add=(("loose", "nuts", "hub"), ("fastened", "hub")),
            delete=(("have", "nuts"),),
            forms=("do up {nuts} on {hub}",),
            effect="{nuts} are loose on {hub}.",
        ),
        Schema(
            "remove",
            _MOUNT,
            (Literal("on", ("wheel", "hub")), _UP, _BARE),
            add=(("have", "wheel"), ("free", "hub")),
            delete=(("on", "wheel", "hub"),),
            forms=("remove {wheel} from {hub}", "take {wheel} from {hub}", "remove {wheel}"),
            effect="you have {wheel}.",
        ),
        Schema(
            "put_on",
            _MOUNT,
            (Literal("have", ("wheel",)), Literal("free", ("hub",), otherwise="another wheel is on {hub}"), _UP, _BARE),
            add=(("on", "wheel", "hub"),),
            delete=(("have", "wheel"), ("free", "hub")),
            forms=("put {wheel} on {hub}", "put {wheel} onto {hub}"),
            effect="{wheel} is on {hub}.",
        ),
        Schema(
            "inflate",
            (("wheel", "wheel"), ("pump", "pump")),
            (
                Literal("have", ("pump",)),
                Literal("inflated", ("wheel",), positive=False, otherwise="{wheel} is inflated already"),
                Literal("punctured", ("wheel",), positive=False),
            ),
            add=(("inflated", "wheel"),),
            delete=(),
            forms=("inflate {wheel}", "inflate {wheel} with {pump}"),
            effect="{wheel} is inflated.",
        ),
    ],
    fillers=("wheel", "wheels", "tyre"),
)

_FULL_RULES = (
    "You change wheels of a car. Things can be taken from the boot, and put there, while it is open. "
    "With the wrench, nuts are loosened and tightened while their hub is on the ground; once loose, they are undone "
    "and done up while the hub is jacked up. The jack stays under a hub until you jack it down. "
    "A wheel comes off a hub, and onto a free one, while the hub is jacked up without nuts. "
    "A wheel that is not punctured can be inflated with the pump.\n"
    "Actions, one a message: open BOOT, close BOOT, take X from BOOT, put X in BOOT, loosen NUTS, "
    "tighten NUTS, jack up HUB, jack down HUB, undo NUTS, do up NUTS on HUB, remove WHEEL from HUB, "
    "put WHEEL on HUB, inflate WHEEL, look (tells the whole state), check valid actions (lists what can be done now)."
)
RULES: dict[Difficulty, str] = {
    "easy": "Work on a car.",
    "medium": _FULL_RULES,
    "hard": _FULL_RULES,
}


def sample(rng: np.random.Generator, difficulty: Difficulty) -> Problem:
    """Draw a problem in which no goal fact holds at the start."""
    if difficulty == "easy":
        return _work_on_hub(rng) if pick(rng, (False, True)) else _pump_up(rng)
    return _change(rng, 1 if difficulty == "medium" else int(rng.integers(2, 4)))


# One step of the work at a time, for small models ------------------------------------------------------------------


def _pump_up(rng: np.random.Generator) -> Problem:
    """Inflate one or two wheels: with a pump from the boot, or with one that is put back there; 3 to 5 actions."""
    wheels = pick(rng, pick(rng, NAMES), 2)
    inflated: list[Atom] = [("inflated", wheel) for wheel in wheels[: int(rng.integers(1, 3))]]
    have: list[Atom] = [("have", wheel) for wheel in wheels]
    boot: list[Atom] = [("in", PUMP, BOX), ("closed", BOX)]
    kind = pick(rng, ("fetch pump", "fetch wheel", "put pump back"))
    if kind == "fetch pump":
        facts, goal = boot + have, inflated
    elif kind == "fetch wheel":
        wheel = wheels[0]
        facts, goal = [*boot, ("in", wheel, BOX), have[1]], [("have", wheel), ("inflated", wheel)]
    else:
        facts, goal = [*have, ("have", PUMP)], [*inflated, *boot]
    return _problem(wheels, (PUMP,), BOX, [], [], facts, goal)


def _work_on_hub(rng: np.random.Generator) -> Problem:
    """Get a wheel off a hub, or another one onto it, from any stage of the work; 3 to 5 actions."""
    while True:
        new, old = pick(rng, pick(rng, NAMES), 2)
        stage = int(rng.integers(5))
        facts: list[Atom] = [("on_ground", CAR) if stage < 2 else ("under", JACK, CAR)]
        facts += [(("tight", "loose", "loose")[stage], NUTS, CAR), ("fastened", CAR)] if stage < 3 else [("have", NUTS)]
        facts += [("on", old, CAR)] if stage < 4 else [("have", old), ("free", CAR)]
        facts += [("have", JACK)] if stage < 2 else []
        fetch = bool(rng.integers(2))
        facts += [("in", WRENCH, BOX), ("closed", BOX)] if fetch else [("have", WRENCH)]
        goal: list[Atom] = pick(
            rng, ([("have", old)], [("on", new, CAR)], [("on", new, CAR), ("tight", NUTS, CAR)], [("tight", NUTS, CAR)])
        )
        wheels = [new, old] if ("on", new, CAR) in goal else [old]
        facts += [("have", new)] if new in wheels else []
        problem = _problem(wheels, (WRENCH, JACK), BOX if fetch else "", [(CAR, NUTS)], [], facts, goal)
        if not problem.init & set(goal) and 3 <= len(solve(problem, problem.init)) <= 5:
            return problem


# The whole work ----------------------------------------------------------------------------------------------------


def _change(rng: np.random.Generator, count: int) -> Problem:
    """Change the punctured wheel of each hub, and maybe its nuts, inflate the new ones, and leave the boot in order."""
    names = pick(rng, pick(rng, NAMES), 2 * count)
    old, new = names[:count], names[count:]
    hubs = [(f"{HUB}{i + 1}", f"{NUTS}{i + 1}") for i in range(count)]
    facts: list[Atom] = []
    goal: list[Atom] = []
    spare = []
    for (hub, nuts), before, after, rusty in zip(hubs, old, new, rng.integers(2, size=count).tolist(), strict=True):
        facts += [
            ("on_ground", hub),
            ("fastened", hub),
            ("on", before, hub),
            ("punctured", before),
            ("in", after, BOOT),
        ]
        goal += [("on", after, hub), ("inflated", after), ("in", before, BOOT)]
        if rusty:  # the nuts are changed too
            spare.append(f"new-{nuts}")
            facts += [("tight", nuts, hub), ("in", spare[-1], BOOT)]
            goal += [("tight", spare[-1], hub), ("in", nuts, BOOT)]
        else:
            facts.append(("loose", nuts, hub))
            goal.append(("tight", nuts, hub))
    for tool, out in zip(TOOLS, rng.integers(2, size=len(TOOLS)).tolist(), strict=True):
        if out:
            facts.append(("have", tool))
            goal.append(("in", tool, BOOT))
        else:
            facts.append(("in", tool, BOOT))
    if rng.integers(2):
        facts.append(("closed", BOOT))
    else:
        goal.append(("closed", BOOT))
    return _problem(pick(rng, names, len(names)), TOOLS, BOOT, hubs, spare, facts, pick(rng, goal, len(goal)))


def _problem(
    wheels: list[str],
    tools: tuple[str, ...],
    boot: str,
    hubs: list[tuple[str, str]],
    spare: list[str],
    facts: list[Atom],
    goal: list[Atom],
) -> Problem:
    """A problem; ``boot`` may be empty, ``hubs`` are named with their nuts, and ``spare`` are other nuts."""
    objects = [*((tool, tool) for tool in tools), *((name, "boot") for name in [boot] if name)]
    objects += [(wheel, "wheel") for wheel in wheels]
    objects += [pair for hub, nuts in hubs for pair in ((hub, "hub"), (nuts, "nuts"))]
    objects += [(nuts, "nuts") for nuts in spare]
    return Problem("tyreworld", tuple(objects), frozenset(facts), tuple(goal))


def place(problem: Problem) -> str:
    """The actions of an easy problem: those of the only hub, or those of the pump."""
    names = dict(problem.objects)
    if CAR in names:
        boot = f"open {BOX}, take X from {BOX}, " if BOX in names else ""
        return (
            f"Actions: {boot}loosen X, undo X, remove X from {CAR}, put X on {CAR}, do up X on {CAR}, tighten X, "
            f"jack up {CAR}, jack down {CAR}, check."
        )
    if BOX in names:
        return f"Actions: open {BOX}, close {BOX}, take X from {BOX}, put X in {BOX}, inflate X, check."
    return ""


TYREWORLD = Puzzle(DOMAIN, sample, solve, RULES, place)
