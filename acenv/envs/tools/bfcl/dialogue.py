"""The turns of a multi-turn task, and whether each was right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from acenv.envs.tools.bfcl.backends import OfficialBackend
from acenv.envs.tools.bfcl.blame import breach
from acenv.envs.tools.bfcl.parsing import parse_answer
from acenv.envs.tools.bfcl.schemas import announce
from acenv.envs.tools.bfcl.tasks import BFCLTask, Scenario
from acenv.envs.tools.bfcl.worlds import Backend, SandboxBackend
from acenv.envs.tools.calls import Call, CallError
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Task
from acenv.envs.tools.faults import compare_names, refused, stray
from acenv.types import Fault, Tool

MAX_TURN_STEPS = 20
"""Messages with calls in one turn; official, one more ends the attempt."""


MAX_OBSERVATION = 50_000
"""Longest results of one message, in characters; right calls of the official data have up to 32,000."""

_CALL_BEGINS = re.compile(r"\{|\w\(\w{1,60}=")
"""What looks like the beginning of a call, in JSON or in Python's notation."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one message of the agent led to.

    Attributes:
        observation: What the agent is told: the results of its calls, or the next turn.
        score: The share of the turns that were right.
        over: Whether the last turn has ended, or one was wrong.
        valid: Whether all calls of the message could be carried out.
        fault: What was wrong with the message, or with the turn that it ends.
    """

    observation: str
    score: float
    over: bool = False
    valid: bool = True
    fault: Fault | Literal[""] = ""


@dataclass(slots=True)
class Dialogue:
    """How far a multi-turn task has come.

    Attributes:
        backend: What the agent's calls act on.
        reference: What the right calls act on, up to the last turn that has ended.
        turn: The present turn, from 0.
        made: Calls of the present turn.
        messages: Messages with calls in the present turn.
        results: Results of all calls so far.
        idle: Turns in which nothing could be done and no call was made.
        wrong: Why a turn was wrong; empty if none was.
    """

    backend: Backend
    reference: Backend
    turn: int = 0
    made: list[Call] = field(default_factory=list)
    messages: int = 0
    results: list[str] = field(default_factory=list)
    idle: int = 0
    wrong: str = ""

    @classmethod
    def of(cls, task: BFCLTask) -> Dialogue:
        """The start of a multi-turn task."""
        return cls(_backend(task), _backend(task))

    def answer(self, text: str, task: BFCLTask) -> Judgement:
        """Carry out the calls of a message, or end the turn if it has none."""
        try:
            calls = parse_answer(text)
        except CallError:
            # A message without a call ends the turn; one with a call that is broken was not meant to.
            return self._end_turn(task, "unparsable" if _CALL_BEGINS.search(text) else "")
        results = []
        valid = True
        fault: Fault | Literal[""] = ""
        for call in calls:
            result, accepted = self.backend.run(call)
            results.append(result)
            valid = valid and accepted
            if not accepted and not fault:
                fault = breach(call, self._offered(task)) or refused(call, task.turns[self.turn].calls)
        self.made += calls
        self.results += results
        if self._too_many():
            return Judgement("", self._score(task), over=True, valid=valid, fault=fault or "wrong tool")
        shown = "\n".join(results)
        if len(shown) > MAX_OBSERVATION:
            shown = f"{shown[:MAX_OBSERVATION]}..."
        return Judgement(shown, self._score(task), valid=valid, fault=fault)

    def refuse(self, complaint: str, task: BFCLTask) -> Judgement:
        """A message that was too long or no text: it counts as one with calls, and does nothing."""
        return Judgement(complaint, self._score(task), over=self._too_many(), valid=False)

    def next_calls(self, task: BFCLTask) -> tuple[Call, ...]:
        """The next right calls of the turn, if the agent has made none but right ones; none where the turn may end.

        One at a time, as far as a turn has room for that.
        """
        right = task.turns[self.turn].calls
        size = -(-len(right) // MAX_TURN_STEPS)
        return right[len(self.made) : len(self.made) + size]

    def metrics(self, task: BFCLTask) -> dict[str, float]:
        """The official score, and ours."""
        metrics = {"accuracy": float(self.turn == len(task.turns) and not self.wrong)}
        empty = sum(not turn.calls for turn in task.turns)
        if empty:
            metrics["restraint"] = self.idle / empty
        return metrics

    def _too_many(self) -> bool:
        """Count a message with calls; whether it was one too many."""
        self.messages += 1
        if self.messages > MAX_TURN_STEPS:
            self.wrong = f"turn {self.turn + 1} took more than {MAX_TURN_STEPS} messages with calls"
        return bool(self.wrong)

    def _offered(self, task: BFCLTask) -> list[Tool]:
        """The tools that there are in the present turn."""
        return [*task.tools, *(tool for turn in task.turns[: self.turn + 1] for tool in turn.added)]

    def _end_turn(self, task: BFCLTask, fault: Fault | Literal[""] = "") -> Judgement:
        self.wrong = self._check_turn(task)
        if self.wrong:
            fault = fault or _blame(self.made, task.turns[self.turn].calls)
            return Judgement("", self._score(task), over=True, fault=fault)
        self.turn += 1
        self.made = []
        self.messages = 0
        if self.turn == len(task.turns):
            return Judgement("", 1.0, over=True)
        following = task.turns[self.turn]
        parts = [message["content"] for message in following.messages]
        if following.added:
            parts.insert(0, announce(following.added))
        return Judgement("\n\n".join(parts), self._score(task))

    def _check_turn(self, task: BFCLTask) -> str:
        """Why the turn that ends was wrong; empty if it was right. As ``multi_turn_checker.py`` of ``bfcl-eval``."""
        right = task.turns[self.turn].calls
        expected = [self.reference.run(call)[0] for call in right]
        if not right:
            self.idle += not self.made
            return ""
        if not self.made:
            return "there were no calls"
        if self.backend.state() != self.reference.state():
            return "the calls led to another state than the right ones"
        if isinstance(task.backend, Task) and any(TOOLS[call.name].writes for call in right):
            return ""  # what was changed rests on what was read, and that may be read in more ways than one
        left = list(self.results)
        for result in expected:
            if result not in left:
                return "a result of the right calls is missing among those of the calls made"
            left.remove(result)
        return ""

    def _score(self, task: BFCLTask) -> float:
        return self.turn / len(task.turns)


def _blame(made: Sequence[Call], right: Sequence[Call]) -> Fault:
    """What is wrong with the calls of a turn."""
    fault = compare_names(Counter(call.name for call in made), Counter(call.name for call in right))
    if fault == "gave up early" and any(stray(call, right) for call in made):
        return "wrong argument"  # there are too few calls, and these are not right either
    return fault


def _backend(task: BFCLTask) -> Backend:
    backend = task.backend
    if isinstance(backend, Scenario):
        return OfficialBackend.of(backend)
    if isinstance(backend, Task):
        return SandboxBackend.of(backend)
    raise TypeError(f"the task {task.name!r} has turns but no backend")
