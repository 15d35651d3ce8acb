"""Barman: two hands, shot glasses, dispensers of ingredients, and a shaker that mixes two of them into a cocktail."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.world.barman_expert import LEVELS, SHAKER, lost, solve
from acenv.envs.world.puzzle import COLOURS, FRUITS, LETTERS, Problem, Puzzle
from acenv.envs.world.strips import Atom, Literal, Objects, Predicate, Schema, domain

HANDS = ("left", "right")

_HELD = (("shot", "shot"), ("hand", "hand"))
_WORKED = (*_HELD, ("other", "hand"))
_SHAKER_WORKED = (("shaker", "shaker"), ("hand", "hand"), ("other", "hand"))
_HOLD_SHOT = Literal("holds", ("hand", "shot"), otherwise="you do not hold {shot}")
_HOLD_SHAKER = Literal("holds", ("hand", "shaker"), otherwise="you do not hold {shaker}")
_OTHER_FREE = Literal("free", ("other",), otherwise="your other hand is not free")

DOMAIN = domain(
    "barman",
    {
        "hand": "",
        "level": "",
        "drink": "",
        "ingredient": "drink",
        "cocktail": "drink",
        "container": "",
        "shot": "container",
        "shaker": "container",
    },
    [
        Predicate("has", ("container", "drink"), "{0} has {1}", "{0} does not have {1}", rank=0),
        Predicate("stained", ("shot", "drink"), "{0} is stained with {1}", "{0} is not stained with {1}", rank=0),
        Predicate("clean", ("shot",), "{0} is clean", "{0} is not clean", rank=0),
        Predicate("dirty", ("shaker",), "{0} is dirty", "{0} is not dirty", rank=1),
        Predicate("level", ("shaker", "level"), "{0} is {1}", "{0} is not {1}", rank=1),
        Predicate("shaken", ("shaker",), "{0} is shaken", "{0} is not shaken", rank=1),
        Predicate("free", ("hand",), "{0} is free", "{0} is not free", rank=2),
        Predicate("holds", ("hand", "container"), "{0} holds {1}", "{0} does not hold {1}", rank=2),
        Predicate("on_table", ("container",), negation="{0} is not on the table"),
        Predicate("next", ("level", "level")),
        Predicate("bottom", ("level",)),
        Predicate("recipe", ("cocktail", "ingredient", "ingredient")),
    ],
    [
        Schema(
            "pick",
            (("container", "container"), ("hand", "hand")),
            (
                Literal("on_table", ("container",), otherwise="you hold {container} already"),
                Literal("free", ("hand",)),
            ),
            add=(("holds", "hand", "container"),),
            delete=(("on_table", "container"), ("free", "hand")),
            forms=(
                "pick {container} with {hand}",
                "pick up {container} with {hand}",
                "grasp {container} with {hand}",
                "take {container} with {hand}",
            ),
            effect="{hand} holds {container}.",
        ),
        Schema(
            "put_down",
            (("container", "container"), ("hand", "hand")),
            (Literal("holds", ("hand", "container"), otherwise="you do not hold {container}"),),
            add=(("on_table", "container"), ("free", "hand")),
            delete=(("holds", "hand", "container"),),
            forms=(
                "put down {container}",
                "put down {container} with {hand}",
                "leave {container}",
                "leave {container} with {hand}",
            ),
            effect="{hand} is free.",
        ),
        Schema(
            "fill",
            (*_WORKED, ("drink", "ingredient")),
            (_HOLD_SHOT, _OTHER_FREE, Literal("clean", ("shot",))),
            add=(("has", "shot", "drink"),),
            delete=(("clean", "shot"),),
            forms=("fill {shot} with {drink}", "fill {drink} into {shot}"),
            effect="{shot} has {drink}.",
        ),
        Schema(
            "refill",
            (*_WORKED, ("drink", "ingredient")),
            (_HOLD_SHOT, _OTHER_FREE, Literal("stained", ("shot", "drink"))),
            add=(("has", "shot", "drink"),),
            delete=(("stained", "shot", "drink"),),
            forms=("refill {shot} with {drink}", "refill {shot}"),
            effect="{shot} has {drink}.",
        ),
        Schema(
            "empty",
            (*_HELD, ("drink", "drink")),
            (_HOLD_SHOT, Literal("has", ("shot", "drink"), otherwise="{shot} is empty already")),
            add=(("stained", "shot", "drink"),),
            delete=(("has", "shot", "drink"),),
            forms=("empty {shot}",),
            effect="{shot} is stained with {drink}.",
        ),
        Schema(
            "clean",
            (*_WORKED, ("drink", "drink")),
            (
                _HOLD_SHOT,
                _OTHER_FREE,
                Literal("clean", ("shot",), positive=False, otherwise="{shot} is clean already"),
                Literal("stained", ("shot", "drink"), otherwise="{shot} is not empty"),
            ),
            add=(("clean", "shot"),),
            delete=(("stained", "shot", "drink"),),
            forms=("clean {shot}",),
            effect="{shot} is clean.",
        ),
        Schema(
            "pour",
            (
                *_HELD,
                ("shaker", "shaker"),
                ("drink", "drink"),
                ("level", "level"),
                ("above", "level"),
            ),
            (
                _HOLD_SHOT,
                Literal("has", ("shot", "drink"), otherwise="{shot} is empty"),
                Literal("shaken", ("shaker",), positive=False, otherwise="{shaker} is shaken already"),
                Literal("dirty", ("shaker",), positive=False),
                Literal("level", ("shaker", "level")),
                Literal("next", ("level", "above"), otherwise="{shaker} is full"),
            ),
            add=(("has", "shaker", "drink"), ("stained", "shot", "drink"), ("level", "shaker", "above")),
            delete=(("has", "shot", "drink"), ("level", "shaker", "level")),
            forms=("pour {shot} into {shaker}", "pour {drink} from {shot} into {shaker}"),
            effect="{shaker} has {drink}. {shaker} is {above}.",
        ),
        Schema(
            "shake",
            (
                *_SHAKER_WORKED,
                ("cocktail", "cocktail"),
                ("one", "ingredient"),
                ("two", "ingredient"),
            ),
            (
                _HOLD_SHAKER,
                _OTHER_FREE,
                Literal("shaken", ("shaker",), positive=False, otherwise="{shaker} is shaken already"),
                Literal("has", ("shaker", "one"), otherwise="{shaker} is empty"),
                Literal("has", ("shaker", "two"), otherwise="{shaker} is empty"),
                Literal("recipe", ("cocktail", "one", "two"), otherwise="what {shaker} has makes no cocktail"),
            ),
            add=(("has", "shaker", "cocktail"), ("shaken", "shaker")),
            delete=(("has", "shaker", "one"), ("has", "shaker", "two")),
            forms=("shake {shaker}", "shake {cocktail} in {shaker}"),
            effect="{shaker} has {cocktail}. {shaker} is shaken.",
        ),
        Schema(
            "serve",
            (
                ("shaker", "shaker"),
                ("shot", "shot"),
                ("hand", "hand"),
                ("cocktail", "cocktail"),
                ("level", "level"),
                ("below", "level"),
            ),
            (
                _HOLD_SHAKER,
                Literal("shaken", ("shaker",)),
                Literal("has", ("shaker", "cocktail")),
                Literal("level", ("shaker", "level")),
                Literal("next", ("below", "level"), otherwise="{shaker} is empty"),
                Literal("clean", ("shot",)),
            ),
            add=(("has", "shot", "cocktail"), ("level", "shaker", "below")),
            delete=(("clean", "shot"), ("level", "shaker", "level")),
            forms=("pour {shaker} into {shot}", "pour {cocktail} from {shaker} into {shot}"),
            effect="{shot} has {cocktail}. {shaker} is {below}.",
        ),
        Schema(
            "empty_shaker",
            (
                ("shaker", "shaker"),
                ("hand", "hand"),
                ("cocktail", "cocktail"),
                ("level", "level"),
                ("bottom", "level"),
            ),
            (
                _HOLD_SHAKER,
                Literal("shaken", ("shaker",)),
                Literal("has", ("shaker", "cocktail")),
                Literal("level", ("shaker", "level")),
                Literal("bottom", ("bottom",)),
            ),
            add=(("level", "shaker", "bottom"), ("dirty", "shaker")),
            delete=(("level", "shaker", "level"), ("has", "shaker", "cocktail"), ("shaken", "shaker")),
            forms=("empty {shaker}",),
            effect="{shaker} is {bottom}. {shaker} is dirty.",
        ),
        Schema(
            "clean_shaker",
            _SHAKER_WORKED,
            (_HOLD_SHAKER, _OTHER_FREE, Literal("dirty", ("shaker",))),
            add=(),
            delete=(("dirty", "shaker"),),
            forms=("clean {shaker}",),
            effect="{shaker} is clean.",
        ),
    ],
    fillers=("shot", "shots", "glass", "hand", "drink", "ingredient", "cocktail"),
)

_FULL_RULES = (
    "You mix drinks. You have two hands, left and right; each holds one shot or the shaker. "
    "What you do not hold stands on the table. "
    "An ingredient is filled into a clean shot that you hold while your other hand is free. "
    "A shot that was used must be emptied and cleaned; with what it had before it can be refilled uncleaned. "
    "To clean a shot or the shaker, or to shake, the other hand must be free too. "
    "A cocktail is made in the clean shaker: pour both of its ingredients into it from shots, one portion each, then "
    "shake. It then has two portions, to pour into clean shots. "
    "The shaker can be emptied only after it was shaken, and only a cocktail can be shaken: "
    "a wrong mixture cannot be got out any more.\n"
    "Actions, one a message: pick X with HAND, put down X, fill SHOT with INGREDIENT, refill SHOT with INGREDIENT, "
    "empty X, clean X, pour SHOT into SHAKER, shake SHAKER, pour SHAKER into SHOT, "
    "look (tells the whole state), check valid actions (lists what can be done now)."
)
RULES: dict[Difficulty, str] = {
    "easy": "Fill clean shots. One hand holds the shot, the other hand is free.\n"
    "Actions: pick X with left, put down X, fill X with Y, empty X, clean X, check.",
    "medium": _FULL_RULES,
    "hard": _FULL_RULES,
}


def sample(rng: np.random.Generator, difficulty: Difficulty) -> Problem:
    """Draw a problem in which no goal shot has its drink at the start."""
    return _sample_easy(rng) if difficulty == "easy" else _sample_cocktails(rng, difficulty)


def _sample_easy(rng: np.random.Generator) -> Problem:
    """One or two shots to fill, without a shaker; plans take 3 to 6 actions."""
    while True:
        shots = pick(rng, pick(rng, (COLOURS, LETTERS)), int(rng.integers(1, 3)))
        drinks = pick(rng, FRUITS, 2)
        goal: list[Atom] = [("has", shot, pick(rng, drinks)) for shot in shots]
        facts: list[Atom] = []
        for _, shot, wanted in goal:
            facts.append(_start(rng, shot, [d for d in drinks if d != wanted]))
        held = pick(rng, [*shots, *[""] * 3])
        facts += [("holds", "left", held) if held else ("free", "left"), ("free", "right")]
        facts += [("on_table", shot) for shot in shots if shot != held]
        objects = _objects(shots, drinks, [])
        problem = Problem("barman", objects, frozenset(facts), tuple(goal))
        if 3 <= len(solve(problem, problem.init)) <= 6:
            return problem


def _sample_cocktails(rng: np.random.Generator, difficulty: Difficulty) -> Problem:
    """Cocktails and plain ingredients to serve, with one shaker."""
    hard = difficulty == "hard"
    kinds = int(rng.integers(2, 4)) if hard else 1  # different cocktails that are asked for
    count = kinds + int(rng.integers(1, 3))  # shots to fill
    names, others = pick(rng, (COLOURS, LETTERS), 2)
    shots, cocktails = pick(rng, names, count), pick(rng, others, kinds + 1)
    drinks = pick(rng, FRUITS, 4 if hard else 3)
    pairs = [(a, b) for i, a in enumerate(drinks) for b in drinks[i + 1 :]]
    recipes = dict(zip(cocktails, pick(rng, pairs, len(cocktails)), strict=True))
    orders = [*cocktails[:kinds], *(pick(rng, [*cocktails[:kinds], *drinks]) for _ in range(count - kinds))]
    goal = [("has", shot, drink) for shot, drink in zip(pick(rng, shots, count), orders, strict=True)]
    facts: list[Atom] = [("recipe", cocktail, *parts) for cocktail, parts in recipes.items()]
    facts += [("next", low, high) for low, high in zip(LEVELS, LEVELS[1:], strict=False)]
    facts += [("bottom", LEVELS[0]), ("level", SHAKER, LEVELS[0]), ("on_table", SHAKER)]
    facts += [("free", hand) for hand in HANDS]
    facts += [_start(rng, shot, [d for d in drinks if ("has", shot, d) not in goal]) for shot in shots]
    facts += [("on_table", shot) for shot in shots]
    return Problem("barman", _objects(shots, drinks, cocktails), frozenset(facts), tuple(goal))


def _start(rng: np.random.Generator, shot: str, drinks: list[str]) -> Atom:
    """A shot that is clean, stained or full, with one of ``drinks``."""
    kind = pick(rng, ("clean", "stained", "has"))
    return (kind, shot) if kind == "clean" else (kind, shot, pick(rng, drinks))


def _objects(shots: list[str], drinks: list[str], cocktails: list[str]) -> Objects:
    groups = [("shot", shots), ("ingredient", drinks), ("hand", HANDS)]
    if cocktails:
        groups[1:1] = [("shaker", [SHAKER])]
        groups += [("cocktail", cocktails), ("level", LEVELS)]
    return tuple((name, kind) for kind, names in groups for name in names)


def place(problem: Problem) -> str:
    """What there is, and the recipes; nothing where there is no shaker."""
    cocktails = [name for name, kind in problem.objects if kind == "cocktail"]
    if not cocktails:
        return ""
    recipes = []
    for cocktail in cocktails:
        parts = next(fact[2:] for fact in sorted(problem.init) if fact[:2] == ("recipe", cocktail))
        recipes.append(f"{cocktail} is made of {parts[0]} and {parts[1]}")
    kinds = [
        f"{label}: {', '.join(n for n, k in problem.objects if k == kind)}."
        for label, kind in (("Shots", "shot"), ("Ingredients", "ingredient"), ("Shaker", "shaker"))
    ]
    return f"{' '.join(kinds)}\nCocktails: {', '.join(recipes)}."


BARMAN = Puzzle(DOMAIN, sample, solve, RULES, place, lost)
