"""What a planning domain must bring to become an environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from acenv.envs.base import Difficulty
from acenv.envs.world.strips import Atom, Domain, Objects, State

Plan = list[tuple[str, tuple[str, ...]]]
"""Actions by name with their arguments, in order."""

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "brown", "black", "white", "grey", "gold")
FRUITS = ("apple", "pear", "plum", "lemon", "cherry", "grape", "peach", "melon", "mango", "fig", "kiwi", "lime")
LETTERS = ("b", "c", "d", "f", "g", "h", "k", "m", "n", "p", "r", "s", "t", "v", "w", "z")
NAMES = (COLOURS, FRUITS, LETTERS)
"""Names of things; those of one episode are of one kind. None of them is a word of an action or an article."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Where an episode starts and what must be reached.

    Attributes:
        domain: Name of the domain.
        objects: All objects, in the order in which they are spoken of.
        init: The facts at the start.
        goal: The facts that must hold together at the end, in the order in which they are told.
        unwanted: Facts that must not hold at the end.
    """

    domain: str
    objects: Objects
    init: State
    goal: tuple[Atom, ...]
    unwanted: tuple[Atom, ...] = ()

    def progress(self, state: State) -> float:
        """The share of the goal that is met."""
        met = sum([fact in state for fact in self.goal])
        if not self.unwanted:
            return met / len(self.goal)
        met += sum(fact not in state for fact in self.unwanted)
        return met / (len(self.goal) + len(self.unwanted))


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A domain with a generator of problems, an expert, and the rules in words.

    Attributes:
        domain: The STRIPS domain.
        sample: Draws a problem in which no goal fact holds at the start.
        solve: A short plan from any state of a problem.
        rules: What the agent is told at the start, by difficulty.
        place: What the agent must know beside the state, told once (doors between rooms); may be empty.
        lost: Whether a mistake has put the goal out of reach; never, in most domains.
    """

    domain: Domain
    sample: Callable[[np.random.Generator, Difficulty], Problem]
    solve: Callable[[Problem, State], Plan]
    rules: Mapping[Difficulty, str]
    place: Callable[[Problem], str] = lambda problem: ""
    lost: Callable[[Problem, State], bool] = lambda problem, state: False
