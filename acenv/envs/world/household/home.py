"""The home as a STRIPS domain: a robot with one hand, places that open and close, things that are treated."""

from __future__ import annotations

from acenv.envs.world.household.kinds import (
    CLOSETS,
    COOKWARE,
    CROCKERY,
    FOOD,
    ITEMS,
    SLICEABLE,
    SURFACES,
    WASHABLE,
)
from acenv.envs.world.strips import Atom, Literal, Predicate, Schema, domain

START = "the middle of the home"
"""Where the robot is at first; nothing is kept there."""

CONDITIONS = {
    "hot": "hot",
    "cold": "cold",
    "clean": "clean",
    "cooked": "cooked",
    "raw": "uncooked",
    "sliced": "sliced",
    "whole": "whole",
}
"""Predicates about a single thing that a goal can ask for, with the adjectives that say them."""

GIVEN = frozenset({"raw", "whole"})
"""Conditions that no action brings about."""

SHOWN = tuple(name for name in CONDITIONS if name not in GIVEN)
"""Conditions that are told of a thing that is seen."""

_TYPES: dict[str, str] = {
    "spot": "",
    "place": "spot",
    "keeper": "place",
    "closet": "keeper",
    "surface": "keeper",
    "fridge": "closet",
    "microwave": "closet",
    "sinkbasin": "keeper",
    "garbagecan": "place",
    "desklamp": "",
    "thing": "",
    "washable": "thing",
    "food": "washable",
    "sliceable": "food",
    "crockery": "washable",
    "cookware": "washable",
    "knife": "washable",
    **dict.fromkeys(SURFACES, "surface"),
    **dict.fromkeys(CLOSETS, "closet"),
    **dict.fromkeys(ITEMS, "thing"),
    **dict.fromkeys(WASHABLE, "washable"),
    **dict.fromkeys(FOOD, "food"),
    **dict.fromkeys(SLICEABLE, "sliceable"),
    **dict.fromkeys(CROCKERY, "crockery"),
    **dict.fromkeys(COOKWARE, "cookware"),
}

_THERE = Literal("at", ("place",), otherwise="you are not at {place}")
_HELD = Literal("holds", ("thing",), otherwise="you do not hold {thing}")
_OPEN = Literal("open", ("place",), otherwise="{place} is closed")
_LIES = Literal("in", ("thing", "place"), otherwise="you see no {thing} here")
_BREAKS: tuple[Atom, ...] = (("broken", "thing"), ("hand_empty",))


def _treat(
    name: str,
    kind: str,
    appliance: str,
    *conditions: Literal,
    add: tuple[Atom, ...],
    delete: tuple[Atom, ...],
    effect: str,
) -> Schema:
    """Something that is done at an appliance to a thing in the hand."""
    return Schema(
        name,
        (("thing", kind), ("place", appliance)),
        (_THERE, _HELD, *conditions),
        add,
        delete,
        (name.partition("_")[0] + " {thing} with {place}",),
        effect,
    )


_COLD = Literal("cold", ("thing",))
_NOT_COLD = Literal("cold", ("thing",), positive=False)
_HOT = Literal("hot", ("thing",))
_NOT_HOT = Literal("hot", ("thing",), positive=False)
_COOLED: tuple[tuple[Atom, ...], tuple[Atom, ...]] = ((("cold", "thing"),), (("hot", "thing"),))

