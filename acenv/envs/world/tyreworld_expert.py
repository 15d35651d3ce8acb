"""The expert of tyreworld: one hub after the other, tools when they are needed."""

from __future__ import annotations

from acenv.envs.world.puzzle import Plan, Problem
from acenv.envs.world.strips import Atom, State


def solve(problem: Problem, state: State) -> Plan:
    """A plan from any state; with one hub it is the shortest, or near it.

    A hub that is jacked up is done first. What must end in the boot is put there when nothing needs it any more.

    Raises:
        ValueError: A punctured wheel is to be inflated.
    """
    return _Garage(problem, state).work()


class _Garage:
    """A state of tyreworld that actions are carried out on, and the plan that they make."""

    def __init__(self, problem: Problem, state: State) -> None:
        kinds: dict[str, str] = {kind: name for name, kind in reversed(problem.objects)}
        self.boot, self.wrench = kinds.get("boot", ""), kinds.get("wrench", "")
        self.jack, self.pump = kinds.get("jack", ""), kinds.get("pump", "")
        self.hubs = [name for name, kind in problem.objects if kind == "hub"]
        self.goal = problem.goal
        self.facts: set[Atom] = set(state)
        self.up = next((fact[2] for fact in state if fact[0] == "under"), "")
        self.wheels = {fact[2]: fact[1] for fact in state if fact[0] == "on"}
        self.nuts = {fact[2]: fact[1] for fact in state if fact[0] in ("tight", "loose")}
        self.plan: Plan = []

    def work(self) -> Plan:
        """The whole plan."""
        wheels = {fact[2]: fact[1] for fact in self.goal if fact[0] == "on"}
        nuts = {fact[2]: fact[1] for fact in self.goal if fact[0] == "tight"}
        off = {fact[1] for fact in self.goal if fact[0] in ("have", "in")}
        for hub in sorted(self.hubs, key=lambda hub: hub != self.up):
            if hub in wheels:
                self._mount(hub, wheels[hub])
            elif self.wheels.get(hub) in off:
                self._strip(hub)
            if hub in nuts:
                self._fasten(hub, nuts[hub])
        for name, thing, *_ in self.goal:
            if name == "have":
                self._get(thing)
        for fact in self.goal:
            if fact[0] == "inflated" and fact not in self.facts:
                if ("punctured", fact[1]) in self.facts:
                    raise ValueError(f"{fact[1]} is punctured and cannot be inflated")
                self._get(self.pump)
                self._do("inflate", fact[1], self.pump, add=fact)
        for fact in self.goal:
            if fact[0] == "in" and fact not in self.facts:
                self._get(fact[1])
                self._open()
                self._do("put_away", fact[1], self.boot, add=fact, delete=("have", fact[1]))
        for fact in self.goal:
            if fact[0] == "closed" and fact not in self.facts:
                self._do("close", self.boot, add=fact)
        return self.plan

    # Hubs

    def _mount(self, hub: str, wheel: str) -> None:
        if self.wheels.get(hub) == wheel:
            return
        self._get(wheel)
        self._strip(hub)
        self._raise(hub)
        self._do("put_on", wheel, hub, self.jack, add=("on", wheel, hub), delete=("have", wheel))
        self.wheels[hub] = wheel

    def _fasten(self, hub: str, nuts: str) -> None:
        """Have the nuts tight on the hub."""
        if self.nuts.get(hub) != nuts:
            self._get(nuts)
            self._undo(hub)
            self._raise(hub)
            self._get(self.wrench)
            self._do("do_up", nuts, hub, self.wrench, self.jack, add=("loose", nuts, hub), delete=("have", nuts))
            self.nuts[hub] = nuts
        if ("tight", nuts, hub) not in self.facts:
            self._lower(hub)
            self._get(self.wrench)
            self._do("tighten", nuts, hub, self.wrench, add=("tight", nuts, hub), delete=("loose", nuts, hub))

    def _strip(self, hub: str) -> None:
        """Take nuts and wheel off the hub."""
        wheel = self.wheels.get(hub)
        if wheel is None:
            return
        self._undo(hub)
        self._raise(hub)
        self._do("remove", wheel, hub, self.jack, add=("have", wheel), delete=("on", wheel, hub))
        del self.wheels[hub]

    def _undo(self, hub: str) -> None:
        """Take the nuts off the hub."""
        nuts = self.nuts.get(hub)
        if nuts is None:
            return
        self._get(self.wrench)
        if ("tight", nuts, hub) in self.facts:
            self._lower(hub)
            self._do("loosen", nuts, hub, self.wrench, add=("loose", nuts, hub), delete=("tight", nuts, hub))
        self._raise(hub)
        self._do("undo", nuts, hub, self.wrench, self.jack, add=("have", nuts), delete=("loose", nuts, hub))
        del self.nuts[hub]

    def _raise(self, hub: str) -> None:
        if self.up != hub:
            self._get(self.jack)
            self._do("jack_up", hub, self.jack, add=("under", self.jack, hub), delete=("have", self.jack))
            self.up = hub

    def _lower(self, hub: str) -> None:
        if self.up == hub:
            self._do("jack_down", hub, self.jack, add=("have", self.jack), delete=("under", self.jack, hub))
            self.up = ""

    # Things

    def _get(self, thing: str) -> None:
        """Have a thing, wherever it is."""
        if ("have", thing) in self.facts:
            return
        if ("in", thing, self.boot) in self.facts:
            self._open()
            self._do("take", thing, self.boot, add=("have", thing), delete=("in", thing, self.boot))
        elif thing == self.jack:
            self._lower(self.up)
        elif thing in self.wheels.values():
            self._strip(next(hub for hub, wheel in self.wheels.items() if wheel == thing))
        else:
            self._undo(next(hub for hub, nuts in self.nuts.items() if nuts == thing))

    def _open(self) -> None:
        if ("closed", self.boot) in self.facts:
            self._do("open", self.boot, delete=("closed", self.boot))

    def _do(self, name: str, *arguments: str, add: Atom | None = None, delete: Atom | None = None) -> None:
        self.plan.append((name, arguments))
        if delete is not None:
            self.facts.discard(delete)
        if add is not None:
            self.facts.add(add)
