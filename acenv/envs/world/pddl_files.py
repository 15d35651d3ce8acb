"""PDDL files that a user has, as a puzzle: words made of the names, and the planner as the expert."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from acenv.envs.base import Difficulty, pick
from acenv.envs.world.engine import World
from acenv.envs.world.pddl_forms import Form, read_form
from acenv.envs.world.pddl_reader import read_domain, read_problem
from acenv.envs.world.planner import Planner, PlanningError
from acenv.envs.world.puzzle import Plan, Problem, Puzzle
from acenv.envs.world.strips import EQUALS, Domain, Literal, Schema, State


class PddlFiles:
    """A domain file with one or more problem files, which are read when they are needed.

    Attributes:
        puzzle: The domain with its words and its expert.
        paths: The problem files, in order.
    """

    def __init__(self, domain_file: str | Path, problem_file: str | Path) -> None:
        """Read the domain, and find the problems.

        Args:
            domain_file: A PDDL domain.
            problem_file: A PDDL problem, or a folder whose ``*.pddl`` files, but for domains, are problems.

        Raises:
            FileNotFoundError: There is no such file, or no problem in the folder.
            RecordError: The domain is not in the part of PDDL that is supported.
        """
        self._file = read_domain(Path(domain_file).expanduser())
        source = Path(problem_file).expanduser()
        if not source.exists():
            raise FileNotFoundError(f"there is no PDDL problem at {source}: give a file, or a folder of *.pddl files")
        self.paths = [p for p in sorted(source.glob("*.pddl")) if not _is_domain(p)] if source.is_dir() else [source]
        if not self.paths:
            raise FileNotFoundError(f"{source} holds no PDDL problem: no *.pddl file that is not a domain")
        rules = _rules(self._file.domain)
        self.puzzle = Puzzle(
            self._file.domain, self._sample, self._solve, {"easy": rules, "medium": rules, "hard": rules}, self._place
        )
        self._sources: dict[Problem, Path] = {}
        self._read = lru_cache(maxsize=64)(read_problem)
        self._planner = lru_cache(maxsize=8)(self._ground)

    def problem(self, index: int) -> Problem:
        """Problem ``index`` of the folder.

        Raises:
            ValueError: There is no such problem.
            RecordError: It is not a problem of the domain, or its goal holds at the start.
        """
        if not 0 <= index < len(self.paths):
            raise ValueError(f"there is no PDDL problem {index}: they are numbered from 0 to {len(self.paths) - 1}")
        problem = self._read(self.paths[index], self._file)
        self._sources[problem] = self.paths[index]
        return problem

    def _sample(self, rng: np.random.Generator, difficulty: Difficulty) -> Problem:
        del difficulty
        return self.problem(pick(rng, range(len(self.paths))))

    def _solve(self, problem: Problem, state: State) -> Plan:
        try:
            return self._planner(problem).plan(state)
        except PlanningError as error:
            raise PlanningError(
                f"{self._sources[problem]}: {error}; give max_steps= to play it without a plan"
            ) from error

    def _ground(self, problem: Problem) -> Planner:
        world = World(self._file.domain, problem.objects)
        return Planner(world, problem.init, problem.goal, unwanted=problem.unwanted)

    def _place(self, problem: Problem) -> str:
        """The objects, and the facts that never change."""
        kinds: dict[str, list[str]] = {}
        for name, kind in problem.objects:
            kinds.setdefault(kind, []).append(name)
        predicates = self._file.domain.predicates
        fixed = sorted(predicates[f[0]].say(f[1:]) for f in problem.init if not predicates[f[0]].text)
        objects = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
        return f"Objects: {objects}." + (f"\nAlways true: {'. '.join(fixed)}." if fixed else "")


def _is_domain(path: Path) -> bool:
    form = read_form(path)
    first = form.items[1] if len(form.items) > 1 else ""
    return isinstance(first, Form) and first.head == "domain"


# Words -------------------------------------------------------------------------------------------------------------


def _rules(of: Domain) -> str:
    """All actions, with what they need and what they change."""
    lines = [f"You act in the world {of.name}. Actions, one a message:"]
    for schema in of.actions.values():
        names = {variable: variable for variable, _ in schema.parameters}
        kinds = ", ".join(f"{variable} is of type {kind}" for variable, kind in schema.parameters)
        needs = ", ".join(_need(of, literal) for literal in schema.preconditions)
        said = schema.forms[0].format(**names) + (f", where {kinds}" if kinds else "")
        lines.append(f"- {said}. It needs: {needs or 'nothing'}. Then: {_changes(of, schema)}.")
    lines.append("- look (tells the whole state), check valid actions (lists what can be done now).")
    return "\n".join(lines)


def _need(of: Domain, literal: Literal) -> str:
    if literal.predicate == EQUALS:
        return f"{literal.terms[0]} is {'' if literal.positive else 'not '}{literal.terms[1]}"
    return of.predicates[literal.predicate].say(literal.terms, literal.positive)


def _changes(of: Domain, schema: Schema) -> str:
    gained = [of.predicates[atom[0]].say(atom[1:]) for atom in schema.add]
    lost = [of.predicates[atom[0]].say(atom[1:], holds=False) for atom in schema.delete]
    return ", ".join(gained + lost) or "nothing changes"
