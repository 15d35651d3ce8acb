"""Domains and problems of the engine, read from PDDL: ``:strips :typing :negative-preconditions :equality``.

Action costs are passed over, for all that counts is whether the goal is reached. Everything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from acenv.envs.sources import RecordError
from acenv.envs.world.pddl_forms import OBJECT, Form, plain_name, read_form
from acenv.envs.world.puzzle import Problem
from acenv.envs.world.strips import EQUALS, Atom, Domain, Literal, Objects, Predicate, Schema, domain

REQUIREMENTS = (":strips", ":typing", ":negative-preconditions", ":equality", ":action-costs")
"""What a file may require."""

_DOMAIN_PARTS = (":requirements", ":types", ":constants", ":predicates", ":functions", ":action")
_PROBLEM_PARTS = (":domain", ":requirements", ":objects", ":init", ":goal", ":metric")
_ACTION_PARTS = (":parameters", ":precondition", ":effect")
_ONLY = f"only {' '.join(REQUIREMENTS)} and what they need"


@dataclass(frozen=True, slots=True, eq=False)
class DomainFile:
    """A domain that was read, and the objects that all of its problems share."""

    domain: Domain
    constants: Objects


def define(path: Path, kind: str) -> tuple[str, list[Form]]:
    """The name, and the parts, of ``(define (kind name) part ...)``.

    Raises:
        RecordError: The file is something else.
    """
    form = read_form(path)
    parts = list(form.rest()) if form.head == "define" else []
    if not parts or parts[0].head != kind:
        form.refuse(f"(define ({kind} NAME) ...)", str(form))
    return parts[0].name(1), parts[1:]


# Domains -----------------------------------------------------------------------------------------------------------


def read_domain(path: Path) -> DomainFile:
    """Read a domain file.

    Predicates and actions are said by their names: ``on a b``, ``stack a b``.

    Raises:
        FileNotFoundError: There is no such file.
        RecordError: It is no domain, or needs what is not supported.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no PDDL domain at {path}")
    name, parts = define(path, "domain")
    by_kind = _by_kind(parts, _DOMAIN_PARTS)
    for form in by_kind[":requirements"]:
        _check_requirements(form)
    types = {OBJECT: ""}
    for form in by_kind[":types"]:
        for child, parent in form.typed():
            types.setdefault(parent, OBJECT)
            if child != OBJECT:
                types[form.plain(child)] = parent
    _check_types(path, types)
    constants = tuple((form.plain(n), kind) for form in by_kind[":constants"] for n, kind in form.typed())
    arguments: dict[str, tuple[str, ...]] = {}
    for form in (predicate for part in by_kind[":predicates"] for predicate in part.rest()):
        arguments[form.name(0)] = tuple(kind for _, kind in form.typed())
    reader = _ActionReader(arguments, {n for n, _ in constants})
    schemas = [reader.read(form) for form in by_kind[":action"]]
    changing = {atom[0] for schema in schemas for atom in (*schema.add, *schema.delete)}
    predicates = []
    for predicate, kinds in arguments.items():
        said = " ".join([predicate, *(f"{{{i}}}" for i in range(len(kinds)))])
        predicates.append(Predicate(predicate, kinds, said if predicate in changing else "", f"not {said}"))
    try:
        if len({schema.name for schema in schemas}) < len(schemas):
            raise ValueError("two actions have the same name")
        return DomainFile(domain(name, types, predicates, schemas), constants)
    except ValueError as error:
        raise RecordError(path, None, "a domain without contradictions", f"one where this holds: {error}") from error


def _by_kind(parts: list[Form], known: tuple[str, ...]) -> dict[str, list[Form]]:
    found: dict[str, list[Form]] = {kind: [] for kind in known}
    for form in parts:
        if form.head not in found:
            form.refuse(f"only {' '.join(known)}", f"{form.head}, which is not supported")
        found[form.head].append(form)
    return found


def _check_requirements(form: Form) -> None:
    for requirement in form.words():
        if requirement not in REQUIREMENTS:
            form.refuse(f"only the requirements {' '.join(REQUIREMENTS)}", f"{requirement}, which is not supported")


def _check_types(path: Path, types: Mapping[str, str]) -> None:
    for kind in types:
        seen = [kind]
        while types[seen[-1]]:
            seen.append(types[seen[-1]])
            if seen[-1] in seen[:-1]:
                raise RecordError(path, None, "types in a tree", f"{seen[-1]!r} as an ancestor of itself")


