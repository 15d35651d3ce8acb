"""``acenv/PDDL-v0``: planning problems in words, one action a message."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from gymnasium.error import ResetNeeded

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split, pick
from acenv.envs.commands import command_line, misread
from acenv.envs.world.barman import BARMAN
from acenv.envs.world.blocksworld import BLOCKSWORLD
from acenv.envs.world.engine import Action, World
from acenv.envs.world.gripper import GRIPPER
from acenv.envs.world.pddl_files import PddlFiles
from acenv.envs.world.puzzle import Plan, Problem, Puzzle
from acenv.envs.world.strips import Domain, State
from acenv.envs.world.tyreworld import TYREWORLD
from acenv.types import Fault, Message, Tool

DomainName = Literal["mixed", "gripper", "blocksworld", "barman", "tyreworld"]

PUZZLES: dict[str, Puzzle] = {
    "gripper": GRIPPER,
    "blocksworld": BLOCKSWORLD,
    "barman": BARMAN,
    "tyreworld": TYREWORLD,
}

HARD_GOALS = 5
"""Goal facts from which on ``info["labels"]`` calls a problem hard. AgentBoard splits by the number of subgoals too;
the bound is ours."""

_ARTICLES = frozenset({"the", "a", "an"})
_MOST_DOUBTFUL = 4
"""Words of one command that are tried both as names and as articles."""

_NOT_WORDS = re.compile(r"[^\w\s-]+|(?<!\w)-|-(?!\w)")


@dataclass(slots=True)
class PDDLState:
    """What changes in an episode.

    Attributes:
        facts: The present state of the world.
        best: Running maximum of the share of goal facts that hold.
        plan: What the expert means to do next; empty when it has to think again.
        lost: Whether a mistake has put the goal out of reach.
    """

    facts: State
    best: float
    plan: Plan = field(default_factory=list)
    lost: bool = False


class PDDLEnv(ConversationEnv[Problem, PDDLState]):
    """Reach a goal in a small world of facts, by actions in short words (``stack red on blue``).

    The world is a STRIPS domain. An action that cannot be done is answered with the precondition that fails, and
    other text with the forms of the actions. ``check valid actions`` (or ``check``) lists what can be done, ``look``
    tells the whole state; both take a step and count as valid.

    The score is AgentBoard's progress rate: the running maximum of the share of goal facts that hold. Problems are
    drawn so that no goal fact holds at the start, so it begins at 0. Success is all of them at once, which ends the
    episode.

    At ``difficulty="easy"`` every observation tells the whole state; above, only the effect of the action.

    A wrong mixture in barman cannot be undone: ``info["metrics"]["lost"]`` is 1 when the goal is out of reach since
    then, and 0 otherwise. ``info["labels"]`` has the domain as ``task`` and ``level``: ``hard`` from five goal facts on
    (:data:`HARD_GOALS`), ``easy`` below.
    """

    def __init__(
        self,
        *,
        domain: DomainName = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        domain_file: str | Path | None = None,
        problem_file: str | Path | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            domain: ``"gripper"``, ``"blocksworld"``, ``"barman"``, ``"tyreworld"``, or ``"mixed"``: each episode's seed
                decides.
            difficulty: ``"easy"``: 3 blocks, 1 to 2 balls in 2 rooms, 1 to 2 shots without a shaker, or a part of the
                work on one wheel; ``"medium"``: 5 to 6 blocks, 3 to 4 balls, 2 to 3 shots with 1 cocktail, or 1 wheel;
                ``"hard"``: 7 to 9 blocks, 6 to 7 balls in 5 rooms with few doors, 3 to 5 shots with 2 to 3 cocktails,
                or 2 to 3 wheels. Problems of files are what they are.
            split: Which problems to draw; ``"train"`` and ``"test"`` have none in common. Files belong to no split.
            domain_file: A PDDL domain of yours (``:strips :typing :negative-preconditions :equality``), in place of
                ``domain``.
            problem_file: A PDDL problem for it, or a folder of them: ``options={"index": i}`` picks one at reset, in
                the order of their names, or else the seed decides.
            max_steps: Actions after which an episode is cut. None: twice the length of the expert's plan, and 4 (at
                ``"easy"`` its length, and 4); the attribute ``max_steps`` then holds the limit of the present episode.
            render_mode: ``"ansi"`` or None.

        Raises:
            ValueError: A value that is not one of those named above, or one of the files without the other.
            FileNotFoundError: A file is missing.
            acenv.envs.sources.RecordError: A file is not in the part of PDDL that is supported.
        """
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        if domain not in get_args(DomainName):
            raise ValueError(f"domain must be one of {', '.join(get_args(DomainName))}, not {domain!r}")
        if (domain_file is None) != (problem_file is None):
            raise ValueError("domain_file and problem_file must be given together")
        if domain_file is not None and domain != "mixed":
            raise ValueError(f"give domain={domain!r} or domain_file=, not both")
        self.domain = domain
        self._files = PddlFiles(domain_file, problem_file) if domain_file and problem_file else None
        self._world: World  # the present episode's; made of its task, and so no part of the state

    def sample_task(self, rng: np.random.Generator) -> Problem:
        """Draw a problem of the domain, or of any domain."""
        if self._files is not None:
            return self._files.puzzle.sample(rng, self.difficulty)
        name = pick(rng, tuple(PUZZLES)) if self.domain == "mixed" else self.domain
        return PUZZLES[name].sample(rng, self.difficulty)

    def draw_task(self, attempts: int = 1000) -> Problem:
        """Draw a problem of the split, or of the files."""
        return super().draw_task(attempts) if self._files is None else self.sample_task(self.np_random)

    def load_task(self, index: int) -> Problem:
        """Problem ``index`` of the files."""
        return super().load_task(index) if self._files is None else self._files.problem(index)

    def fingerprint(self, task: Problem) -> str:
        """Domain, start and goal, in an order that does not depend on how they were drawn."""
        return repr((task.domain, sorted(task.init), sorted(task.goal)))

    def open(self, task: Problem) -> tuple[PDDLState, list[Message], list[Tool]]:
        """Rules, goal and start in one message."""
        puzzle = self._enter(task)
        plan = puzzle.solve(task, task.init) if self._chosen_steps is None else []
        detours = 4 if self.difficulty == "easy" else len(plan) + 4
        self.limit_steps(len(plan) + detours)
        predicates = puzzle.domain.predicates
        wishes = [(fact, True) for fact in task.goal] + [(fact, False) for fact in task.unwanted]
        goal = " ".join(predicates[fact[0]].say(fact[1:], holds) + "." for fact, holds in wishes)
        start = self._world.describe(task.init)
        parts = [puzzle.rules[self.difficulty], puzzle.place(task), f"Goal: {goal}", f"State: {start}"]
        opening = "\n".join(part for part in parts if part)
        return PDDLState(task.init, task.progress(task.init), plan), [{"role": "user", "content": opening}], []

    def resume(self) -> None:
        """Put the problem's objects into its domain again."""
        self._enter(self.task)

    def _enter(self, task: Problem) -> Puzzle:
        self._puzzle = PUZZLES[task.domain] if self._files is None else self._files.puzzle
        self._world = World(self._puzzle.domain, task.objects)
        return self._puzzle

    def labels(self) -> dict[str, str]:
        """The domain, and whether the problem is easy or hard."""
        goals = len(self.task.goal) + len(self.task.unwanted)
        return {"task": self.task.domain, "level": "hard" if goals >= HARD_GOALS else "easy"}

    def metrics(self) -> dict[str, float]:
        """Whether the goal is out of reach."""
        return {"lost": float(self.state.lost)}

    def apply(self, action: str) -> Outcome:
        """Carry out an action, or say why not."""
        state = self.state
        world = self._world
        try:
            chosen = understand(world, state.facts, action)
        except NotUnderstoodError as error:
            return self._refuse(f"{_capital(str(error))}.", error.fault)
        if chosen == "look":
            return Outcome(world.describe(state.facts), state.best)
        if chosen == "check":
            return Outcome(f"Valid actions: {', '.join(self.valid_actions()) or 'none'}.", state.best)
        reason = world.explain(state.facts, chosen)
        if reason:
            return self._refuse(f"You cannot {say(world.domain, chosen)}: {reason}.")
        state.facts = chosen.result(state.facts)
        # The plan goes on while it is followed; after any other action the expert thinks again.
        follows = bool(state.plan) and state.plan[0] == (chosen.name, chosen.arguments)
        state.plan = state.plan[1:] if follows else []
        share = self.task.progress(state.facts)
        state.best = max(state.best, share)
        lost_before = state.lost
        state.lost = lost_before or self._puzzle.lost(self.task, state.facts)
        fault: Fault | Literal[""] = "dead end" if state.lost and not lost_before else ""
        if share == 1.0:
            return Outcome("The goal is reached.", 1.0, terminated=True)
        if self.difficulty == "easy":
            return Outcome(world.describe(state.facts), state.best, fault=fault)
        return Outcome(effect(world.domain, chosen), state.best, fault=fault)

    def valid_actions(self) -> list[str]:
        """The actions that can be carried out now."""
        return [say(self._world.domain, action) for action in self._world.applicable(self.state.facts)]

    def expert_action(self) -> str:
        """The next action of a short plan from the present state, whatever happened before.

        Where the goal is out of reach, what can still be reached comes first, and then nothing but ``look``.

        Raises:
            gymnasium.error.ResetNeeded: The goal is reached.
        """
        if not self.state.plan:
            try:
                self.state.plan = self._puzzle.solve(self.task, self.state.facts)
            except ValueError:
                return "look"
        if not self.state.plan:
            raise ResetNeeded("the goal is reached and nothing is left to do: call reset()")
        name, arguments = self.state.plan[0]
        return say(self._world.domain, self._world.ground(name, arguments))

    def _refuse(self, reason: str, fault: Fault = "invalid in this world") -> Outcome:
        if self.difficulty == "easy":
            reason += " " + self._world.describe(self.state.facts)
        return Outcome(reason, self.state.best, valid=False, fault=fault)


