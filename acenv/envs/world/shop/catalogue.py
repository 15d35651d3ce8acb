"""Generates the products of a shop."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from acenv.envs.base import Difficulty
from acenv.envs.workflow.simple_calls import VALUES
from acenv.envs.world.puzzle import COLOURS
from acenv.envs.world.shop.scoring import Option, Product
from acenv.envs.world.shop.wares import BRANDS, DEPARTMENTS, SERIES, SHADES, Department, Kind

EASY_ITEMS = VALUES["item"]
EASY_MATERIALS = (
    *("copper", "silver", "glass", "stone", "paper", "marble", "linen", "velvet", "brass", "cotton", "wooden"),
    "golden",
)
EASY_SIZES = ("small", "large")

PRODUCTS_OF_A_KIND = {"medium": 32, "hard": 96}
"""There are 32 kinds."""

_ID_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTVWXZ"
_CENTS = (29, 49, 79, 99)


def make_products(difficulty: Difficulty, rng: Random) -> list[Product]:
    """All products of a shop, in no order; some 400 at ``"easy"``, 1,024 at ``"medium"``, 3,072 at ``"hard"``."""
    if difficulty == "easy":
        products = _easy_products(rng)
    else:
        ids = _ids(rng, PRODUCTS_OF_A_KIND[difficulty] * sum(len(d.kinds) for d in DEPARTMENTS))
        products = [
            _product(rng, department, kind, difficulty == "hard", next(ids))
            for department in DEPARTMENTS
            for kind in department.kinds
            for _ in range(PRODUCTS_OF_A_KIND[difficulty])
        ]
    rng.shuffle(products)
    return products


# Easy ----------------------------------------------------------------------------------------------------------------


def _easy_products(rng: Random) -> list[Product]:
    """One to three offers of every item in every material, at different round prices."""
    ids = iter(rng.sample([f"{letter}{number}" for letter in "bcdfghkmnprstvwz" for number in range(10, 100)], 600))
    products = []
    for item in EASY_ITEMS:
        for material in EASY_MATERIALS:
            for price in rng.sample(range(10, 100, 10), rng.randint(1, 3)):
                colours = tuple(rng.sample(COLOURS, 3))
                options = [Option("color", colours, (0,) * 3), Option("size", EASY_SIZES, (0,) * len(EASY_SIZES))]
                products.append(
                    Product(
                        id=next(ids),
                        kind=item,
                        title=f"{material} {item}",
                        category=("items", item),
                        nouns=frozenset((material, item)),
                        attributes=frozenset((material,)),
                        features=(),
                        description="",
                        options=tuple(options[: rng.randint(1, 2)]),
                        price=price * 100,
                    )
                )
    return products


# Medium and hard -----------------------------------------------------------------------------------------------------


def _ids(rng: Random, count: int) -> Iterator[str]:
    """Different ids of eight signs that all start with B."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["B" + "".join(rng.choices(_ID_LETTERS, k=7))] = None
    return iter(found)


def made_of(material: str) -> str:
    """The attribute of being made of a material, which stands in the title."""
    return f"is made of {material}"


def _product(rng: Random, department: Department, kind: Kind, hard: bool, id_: str) -> Product:
    """A product with about half of the attributes of its department, which says of others that it lacks them.

    A hard one says them on either of two pages, in more wordings, under either name of its kind; options may cost
    extra.
    """
    brand, series, material = rng.choice(BRANDS), rng.choice(SERIES), rng.choice(kind.materials)
    place = rng.choice(department.places)
    name = rng.choice((kind.name, kind.synonym)) if hard else kind.name
    shuffled = rng.sample(department.attributes, len(department.attributes))
    count = rng.randint(4, 6)
    has, lacks = shuffled[:count], shuffled[count : count + (2 if hard else 1)]
    said = [rng.choice(a.wordings if hard else a.wordings[:2]) for a in has]
    in_features = len(said) - rng.randint(1, 2) if hard else len(said)
    features = [f"It {line}" for line in (*said[:in_features], *(a.lack for a in lacks))]
    prose = [*(f"It {line}." for line in said[in_features:]), *rng.sample(department.notes, 2)]
    rng.shuffle(features)
    rng.shuffle(prose)
    price = rng.randint(*kind.price)
    return Product(
        id=id_,
        kind=kind.name,
        title=f"{brand} {series} {material.title()} {name.title()} for {place.title()}",
        category=(*department.path, kind.name),
        nouns=frozenset((brand.lower(), series.lower(), material, place, *kind.name.split())),
        attributes=frozenset((made_of(material), *(a.name for a in has))),
        features=tuple(features),
        description=" ".join(prose),
        options=tuple(_option(rng, option, hard, price) for option in department.options[: 3 if hard else 2]),
        price=price * 100 + rng.choice(_CENTS),
    )


def _option(rng: Random, option: tuple[str, tuple[str, ...]], hard: bool, price: int) -> Option:
    """Some of the values, in their order; at hard all but colours cost the more the later they come."""
    name, values = option
    low = min(len(values), 3) if values == SHADES else 2
    kept = rng.sample(values, rng.randint(low, min(len(values), 5)))
    offered = tuple(value for value in values if value in kept)
    step = max(2, price * rng.randint(5, 15) // 100) * 100 if hard and values != SHADES else 0
    return Option(name, offered, tuple(step * i for i in range(len(offered))))
