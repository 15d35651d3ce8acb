"""What there is in a home: kinds of places and things, and which things are kept where."""

from __future__ import annotations

SURFACES = (
    "countertop",
    "table",
    "desk",
    "shelf",
    "bed",
    "sofa",
    "sidetable",
    "armchair",
    "coffeetable",
    "windowsill",
)
CLOSETS = ("cabinet", "drawer", "cupboard", "box", "safe", "dresser")
"""Places with a door, a lid or a front that can be closed, beside the fridge and the microwave."""

INSIDE = frozenset({*CLOSETS, "fridge", "microwave", "sinkbasin", "garbagecan"})
"""Kinds of places that things are in; they are on the others."""

SLICEABLE = (
    "apple",
    "bread",
    "lemon",
    "lettuce",
    "melon",
    "onion",
    "peach",
    "pear",
    "plum",
    "potato",
    "tomato",
)
FOOD = (*SLICEABLE, "egg")
CROCKERY = ("bowl", "cup", "glass", "mug", "plate")
COOKWARE = ("pan", "pot")
WASHABLE = ("fork", "spoon", "spatula", "cloth")
ITEMS = ("book", "bottle", "camera", "candle", "key", "map", "pen", "pencil", "pillow", "radio", "vase", "watch")

FROM_THE_KITCHEN = frozenset({*FOOD, *CROCKERY, *COOKWARE, *WASHABLE, "knife"})
KITCHEN_PLACES = frozenset({"countertop", "table", "shelf", "sidetable", "cabinet", "cupboard", "drawer"})
OTHER_PLACES = frozenset({*SURFACES, *CLOSETS}) - {"countertop", "cupboard"}


def places_of(kind: str) -> frozenset[str]:
    """Kinds of places where a thing of a kind is kept.

    >>> "bed" in places_of("book"), "bed" in places_of("egg")
    (True, False)
    """
    if kind not in FROM_THE_KITCHEN:
        return OTHER_PLACES
    if kind in FOOD or kind in CROCKERY:
        return KITCHEN_PLACES | {"fridge", "sinkbasin", "microwave"}
    return KITCHEN_PLACES | {"sinkbasin"}


def kind_of(name: str) -> str:
    """The kind of a thing or place, which its name begins with.

    >>> kind_of("sinkbasin 1"), kind_of("apple")
    ('sinkbasin', 'apple')
    """
    return name.partition(" ")[0]


def preposition(place: str) -> str:
    """Whether things are ``in`` or ``on`` a place."""
    return "in" if kind_of(place) in INSIDE else "on"


def with_article(words: str) -> str:
    """Words with ``a`` or ``an``.

    >>> with_article("apple"), with_article("uncooked egg"), with_article("hot egg")
    ('an apple', 'an uncooked egg', 'a hot egg')
    """
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def plural(kind: str) -> str:
    """The plural of a kind.

    >>> plural("mug"), plural("watch"), plural("potato"), plural("radio")
    ('mugs', 'watches', 'potatoes', 'radios')
    """
    return kind + ("es" if kind.endswith(("ch", "to", "ss")) else "s")
