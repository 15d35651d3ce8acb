"""Problems in numbers, for search: facts as bits, states as integers, actions as masks.

Only what can be reached when nothing is ever deleted is grounded. A negative precondition is met by a fact of its own,
which is true where the atom is false (Gazen and Knoblock 1997, "Combining the expressivity of UCPOP with the efficiency
of Graphplan").
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from acenv.envs.world.engine import Action, World, holds
from acenv.envs.world.strips import EQUALS, Atom, Literal, Schema, State

Fact = tuple[Atom, bool]
"""An atom, and whether it is the fact that it holds or the fact that it does not."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A ground action, its facts numbered.

    Attributes:
        action: What it stands for.
        pre: Facts that must be true.
        add: Facts that become true.
        pre_mask: Bits of ``pre``.
        add_mask: Bits of ``add``.
        delete_mask: Bits of the facts that become false.
    """

    action: Action
    pre: tuple[int, ...]
    add: tuple[int, ...]
    pre_mask: int
    add_mask: int
    delete_mask: int


class GroundTask:
    """All operators that matter from a start, with what they change.

    Attributes:
        operators: In the order of the domain's actions and of the objects.
        goal: Numbers of the goal facts that can change, or None if one of them can never be true.
        size: How many facts there are.
    """

    def __init__(self, world: World, init: State, goal: Iterable[Atom], unwanted: Iterable[Atom]) -> None:
        """Ground a problem; states that come up in it later need no new grounding."""
        actions, reached = _reachable(world, init)
        added = {atom for action in actions for atom in action.add}
        deleted = {atom for action in actions for atom in action.delete - action.add}
        changing = (added - init) | deleted
        self._numbers: dict[Fact, int] = {}
        self._negated: dict[Atom, int] = {}
        kept = []
        for action in actions:
            pre = self._conditions(action, init, changing)
            if pre is not None:
                kept.append((action, pre))
        wanted = [*((atom, True) for atom in goal), *((atom, False) for atom in unwanted)]
        self.goal: tuple[int, ...] | None = None
        if all(atom in (reached if positive else deleted) or (atom in init) == positive for atom, positive in wanted):
            self.goal = tuple(self._number(fact) for fact in wanted if fact[0] in changing)
        self.operators = [op for action, pre in kept if (op := self._operator(action, pre)) is not None]
        self.size = len(self._numbers)

    def state(self, state: State) -> int:
        """A state as an integer; facts that no condition is about are left out."""
        bits = 0
        for (atom, positive), number in self._numbers.items():
            if (atom in state) == positive:
                bits |= 1 << number
        return bits

    def _number(self, fact: Fact) -> int:
        return self._numbers.setdefault(fact, len(self._numbers))

    def _conditions(self, action: Action, init: State, changing: set[Atom]) -> tuple[int, ...] | None:
        """Numbers of the preconditions that can change; None if one never holds."""
        numbers = []
        for atom, positive in action.conditions:
            if atom[0] != EQUALS and atom in changing:
                numbers.append(self._number((atom, positive)))
            elif holds(atom, init) != positive:
                return None
        return tuple(dict.fromkeys(numbers))

    def _operator(self, action: Action, pre: tuple[int, ...]) -> Operator | None:
        """The operator; None if nothing that matters becomes true by it."""
        get = self._numbers.get
        off = action.delete - action.add
        facts = [*((atom, True) for atom in action.add), *((atom, False) for atom in off)]
        gone = [*((atom, False) for atom in action.add), *((atom, True) for atom in off)]
        add = tuple(sorted(n for fact in facts if (n := get(fact)) is not None))
        if not add:
            return None
        delete = [n for fact in gone if (n := get(fact)) is not None]
        return Operator(action, pre, add, _mask(pre), _mask(add), _mask(delete))


def _mask(numbers: Iterable[int]) -> int:
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


# Grounding ---------------------------------------------------------------------------------------------------------


def _reachable(world: World, init: State) -> tuple[list[Action], set[Atom]]:
    """Actions and facts that can be reached when nothing is deleted and negative preconditions hold.

    Each new fact is joined with those reached before it, at every precondition that it can satisfy.
    """
    return _Grounder(world).run(init)


class _Grounder:
    def __init__(self, world: World) -> None:
        self.world = world
        self.kinds = {kind: frozenset(world.of_type(kind)) for kind in world.domain.types}
        self.facts: dict[tuple[str, ...], list[Atom]] = {}  # by predicate, and by predicate, place and object
        self.reached: set[Atom] = set()
        self.triggers: dict[str, list[tuple[Schema, Literal, list[Literal]]]] = {}
        for schema in world.domain.actions.values():
            positive = [p for p in schema.preconditions if p.positive and p.predicate != EQUALS]
            for i, literal in enumerate(positive):
                rest = _join_order(literal, positive[:i] + positive[i + 1 :], {v for v, _ in schema.parameters})
                self.triggers.setdefault(literal.predicate, []).append((schema, literal, rest))

    def run(self, init: State) -> tuple[list[Action], set[Atom]]:
        found: dict[tuple[str, tuple[str, ...]], Action] = {}
        queue = sorted(init)

        def apply(schema: Schema, binding: dict[str, str]) -> None:
            free = [v for v, _ in schema.parameters if v not in binding]
            kinds = dict(schema.parameters)
            for values in itertools.product(*(self.world.of_type(kinds[v]) for v in free)):
                full = {**binding, **dict(zip(free, values, strict=True))}
                key = (schema.name, tuple(full[v] for v, _ in schema.parameters))
                if key in found or any(
                    p.predicate == EQUALS and holds(p.atom(full), init) != p.positive for p in schema.preconditions
                ):
                    continue
                action = found[key] = self.world.ground(*key)
                queue.extend(sorted(action.add - self.reached))

        for schema in self.world.domain.actions.values():
            if not any(p.positive and p.predicate != EQUALS for p in schema.preconditions):
                apply(schema, {})
        for atom in queue:  # which grows
            if atom in self.reached:
                continue
            self.reached.add(atom)
            for key in ((atom[0],), *((atom[0], str(i), name) for i, name in enumerate(atom[1:]))):
                self.facts.setdefault(key, []).append(atom)
            for schema, literal, rest in self.triggers.get(atom[0], ()):
                kinds = dict(schema.parameters)
                bound = self._unify(literal, atom, {}, kinds)
                if bound is not None:
                    for binding in self._join(rest, 0, bound, kinds):
                        apply(schema, binding)
        rank = {name: i for i, name in enumerate(self.world.domain.actions)}
        order = self.world.order
        actions = sorted(found.values(), key=lambda a: (rank[a.name], [order[name] for name in a.arguments]))
        return actions, self.reached

    def _join(
        self, literals: list[Literal], i: int, binding: dict[str, str], kinds: dict[str, str]
    ) -> Iterator[dict[str, str]]:
        if i == len(literals):
            yield binding
            return
        literal = literals[i]
        for atom in self._candidates(literal, binding, kinds):
            bound = self._unify(literal, atom, binding, kinds)
            if bound is not None:
                yield from self._join(literals, i + 1, bound, kinds)

    def _candidates(self, literal: Literal, binding: dict[str, str], kinds: dict[str, str]) -> list[Atom]:
        """Facts reached so far that could match, by the shortest of the lists that apply."""
        best = self.facts.get((literal.predicate,), [])
        for i, term in enumerate(literal.terms):
            value = binding.get(term) if term in kinds else term
            if value is not None:
                listed = self.facts.get((literal.predicate, str(i), value), [])
                if len(listed) < len(best):
                    best = listed
        return best[:]

    def _unify(
        self, literal: Literal, atom: Atom, binding: dict[str, str], kinds: dict[str, str]
    ) -> dict[str, str] | None:
        bound = binding
        for term, value in zip(literal.terms, atom[1:], strict=True):
            kind = kinds.get(term)
            if kind is None:
                if term != value:
                    return None
            elif term in bound:
                if bound[term] != value:
                    return None
            elif value in self.kinds[kind]:
                bound = {**bound, term: value}
            else:
                return None
        return bound


def _join_order(first: Literal, rest: list[Literal], variables: set[str]) -> list[Literal]:
    """Each time the literal with the fewest variables that are new."""
    known = set(first.terms)
    left, order = list(rest), []
    while left:
        literal = min(left, key=lambda p: len((set(p.terms) & variables) - known))
        left.remove(literal)
        order.append(literal)
        known |= set(literal.terms)
    return order
