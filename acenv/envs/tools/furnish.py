"""Records that have nothing to do with a task, so that its own do not stand alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from acenv.envs.tools import words
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Task
from acenv.envs.tools.tooling import Record, Table, World


def furnish(task: Task) -> World:
    """The world at the start of a task: a new copy each time, equal for equal tasks.

    Only the domains whose tools are on offer get filler, and none of it contains a value that the task uses.
    """
    world = task.world()
    if task.filler is None:
        return world
    maker = _Filler(Random(task.filler), task.used)
    for domain in dict.fromkeys(TOOLS[name].domain for name in task.tools):
        for table, count, make in _TABLES[domain]:
            records = world.table(table)
            for _ in range(count):
                key, record = make(maker)
                if key:
                    records.setdefault(key, record)
            if table in task.tables and table != "inbox":  # the order of messages means something
                _shuffle(maker.r, records)
    return world


def _shuffle(r: Random, records: Table) -> None:
    """Mix the filler with the records of the task."""
    rows = list(records.items())
    r.shuffle(rows)
    records.clear()
    records.update(rows)


class _Filler:
    """Draws records from the words that a task leaves free."""

    def __init__(self, r: Random, used: frozenset[str]) -> None:
        self.r = r
        self.random = r.random
        self.used = used

    def pick(self, values: Sequence[str]) -> str:
        """A free value; empty if the task seems to use them all."""
        for _ in range(20):
            value = values[int(self.random() * len(values))]
            if value not in self.used:
                return value
        return ""

    def number(self, low: int, high: int) -> int:
        """A number of ``low`` up to ``high - 1``; several times faster than ``randrange``."""
        return low + int(self.random() * (high - low))

    def person(self) -> str:
        """A full name."""
        return f"{self.pick(words.NAMES)} {self.pick(words.SURNAMES)}"

    def thing(self) -> str:
        """An adjective and a noun."""
        return f"{self.pick(words.ADJECTIVES)} {self.pick(words.NOUNS)}"

    def room(self) -> str:
        """The name of a room."""
        return f"{self.pick(words.ADJECTIVES)} {self.pick(words.ROOMS)}"


# One function a table: a key and a record. The key is empty if the task leaves no room for one. Keys of tasks are below
# 900 and those of filler from 1000 on, so they cannot meet.


def _contact(f: _Filler) -> tuple[str, Record]:
    name = f.person()
    phone = f"{f.number(10, 100)} {f.number(10, 100)} {f.number(10, 100)}"
    return name, {"name": name, "phone": phone, "city": f.pick(words.CITIES), "team": f.pick(words.TEAMS)}


def _letter(f: _Filler) -> tuple[str, Record]:
    return f"r{f.number(1000, 10_000)}", {"from": f.person(), "text": f"Did you see the {f.thing()}?"}


def _event(f: _Filler) -> tuple[str, Record]:
    day, time = f.pick(words.DAYS), f"{f.number(8, 19):02d}:{5 * f.number(0, 12):02d}"
    return (f"e{f.number(1000, 10_000)}" if day else ""), {"title": f.thing(), "day": day, "time": time}


def _file(f: _Filler) -> tuple[str, Record]:
    path = f"{f.pick(words.NOUNS)}/{f.pick(words.NOUNS)}.txt"
    return path, {"path": path, "text": f.thing()}


def _item(f: _Filler) -> tuple[str, Record]:
    return f"k{f.number(1000, 10_000)}", {"name": f.thing(), "stock": f.number(0, 120), "price": f.number(5, 400)}


def _rate(f: _Filler) -> tuple[str, Record]:
    currency = f.pick(words.CURRENCIES)
    return (f"{currency} to crowns" if currency else ""), {"rate": f.number(2, 40)}


def _note(f: _Filler) -> tuple[str, Record]:
    return f"n{f.number(1000, 10_000)}", {"title": f.thing(), "text": f.thing()}


def _todo(f: _Filler) -> tuple[str, Record]:
    priority = f.pick(("low", "normal", "high"))
    key = f"t{f.number(1000, 10_000)}" if priority else ""
    return key, {"task": f"buy a {f.thing()}", "priority": priority, "done": False}


def _account(f: _Filler) -> tuple[str, Record]:
    return f"a{f.number(1000, 10_000)}", {"owner": f.person(), "kind": "current", "balance": f.number(20, 5000)}


def _room(f: _Filler) -> tuple[str, Record]:
    return f.room(), {"degrees": f.number(12, 30)}


def _device(f: _Filler) -> tuple[str, Record]:
    state = "on" if f.random() < 0.5 else "off"
    return f"d{f.number(1000, 10_000)}", {"kind": f.pick(words.DEVICES), "room": f.room(), "state": state}


_TABLES: dict[str, tuple[tuple[str, int, Callable[[_Filler], tuple[str, Record]]], ...]] = {
    "contacts": (("contacts", 4, _contact), ("inbox", 2, _letter)),
    "calendar": (("events", 4, _event),),
    "files": (("files", 4, _file),),
    "shop": (("items", 4, _item),),
    "units": (("rates", 2, _rate),),
    "notes": (("notes", 3, _note), ("todos", 4, _todo)),
    "bank": (("accounts", 4, _account),),
    "home": (("rooms", 2, _room), ("devices", 3, _device)),
}
"""Domain to its tables, each with the number of filler records."""
