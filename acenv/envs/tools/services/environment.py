"""The base of ``acenv/ToolQuery-v0`` and ``acenv/ToolOperation-v0``: an episode with a simulated service."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar, Literal

import numpy as np

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split, pick
from acenv.envs.tools.calls import Call, CallError
from acenv.envs.tools.faults import refused, stray
from acenv.envs.tools.scoring import same_answer
from acenv.envs.tools.services.protocol import ERROR, parse_action, say
from acenv.envs.tools.services.service import CHECK, FINISH, Refusal, Service, ServiceState, ServiceTask, match
from acenv.envs.tools.tooling import ToolError
from acenv.types import Fault, Message, Tool

MAX_STEPS: dict[str, int] = {"easy": 6, "medium": 30, "hard": 30}
"""AgentBoard's 30; easy tasks take four at most."""

MAX_OBSERVATION = 6000
"""Longest result of one call, in characters."""

SYSTEM = "Do the task with the tools, one call a message, as Action: NAME with Action Input: {...}. End with finish."
"""The system message of easy tasks; the others add :data:`CAUTION` and the notes of the service."""

CAUTION = (
    " The result of each call comes back in the next message, and an error starts with ERROR |. check_valid_actions "
    "lists the tools. Take names, numbers and dates exactly as the tools give them, and write "
    "numbers without quotes."
)