DOMAIN = domain(
    "household",
    _TYPES,
    [
        Predicate("at", ("spot",)),
        Predicate("hand_empty"),
        Predicate("holds", ("thing",)),
        Predicate("in", ("thing", "place")),
        Predicate("stands", ("desklamp", "place")),
        Predicate("open", ("place",)),
        Predicate("lit", ("desklamp",)),
        *(Predicate(name, ("thing",)) for name in CONDITIONS),
        Predicate("broken", ("thing",)),
    ],
    [
        Schema(
            "go",
            (("from", "spot"), ("place", "place")),
            (
                Literal("at", ("from",)),
                Literal("=", ("from", "place"), positive=False, otherwise="you are at {place} already"),
            ),
            add=(("at", "place"),),
            delete=(("at", "from"),),
            forms=("go to {place}",),
            effect="you are at {place}.",
        ),
        Schema(
            "open",
            (("place", "closet"),),
            (_THERE, Literal("open", ("place",), positive=False, otherwise="{place} is open already")),
            add=(("open", "place"),),
            delete=(),
            forms=("open {place}",),
            effect="{place} is open.",
        ),
        Schema(
            "close",
            (("place", "closet"),),
            (_THERE, Literal("open", ("place",), otherwise="{place} is closed already")),
            add=(),
            delete=(("open", "place"),),
            forms=("close {place}",),
            effect="{place} is closed.",
        ),
        Schema(
            "take",
            (("thing", "thing"), ("place", "keeper")),
            (_THERE, _OPEN, _LIES, Literal("hand_empty", (), otherwise="your hand is not empty")),
            add=(("holds", "thing"),),
            delete=(("in", "thing", "place"), ("hand_empty",)),
            forms=("take {thing} from {place}",),
            effect="you hold {thing}.",
        ),
        Schema(
            "put",
            (("thing", "thing"), ("place", "place")),
            (_THERE, _HELD, _OPEN),
            add=(("in", "thing", "place"), ("hand_empty",)),
            delete=(("holds", "thing"),),
            forms=("put {thing} in/on {place}",),
            effect="{thing} is {preposition} {place}.",
        ),
        _treat(
            "heat_food",
            "food",
            "microwave",
            add=(("hot", "thing"), ("cooked", "thing")),
            delete=(("cold", "thing"), ("raw", "thing")),
            effect="{thing} is hot.",
        ),
        _treat(
            "heat_crockery",
            "crockery",
            "microwave",
            _NOT_COLD,
            add=(("hot", "thing"),),
            delete=(),
            effect="{thing} is hot.",
        ),
        _treat(
            "heat_cold",
            "crockery",
            "microwave",
            _COLD,
            add=_BREAKS,
            delete=(("holds", "thing"),),
            effect="{thing} was cold and breaks.",
        ),
        _treat("cool_food", "food", "fridge", add=_COOLED[0], delete=_COOLED[1], effect="{thing} is cold."),
        _treat("cool_cookware", "cookware", "fridge", add=_COOLED[0], delete=_COOLED[1], effect="{thing} is cold."),
        _treat(
            "cool_crockery",
            "crockery",
            "fridge",
            _NOT_HOT,
            add=(("cold", "thing"),),
            delete=(),
            effect="{thing} is cold.",
        ),
        _treat(
            "cool_hot",
            "crockery",
            "fridge",
            _HOT,
            add=_BREAKS,
            delete=(("holds", "thing"),),
            effect="{thing} was hot and breaks.",
        ),
        _treat(
            "clean",
            "washable",
            "sinkbasin",
            add=(("clean", "thing"),),
            delete=(("hot", "thing"), ("cold", "thing")),
            effect="{thing} is clean.",
        ),
        Schema(
            "slice",
            (("thing", "sliceable"), ("knife", "knife"), ("place", "place")),
            (
                _THERE,
                _OPEN,
                Literal("in", ("thing", "place"), otherwise="{thing} does not lie here"),
                Literal("holds", ("knife",), otherwise="you do not hold {knife}"),
                Literal("whole", ("thing",), otherwise="{thing} is sliced already"),
            ),
            add=(("sliced", "thing"),),
            delete=(("whole", "thing"),),
            forms=("slice {thing} with {knife}",),
            effect="{thing} is sliced.",
        ),
        Schema(
            "use",
            (("lamp", "desklamp"), ("place", "place")),
            (
                _THERE,
                Literal("stands", ("lamp", "place"), otherwise="you see no {lamp} here"),
                Literal("lit", ("lamp",), positive=False),
            ),
            add=(("lit", "lamp"),),
            delete=(),
            forms=("use {lamp}",),
            effect="{lamp} is on.",
        ),
        Schema(
            "use_lit",
            (("lamp", "desklamp"), ("place", "place")),
            (_THERE, Literal("stands", ("lamp", "place")), Literal("lit", ("lamp",))),
            add=(),
            delete=(("lit", "lamp"),),
            forms=("use {lamp}",),
            effect="{lamp} is off.",
        ),
    ],
)
