"""Sets of questions of our own: calculations in several steps, and multiple choice about a sheet of facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.longcontext.longgenbench.drafts import COUNTABLE, LETTERS, Draft, answer_block
from acenv.envs.longcontext.longgenbench.easy import easy_gsm8k, easy_mmlu
from acenv.envs.longcontext.words import ADJECTIVES, KINDS, NAMES, NOUNS, SURNAMES

_EXAMPLES = 2
_STEPS = {"medium": 3, "hard": 6}
_SHEET = {"medium": 12, "hard": 40}
_SYSTEM = (
    "You get a list of numbered questions. Answer all of them, in their order, without repeating them. Begin every "
    "answer with its number, as in the examples (Answer_1:)."
)
_CALCULATE = "Write the steps of the calculation, and then a sentence with the result: The answer is 12."
_CHOOSE = "Give the reason and the letter of the right choice, both on one line: The answer is (A)."


@dataclass(frozen=True, slots=True)
class _Item:
    """A question with its worked answer and its gold."""

    question: str
    answer: str
    gold: str


def generate(task: str, rng: np.random.Generator, difficulty: Difficulty, count: int) -> Draft:
    """A set of ``count`` questions; its response scores 1.0."""
    if difficulty == "easy":
        return easy_gsm8k(rng, count) if task == "gsm8k" else easy_mmlu(rng, count)
    if task == "gsm8k":
        items = [_problem(rng, _STEPS[difficulty]) for _ in range(_EXAMPLES + count)]
        return _draft(f"{_SYSTEM} {_CALCULATE}", "", items)
    sheet = _Sheet(rng, _SHEET[difficulty])
    items = [sheet.question(rng, hard=difficulty == "hard") for _ in range(_EXAMPLES + count)]
    return _draft(f"{_SYSTEM} {_CHOOSE}", f"Facts:\n{sheet.text(rng)}\n\n", items)


def _draft(system: str, opening: str, items: list[_Item]) -> Draft:
    shown, asked = items[:_EXAMPLES], items[_EXAMPLES:]
    first = _EXAMPLES + 1
    examples = [f"Question_{i}:\n{item.question}" for i, item in enumerate(shown, 1)]
    examples += [answer_block(i, item.answer) for i, item in enumerate(shown, 1)]
    questions = [f"Question_{i}:\n{item.question}" for i, item in enumerate(asked, first)]
    return Draft(
        system=system,
        prompt=opening + "\n\n".join(["Examples:", *examples, "Questions:", *questions]) + "\n",
        answers=tuple(item.gold for item in asked),
        first=first,
        response="\n\n".join(answer_block(i, item.answer) for i, item in enumerate(asked, first)),
    )


def _problem(rng: np.random.Generator, steps: int) -> _Item:
    """A story in which a number changes step by step, and at the end is turned into money."""
    name, noun = str(pick(rng, NAMES)), f"{pick(rng, COUNTABLE)}s"
    amount = int(rng.integers(12, 60))
    story = [f"{name} has {amount} {noun}."]
    work = [f"{name} has {amount} {noun} in the beginning."]
    for _ in range(steps - 1):
        # Of few things none can be taken away, so that there are always some left.
        kinds = (_gain, _lose, _share, _multiply) if amount >= 10 else (_gain, _multiply)
        amount = kinds[int(rng.integers(len(kinds)))](rng, amount, story, work)
    if rng.integers(2):
        price = int(rng.integers(2, 13))
        story.append(f"In the end every one that is left is sold for {price} coins. How many coins does {name} get?")
        work.append(f"{amount} * {price} = {amount * price}.")
        amount *= price
    else:
        story.append(f"How many {noun} does {name} have in the end?")
    answer = "\n".join([*work, f"The answer is {amount}."])
    return _Item(" ".join(story), answer, f"{' '.join(work)}\n#### {amount}")


def _gain(rng: np.random.Generator, amount: int, story: list[str], work: list[str]) -> int:
    days, each = int(rng.integers(2, 8)), int(rng.integers(2, 20))
    story.append(f"On each of {days} days {each} more arrive.")
    work.append(f"{days} * {each} = {days * each}, and {amount} + {days * each} = {amount + days * each}.")
    return amount + days * each


def _lose(rng: np.random.Generator, amount: int, story: list[str], work: list[str]) -> int:
    lost = int(rng.integers(1, max(2, amount // 2)))
    story.append(f"Then {lost} of them break and are thrown away.")
    work.append(f"{amount} - {lost} = {amount - lost}.")
    return amount - lost


def _share(rng: np.random.Generator, amount: int, story: list[str], work: list[str]) -> int:
    parts = int(rng.integers(2, 6))
    rest = amount % parts
    if rest:
        story.append(f"A friend takes {rest}.")
        work.append(f"{amount} - {rest} = {amount - rest}.")
        amount -= rest
    part = amount // parts
    story.append(f"They are put into {parts} equal piles, and one pile is given away.")
    work.append(f"{amount} / {parts} = {part}, and {amount} - {part} = {amount - part}.")
    return amount - part


def _multiply(rng: np.random.Generator, amount: int, story: list[str], work: list[str]) -> int:
    times = int(rng.integers(2, 4))
    word = {2: "twice", 3: "three times"}[times]
    story.append(f"A neighbour brings {word} as many as there are now.")
    work.append(f"{amount} * {times} = {amount * times}, and {amount} + {amount * times} = {amount + amount * times}.")
    return amount + amount * times


class _Sheet:
    """Facts about things, no two of which share a value: a label or the like, a weight, a year and an owner."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        pairs = pick(rng, [(a, n) for a in ADJECTIVES for n in NOUNS], count)
        self.things = [f"{adjective} {noun}" for adjective, noun in pairs]
        marks = pick(rng, [f"{a} {kind}" for a in ADJECTIVES for kind in KINDS], count)
        self.marks = dict(zip(self.things, marks, strict=True))
        self.weights = dict(zip(self.things, pick(rng, range(11, 900), count), strict=True))
        self.years = dict(zip(self.things, pick(rng, range(1700, 1950), count), strict=True))
        owners = pick(rng, [f"{name} {surname}" for name in NAMES for surname in SURNAMES], count)
        self.owners = dict(zip(self.things, owners, strict=True))

    def text(self, rng: np.random.Generator) -> str:
        """All facts in random order, a line each."""
        lines = [f"The {thing} has the {mark}." for thing, mark in self.marks.items()]
        lines += [f"The {thing} weighs {weight} pounds." for thing, weight in self.weights.items()]
        lines += [f"The {thing} was made in {year}." for thing, year in self.years.items()]
        lines += [f"The {thing} belongs to {owner}." for thing, owner in self.owners.items()]
        return "\n".join(pick(rng, lines, len(lines)))

    def question(self, rng: np.random.Generator, *, hard: bool) -> _Item:
        """A look-up of one fact or two, or a comparison of four things."""
        kind = int(rng.integers(2 if hard else 0, 5))
        four = pick(rng, self.things, 4)
        thing = four[0]
        owner, mark = self.owners[thing], self.marks[thing]
        if kind == 0:
            return self._choice(rng, f"Who owns the {thing}?", [self.owners[t] for t in four], "That is said directly.")
        if kind == 1:
            years = [str(self.years[t]) for t in four]
            return self._choice(rng, f"In which year was the {thing} made?", years, "That is said directly.")
        if kind == 2:
            weights = [f"{self.weights[t]} pounds" for t in four]
            why = f"{owner} owns the {thing}, which weighs {weights[0]}."
            return self._choice(rng, f"How heavy is the thing that belongs to {owner}?", weights, why)
        if kind == 3:
            why = f"The thing with the {mark} is the {thing}, which belongs to {owner}."
            return self._choice(rng, f"Who owns the thing with the {mark}?", [self.owners[t] for t in four], why)
        ordered = sorted(four, key=lambda t: self.weights[t], reverse=True)
        listed = ", ".join(f"the {t} weighs {self.weights[t]}" for t in ordered)
        people = [self.owners[t] for t in ordered]
        return self._choice(
            rng, "Which of these people owns the heaviest thing?", people, f"Of theirs, {listed} pounds."
        )

    @staticmethod
    def _choice(rng: np.random.Generator, question: str, choices: list[str], why: str) -> _Item:
        """The first choice is the right one."""
        order = pick(rng, choices, 4)
        gold = LETTERS[order.index(choices[0])]
        listed = " ".join(f"({letter}) {choice}" for letter, choice in zip(LETTERS, order, strict=True))
        return _Item(f"{question}\n{listed}", f"{why} The answer is ({gold}).", gold)
