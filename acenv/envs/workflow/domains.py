"""The APIs of medium and hard workflow tasks: twelve domains in which results of some calls are inputs of others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from acenv.envs.workflow.domain_texts import DOMAIN_TEXTS

LITERALS: dict[str, tuple[str, ...]] = {
    "city": (
        *("Lisbon", "Helsinki", "Osaka", "Marrakesh", "Toronto", "Valparaiso", "Krakow", "Adelaide", "Bergen", "Hanoi"),
        *("Tbilisi", "Porto", "Nairobi", "Leipzig", "Seville", "Montreal", "Busan", "Cork", "Ghent", "Izmir"),
    ),
    "person": (
        *("Amara Okafor", "Lena Fischer", "Tomas Novak", "Priya Nair", "Diego Ramos", "Yuki Tanaka", "Elif Demir"),
        *("Noah Williams", "Chiara Conti", "Omar Haddad", "Freya Larsen", "Kofi Mensah", "Mei Zhang", "Lucas Moreau"),
    ),
    "date": (
        *("3 March", "17 May", "9 June", "28 July", "11 August", "2 September", "23 October", "14 November"),
        *("6 December", "30 January", "12 February", "19 April"),
    ),
    "amount": (
        "120 euros",
        "450 dollars",
        "75 pounds",
        "900 euros",
        "2500 dollars",
        "60 francs",
        "310 euros",
        "18 pounds",
    ),
    "product": (
        *("standing desk", "espresso machine", "road bike", "rain jacket", "noise meter", "garden bench", "drone kit"),
        *("projector", "microscope", "air purifier", "sewing machine", "solar lantern"),
    ),
    "company": (
        *("Northwind Foods", "Alder Robotics", "Blue Harbor", "Cobalt Mining", "Fernway Media", "Juniper Textiles"),
        *("Kestrel Air", "Lumen Energy", "Orchard Health", "Quarry Software"),
    ),
    "topic": (
        *("coral bleaching", "urban beekeeping", "medieval trade", "battery recycling", "sleep research", "wind power"),
        *("language learning", "soil erosion", "public transport", "glacier melt"),
    ),
    "language": ("Portuguese", "Finnish", "Korean", "Swahili", "Polish", "Turkish", "Dutch", "Vietnamese"),
    "number": ("4", "6", "12", "15", "20", "35", "48", "60"),
}
"""The values that a task states, by kind."""


_LISTING = re.compile(r"(\w+)\((.*?)\)(?: -> (\w+))?: .+")


@dataclass(frozen=True, slots=True, eq=False)
class Api:
    """An API whose parameters are values of the task or results of other calls.

    Attributes:
        name: Name of the API.
        literals: ``(parameter, kind)`` of the values that the task states.
        inputs: The results of other calls that it needs.
        output: Its own result; empty if no call could use it.
        listing: The API as a task lists it.
        want: What a task says about it, with ``{parameter}`` where the values go.
    """

    name: str
    literals: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...]
    output: str
    listing: str
    want: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of work.

    Attributes:
        name: Name of the field.
        apis: Its APIs.
        asides: Sentences that a task may contain and that ask for nothing.
        producers: The APIs that give each result.
    """

    name: str
    apis: tuple[Api, ...]
    asides: tuple[str, ...]
    producers: Mapping[str, tuple[Api, ...]]


def read_domains(text: str) -> tuple[Domain, ...]:
    """Read fields of work from their text form, :data:`~acenv.envs.workflow.domain_texts.DOMAIN_TEXTS`."""
    return tuple(_read_domain(part.strip().splitlines()) for part in text.split("# ") if part.strip())


def _read_domain(lines: list[str]) -> Domain:
    name, *rest = lines
    asides = tuple(line.removeprefix("- ") for line in rest if line.startswith("- "))
    calls = [line for line in rest if not line.startswith("- ")]
    apis = tuple(_read_api(listing, want.strip()) for listing, want in zip(calls[::2], calls[1::2], strict=True))
    outputs = dict.fromkeys(api.output for api in apis if api.output)
    return Domain(name, apis, asides, {output: tuple(a for a in apis if a.output == output) for output in outputs})


def _read_api(listing: str, want: str) -> Api:
    match = _LISTING.fullmatch(listing)
    if match is None:
        raise ValueError(f"not an API: {listing!r}")
    name, parameters, output = match.groups()
    words = parameters.split(", ")
    literals = tuple((word.split(": ")[0], word.split(": ")[1]) for word in words if ":" in word)
    return Api(name, literals, tuple(word for word in words if ":" not in word), output or "", listing, want)


DOMAINS = read_domains(DOMAIN_TEXTS)
