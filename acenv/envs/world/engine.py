"""The STRIPS engine: a domain with objects, whose actions are grounded when they are needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from acenv.envs.world.strips import EQUALS, Atom, Domain, Literal, Objects, Schema, State

_FAR = 1_000_000


def holds(atom: Atom, state: State) -> bool:
    """Whether a ground atom is true."""
    return atom[1] == atom[2] if atom[0] == EQUALS else atom in state


@dataclass(frozen=True, slots=True)
class Action:
    """A ground action, with its conditions and effects worked out."""

    name: str
    arguments: tuple[str, ...]
    conditions: tuple[tuple[Atom, bool], ...] = field(compare=False)
    add: State = field(compare=False)
    delete: State = field(compare=False)

    def first_failure(self, state: State) -> int | None:
        """Index of the first precondition that does not hold in ``state``; None if all do."""
        for i, (atom, positive) in enumerate(self.conditions):
            if (atom in state if atom[0] != EQUALS else atom[1] == atom[2]) != positive:
                return i
        return None

    def result(self, state: State) -> State:
        """The state after the action, whose preconditions are not looked at."""
        return (state - self.delete) | self.add


class World:
    """A domain with a set of objects: grounds actions, finds those that are applicable, says why one is not."""

    def __init__(self, domain: Domain, objects: Objects) -> None:
        """Put ``objects`` into ``domain``.

        Raises:
            ValueError: An object has an unknown type, or a name is used twice.
        """
        self.domain = domain
        self.objects = objects
        self.order = {name: i for i, (name, _) in enumerate(objects)}
        if len(self.order) < len(objects):
            raise ValueError(f"domain {domain.name}: two objects have the same name")
        domain._need_types("objects", [kind for _, kind in objects])
        self._of_type = {kind: tuple(n for n, k in objects if domain.is_a(k, kind)) for kind in domain.types}
        self._members = {kind: frozenset(names) for kind, names in self._of_type.items()}
        self._grounded: dict[tuple[str, tuple[str, ...]], Action] = {}

    def of_type(self, kind: str) -> tuple[str, ...]:
        """Names of the objects of a type, subtypes included."""
        return self._of_type[kind]

    def has(self, name: str, kind: str) -> bool:
        """Whether there is an object of this name and type."""
        return name in self._members[kind]

    def ground(self, name: str, arguments: tuple[str, ...]) -> Action:
        """The action ``name`` on ``arguments``.

        Raises:
            ValueError: There is no such action, or the arguments are of the wrong number or type.
        """
        key = (name, arguments)
        action = self._grounded.get(key)
        if action is None:
            action = self._grounded[key] = self._ground(name, arguments)
        return action

    def _ground(self, name: str, arguments: tuple[str, ...]) -> Action:
        schema = self.domain.actions.get(name)
        if schema is None:
            raise ValueError(f"domain {self.domain.name} has no action {name!r}")
        if len(arguments) != len(schema.parameters):
            raise ValueError(f"{name} takes {len(schema.parameters)} arguments, not {len(arguments)}")
        for argument, (_, kind) in zip(arguments, schema.parameters, strict=True):
            if argument not in self._members[kind]:
                raise ValueError(f"there is no {kind} called {argument}")
        binding = {variable: a for (variable, _), a in zip(schema.parameters, arguments, strict=True)}
        return Action(
            name,
            arguments,
            tuple((literal.atom(binding), literal.positive) for literal in schema.preconditions),
            frozenset((atom[0], *(binding.get(t, t) for t in atom[1:])) for atom in schema.add),
            frozenset((atom[0], *(binding.get(t, t) for t in atom[1:])) for atom in schema.delete),
        )

    def applicable(self, state: State) -> list[Action]:
        """All actions whose preconditions hold, in the order of the domain's actions and of the objects."""
        facts: dict[str, list[Atom]] = {}
        for atom in state:
            facts.setdefault(atom[0], []).append(atom)
        found = []
        for schema in self.domain.actions.values():
            arguments = set(self._matches(schema, facts))
            for chosen in sorted(arguments, key=lambda a: [self.order[name] for name in a]):
                action = self.ground(schema.name, chosen)
                if action.first_failure(state) is None:
                    found.append(action)
        return found

    def _matches(self, schema: Schema, facts: Mapping[str, list[Atom]]) -> Iterator[tuple[str, ...]]:
        """Bindings of the parameters under which all positive preconditions hold; others are left to be checked."""
        kinds = dict(schema.parameters)
        wanted = [p for p in schema.preconditions if p.positive and p.predicate != EQUALS]

        def extend(i: int, binding: dict[str, str]) -> Iterator[dict[str, str]]:
            if i == len(wanted):
                free = [v for v, _ in schema.parameters if v not in binding]
                for values in itertools.product(*(self._of_type[kinds[v]] for v in free)):
                    yield {**binding, **dict(zip(free, values, strict=True))}
                return
            for atom in facts.get(wanted[i].predicate, ()):
                bound = self._unify(wanted[i].terms, atom[1:], binding, kinds)
                if bound is not None:
                    yield from extend(i + 1, bound)

        for binding in extend(0, {}):
            yield tuple(binding[v] for v, _ in schema.parameters)

    def _unify(
        self, terms: tuple[str, ...], values: tuple[str, ...], binding: dict[str, str], kinds: Mapping[str, str]
    ) -> dict[str, str] | None:
        bound = dict(binding)
        for term, value in zip(terms, values, strict=True):
            if term not in kinds:
                if term != value:
                    return None
            elif bound.setdefault(term, value) != value or value not in self._members[kinds[term]]:
                return None
        return bound

    def complete(self, state: State, name: str, given: Mapping[str, str]) -> Action:
        """The action ``name`` with some arguments given and the others inferred from the state.

        Of all ways to fill in the others, the first one that is applicable is taken, or else one that gets furthest
        through the preconditions, so that a refusal is about what the agent said and not about what it left out.

        Raises:
            ValueError: A given argument is of the wrong type, or nothing can be filled in.
        """
        parameters = self.domain.actions[name].parameters
        if len(given) == len(parameters):
            return self.ground(name, tuple(given[variable] for variable, _ in parameters))
        steps = _steps(self.domain, name, tuple(given))
        binding = {**_constants(self.domain, name), **given}
        furthest, reached = -1, binding

        def search(i: int) -> bool:
            """Bind the variables of the ``i``-th and later preconditions, with backtracking."""
            nonlocal furthest, reached
            while i < len(steps):
                literal, free = steps[i]
                if free:
                    break
                if holds((literal.predicate, *[binding[t] for t in literal.terms]), state) != literal.positive:
                    if i > furthest:
                        furthest, reached = i, dict(binding)
                    return False
                i += 1
            else:
                furthest, reached = len(steps), binding
                return True
            if i > furthest:
                furthest, reached = i, dict(binding)
            for values in itertools.product(*[self._of_type[kind] for _, kind in free]):
                for (variable, _), value in zip(free, values, strict=True):
                    binding[variable] = value
                atom = (literal.predicate, *[binding[t] for t in literal.terms])
                if holds(atom, state) == literal.positive and search(i + 1):
                    return True
            for variable, _ in free:
                binding.pop(variable, None)
            return False

        search(0)
        arguments = []
        for variable, kind in parameters:
            if variable not in reached and not self._of_type[kind]:
                raise ValueError(f"there is no {kind} here")
            arguments.append(reached.get(variable) or self._of_type[kind][0])
        return self.ground(name, tuple(arguments))

    def explain(self, state: State, action: Action) -> str:
        """Which precondition fails, in words; empty if the action is applicable."""
        failure = action.first_failure(state)
        if failure is None:
            return ""
        schema = self.domain.actions[action.name]
        literal = schema.preconditions[failure]
        if literal.otherwise:
            names = [variable for variable, _ in schema.parameters]
            return literal.otherwise.format(**dict(zip(names, action.arguments, strict=True)))
        atom, positive = action.conditions[failure]
        if atom[0] == EQUALS:
            return f"{atom[1]} is not {atom[2]}" if positive else f"{atom[1]} cannot be used twice"
        return self.domain.predicates[atom[0]].say(atom[1:], holds=not positive)

    def describe(self, state: State) -> str:
        """All facts that have words, in a fixed order of predicates and objects: ``red is on blue. ...``."""
        predicates = self.domain.predicates
        order = self.order
        shown = []
        for atom in state:
            predicate = predicates[atom[0]]
            if predicate.text:
                place = (predicate.rank, *(order.get(name, _FAR) for name in atom[1:]))
                shown.append((place, predicate.text.format(*atom[1:]) + "."))
        shown.sort()
        return " ".join(sentence for _, sentence in shown)


@lru_cache(maxsize=1024)
def _steps(of: Domain, name: str, given: tuple[str, ...]) -> list[tuple[Literal, list[tuple[str, str]]]]:
    """Preconditions of an action, each with the variables (and their types) that first come up in it."""
    schema = of.actions[name]
    kinds = dict(schema.parameters)
    known = set(given)
    steps = []
    for literal in schema.preconditions:
        free = [(t, kinds[t]) for t in dict.fromkeys(literal.terms) if t in kinds and t not in known]
        known.update(literal.terms)
        steps.append((literal, free))
    return steps


@lru_cache(maxsize=1024)
def _constants(of: Domain, name: str) -> dict[str, str]:
    """Objects that the preconditions of an action name; each stands for itself."""
    schema = of.actions[name]
    kinds = dict(schema.parameters)
    return {t: t for literal in schema.preconditions for t in literal.terms if t not in kinds}
