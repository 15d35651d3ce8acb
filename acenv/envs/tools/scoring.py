"""What is right and what is broken in a world, against the world that a task asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from acenv.envs.tools.tooling import Record, Table, World

_NUMBER = re.compile(r"-?\d[\d,]{0,30}(?:\.\d{1,30})?")
_WORD = re.compile(r"\w+")
_EXTRA_WORDS = 6
_MAX_ANSWER = 400


@dataclass(frozen=True, slots=True)
class Goal:
    """The difference between the world at the start and the world wanted.

    Facts are fields of records. Of a record that was there at the start, the fields that have to change count, or the
    record's removal as one fact. New records have no fixed key, so they are recognised by their content; each of their
    fields is a fact.

    Attributes:
        initial: The tables at the start.
        changed: Table, then key, then the fields to change with their values.
        removed: Table, then the keys to remove.
        created: Table, then the new records.
        total: The number of facts.
    """

    initial: dict[str, Table]
    changed: dict[str, dict[str, Record]]
    removed: dict[str, frozenset[str]]
    created: dict[str, list[Record]]
    total: int

    def __deepcopy__(self, memo: dict[int, Any]) -> Goal:
        return self

    @classmethod
    def between(cls, start: World, wanted: World) -> Goal:
        """The goal whose fulfilment makes ``wanted`` of ``start``; keeps ``start``, which must not change any more."""
        changed: dict[str, dict[str, Record]] = {}
        removed: dict[str, frozenset[str]] = {}
        created: dict[str, list[Record]] = {}
        total = 0
        for name, after in wanted.tables.items():
            before = start.tables.get(name, {})
            if before == after:
                continue
            edits = {
                key: {f: v for f, v in record.items() if before[key].get(f) != v}
                for key, record in after.items()
                if key in before and record != before[key]
            }
            gone = frozenset(before.keys() - after.keys())
            fresh = [record for key, record in after.items() if key not in before]
            total += sum(map(len, edits.values())) + len(gone) + sum(map(len, fresh))
            changed[name], removed[name], created[name] = edits, gone, fresh
        return cls(start.tables, changed, removed, created, total)

    def compare(self, world: World) -> tuple[int, int]:
        """The facts of the goal that hold in ``world``, and the number of changes that are no part of the goal."""
        right = damage = 0
        for name, now in world.tables.items():
            before = self.initial.get(name, {})
            if now == before:
                continue
            edits = self.changed.get(name, {})
            gone = self.removed.get(name, frozenset())
            for key, old in before.items():
                record = now.get(key)
                if record is None:
                    if key in gone:
                        right += 1
                    else:
                        damage += 1
                elif record != old:
                    wanted = edits.get(key, {})
                    for f, value in record.items():
                        if f in wanted:
                            right += value == wanted[f]
                        else:
                            damage += value != old.get(f)
            fresh = [record for key, record in now.items() if key not in before]
            if fresh:
                matched, extra = _match(self.created.get(name, []), fresh)
                right += matched
                damage += extra
        return right, damage


def _match(wanted: list[Record], found: list[Record]) -> tuple[int, int]:
    """Facts of the wanted records that found ones have, each serving once; the number of found ones left over."""
    found = list(found)
    rest = []
    right = 0
    for record in wanted:
        if record in found:
            found.remove(record)
            right += len(record)
        else:
            rest.append(record)
    for record in rest:
        if not found:
            break
        score, best = max((sum(other.get(f) == v for f, v in record.items()), -i) for i, other in enumerate(found))
        if score:
            right += score
            del found[-best]
    return right, len(found)


def same_answer(given: str, wanted: str) -> bool:
    """Whether two answers say the same: equal numbers, or equal words with a few words around them at most.

    >>> same_answer("It is 1,200.0 m.", "1200"), same_answer("12 or 13", "12"), same_answer("'Red Lamp'", "red lamp")
    (True, False, True)
    """
    given = given[:_MAX_ANSWER]
    if given.strip() == wanted:
        return True
    if _NUMBER.fullmatch(wanted):
        return {float(n.replace(",", "")) for n in _NUMBER.findall(given)} == {float(wanted.replace(",", ""))}
    words, target = _WORD.findall(given.lower()), _WORD.findall(wanted.lower())
    if not target or len(words) > len(target) + _EXTRA_WORDS:
        return False
    return any(words[i : i + len(target)] == target for i in range(len(words) - len(target) + 1))


def exact(score: float) -> float:
    """Rounded down to 1/1024, so that sums of differences of scores are exact in floating point."""
    return int(score * 1024 + 1e-9) / 1024


def as_text(value: Any) -> str:
    """A value of a record as an answer."""
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
