"""The expert of the home: it knows where everything is, and takes the shortest way it can think of."""

from __future__ import annotations

from collections.abc import Iterable

from acenv.envs.world.engine import World
from acenv.envs.world.household.goals import Goal, Way
from acenv.envs.world.puzzle import Plan
from acenv.envs.world.strips import State


def solve(goal: Goal, world: World, facts: State, all_ways: Iterable[Way]) -> Plan:
    """A plan from any state, the shortest over all ways to reach the goal; empty if none is left or it is reached."""
    best: Plan | None = None
    for way in all_ways:
        for things in (way.things, way.things[::-1])[: len(way.things)]:
            robot = _Robot(goal, world, facts)
            if robot.follow(way, things) and (best is None or len(robot.plan) < len(best)):
                best = robot.plan
    return best or []


class _Stuck(Exception):
    """This way is closed."""


class _Robot:
    """A state that actions are carried out on, and the plan that they make."""

    def __init__(self, goal: Goal, world: World, facts: State) -> None:
        self.goal = goal
        self.world = world
        self.facts = facts
        self.plan: Plan = []
        self.here = next(fact[1] for fact in facts if fact[0] == "at")
        self.held = next((fact[1] for fact in facts if fact[0] == "holds"), "")
        self.kinds = dict(world.objects)

    def follow(self, way: Way, things: tuple[str, ...]) -> bool:
        """Plan for one way, its things in this order; whether it can be done."""
        try:
            for thing in sorted(things, key=lambda thing: thing != self.held):
                self._settle(thing, way)
            if way.lamp and ("lit", way.lamp) not in self.facts:
                self._do("use", way.lamp, way.place)
        except _Stuck:
            return False
        return way.facts <= self.facts

    def _settle(self, thing: str, way: Way) -> None:
        """Have one thing as it must be, where it must be."""
        if "sliced" in self.goal.conditions and ("sliced", thing) not in self.facts:
            self._slice(thing, way)
        treatments = self._treatments(thing)
        if not way.place or (not way.lamp and not treatments and ("in", thing, way.place) in self.facts):
            return
        self._get(thing)
        for name in treatments:
            self._treat(name, thing, way.place)
        self._go(way.place)
        if not way.lamp:
            self._open()
            self._do("put", thing, way.place)

    def _treatments(self, thing: str) -> list[str]:
        """What is still to be done to a thing, in an order in which nothing is undone or breaks."""
        wanted = self.goal.conditions
        missing = [name for name in wanted if (name, thing) not in self.facts]
        fragile = self.world.domain.is_a(self.kinds[thing], "crockery")
        risky = ("hot" in missing and ("cold", thing) in self.facts) or (
            "cold" in missing and ("hot", thing) in self.facts
        )
        wash = "clean" in missing or (fragile and risky)
        heat = "cooked" in missing or ("hot" in wanted and (wash or "hot" in missing))
        cool = "cold" in wanted and (wash or heat or "cold" in missing)
        return [name for name, needed in (("clean", wash), ("heat", heat), ("cool", cool)) if needed]

    # Actions

    def _treat(self, name: str, thing: str, end: str) -> None:
        kind = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}[name]
        self._go(self._nearest(self.world.of_type(kind), end))
        for schema, action in self.world.domain.actions.items():
            if schema.partition("_")[0] == name and self.world.domain.is_a(self.kinds[thing], action.parameters[0][1]):
                self._do(schema, thing, self.here)
                return
        raise _Stuck

    def _slice(self, thing: str, way: Way) -> None:
        """Cut a thing where it lies; one that is in the hand is laid down first."""
        knives = self.world.of_type("knife")
        if self.held not in knives:
            where = {knife: self._place_of(knife) for knife in knives}
            usable = [knife for knife, place in where.items() if place in self.world.of_type("keeper")]
            if not usable:
                raise _Stuck
            near = self._nearest([where[knife] for knife in usable], self._place_of(thing))
            knife = next(knife for knife in usable if where[knife] == near)
            self._get(knife)
        knife = self.held
        self._go(self._place_of(thing))
        self._open()
        self._do("slice", thing, knife, self.here)

    def _get(self, thing: str) -> None:
        """Have a thing in the hand."""
        if self.held == thing:
            return
        place = self._place_of(thing)
        if place not in self.world.of_type("keeper"):
            raise _Stuck
        if self.held:
            self._lay_down(place)
        self._go(place)
        self._open()
        self._do("take", thing, place)

    def _lay_down(self, next_place: str) -> None:
        """Free the hand: here, or at the place that comes next."""
        if self.here not in self.world.of_type("keeper") or ("open", self.here) not in self.facts:
            self._go(next_place)
        self._open()
        self._do("put", self.held, self.here)

    def _nearest(self, places: Iterable[str], end: str) -> str:
        """Of places that are equally good the one where the robot is, or else where it will have to go anyway."""
        choice = sorted(places, key=lambda place: (place != self.here, place != end))
        if not choice:
            raise _Stuck
        return choice[0]

    def _place_of(self, thing: str) -> str:
        return next((fact[2] for fact in self.facts if fact[0] == "in" and fact[1] == thing), "")

    def _go(self, place: str) -> None:
        if not place:
            raise _Stuck
        if self.here != place:
            self._do("go", self.here, place)
            self.here = place

    def _open(self) -> None:
        if ("open", self.here) not in self.facts:
            self._do("open", self.here)

    def _do(self, name: str, *arguments: str) -> None:
        action = self.world.ground(name, arguments)
        if action.first_failure(self.facts) is not None:
            raise _Stuck
        self.facts = action.result(self.facts)
        self.plan.append((name, arguments))
        if name == "take":
            self.held = arguments[0]
        elif name == "put":
            self.held = ""
