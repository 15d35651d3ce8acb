"""Question answering over many short documents: RULER's ``qa_1`` and ``qa_2`` on documents that we make up."""

from __future__ import annotations

from collections.abc import Sequence

from acenv.envs.base import pick
from acenv.envs.longcontext.haystack import generated_sentences
from acenv.envs.longcontext.ruler.drawing import ONE, Draw, Sample, distinct, frame
from acenv.envs.longcontext.words import ADJECTIVES, ANIMALS, KINDS, NAMES, NOUNS, SURNAMES

MATERIALS = ("brick", "clay", "copper", "glass", "iron", "marble", "oak", "paper", "pine", "slate", "straw", "wool")
TRADES = ("baker", "carpenter", "clerk", "cook", "doctor", "fisherman", "gardener", "mason", "miller", "painter")

_THING_QUESTIONS = {
    "maker": "Who made the {}?",
    "owner": "To whom does the {} belong now?",
    "year": "In which year was the {} made?",
    "material": "Of what is the {} made?",
    "value": "For how many coins was the {} sold the last time?",
}
_PERSON_QUESTIONS = {
    "born": "In which year was the one who {} born?",
    "trade": "Which trade did the one who {} learn?",
    "animal": "Which animal does the one who {} keep?",
    "password": "What is the password of the one who {}?",
}


def reading(draw: Draw) -> Sample:
    """One document answers the question; the others are of the same sort."""
    if not draw.sizes.coded:
        things, owners = distinct(draw.thing, 4), distinct(draw.person, 4)
        pages = [f"The {thing} belongs to {owner}." for thing, owner in zip(things, owners, strict=True)]
        return _sample(draw, pages, 1, f"Whom does the {things[0]} belong to?", owners[0])
    things, people = _world(draw)
    what = str(pick(draw.rng, list(_THING_QUESTIONS)))
    facts = {thing: _thing_facts(draw, people) for thing in things}
    pages = [_thing_page(draw, thing, facts[thing]) for thing in things]
    return _sample(draw, pages, 1, _THING_QUESTIONS[what].format(things[0]), facts[things[0]][what])


def joining(draw: Draw) -> Sample:
    """One document says whom the question means, another one what it asks for."""
    if not draw.sizes.coded:
        things, owners, values = distinct(draw.thing, 3), distinct(draw.person, 3), distinct(draw.number, 3)
        kind = pick(draw.rng, KINDS)
        belongs = [f"The {thing} belongs to {owner}." for thing, owner in zip(things, owners, strict=True)]
        says = [f"The {kind} of the {thing} is {value}." for thing, value in zip(things, values, strict=True)]
        question = f"What is the {kind} of the thing that belongs to {owners[0]}?"
        return _sample(draw, [*belongs, *says], 6, question, values[0])
    things, people = _world(draw)
    facts = {thing: _thing_facts(draw, people) for thing in things}
    role, did = pick(draw.rng, [("maker", f"made the {things[0]}"), ("owner", f"owns the {things[0]} now")])
    wanted = facts[things[0]][role]
    lives = {person: _person_facts(draw) for person in people}
    what = str(pick(draw.rng, list(_PERSON_QUESTIONS)))
    rest = [_thing_page(draw, thing, facts[thing]) for thing in things[1:]]
    rest += [_person_page(draw, person, lives[person]) for person in people if person != wanted]
    rest = [rest[int(i)] for i in draw.rng.permutation(len(rest))]
    needed = [_thing_page(draw, things[0], facts[things[0]]), _person_page(draw, wanted, lives[wanted])]
    return _sample(draw, [*needed, *rest], 2, _PERSON_QUESTIONS[what].format(did), lives[wanted][what])


def _sample(draw: Draw, pages: Sequence[str], needed: int, question: str, answer: str) -> Sample:
    """As many of the pages as fit, the first ones in any case, in random order and numbered."""
    room = draw.room(frame(ONE, "", question))
    chosen: list[str] = []
    for page in pages:
        room -= draw.count(f"Document 100: {page}")
        if room < 0 and len(chosen) >= needed:
            break
        chosen.append(page)
    order = [chosen[int(i)] for i in draw.rng.permutation(len(chosen))]
    text = "\n".join(f"Document {number}: {page}" for number, page in enumerate(order, 1))
    return Sample(frame(ONE, text, question), (answer,))


def _world(draw: Draw) -> tuple[list[str], list[str]]:
    """More things than there is room for documents, and half as many people, all under different names."""
    things = min(draw.sizes.length // 20 + 4, len(ADJECTIVES) * len(NOUNS) // 2)
    return distinct(draw.thing, things), distinct(draw.person, min(things // 2, len(NAMES) * len(SURNAMES) - 1))


def _thing_facts(draw: Draw, people: Sequence[str]) -> dict[str, str]:
    maker, owner = pick(draw.rng, people, 2)
    return {
        "maker": maker,
        "owner": owner,
        "year": str(int(draw.rng.integers(1500, 2000))),
        "material": str(pick(draw.rng, MATERIALS)),
        "value": str(int(draw.rng.integers(2000, 10000))),
    }


def _thing_page(draw: Draw, thing: str, fact: dict[str, str]) -> str:
    filler = generated_sentences(draw.rng)
    return (
        f"The {thing}. {fact['maker']} made the {thing} in {fact['year']}, of {fact['material']}. {next(filler)} "
        f"It was sold for {fact['value']} coins the last time, and belongs to {fact['owner']} now. {next(filler)}"
    )


def _person_facts(draw: Draw) -> dict[str, str]:
    return {
        "born": str(int(draw.rng.integers(1500, 2000))),
        "trade": str(pick(draw.rng, TRADES)),
        "animal": str(pick(draw.rng, ANIMALS)),
        "password": f"{pick(draw.rng, ADJECTIVES)} {pick(draw.rng, ANIMALS)} {int(draw.rng.integers(10, 100))}",
    }


def _person_page(draw: Draw, person: str, fact: dict[str, str]) -> str:
    filler = generated_sentences(draw.rng)
    return (
        f"{person}. {person} was born in {fact['born']} and learned the trade of a {fact['trade']}. {next(filler)} "
        f"{person} keeps a {fact['animal']}, and has the password {fact['password']}. {next(filler)}"
    )
