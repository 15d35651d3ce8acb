"""The reward of WebShop and the progress of AgentBoard, for products whose facts are known.

WebShop (Yao et al. 2022, ``web_agent_site/engine/goal.py``) guesses facts from texts: nouns of a title by a tagger,
attributes and options by fuzzy matching. Here the generator wrote the texts and keeps the facts, so that they are
compared exactly; the formulas are unchanged. Synonyms in a title count as the same noun.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """Something that can be chosen on a product's page.

    Attributes:
        name: What it is, such as ``size``.
        values: What can be chosen.
        extras: What each value adds to the price, in cents.
    """

    name: str
    values: tuple[str, ...]
    extras: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A product, with the facts behind its texts.

    Attributes:
        id: What its link says.
        kind: What it is, by its usual name.
        title: Its name on a results page.
        category: From general to special.
        nouns: Nouns of the title; a synonym of the kind counts as the kind's usual name.
        attributes: What is true of it, by plain names.
        features: Short statements, on a page of their own.
        description: Prose, on a page of its own.
        options: What can be chosen.
        price: In cents, with nothing chosen.
    """

    id: str
    kind: str
    title: str
    category: tuple[str, ...]
    nouns: frozenset[str]
    attributes: frozenset[str]
    features: tuple[str, ...]
    description: str
    options: tuple[Option, ...]
    price: int

    def option_of(self, value: str) -> str:
        """The name of the option that a value belongs to; empty if it is not offered."""
        return next((option.name for option in self.options if value in option.values), "")

    def price_with(self, chosen: Mapping[str, str]) -> int:
        """The price in cents with some options chosen."""
        extras = (o.extras[o.values.index(chosen[o.name])] for o in self.options if o.name in chosen)
        return self.price + sum(extras)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to buy.

    Attributes:
        kind: What it is, by its usual name.
        category: The category of the product that the wish was made from.
        nouns: The nouns of that product's title.
        attributes: What must be true of it.
        options: What must be chosen, by option.
        limit: The highest price, in cents.
    """

    kind: str
    category: tuple[str, ...]
    nouns: frozenset[str]
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Score:
    """How well a purchase fits a wish; each part is in [0, 1].

    Attributes:
        reward: WebShop's reward.
        type: WebShop's ``r_type``.
        attributes: The share of the wanted attributes.
        options: The share of the wanted options; 1 if none is wanted.
        price: Whether the price is within the limit.
    """

    reward: float = 0.0
    type: float = 0.0
    attributes: float = 0.0
    options: float = 0.0
    price: float = 0.0


def type_score(product: Product, wish: Wish) -> float:
    """WebShop's ``r_type``.

    1 for the same kind, for two levels of category in common, or for more than a fifth of the nouns of the title; else
    0.5; but 0.1 if less than a tenth of the nouns is in common, and 0 if none is.
    """
    common = len(product.nouns & wish.nouns) / len(wish.nouns)
    if common == 0.0:
        return 0.0
    if common < 0.1:
        return 0.1
    alike = product.kind == wish.kind or len(set(product.category) & set(wish.category)) >= 2
    return 1.0 if alike or common > 0.2 else 0.5


def score(product: Product, wish: Wish, chosen: Mapping[str, str]) -> Score:
    """WebShop's reward with its parts.

    ``r_type * (attributes matched + options matched + [price within the limit]) / (attributes + options wanted + 1)``
    """
    attributes = sum(attribute in product.attributes for attribute in wish.attributes)
    options = sum(chosen.get(name) == value for name, value in wish.options)
    price = product.price_with(chosen) <= wish.limit
    kind = type_score(product, wish)
    wanted = len(wish.attributes) + len(wish.options) + 1
    return Score(
        reward=kind * ((attributes + options + price) / wanted),
        type=kind,
        attributes=attributes / len(wish.attributes),
        options=options / len(wish.options) if wish.options else 1.0,
        price=float(price),
    )


def best_reward(product: Product, wish: Wish) -> float:
    """The highest reward that a product can bring, whatever is chosen."""
    kind = type_score(product, wish)
    attributes = sum(attribute in product.attributes for attribute in wish.attributes)
    wanted = len(wish.attributes) + len(wish.options) + 1
    offered = [(name, value) for name, value in wish.options if product.option_of(value) == name]
    # Nothing costs less than a choice not made, so that a choice which is not wanted never helps.
    choices = (dict(some) for count in range(len(offered) + 1) for some in itertools.combinations(offered, count))
    matched = max(len(chosen) + (product.price_with(chosen) <= wish.limit) for chosen in choices)
    return kind * ((attributes + matched) / wanted)


def last_reward(product: Product, wish: Wish) -> float:
    """What AgentBoard's server takes for the best reward on a product's page.

    It forgets the best at each combination of options, so what is left is the reward of the last combination, unless
    one of them brings exactly 1.
    """
    if best_reward(product, wish) == 1.0:
        return 1.0
    return score(product, wish, {option.name: option.values[-1] for option in product.options}).reward


def best_on_page(products: Iterable[Product], wish: Wish) -> float:
    """The highest reward that any of the products can bring; 0 of none."""
    return max((best_reward(product, wish) for product in products), default=0.0)


def fits(product: Product, wish: Wish) -> bool:
    """Whether a product is what was asked for in every respect, the kind included."""
    wanted = dict(wish.options)
    offered = all(product.option_of(value) == name for name, value in wish.options)
    return (
        product.kind == wish.kind
        and product.attributes.issuperset(wish.attributes)
        and offered
        and product.price_with(wanted) <= wish.limit
    )
