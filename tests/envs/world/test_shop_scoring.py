from __future__ import annotations

import dataclasses
import itertools
from random import Random

import pytest

from acenv.envs.world.shop.catalogue import make_products
from acenv.envs.world.shop.scoring import (
    Option,
    Product,
    Wish,
    best_on_page,
    best_reward,
    fits,
    last_reward,
    score,
    type_score,
)

KETTLE = Product(
    id="B1",
    kind="kettle",
    title="Halden Aster Steel Water Boiler for Offices",
    category=("Home", "Appliances", "kettle"),
    nouns=frozenset({"halden", "aster", "steel", "kettle", "offices"}),
    attributes=frozenset({"is quiet", "is compact"}),
    features=("It is quiet", "It is compact"),
    description="",
    options=(Option("colour", ("red", "blue"), (0, 0)), Option("set", ("single", "gift box"), (0, 700))),
    price=2549,
)
WISH = Wish(
    kind="kettle",
    category=KETTLE.category,
    nouns=KETTLE.nouns,
    attributes=("is quiet", "saves energy"),
    options=(("colour", "red"), ("set", "gift box")),
    limit=3000,
)


@pytest.mark.parametrize(
    ("kind", "category", "nouns", "expected"),
    [
        ("kettle", ("Home", "Appliances", "kettle"), {"kettle"}, 1.0),
        ("toaster", ("Home", "Appliances", "toaster"), {"toaster", "steel"}, 1.0),  # two levels of category
        ("rug", ("Home", "Textiles", "rug"), {"rug", "halden"}, 0.5),  # one noun of five is not more than a fifth
        ("rug", ("Home", "Textiles", "rug"), {"rug", "halden", "offices"}, 1.0),
        ("toaster", ("Home", "Appliances", "toaster"), {"toaster", "glass"}, 0.0),
    ],
)
def test_types_score_as_in_webshop(kind: str, category: tuple[str, ...], nouns: set[str], expected: float) -> None:
    product = dataclasses.replace(KETTLE, kind=kind, category=category, nouns=frozenset(nouns))
    assert type_score(product, WISH) == expected


def test_hardly_any_common_noun_scores_a_tenth() -> None:
    wish = dataclasses.replace(WISH, nouns=frozenset({"kettle", *(f"noun {i}" for i in range(10))}))
    assert type_score(KETTLE, wish) == 0.1


@pytest.mark.parametrize(
    ("chosen", "reward"),
    [
        ({}, 2 / 5),  # quiet, cheap enough
        ({"colour": "red"}, 3 / 5),
        ({"colour": "blue"}, 2 / 5),
        ({"colour": "red", "set": "gift box"}, 3 / 5),  # both options, but too expensive with them
        ({"set": "single"}, 2 / 5),
    ],
)
def test_the_reward_is_webshops(chosen: dict[str, str], reward: float) -> None:
    result = score(KETTLE, WISH, chosen)
    assert result.reward == pytest.approx(reward)
    assert (result.type, result.attributes) == (1.0, 0.5)
    assert result.price == (KETTLE.price_with(chosen) <= 3000)


def test_a_perfect_purchase_is_exactly_one() -> None:
    wish = dataclasses.replace(WISH, attributes=("is quiet", "is compact"), limit=4000)
    assert score(KETTLE, wish, {"colour": "red", "set": "gift box"}).reward == 1.0
    assert fits(KETTLE, wish)
    assert not fits(dataclasses.replace(KETTLE, kind="toaster"), wish)
    assert not fits(KETTLE, WISH)


def test_the_best_and_the_last_reward_are_those_of_all_combinations() -> None:
    rng = Random(3)
    products = make_products("hard", rng)[:400]
    for product, target in zip(products, reversed(products), strict=True):
        options = tuple((o.name, rng.choice(o.values)) for o in target.options)
        attributes = tuple(rng.sample(sorted(target.attributes), 3))
        wish = Wish(target.kind, target.category, target.nouns, attributes, options, target.price + 500)
        for bought in (product, target):
            combinations = [
                dict(zip((o.name for o in bought.options), values, strict=True))
                for values in itertools.product(*(o.values for o in bought.options))
            ]
            rewards = [score(bought, wish, chosen).reward for chosen in combinations]
            partial = [score(bought, wish, dict(list(c.items())[:n])).reward for c in combinations for n in range(3)]
            best = best_reward(bought, wish)
            assert best >= max(*rewards, *partial)
            assert last_reward(bought, wish) == (1.0 if best == 1.0 else rewards[-1])


def test_an_empty_page_is_worth_nothing() -> None:
    assert best_on_page([], WISH) == 0.0
    assert best_on_page([KETTLE], WISH) == best_reward(KETTLE, WISH)
