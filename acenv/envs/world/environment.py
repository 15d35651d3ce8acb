"""``acenv/PDDL-v0``: planning problems in words, one action a message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from gymnasium.error import ResetNeeded

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Snapshot, Split, pick
from acenv.envs.world.blocksworld import BLOCKSWORLD
from acenv.envs.world.gripper import GRIPPER
from acenv.envs.world.puzzle import Plan, Problem, Puzzle
from acenv.envs.world.strips import Action, Domain, State, World
from acenv.types import Message, Tool

DomainName = Literal["mixed", "gripper", "blocksworld"]

PUZZLES: dict[str, Puzzle] = {"gripper": GRIPPER, "blocksworld": BLOCKSWORLD}

MAX_COMMAND_CHARS = 200
"""Of a longer line only the start is read."""

_ARTICLES = frozenset({"the", "a", "an"})
_LABEL = re.compile(r"\baction\s*:", re.IGNORECASE)
_NOT_WORDS = re.compile(r"[^\w\s-]+|(?<!\w)-|-(?!\w)")


@dataclass(slots=True)
class PDDLState:
    """What changes in an episode.

    Attributes:
        facts: The present state of the world.
        best: Running maximum of the share of goal facts that hold.
        plan: What the expert means to do next; empty when it has to think again.
        limit: Actions after which the episode is cut.
    """

    facts: State
    best: float
    plan: Plan = field(default_factory=list)
    limit: int = 1


class PDDLEnv(ConversationEnv[Problem, PDDLState]):
    """Reach a goal in a small world of facts, by actions in short words (``stack red on blue``).

    The world is a STRIPS domain. An action that cannot be done is answered with the precondition that fails, and
    other text with the forms of the actions. ``check valid actions`` (or ``check``) lists what can be done, ``look``
    tells the whole state; both take a step and count as valid.

    The score is AgentBoard's progress rate: the running maximum of the share of goal facts that hold. Problems are
    drawn so that no goal fact holds at the start, so it begins at 0. Success is all of them at once, which ends the
    episode.

    At ``difficulty="easy"`` every observation tells the whole state; above, only the effect of the action.
    """

    def __init__(
        self,
        *,
        domain: DomainName = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            domain: ``"gripper"``, ``"blocksworld"``, or ``"mixed"``: each episode's seed decides.
            difficulty: ``"easy"``: 3 blocks, or 1 to 2 balls in 2 rooms; ``"medium"``: 5 to 6 blocks, or 3 to 4 balls;
                ``"hard"``: 7 to 9 blocks, or 6 to 7 balls in 5 rooms with few doors.
            split: Which problems to draw; ``"train"`` and ``"test"`` have none in common.
            max_steps: Actions after which an episode is cut. None: twice the length of the expert's plan, and 4 (at
                ``"easy"`` its length, and 4); the attribute ``max_steps`` then holds the limit of the present episode.
            render_mode: ``"ansi"`` or None.

        Raises:
            ValueError: A value that is not one of those named above.
        """
        super().__init__(
            difficulty=difficulty, split=split, max_steps=1 if max_steps is None else max_steps, render_mode=render_mode
        )
        if domain not in get_args(DomainName):
            raise ValueError(f"domain must be one of {', '.join(get_args(DomainName))}, not {domain!r}")
        self.domain = domain
        self._fixed_steps = max_steps
        self._world: World  # the present episode's; made of its task, and so no part of the state

    def sample_task(self, rng: np.random.Generator) -> Problem:
        """Draw a problem of the domain, or of any domain."""
        name = pick(rng, tuple(PUZZLES)) if self.domain == "mixed" else self.domain
        return PUZZLES[name].sample(rng, self.difficulty)

    def fingerprint(self, task: Problem) -> str:
        """Domain, start and goal, in an order that does not depend on how they were drawn."""
        return repr((task.domain, sorted(task.init), sorted(task.goal)))

    def open(self, task: Problem) -> tuple[PDDLState, list[Message], list[Tool]]:
        """Rules, goal and start in one message."""
        puzzle = PUZZLES[task.domain]
        plan = puzzle.solve(task, task.init)
        detours = 4 if self.difficulty == "easy" else len(plan) + 4
        self.max_steps = self._fixed_steps or len(plan) + detours
        self._world = World(puzzle.domain, task.objects)
        goal = " ".join(puzzle.domain.predicates[f[0]].say(f[1:]) + "." for f in task.goal)
        start = self._world.describe(task.init)
        parts = [puzzle.rules[self.difficulty], puzzle.place(task), f"Goal: {goal}", f"State: {start}"]
        opening = "\n".join(part for part in parts if part)
        return PDDLState(task.init, 0.0, plan, self.max_steps), [{"role": "user", "content": opening}], []

    def restore(self, snapshot: Snapshot) -> list[Message]:
        """See :meth:`ConversationEnv.restore`; the limit of steps comes back too."""
        messages = super().restore(snapshot)
        self.max_steps = self.state.limit
        self._world = World(PUZZLES[self.task.domain].domain, self.task.objects)
        return messages

    def apply(self, action: str) -> Outcome:
        """Carry out an action, or say why not."""
        state = self.state
        world = self._world
        words = command_words(action, world.domain)
        if words in ("look", "look around"):
            return Outcome(world.describe(state.facts), state.best)
        if words.split(" ")[0] == "check":
            listed = ", ".join(say(world.domain, a) for a in world.applicable(state.facts))
            return Outcome(f"Valid actions: {listed or 'none'}.", state.best)
        try:
            chosen = understand(world, state.facts, words)
        except ValueError as error:
            return self._refuse(f"{_capital(str(error))}.")
        reason = world.explain(state.facts, chosen)
        if reason:
            return self._refuse(f"You cannot {say(world.domain, chosen)}: {reason}.")
        state.facts = chosen.result(state.facts)
        # The plan goes on while it is followed; after any other action the expert thinks again.
        follows = bool(state.plan) and state.plan[0] == (chosen.name, chosen.arguments)
        state.plan = state.plan[1:] if follows else []
        share = sum(fact in state.facts for fact in self.task.goal) / len(self.task.goal)
        state.best = max(state.best, share)
        if share == 1.0:
            return Outcome("The goal is reached.", 1.0, terminated=True)
        if self.difficulty == "easy":
            return Outcome(world.describe(state.facts), state.best)
        return Outcome(effect(world.domain, chosen), state.best)

    def expert_action(self) -> str:
        """The next action of a short plan from the present state, whatever happened before.

        Raises:
            gymnasium.error.ResetNeeded: The goal is reached.
        """
        if not self.state.plan:
            self.state.plan = PUZZLES[self.task.domain].solve(self.task, self.state.facts)
        if not self.state.plan:
            raise ResetNeeded("the goal is reached and nothing is left to do: call reset()")
        name, arguments = self.state.plan[0]
        return say(self._world.domain, self._world.ground(name, arguments))

    def _refuse(self, reason: str) -> Outcome:
        if self.difficulty == "easy":
            reason += " " + self._world.describe(self.state.facts)
        return Outcome(reason, self.state.best, valid=False)


