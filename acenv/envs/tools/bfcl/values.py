"""Values of parameters, with the words in which a user gives them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from acenv.envs.tools import words


@dataclass(frozen=True, slots=True)
class Value:
    """A value, and how a user says it.

    Attributes:
        right: The value in the benchmark's form for right values: keys of objects have lists of right values.
        words: What the user says; empty where the phrase around it says all.
    """

    right: Any
    words: str


Draw = Callable[[Random, bool], Value]
"""Draws a value; the second argument says whether the task is hard, for which it may be said in a roundabout way."""


def person(r: Random, hard: bool) -> Value:
    """A full name."""
    del hard
    name = f"{r.choice(words.NAMES)} {r.choice(words.SURNAMES)}"
    return Value(name, name)


def thing(r: Random, hard: bool) -> Value:
    """Two words."""
    del hard
    name = f"{r.choice(words.ADJECTIVES)} {r.choice(words.NOUNS)}"
    return Value(name, name)


def phrase(r: Random, hard: bool) -> Value:
    """A few words, in quotes."""
    del hard
    text = f"{r.choice(words.ADJECTIVES)} {r.choice(words.NOUNS)} for the {r.choice(words.NOUNS)}"
    return Value(text, f'"{text}"')


def code(letter: str) -> Draw:
    """A draw of identifiers such as ``B-4821``."""

    def draw(r: Random, hard: bool) -> Value:
        del hard
        text = f"{letter}-{r.randrange(1000, 10_000)}"
        return Value(text, text)

    return draw


def one_of(choices: Mapping[str, str]) -> Draw:
    """A draw from an enumeration: values with the words for them."""

    def draw(r: Random, hard: bool) -> Value:
        del hard
        value = r.choice(list(choices))
        return Value(value, choices[value])

    return draw


def names(choices: Sequence[str]) -> Draw:
    """A draw of names that stand for themselves."""
    return one_of({choice: choice for choice in choices})


def yes(r: Random, hard: bool) -> Value:
    """The opposite of a default that is false."""
    del r, hard
    return Value(True, "")


def email(r: Random, hard: bool) -> Value:
    """An address for electronic mail."""
    del hard
    text = f"{r.choice(words.NAMES)}.{r.choice(words.SURNAMES)}@{r.choice(words.NOUNS)}.example".lower()
    return Value(text, text)


def date(r: Random, hard: bool) -> Value:
    """A date as YYYY-MM-DD."""
    day = datetime.date(2026, 1, 1) + datetime.timedelta(days=r.randrange(1, 700))
    said, prefix = day, ""
    if hard and r.random() < 0.4:
        said, prefix = day - datetime.timedelta(days=1), "the day after "
    month = said.strftime("%B")
    return Value(
        day.isoformat(), prefix + r.choice((f"{said.day} {month} {said.year}", f"{month} {said.day}, {said.year}"))
    )


def clock(r: Random, hard: bool) -> Value:
    """A time as HH:MM."""
    hour, minute = r.randrange(8, 21), r.choice((0, 10, 15, 20, 30, 40, 45, 50))
    twelve, part = (hour - 1) % 12 + 1, "morning" if hour < 12 else "afternoon" if hour < 18 else "evening"
    said = f"{twelve}:{minute:02d} in the {part}"
    if hard and minute in (15, 30):
        said = f"{'half' if minute == 30 else 'a quarter'} past {twelve} in the {part}"
    elif hard and minute == 45:
        said = f"a quarter to {hour % 12 + 1} in the {part}" if hour not in (11, 17) else said
    return Value(f"{hour:02d}:{minute:02d}", said)


def minutes(r: Random, hard: bool) -> Value:
    """A duration in minutes."""
    hours, half = r.randrange(1, 6), r.random() < 0.5
    if not hard and r.random() < 0.5:
        count = 5 * r.randrange(3, 20)
        return Value(count, f"{count} minutes")
    if hard and half:
        extra = 5 * r.randrange(1, 12)
        return Value(60 * hours + extra, f"{hours} hour{'s'[: hours > 1]} and {extra} minutes")
    said = f"{hours} and a half hours" if hours > 1 else "an hour and a half"
    return Value(60 * hours + 30, said) if half else Value(60 * hours, f"{hours} hour{'s'[: hours > 1]}")


def count(low: int, high: int) -> Draw:
    """A draw of whole numbers from ``low`` up to ``high``."""

    def draw(r: Random, hard: bool) -> Value:
        if hard and low <= 12 <= high and r.random() < 0.25:
            return Value(12, "a dozen")
        number = r.randrange(low, high + 1)
        return Value(number, str(number))

    return draw


def money(r: Random, hard: bool) -> Value:
    """An amount with cents."""
    del hard
    cents = r.randrange(1000, 200_000)
    return Value(cents / 100, f"{cents / 100:.2f}")


def degrees(r: Random, hard: bool) -> Value:
    """A temperature in half degrees."""
    del hard
    value = r.randrange(30, 50) / 2
    return Value(value, f"{value:g}")


def several(draw: Draw, low: int = 2, high: int = 4) -> Draw:
    """A draw of lists of different values, in the order in which they are said."""

    def draw_list(r: Random, hard: bool) -> Value:
        wanted = r.randrange(low, high + 1)
        found: dict[str, Any] = {}
        while len(found) < wanted:
            value = draw(r, hard)
            found[value.words] = value.right
        return Value(list(found.values()), listing(list(found)))

    return draw_list


def lines(r: Random, hard: bool) -> Value:
    """The lines of an order: objects with an item and a quantity."""
    entries, said = [], []
    for _ in range(r.randrange(2, 5 if hard else 4)):
        item, quantity = thing(r, hard), r.randrange(1, 60)
        entries.append({"item": [item.right], "quantity": [quantity]})
        said.append(f"{quantity} x {item.words}")
    return Value(entries, listing(said))


def address(r: Random, hard: bool) -> Value:
    """A place: an object with street, number and city."""
    del hard
    street = f"{r.choice(words.NOUNS).title()} {r.choice(('Road', 'Street', 'Lane'))}"
    number, city = r.randrange(1, 200), r.choice(words.CITIES)
    return Value({"street": [street], "number": [number], "city": [city]}, f"{number} {street} in {city}")


def listing(items: Sequence[str]) -> str:
    """Words in a row.

    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else items[0]