class _ActionReader:
    """Reads actions over predicates with their argument types, and constants."""

    def __init__(self, arguments: Mapping[str, tuple[str, ...]], constants: set[str]) -> None:
        self.arguments = arguments
        self.constants = constants
        self.variables: dict[str, str] = {}

    def read(self, form: Form) -> Schema:
        """An action; ``?x`` becomes ``X``, which is no name of an object."""
        name = form.name(1)
        parts: dict[str, Form] = {}
        for key, value in zip(form.items[2::2], form.items[3::2], strict=False):
            if key not in _ACTION_PARTS or not isinstance(value, Form):
                form.refuse(f"only {' '.join(_ACTION_PARTS)}, each with a list", f"{key} {value}")
            parts[str(key)] = value
        if len(form.items) % 2:
            form.refuse(f"a list behind each of {' '.join(_ACTION_PARTS)}", str(form.items[-1]))
        typed = parts[":parameters"].typed(0) if ":parameters" in parts else []
        self.variables = {}
        for variable, _ in typed:
            label = form.plain(variable[1:] if variable.startswith("?") else variable).upper().replace("-", "_")
            self.variables[variable] = (
                label if label not in self.variables.values() else f"{label}_{len(self.variables)}"
            )
        preconditions = tuple(self._conditions(parts[":precondition"])) if ":precondition" in parts else ()
        effects = list(self._effects(parts[":effect"])) if ":effect" in parts else []
        add = tuple(dict.fromkeys(atom for atom, holds in effects if holds))
        delete = tuple(dict.fromkeys(atom for atom, holds in effects if not holds and atom not in add))
        told = [" ".join((atom[0], *(self._slot(t) for t in atom[1:]))) for atom in (*add, *delete)]
        told[len(add) :] = [f"not {text}" for text in told[len(add) :]]
        said = " ".join([name, *(f"{{{v}}}" for v in self.variables.values())])
        parameters = tuple((self.variables[variable], kind) for variable, kind in typed)
        return Schema(name, parameters, preconditions, add, delete, (said,), f"{'. '.join(told) or 'nothing changes'}.")

    def _slot(self, term: str) -> str:
        return f"{{{term}}}" if term in self.variables.values() else term

    def _conditions(self, form: Form) -> Iterator[Literal]:
        for part in flatten(form):
            inner, positive = negated(part)
            if inner.head == EQUALS and len(inner.items) == 3:
                yield Literal(EQUALS, tuple(self._term(inner, word) for word in inner.words()), positive)
            else:
                atom = self._atom(inner)
                yield Literal(atom[0], atom[1:], positive)

    def _effects(self, form: Form) -> Iterator[tuple[Atom, bool]]:
        for part in flatten(form):
            if part.head == "increase" and _is_cost(part):
                continue
            inner, positive = negated(part)
            yield self._atom(inner), positive

    def _atom(self, form: Form) -> Atom:
        predicate = known_predicate(form, self.arguments)
        return (predicate, *(self._term(form, word) for word in form.words()))

    def _term(self, form: Form, word: str) -> str:
        if word.startswith("?"):
            return self.variables[word] if word in self.variables else form.refuse("a parameter", f"{word} in {form}")
        name = form.plain(word)
        return name if name in self.constants else form.refuse("a parameter or constant", f"{word} in {form}")


def _is_cost(form: Form) -> bool:
    target = form.items[1] if len(form.items) > 1 else ""
    return isinstance(target, Form) and target.head == "total-cost"


def flatten(form: Form) -> Iterator[Form]:
    """The parts of a conjunction, however nested; ``()`` has none."""
    stack = [form]
    while stack:
        part = stack.pop()
        if part.items and part.head == "and":
            stack += reversed(list(part.rest()))
        elif part.items:
            yield part


def negated(form: Form) -> tuple[Form, bool]:
    """What is in ``(not ...)``, or the form itself, and whether it is wanted true."""
    if form.head != "not":
        return form, True
    inner = list(form.rest())
    return (inner[0], False) if len(inner) == 1 else form.refuse("one list in (not ...)", str(form))


def known_predicate(form: Form, arguments: Mapping[str, tuple[str, ...]]) -> str:
    """The predicate of an atom, which must have the right number of arguments."""
    name = plain_name(form.head)
    if name not in arguments:
        form.refuse(_ONLY, f"({name} ...), which is no predicate of the domain and not supported otherwise")
    if len(form.items) - 1 != len(arguments[name]):
        form.refuse(f"{len(arguments[name])} arguments of {name}", f"{len(form.items) - 1} in {form}")
    return name


# Problems ----------------------------------------------------------------------------------------------------------


def read_problem(path: Path, of: DomainFile) -> Problem:
    """Read a problem file.

    Raises:
        FileNotFoundError: There is no such file.
        RecordError: It is no problem of this domain, or its goal holds at the start.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no PDDL problem at {path}")
    _, parts = define(path, "problem")
    by_kind = _by_kind(parts, _PROBLEM_PARTS)
    for form in by_kind[":requirements"]:
        _check_requirements(form)
    for form in by_kind[":domain"]:
        if form.name(1) != of.domain.name:
            form.refuse(f"a problem of the domain {of.domain.name}", f"one of the domain {form.name(1)}")
    kinds = dict(of.constants)
    for form in by_kind[":objects"]:
        for word, kind in form.typed():
            name = form.plain(word)
            if kind not in of.domain.types:
                form.refuse(f"a type of the domain for {word}", f"the type {kind}")
            if kinds.setdefault(name, kind) != kind:
                form.refuse(f"one object called {word}", "two of different types")
    arguments = {predicate.name: predicate.types for predicate in of.domain.predicates.values()}

    def atom(form: Form) -> Atom:
        predicate = known_predicate(form, arguments)
        names = [form.plain(word) for word in form.words()]
        for name, kind in zip(names, arguments[predicate], strict=True):
            if name not in kinds:
                form.refuse("objects of the problem", f"{name} in {form}, which is not one")
            if not of.domain.is_a(kinds[name], kind):
                form.refuse(f"a {kind} in {form}", f"{name}, which is a {kinds[name]}")
        return (predicate, *names)

    starts = [negated(form) for part in by_kind[":init"] for form in part.rest() if not _is_number(form)]
    init = frozenset(atom(form) for form, holds in starts if holds)
    wishes = [negated(form) for part in by_kind[":goal"] for whole in part.rest() for form in flatten(whole)]
    goal = tuple(dict.fromkeys(atom(form) for form, holds in wishes if holds))
    unwanted = tuple(dict.fromkeys(atom(form) for form, holds in wishes if not holds))
    if init.issuperset(goal) and not init.intersection(unwanted):
        raise RecordError(path, None, "a goal that does not hold at the start", "one that does, or none")
    return Problem(of.domain.name, tuple(kinds.items()), init, goal, unwanted)


def _is_number(form: Form) -> bool:
    return form.head == EQUALS and len(form.items) == 3 and isinstance(form.items[1], Form)