class ServiceEnv(ConversationEnv[ServiceTask, ServiceState]):
    """A request to a simulated service, one tool call a message (see :mod:`.protocol` for the forms).

    The score is AgentBoard's progress rate: the running maximum of the share of the wanted results that were seen
    (each wanted result takes one equal result of a call, whichever call it came from), or what the service says.
    ``finish`` ends the episode (AgentBoard ends at any action that holds the word; here only the tool does).
    ``success`` is ``finish`` with full progress, and what else the service asks for. ``grounding`` is the share of the
    actions whose observation does not start with ``ERROR |``; a refusal by the service does not.

    ``info["metrics"]`` also has ``answer_correct`` (the answer agrees but for its form: ``"12"`` for 12, a name in a
    sentence), ``parse_errors``, ``schema_errors`` and ``tool_errors`` (calls that the service refused).
    """

    services: ClassVar[Mapping[str, Service]]

    def __init__(
        self,
        *,
        domain: str = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            domain: One of the services, or ``"mixed"``: each episode's seed decides.
            difficulty: ``"easy"``, ``"medium"`` or ``"hard"``; the environment says what it means.
            split: Which tasks to draw, ``"train"`` or ``"test"``.
            max_steps: Actions after which an episode is truncated; by default 6 at ``"easy"``, else AgentBoard's 30.
            render_mode: ``"ansi"`` makes ``render`` return the conversation as text.

        Raises:
            ValueError: A value that is not one of those named above.
        """
        steps = MAX_STEPS.get(difficulty, 1) if max_steps is None else max_steps
        super().__init__(difficulty=difficulty, split=split, max_steps=steps, render_mode=render_mode)
        if domain != "mixed" and domain not in self.services:
            raise ValueError(f"domain must be one of mixed, {', '.join(self.services)}, not {domain!r}")
        self.domain = domain

    def sample_task(self, rng: np.random.Generator) -> ServiceTask:
        """Draw a task of the domain, or of any domain."""
        name = pick(rng, tuple(self.services)) if self.domain == "mixed" else self.domain
        return self.services[name].sample(Random(int(rng.integers(2**63))), self.difficulty, self.split)

    def fingerprint(self, task: ServiceTask) -> str:
        """The request: equal requests are in one split, also where the data differ."""
        return f"{task.domain}: {task.goal}"

    def open(self, task: ServiceTask) -> tuple[ServiceState, list[Message], list[Tool]]:
        """One system message, and the request."""
        service = self.services[task.domain]
        offered = service.tools_for(task, self.difficulty)
        state = ServiceState(service.connect(task), offered, [False] * len(task.subgoals))
        tools = [service.tools[name].schema for name in offered]
        system = SYSTEM if self.difficulty == "easy" else f"{SYSTEM}{CAUTION} {service.notes}".rstrip()
        return state, [{"role": "system", "content": system}, {"role": "user", "content": task.goal}], tools

    def refuse(self, action: str, complaint: str) -> Outcome:
        """Text that is too long, or no text."""
        self.state.parse_errors += 1
        return super().refuse(action, f"{ERROR}{complaint}")

    def apply(self, action: str) -> Outcome:
        """Carry out the call in a message."""
        state = self.state
        service = self.services[self.task.domain]
        before = state.best
        observation, valid, fault, call = self._carry_out(action)
        state.best = max(state.best, service.progress(self.task, state))
        if state.finished:
            return Outcome("", state.best, terminated=True, valid=valid, fault=fault or self._end_fault())
        if call is not None and state.best == before:
            fault = stray(call, self.task.plan)
            if service.tools[call.name].writes:
                state.harm = state.harm or fault
        return Outcome(observation, state.best, valid=valid, fault=fault)

    def expert_action(self) -> str:
        """The next call that brings something that is missing; at last ``finish`` with the answer."""
        return say(self.services[self.task.domain].next_call(self.task, self.state))

    def labels(self) -> dict[str, str]:
        """The domain, and AgentBoard's easy / hard split."""
        return {"task": self.task.domain, "level": self.task.level}

    def metrics(self) -> dict[str, float]:
        """Success as AgentBoard has it, and what went wrong how often."""
        task, state = self.task, self.state
        full = state.finished and state.best == 1.0
        wanted = task.plan[-1].arguments.get("answer")
        return {
            "success": float(full and self.services[task.domain].succeeded(task, state)),
            "answer_correct": float(state.finished and agrees(state.answer, wanted)),
            "parse_errors": float(state.parse_errors),
            "schema_errors": float(state.schema_errors),
            "tool_errors": float(state.tool_errors),
        }

    # Inside ----------------------------------------------------------------------------------------------------------

    def _end_fault(self) -> Fault | Literal[""]:
        """What ``finish`` came too early for, or could no longer mend; empty where only the answer can be wrong."""
        metrics = self.metrics()
        if metrics["success"] == 1.0:
            return ""
        task, state = self.task, self.state
        if self.services[task.domain].next_call(task, state).name != FINISH.name:
            return "gave up early"
        asked = "answer" in task.plan[-1].arguments
        return "" if asked and not metrics["answer_correct"] else state.harm

    def _carry_out(self, action: str) -> tuple[str, bool, Fault | Literal[""], Call | None]:
        """Parse, validate and run one call.

        Returns:
            The observation, whether the call counts as grounded, what was wrong with it, and the call if the service
            carried it out.
        """
        state, task = self.state, self.task
        service = self.services[task.domain]
        try:
            call = parse_action(action)
        except CallError as error:
            state.parse_errors += 1
            return f"{ERROR}{error}", False, "unparsable", None
        offered = state.offered
        if call.name not in offered:
            state.schema_errors += 1
            told = f"There is no tool named {call.name[:60]!r}. The tools are: {', '.join(offered)}."
            return f"{ERROR}{told}", False, "hallucinated tool", None
        complaint = service.tools[call.name].complaint(call.arguments)
        if complaint:
            state.schema_errors += 1
            return f"{ERROR}{complaint}", False, "schema violation", None
        if call.name == CHECK.name:
            return f"The tools are: {', '.join(offered)}.", True, "", None
        try:
            reply = service.respond(state.world, call)
        except Refusal as error:
            state.tool_errors += 1
            return str(error), True, refused(call, task.plan), None
        except ToolError as error:
            state.tool_errors += 1
            return f"{ERROR}{error}", False, refused(call, task.plan), None
        if call.name == FINISH.name:
            state.finished, state.answer = True, reply.result
        elif len(reply.text) > MAX_OBSERVATION:
            told = f"the result has {len(reply.text)} characters: ask for less."
            return f"{ERROR}{told}", False, "invalid in this world", None
        state.found.append(reply.subgoal)
        if "Invalid" not in reply.text:  # AgentBoard leaves the count as it is after such an observation.
            state.matched = match(service, state.found, task.subgoals)
        return reply.text, True, "", call


def agrees(given: Any, wanted: Any) -> bool:
    """Whether two answers agree but for their form.

    >>> agrees("It is 12.", 12), agrees(["b", "a"], ["a", "b"]), agrees("a", None)
    (True, True, False)
    """
    if wanted is None:
        return False
    if isinstance(wanted, list):
        return isinstance(given, list) and sorted(map(str, given)) == sorted(map(str, wanted))
    return not isinstance(given, list) and same_answer(str(given), str(wanted))
