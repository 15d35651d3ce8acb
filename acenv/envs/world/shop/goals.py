"""Draws what is to be bought, in words, so that exactly what fits the words scores 1."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from acenv.envs.base import Difficulty, Split, split_of
from acenv.envs.world.shop.catalogue import made_of
from acenv.envs.world.shop.index import Shop
from acenv.envs.world.shop.scoring import Product, Wish, best_reward, fits
from acenv.envs.world.shop.wares import DEPARTMENTS

PAGE_SIZE: dict[str, int] = {"easy": 3, "medium": 10, "hard": 10}
"""Products on a page of results."""

PAGES_TO_TARGET: dict[str, int] = {"easy": 1, "medium": 3, "hard": 5}
"""Pages within which some words of the instruction (or, at hard, the kind's other name) must find the product."""

MAX_ANSWERS = 2
NEAR_MISSES, NEAR = 3, 0.7
"""Above easy, so many products of the same kind bring at least this reward, and less than 1; and one of those that do
not fit comes first when the instruction itself is searched for."""

_KINDS = {kind.name: kind for department in DEPARTMENTS for kind in department.kinds}

_ASKS = (
    "I am looking for {thing} that {attributes}, with {options}, for less than {limit} dollars.",
    "Please buy {thing}. It must be one that {attributes}. I want {options}, and I pay less than {limit} dollars.",
    "My {name} is worn out. Order {thing} that {attributes}; take {options}; the price must be below {limit} dollars.",
    "A friend wishes for {thing} that {attributes}. Get it with {options}, for under {limit} dollars.",
    "For less than {limit} dollars, and with {options}, find {thing} that {attributes}, and buy it.",
    "We need {thing}. With {options} it has to cost less than {limit} dollars. Take one that {attributes}.",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """The task of an episode.

    Attributes:
        split: Whose shop it is in.
        number: Which of the split's shops.
        wish: What is scored.
        instruction: The wish in words.
        answers: Ids of the products that fit it, which are those that can bring a reward of 1.
        query: Words that find one of them.
    """

    split: Split
    number: int
    wish: Wish
    instruction: str
    answers: tuple[str, ...]
    query: str


def fingerprint(wish: Wish) -> str:
    """What is wished for, whatever the words and the shop."""
    return repr((wish.kind, sorted(wish.attributes), sorted(wish.options), wish.limit))


def draw_goal(shop: Shop, split: Split, number: int, difficulty: Difficulty, rng: Random) -> Goal | None:
    """A goal of the split, made from a random product; None if that product gives no good one."""
    target = shop.draw(rng)
    if difficulty == "easy":
        wish, instruction, queries = _easy_wish(target, rng)
    else:
        wish, instruction, queries = _wish(target, rng, difficulty == "hard")
    if split_of(fingerprint(wish)) != split:
        return None
    answers = _answers(shop, wish)
    if answers is None or (difficulty != "easy" and not _has_near_misses(shop, wish)):
        return None
    if difficulty != "easy" and shop.search(instruction)[0] in answers:
        return None
    query = _query(shop, queries, answers, difficulty)
    return Goal(split, number, wish, instruction, answers, query) if query else None


def _easy_wish(target: Product, rng: Random) -> tuple[Wish, str, list[str]]:
    options = tuple((option.name, rng.choice(option.values)) for option in target.options)
    wish = Wish(target.kind, target.category, target.nouns, tuple(target.attributes), options, target.price)
    wanted = " and ".join(value for _, value in options)
    return wish, f"buy a {target.title} in {wanted} for at most {target.price // 100}.", [target.title]


def _wish(target: Product, rng: Random, hard: bool) -> tuple[Wish, str, list[str]]:
    kind = _KINDS[target.kind]
    material = next(made_of(m) for m in kind.materials if made_of(m) in target.attributes)
    attributes = rng.sample(sorted(target.attributes - {material}), 3 if hard else rng.randint(2, 3))
    if rng.random() < 0.5:
        attributes.append(material)
    rng.shuffle(attributes)
    chosen = rng.sample(target.options, rng.randint(2, 3) if hard else rng.randint(1, 2))
    options = tuple((option.name, rng.choice(option.values)) for option in chosen)
    limit = (target.price_with(dict(options)) // 500 + 1 + rng.randint(0, 1)) * 500
    wish = Wish(target.kind, target.category, target.nouns, tuple(attributes), options, limit)

    names = [kind.name, kind.synonym] if hard else [kind.name]
    rng.shuffle(names)
    article = "an" if names[0][0] in "aeiou" else "a"
    instruction = rng.choice(_ASKS).format(
        name=names[0],
        thing=f"{article} {names[0]}",
        attributes=_listing(attributes),
        options=_listing([f'{name} "{value}"' for name, value in options]),
        limit=limit // 100,
    )
    searched = (attributes, *([attribute] for attribute in attributes), ())
    return wish, instruction, [" ".join((name, *words)) for name in names for words in searched]


def _listing(parts: list[str]) -> str:
    """The parts with commas and an ``and``."""
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _answers(shop: Shop, wish: Wish) -> tuple[str, ...] | None:
    """The products that fit; None if there are too many, or another product than these could bring a reward of 1."""
    able = shop.with_all(wish.attributes)
    fitting = tuple(p.id for p in able if fits(p, wish))
    if not 0 < len(fitting) <= MAX_ANSWERS or fitting != tuple(p.id for p in able if best_reward(p, wish) == 1.0):
        return None
    return fitting


def _has_near_misses(shop: Shop, wish: Wish) -> bool:
    rewards = (best_reward(p, wish) for p in shop.of_kind(wish.kind))
    return sum(NEAR <= reward < 1.0 for reward in rewards) >= NEAR_MISSES


def _query(shop: Shop, queries: list[str], answers: tuple[str, ...], difficulty: Difficulty) -> str:
    """The first query that finds an answer on the first page, else the one that finds it first; empty if none does."""
    size = PAGE_SIZE[difficulty]
    best, query = size * PAGES_TO_TARGET[difficulty], ""
    for words in queries:
        rank = next((i for i, id_ in enumerate(shop.search(words)) if id_ in answers), best)
        if rank < best:
            best, query = rank, words
        if rank < size:
            break
    return query
