"""Small sets of questions for models of a few million parameters: sums of small numbers, look-ups in a few facts."""

from __future__ import annotations

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longgenbench.drafts import COUNTABLE, LETTERS, Draft, answer_block
from acenv.envs.longcontext.words import ADJECTIVES, ANIMALS, KINDS, NAMES, NOUNS

_FIRST = 2  # the example is question 1


def easy_gsm8k(rng: np.random.Generator, count: int) -> Draft:
    """Sums and differences of small numbers."""
    questions, golds, workings = [], [], []
    for _ in range(count + 1):
        a, b = (int(rng.integers(1, 5)) for _ in range(2))
        name, noun = pick(rng, NAMES), pick(rng, COUNTABLE)
        more = bool(rng.integers(2))
        total = a + b
        if more:
            questions.append(f"{name} has {a} {noun}s and gets {b} more. How many {noun}s now?")
            workings.append(f"{a} + {b} = {total}.")
            golds.append(str(total))
        else:
            questions.append(f"{name} has {total} {noun}s and sells {b}. How many {noun}s now?")
            workings.append(f"{total} - {b} = {a}.")
            golds.append(str(a))
    answers = [f"{work}\nThe answer is {gold}." for work, gold in zip(workings, golds, strict=True)]
    return _draft("Answer each question.", questions, answers, [f"#### {gold}" for gold in golds[1:]])


def easy_mmlu(rng: np.random.Generator, count: int) -> Draft:
    """Which of four values the sheet gives to a thing; the others are values of other things."""
    facts: dict[str, tuple[str, str]] = {}
    while len(facts) < 4:
        thing = f"{pick(rng, ADJECTIVES)} {pick(rng, NOUNS)}"
        value = f"{pick(rng, ADJECTIVES)} {pick(rng, ANIMALS)}"
        if value not in {v for _, v in facts.values()}:
            facts[thing] = (str(pick(rng, KINDS)), value)
    sheet = " ".join(f"The {kind} of the {thing} is {value}." for thing, (kind, value) in facts.items())
    questions, golds, answers = [], [], []
    for thing in [*pick(rng, list(facts), 1), *(pick(rng, list(facts)) for _ in range(count))]:
        kind, value = facts[thing]
        others = [v for t, (_, v) in facts.items() if t != thing]
        choices = pick(rng, [value, *others], 4)
        gold = LETTERS[choices.index(value)]
        listed = " ".join(f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
        questions.append(f"What is the {kind} of the {thing}?\n{listed}")
        answers.append(f"It is {value}. The answer is ({gold}).")
        golds.append(gold)
    return _draft(f"{sheet}\nAnswer each question.", questions, answers, golds[1:])


def _draft(opening: str, questions: list[str], answers: list[str], golds: list[str]) -> Draft:
    """The first question is the example."""
    example = f"Question_1:\n{questions[0]}\n{answer_block(1, answers[0])}"
    asked = "\n".join(f"Question_{i}:\n{question}" for i, question in enumerate(questions[1:], _FIRST))
    text = "\n\n".join(answer_block(i, answer) for i, answer in enumerate(answers[1:], _FIRST))
    return Draft("", f"{opening}\n\n{example}\n\n{asked}", tuple(golds), _FIRST, text)
