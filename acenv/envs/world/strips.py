"""A small typed STRIPS language: domains as data, states as sets of facts (:mod:`.engine` makes them move).

It is STRIPS with types, negative preconditions and inequality (``:strips :typing :negative-preconditions
:equality`` of PDDL). Predicates, actions and preconditions also carry words, so that a state can be told, an action can
be read, and a refusal can be explained, without code for each domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Atom = tuple[str, ...]
"""A ground fact, the predicate first: ``("on", "red", "blue")``."""

State = frozenset[Atom]
"""All facts that hold; what is not in it is false."""

Objects = tuple[tuple[str, str], ...]
"""Names with their types, in the order in which they are spoken of."""

EQUALS = "="
"""The predicate of equality, which every domain has."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A property of objects or a relation between them.

    Attributes:
        name: As facts name it.
        types: Type of each argument.
        text: Says that it holds, with ``{0}``, ``{1}`` for the arguments. Empty: it is never shown.
        negation: Says that it does not hold; empty: made of ``text``.
        rank: Where its facts stand in the description of a state, smallest first; facts of equal rank go by their
            arguments.
    """

    name: str
    types: tuple[str, ...] = ()
    text: str = ""
    negation: str = ""
    rank: int = 0

    def say(self, arguments: Iterable[str], holds: bool = True) -> str:
        """The sentence for a fact of this predicate, or for its negation.

        >>> Predicate("on", ("block", "block"), "{0} is on {1}").say(("a", "b"), holds=False)
        'it is not true that a is on b'
        """
        arguments = tuple(arguments)
        plain = self.text.format(*arguments) if self.text else " ".join((self.name, *arguments))
        if holds:
            return plain
        return self.negation.format(*arguments) if self.negation else f"it is not true that {plain}"


@dataclass(frozen=True, slots=True)
class Literal:
    """An atom that must hold or must not hold.

    Attributes:
        predicate: Its name, or ``"="``.
        terms: Variables of an action, or objects; a term that is no variable stands for itself.
        positive: Whether the atom must hold.
        otherwise: What to say where the literal fails, with ``{variable}``; empty: the predicate's own words.
    """

    predicate: str
    terms: tuple[str, ...]
    positive: bool = True
    otherwise: str = ""

    def atom(self, binding: Mapping[str, str]) -> Atom:
        """The ground atom under a binding of the variables."""
        return (self.predicate, *(binding.get(t, t) for t in self.terms))


@dataclass(frozen=True, slots=True)
class Schema:
    """An action with variables.

    Attributes:
        name: As plans name it.
        parameters: ``(variable, type)`` pairs.
        preconditions: Literals that must hold, in the order in which a failure is looked for.
        add: Atoms over the variables that become true.
        delete: Atoms that become false (an atom that is also added stays true).
        forms: How the action is said, with ``{variable}``; the first form is the one that is written. A parameter that
            no form names is inferred from the state.
        effect: What the agent is told after it.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    preconditions: tuple[Literal, ...]
    add: tuple[Atom, ...]
    delete: tuple[Atom, ...]
    forms: tuple[str, ...]
    effect: str


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """Types, predicates and actions of a kind of world.

    Attributes:
        types: Each type with its parent; a root has the parent ``""``.
        predicates: By name, made from the tuple that is given.
        actions: By name, likewise.
        fillers: Words that an agent may put beside a name and that mean nothing ("the red *block*").

    Raises:
        ValueError: Something names a type, predicate or variable that is not there, or uses a wrong number of terms.
    """

    name: str
    types: Mapping[str, str]
    predicates: Mapping[str, Predicate]
    actions: Mapping[str, Schema]
    fillers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for child, parent in self.types.items():
            if parent and parent not in self.types:
                raise ValueError(f"domain {self.name}: type {child!r} has the unknown parent {parent!r}")
        for predicate in self.predicates.values():
            self._need_types(f"predicate {predicate.name}", predicate.types)
        for schema in self.actions.values():
            where = f"action {schema.name}"
            self._need_types(where, [kind for _, kind in schema.parameters])
            for literal in schema.preconditions:
                self._need_atom(where, (literal.predicate, *literal.terms))
            for atom in (*schema.add, *schema.delete):
                if atom[0] == EQUALS:
                    raise ValueError(f"domain {self.name}, {where}: an effect cannot change equality")
                self._need_atom(where, atom)

    def _need_types(self, where: str, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.types:
                raise ValueError(f"domain {self.name}, {where}: unknown type {name!r}")

    def _need_atom(self, where: str, atom: Atom) -> None:
        if atom[0] == EQUALS:
            arity = 2
        elif atom[0] in self.predicates:
            arity = len(self.predicates[atom[0]].types)
        else:
            raise ValueError(f"domain {self.name}, {where}: unknown predicate {atom[0]!r}")
        if len(atom) - 1 != arity:
            raise ValueError(f"domain {self.name}, {where}: {atom[0]} takes {arity} terms, not {len(atom) - 1}")

    def is_a(self, kind: str, ancestor: str) -> bool:
        """Whether ``kind`` is ``ancestor`` or a subtype of it."""
        while kind:
            if kind == ancestor:
                return True
            kind = self.types[kind]
        return False


def domain(
    name: str,
    types: Mapping[str, str],
    predicates: Iterable[Predicate],
    actions: Iterable[Schema],
    fillers: Iterable[str] = (),
) -> Domain:
    """A :class:`Domain` of lists of predicates and actions."""
    return Domain(name, types, {p.name: p for p in predicates}, {a.name: a for a in actions}, frozenset(fillers))
