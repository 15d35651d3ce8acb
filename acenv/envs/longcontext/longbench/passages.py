"""Questions about many passages: what two or more say together, how many there are, and which one was summarised."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import (
    Draft,
    Size,
    bury,
    facts,
    filler,
    numbered,
    people,
    shuffled,
    things,
    values,
)
from acenv.envs.longcontext.words import ADJECTIVES, KINDS, NOUNS


def _ask(rng: np.random.Generator, told: list[str], question: str, answer: str, size: Size) -> Draft:
    """Passages that say one fact each."""
    each = size.words // len(told)
    text = numbered([bury(rng, [sentence], each) for sentence in shuffled(rng, told)])
    rule = "Answer in as few words as possible and explain nothing."
    return Draft(
        f"Answer a question about these passages. {rule}\n\n{text}\n\n"
        f"Answer the question about the passages. {rule}\n\nQuestion: {question}\nAnswer:",
        (answer,),
    )


def bridge(rng: np.random.Generator, size: Size) -> Draft:
    """Two facts joined by a thing, or two weights compared."""
    stated = facts(rng, size.items)
    owners = people(rng, size.items)
    weights = pick(rng, range(11, 990), size.items)
    told = [f"{fact}" for fact in stated]
    told += [f"The {fact.thing} belongs to {owner}." for fact, owner in zip(stated, owners, strict=True)]
    told += [f"The {fact.thing} weighs {weight} pounds." for fact, weight in zip(stated, weights, strict=True)]
    one, other = pick(rng, range(size.items), 2)
    if rng.integers(2):
        question = f"What is the {stated[one].kind} of the thing that belongs to {owners[one]}?"
        return _ask(rng, told, question, stated[one].value, size)
    question = f"Who owns the heavier one of the {stated[one].thing} and the {stated[other].thing}?"
    return _ask(rng, told, question, owners[one] if weights[one] > weights[other] else owners[other], size)


def _towns(rng: np.random.Generator, count: int) -> list[str]:
    pairs = zip(pick(rng, ADJECTIVES, count), pick(rng, NOUNS, count), strict=True)
    return [f"{adjective.capitalize()} {noun.capitalize()}" for adjective, noun in pairs]


def acquaintances(rng: np.random.Generator, size: Size) -> Draft:
    """People, those who taught or employed them, and where and when these were born."""
    depth = size.hops // 2 + 1
    lines = [people(rng, 128)[i :: size.items][: depth + 1] for i in range(size.items)]
    towns = _towns(rng, size.items)
    years = pick(rng, range(1700, 1900), size.items)
    told, relations = [], []
    for line, town, year in zip(lines, towns, years, strict=True):
        bonds = [str(pick(rng, ("teacher", "employer"))) for _ in line[1:]]
        relations.append(bonds)
        told += [f"The {b} of {person} is {up}." for b, person, up in zip(bonds, line, line[1:], strict=False)]
        told.append(f"{line[-1]} was born in {town} in the year {year}.")

    def who(i: int) -> str:
        text = lines[i][0]
        for bond in relations[i]:
            text = f"the {bond} of {text}"
        return text

    one, other = pick(rng, range(size.items), 2)
    if rng.integers(2):
        return _ask(rng, told, f"Where was {who(one)} born?", towns[one], size)
    question = f"Whose year of birth is earlier, that of {who(one)} or that of {who(other)}? Give the name."
    return _ask(rng, told, question, lines[one if years[one] < years[other] else other][-1], size)


def chain(rng: np.random.Generator, size: Size) -> Draft:
    """Three facts or four, of which each names what the next one is about."""
    count = size.items
    made, towns, mayors = things(rng, count), _towns(rng, count), people(rng, 2 * count)
    kind = str(pick(rng, KINDS))
    mottos = values(rng, count)
    told = [f"The {thing} was made in {town}." for thing, town in zip(made, towns, strict=True)]
    told += [f"The mayor of {town} is {mayor}." for town, mayor in zip(towns, mayors, strict=False)]
    told += [f"The {kind} of {mayor} is {motto}." for mayor, motto in zip(mayors, mottos, strict=False)]
    i = int(rng.integers(count))
    start = f"the {made[i]}"
    if size.hops > 2:
        owners = mayors[count:]
        told += [f"The {thing} belongs to {owner}." for thing, owner in zip(made, owners, strict=True)]
        start = f"the thing that belongs to {owners[i]}"
    question = f"What is the {kind} of the mayor of the town in which {start} was made?"
    return _ask(rng, told, question, mottos[i], size)


def count(rng: np.random.Generator, size: Size) -> Draft:
    """How many paragraphs differ; at the larger size some differ in one word only."""
    total = 2 * size.items
    different = int(rng.integers(size.items // 2, total))
    each = max(2, size.words // total // 9)
    texts = [filler(rng, each) for _ in range(different)]
    if size.hops > 2:
        for i in range(1, different, 4):  # a near copy of the one before
            texts[i] = [*texts[i - 1][:-1], filler(rng, 1)[0]]
    unique = list(dict.fromkeys(" ".join(text) for text in texts))
    copies = [str(pick(rng, unique)) for _ in range(total - len(unique))]
    text = numbered(shuffled(rng, [*unique, *copies]), "Paragraph")
    ask = "How many different paragraphs are there? Count paragraphs as the same only if every word is the same."
    return Draft(
        f"Some of these paragraphs are copies of others.\n\n{text}\n\n{ask} Answer with the number only.\n\nAnswer:",
        (str(len(unique)),),
    )


def retrieval(rng: np.random.Generator, size: Size) -> Draft:
    """Which of thirty paragraphs, all about the same few things, a short summary is of."""
    total = 30
    subjects = things(rng, size.items)
    about: list[list[str]] = []
    while len(about) < total:
        chosen = pick(rng, subjects, 3)
        if not any(set(chosen) == set(other) for other in about):
            about.append(chosen)
    texts = []
    for chosen in about:
        told = [
            f"The {pick(rng, KINDS)} of the {thing} is {what}."
            for thing, what in zip(chosen, values(rng, 3), strict=True)
        ]
        texts.append(bury(rng, told, size.words // total).replace("\n\n", " "))
    place = int(rng.integers(total))
    first, second, third = shuffled(rng, about[place])
    summary = f"It is about the {first}, about the {second}, and about the {third}."
    return Draft(
        f"One of these {total} paragraphs was summarised.\n\n{numbered(texts, 'Paragraph')}\n\nSummary: {summary}\n\n"
        'Which paragraph is the summary of? Answer like this: "Paragraph 1".\n\nAnswer:',
        (f"Paragraph {place + 1}",),
    )
