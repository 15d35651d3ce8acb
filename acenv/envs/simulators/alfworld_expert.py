"""The expert for ALFWorld's tasks: rules over the facts of the house, from any state.

Fast Downward, which is ALFWorld's own planner, needs minutes for some tasks with two things; rules take a millisecond.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from acenv.envs.simulators.alfworld_games import STATES, HouseTask

Fact = tuple[str, ...]

_DONE = {"Cleanable": "isclean", "Heatable": "ishot", "Coolable": "iscool"}
_VERBS = {"Cleanable": "clean", "Heatable": "heat", "Coolable": "cool"}
_MACHINES = {"Cleanable": ("sinkbasintype",), "Heatable": ("microwavetype",), "Coolable": ("fridgetype",)}


class House:
    """The facts of a house, ordered for the expert's questions."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        """Take the facts, as predicate and arguments."""
        self._facts = frozenset(facts)
        self._by_predicate: dict[str, list[Fact]] = defaultdict(list)
        for predicate, *arguments in sorted(self._facts):
            self._by_predicate[predicate].append(tuple(arguments))
        self.held = next((thing for _, thing in self._by_predicate["holds"]), "")
        self.inside = {thing: place for thing, place in self._by_predicate["inreceptacle"]}
        self._spots = {place: spot for place, spot in self._by_predicate["receptacleatlocation"]}
        self._here = next((spot for _, spot in self._by_predicate["atlocation"]), "")

    def holds(self, *fact: str) -> bool:
        """Whether a fact holds."""
        return fact in self._facts

    def of_type(self, predicate: str, kinds: Iterable[str]) -> list[str]:
        """Things (``objecttype``) or places (``receptacletype``) of certain types."""
        return [name for name, kind in self._by_predicate[predicate] if kind in kinds]

    def takers(self, thing: str) -> list[str]:
        """Places where a thing may be put, open ones and the one at hand first."""
        kinds = {kind for name, kind in self._by_predicate["objecttype"] if name == thing}
        rooms = {place for place, kind in self._by_predicate["cancontain"] if kind in kinds}
        return sorted(self.of_type("receptacletype", rooms), key=lambda p: (not self.at(p), self.shut(p), p))

    def at(self, place: str) -> bool:
        """Whether the agent stands at a place."""
        return self._spots.get(place) == self._here

    def shut(self, place: str) -> bool:
        """Whether a place is closed."""
        return self.holds("openable", place) and not self.holds("opened", place)


def advise(task: HouseTask, house: House) -> list[str]:
    """The next command as words and the ids of things, such as ``["go to", place]``; empty if none helps."""
    thing = f"{task.thing.lower()}type"
    things = house.of_type("objecttype", {thing})
    held_right = house.held in things
    if house.held and not held_right:
        return _bring(house, house.held, house.takers(house.held))
    if task.kind == "look_at_obj_in_light":
        if not held_right:
            return _fetch(house, things)
        lamps = house.of_type("objecttype", {f"{task.lamp.lower()}type"})
        for lamp in sorted(lamp for lamp in lamps if lamp in house.inside):
            place = house.inside[lamp]
            return ["use", lamp] if house.at(place) else ["go to", place]
        return []
    state = STATES.get(task.kind, "")
    places = house.of_type("receptacletype", {f"{task.place.lower()}type"})
    if held_right and state and not house.holds(_DONE[state], house.held):
        for machine in house.of_type("receptacletype", _MACHINES[state]):
            return [_VERBS[state], house.held, "with", machine] if house.at(machine) else ["go to", machine]
        return []
    if task.kind == "pick_two_obj_and_place":
        count = {place: sum(house.inside.get(t) == place for t in things) for place in places}
        places = sorted(places, key=lambda p: (-count[p], not house.at(p), p))[:1]
    if held_right:
        return _bring(house, house.held, places)
    wanted = [t for t in things if house.inside.get(t) not in places or (state and not house.holds(_DONE[state], t))]
    return _fetch(house, sorted(wanted, key=lambda t: (bool(state) and not house.holds(_DONE[state], t), t)))


def _fetch(house: House, things: list[str]) -> list[str]:
    for thing in things:
        if thing in house.inside and house.holds("pickupable", thing):
            place = house.inside[thing]
            return _open(house, place) or ["take", thing, "from", place]
    return []


def _bring(house: House, thing: str, places: list[str]) -> list[str]:
    for place in places:
        return _open(house, place) or ["move", thing, "to", place]
    return []


def _open(house: House, place: str) -> list[str]:
    """What is to be done before a place can be used; nothing where one stands before it and it is open."""
    if not house.at(place):
        return ["go to", place]
    return ["open", place] if house.shut(place) else []