# Words -------------------------------------------------------------------------------------------------------------


class NotUnderstoodError(ValueError):
    """A text that means no action; the message is for the agent, and ``fault`` says what is wrong with it."""

    def __init__(self, message: str, fault: Fault) -> None:
        """Keep both."""
        super().__init__(message)
        self.fault = fault


def command_words(text: str, domain: Domain) -> str:
    """The command in a message, in small letters, without label, punctuation, articles and words that mean nothing.

    >>> from acenv.envs.world.blocksworld import DOMAIN
    >>> command_words("Action: Stack the red block on Blue.", DOMAIN)
    'stack red on blue'
    """
    return next(_readings(text, domain, ()))


def _readings(text: str, domain: Domain, names: Container[str]) -> Iterator[str]:
    """The command, and where objects have names of words that mean nothing, also without some of these words."""
    words = _NOT_WORDS.sub(" ", command_line(text).lower()).split()
    idle = [i for i, word in enumerate(words) if word in _ARTICLES or word in domain.fillers]
    doubtful = [i for i in idle if words[i] in names]
    surely = set(idle).difference(doubtful)
    doubtful = doubtful[:_MOST_DOUBTFUL]
    for count in range(len(doubtful) + 1):
        for dropped in itertools.combinations(doubtful, count):
            yield " ".join([word for i, word in enumerate(words) if i not in surely and i not in dropped])