# Words -------------------------------------------------------------------------------------------------------------


def command_words(text: str, domain: Domain) -> str:
    """The command in a message, in small letters, without label, punctuation, articles and words that mean nothing.

    >>> from acenv.envs.world.blocksworld import DOMAIN
    >>> command_words("Action: Stack the red block on Blue.", DOMAIN)
    'stack red on blue'
    """
    label = _LABEL.search(text)
    lines = (text[label.end() :] if label else text).split("\n")
    line = next((line for line in lines if line.strip()), "")[:MAX_COMMAND_CHARS]
    words = _NOT_WORDS.sub(" ", line.lower()).split()
    return " ".join(w for w in words if w not in _ARTICLES and w not in domain.fillers)


def understand(world: World, state: State, words: str) -> Action:
    """The action that the words mean; what they leave out is inferred from the state.

    Raises:
        ValueError: No action has this form, or a name is unknown. The message is for the agent.
    """
    unknown = ""
    for name, pattern in _patterns(world.domain):
        match = pattern.fullmatch(words)
        if match is None:
            continue
        kinds = dict(world.domain.actions[name].parameters)
        wrong = [(kinds[v], value) for v, value in match.groupdict().items() if value not in world.of_type(kinds[v])]
        if not wrong:
            return world.complete(state, name, match.groupdict())
        unknown = unknown or f"there is no {wrong[0][0]} called {wrong[0][1]}"
    if unknown:
        raise ValueError(unknown)
    forms = ", ".join(form_text(world.domain, name) for name in world.domain.actions)
    raise ValueError(f"this is no action; say one of: {forms}, look, check")


@lru_cache(maxsize=64)
def _patterns(domain: Domain) -> list[tuple[str, re.Pattern[str]]]:
    """A pattern for each form of each action; names are words without spaces."""
    patterns = []
    for schema in domain.actions.values():
        for form in schema.forms:
            words = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\S+)", re.escape(form))
            patterns.append((schema.name, re.compile(words)))
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
