"""Names of made-up cities, people, films, papers, companies and countries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from acenv.envs.tools.words import ADJECTIVES, NAMES, NOUNS, SURNAMES

COUNTRIES: dict[str, str] = {
    "NV": "Norvia",
    "ES": "Estara",
    "KL": "Kelland",
    "MO": "Morenia",
    "TA": "Tavaria",
    "OS": "Ostrana",
    "VE": "Velmark",
    "SU": "Sulanda",
}
"""Made-up countries by their codes."""

_TOWNS = ("bridge", "field", "gate", "harbor", "hill", "lake", "market", "meadow", "mill", "park", "river", "valley")


def distinct(r: Random, make: Callable[[Random], str], count: int) -> list[str]:
    """So many different texts, in the order in which they were drawn."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[make(r)] = None
    return list(found)


def town(r: Random) -> str:
    """The name of a city.

    >>> town(Random(1))
    'Dry Park'
    """
    return plain_town(r).title()


def plain_town(r: Random) -> str:
    """The name of a city in small letters, for easy tasks."""
    return f"{r.choice(ADJECTIVES)} {r.choice(_TOWNS)}"


def person(r: Random) -> str:
    """First name and surname."""
    return f"{r.choice(NAMES)} {r.choice(SURNAMES)}"


def plain_person(r: Random) -> str:
    """A first name, for easy tasks."""
    return r.choice(NAMES)


def plain_title(r: Random) -> str:
    """A short title in small letters, for easy tasks."""
    return f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}"


def film(r: Random) -> str:
    """The title of a film; many resemble each other."""
    adjective, noun, other = r.choice(ADJECTIVES), r.choice(NOUNS), r.choice(NOUNS)
    form = r.choice(("{a} {n}", "The {a} {n}", "The {n} and the {o}", "{n} of the {a} {o}", "A {a} {n}"))
    return _title(form.format(a=adjective, n=noun, o=other))


def paper(r: Random) -> str:
    """The title of a paper."""
    a, n, o = r.choice(ADJECTIVES), r.choice(NOUNS), r.choice(NOUNS)
    topic = r.choice(("Networks", "Models", "Graphs", "Search", "Planning", "Learning", "Retrieval", "Codes"))
    form = r.choice(("{a} {n} {t}", "On {n} {t} with {a} {o}", "{n} {t} for the {a} {o}", "Towards {a} {n} {t}"))
    return _title(form.format(a=a, n=n, o=o, t=topic))


def company(r: Random) -> str:
    """The name of a company."""
    return f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)} {r.choice(('Pictures', 'Films', 'Studios', 'Media'))}".title()


def organisation(r: Random) -> str:
    """Where researchers work."""
    return f"{town(r)} {r.choice(('University', 'Institute', 'College', 'Laboratory'))}"


def venue(r: Random) -> str:
    """Where papers appear."""
    form = r.choice(("Journal of {n} Studies", "{n} and {o} Letters", "Conference on {n} Systems", "{n} Workshop"))
    return form.format(n=r.choice(NOUNS).title(), o=r.choice(NOUNS).title())


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return f"{', '.join(names[:-1])} and {names[-1]}"


def day(r: Random, first: int, last: int) -> str:
    """A date in a span of years, as ``YYYY-MM-DD``."""
    return f"{r.randrange(first, last + 1)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}"


def _title(text: str) -> str:
    small = {"of", "the", "and", "with", "for", "on"}
    parts = text.split()
    return " ".join(p if p in small and i else p[0].upper() + p[1:] for i, p in enumerate(parts))