def understand(world: World, state: State, text: str) -> Action | Literal["look", "check"]:
    """What the text means; what it leaves out is inferred from the state.

    Raises:
        NotUnderstoodError: No action has this form, or a name is unknown.
    """
    unknown = ""
    for words in _readings(text, world.domain, world.order):
        action, complaint = _matching(world, state, words)
        if action is not None:
            return action
        if words in ("look", "look around"):
            return "look"
        if words.split(" ")[0] == "check":
            return "check"
        unknown = unknown or complaint
    if unknown:
        raise NotUnderstoodError(unknown, "wrong argument")
    forms = ", ".join(form_text(world.domain, name) for name in world.domain.actions)
    fault = misread(command_words(text, world.domain), {*_patterns(world.domain), "look", "check"})
    raise NotUnderstoodError(f"this is no action; say one of: {forms}, look, check", fault)


def _matching(world: World, state: State, words: str) -> tuple[Action | None, str]:
    """The first action with this form that can be done, or else the first; and which name is unknown."""
    found: Action | None = None
    unknown = ""
    for name, pattern in _patterns(world.domain).get(words.partition(" ")[0], ()):
        match = pattern.fullmatch(words)
        if match is None:
            continue
        kinds = dict(world.domain.actions[name].parameters)
        given = match.groupdict()
        wrong = [(kinds[v], value) for v, value in given.items() if not world.has(value, kinds[v])]
        if wrong:
            unknown = unknown or f"there is no {wrong[0][0]} called {wrong[0][1]}"
            continue
        action = world.complete(state, name, given)
        if action.first_failure(state) is None:
            return action, ""
        found = found or action
    return found, unknown


@lru_cache(maxsize=64)
def _patterns(domain: Domain) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """A pattern for each form of each action, by the word that it begins with; names are words without spaces."""
    patterns: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for schema in domain.actions.values():
        for form in schema.forms:
            words = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\S+)", re.escape(form))
            patterns.setdefault(form.partition(" ")[0], []).append((schema.name, re.compile(words)))
    return patterns


def form_text(domain: Domain, name: str) -> str:
    """How an action is said, with types in capitals for the names.

    >>> from acenv.envs.world.gripper import DOMAIN
    >>> form_text(DOMAIN, "pick")
    'pick BALL with HAND'
    """
    schema = domain.actions[name]
    return schema.forms[0].format(**{variable: kind.upper() for variable, kind in schema.parameters})


def say(domain: Domain, action: Action) -> str:
    """A ground action as an agent would write it."""
    return domain.actions[action.name].forms[0].format(**_binding(domain, action))


def effect(domain: Domain, action: Action) -> str:
    """What the agent is told after an action."""
    return domain.actions[action.name].effect.format(**_binding(domain, action))


def _binding(domain: Domain, action: Action) -> dict[str, str]:
    parameters = domain.actions[action.name].parameters
    return {variable: value for (variable, _), value in zip(parameters, action.arguments, strict=True)}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
