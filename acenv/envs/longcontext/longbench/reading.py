"""Questions about one long text: a story, an article, a report."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import Draft, Fact, Size, bury, facts, people, shuffled, things, value
from acenv.envs.longcontext.words import ANIMALS, KINDS, NOUNS, WHEN

_BRIEF = "Answer in as few words as possible and explain nothing."


def story(rng: np.random.Generator, size: Size) -> Draft:
    """Things that are found and handed on, many times; who has one in the end, or gave it away, or found it?"""
    objects = things(rng, size.items)
    cast = people(rng, size.items + 4)
    holders: dict[str, list[str]] = {}
    told: list[str] = []
    steps = [thing for thing in objects for _ in range(1 + int(rng.integers(1, 2 + size.hops)))]
    for thing in shuffled(rng, steps):
        if thing not in holders:
            holders[thing] = [str(pick(rng, cast))]
            told.append(f"{holders[thing][0]} found the {thing} {pick(rng, WHEN)}.")
            continue
        giver = holders[thing][-1]
        # Nobody gets the same thing twice, so that every question has one answer.
        taker = str(pick(rng, [person for person in cast if person not in holders[thing]]))
        holders[thing].append(taker)
        told.append(f"{giver} gave the {thing} to {taker} {pick(rng, WHEN)}.")
    thing = str(pick(rng, objects))
    way = holders[thing]
    place = int(rng.integers(1, len(way)))
    question, answer = pick(
        rng,
        [
            (f"Who has the {thing} at the end of the story?", way[-1]),
            (f"Who found the {thing}?", way[0]),
            (f"From whom did {way[place]} get the {thing}?", way[place - 1]),
        ],
    )
    text = bury(rng, told, size.words)
    return Draft(
        f"Read the story and answer the question about it. {_BRIEF}\n\nStory:\n{text}\n\n"
        f"Answer the question about the story. {_BRIEF}\n\nQuestion: {question}\nAnswer:",
        (str(answer),),
    )


def article(rng: np.random.Generator, size: Size) -> Draft:
    """Measurements of methods on data sets; some are not reported."""
    methods = things(rng, size.items)
    sets = pick(rng, ANIMALS, size.hops + 1)
    scores = pick(rng, range(100, 1000), len(methods) * len(sets))
    table = {
        (method, name): scores.pop() / 10
        for method in methods
        for name in sets
        if rng.random() < 0.8 or method == methods[0]
    }
    told = shuffled(
        rng,
        [f"On the {name} set the {method} method reaches {score} points." for (method, name), score in table.items()],
    )
    name = str(pick(rng, sets))
    here = {method: score for (method, where), score in table.items() if where == name}
    kind = int(rng.integers(4))
    if kind == 0:
        best = max(here, key=lambda method: here[method])
        question, answer = f"Which method reaches the most points on the {name} set?", f"the {best} method"
    elif kind == 1 and len(here) > 1:
        one, other = pick(rng, list(here), 2)
        question = f"Is the {one} method better than the {other} method on the {name} set?"
        answer = "yes" if here[one] > here[other] else "no"
    else:
        method = str(pick(rng, methods))
        question = f"How many points does the {method} method reach on the {name} set?"
        answer = str(table.get((method, name), "unanswerable"))
    rule = (
        'If it is a question to be answered by yes or no, write "yes" or "no". If the article does not say it, write '
        '"unanswerable".'
    )
    text = bury(rng, told, size.words)
    return Draft(
        f"Read the scientific article and answer the question about it. {_BRIEF} {rule}\n\nArticle:\n{text}\n\n"
        f"Answer the question about the article. {_BRIEF} {rule}\n\nQuestion: {question}\nAnswer:",
        (answer,),
    )


def report(rng: np.random.Generator, size: Size) -> Draft:
    """What the value of something is now, among what it was, and the values of things with like names."""
    stated = facts(rng, size.items)
    asked = stated[0]
    adjective, noun = asked.thing.split()
    names = {fact.thing for fact in stated}
    alike = [f"{adjective} {n}" for n in pick(rng, NOUNS, size.items)] + [
        f"{other.thing.split()[0]} {noun}" for other in stated[1:]
    ]
    stated += [Fact(asked.kind, thing, value(rng)) for thing in dict.fromkeys(alike) if thing not in names]
    other_kinds = [kind for kind in KINDS if kind != asked.kind]
    told = [str(fact) for fact in stated]
    told += [f"The {kind} of the {asked.thing} is {value(rng)}." for kind in pick(rng, other_kinds, 3)]
    told += [f"The {asked.kind} of the {asked.thing} used to be {value(rng)}." for _ in range(size.hops)]
    question = f"What is the {asked.kind} of the {asked.thing} now?"
    if size.hops > 2:
        owners = people(rng, len(names))
        told += [f"The {thing} belongs to {owner}." for thing, owner in zip(sorted(names), owners, strict=True)]
        owner = owners[sorted(names).index(asked.thing)]
        question = f"What is the {asked.kind} of the thing that belongs to {owner} now?"
    text = bury(rng, shuffled(rng, told), size.words)
    return Draft(
        f"Read the text, then answer a question about it. {_BRIEF}\n\n{text}\n\n"
        f"Answer the question about the text. {_BRIEF}\n\nQuestion: {question}\nAnswer:",
        (asked.value,),
    )
