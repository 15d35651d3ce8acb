"""Stateful tools: the agent calls functions that change a small world, and is scored on what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import numpy as np

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split
from acenv.envs.tools.calls import Call, CallError, dump_json, parse_calls
from acenv.envs.tools.domains import TOOLS
from acenv.envs.tools.draft import Task
from acenv.envs.tools.faults import refused, stray
from acenv.envs.tools.furnish import furnish
from acenv.envs.tools.generator import generate
from acenv.envs.tools.scoring import Goal, exact, same_answer
from acenv.envs.tools.tooling import ToolError, World, tool
from acenv.types import Fault, Message, Tool

SYSTEM = 'Do the task with the tools, one call a message, as {"name": ..., "arguments": {...}}. End with finish.'
"""The system message of easy tasks; the others add :data:`CAUTION`."""

CAUTION = (
    " Look things up before you change anything: names resemble each other, and changes cannot be taken back. The "
    "result of each call comes back in the next message."
)

STATE_WEIGHT, CALLS_WEIGHT, ANSWER_WEIGHT = 0.5, 0.3, 0.2

MAX_STEPS: dict[str, int] = {"easy": 6, "medium": 16, "hard": 24}
"""Room for about twice the calls of the longest solution, and some."""


MAX_OBSERVATION = 4000
"""Longest result of one call, in characters; an agent that fills the world with text must not fill its context."""


def finish(world: World, answer: str = "") -> Any:
    """End the task, with the answer if there was a question."""
    return {"ok": True}


FINISH = tool(finish)


@dataclass(slots=True)
class Episode:
    """What changes while a task is worked on.

    Attributes:
        world: The world as it is.
        goal: The difference between the first world and the one that the solution leads to.
        made: Which steps of the solution were made.
        counted: Which of them count: a change does if all that it rests on was read before.
        recall: The share of the needed steps that count.
        stray: Whether a change was made that is no step of the solution.
        harm: What was wrong with the first of these changes.
        right: Facts of the goal that hold.
        damage: Changes that should not have been made and still stand.
        answered: Whether the answer was right.
        calls: Calls that were understood, ``finish`` excepted.
        useful: Calls among them that made a step of the solution.
        parse_errors: Messages without a call that could be understood.
        schema_errors: Calls of unknown tools, or with arguments that break the schema.
        tool_errors: Calls that the world did not allow.
    """

    world: World
    goal: Goal
    made: list[bool]
    counted: list[bool]
    recall: float = 0.0
    stray: bool = False
    harm: Fault | Literal[""] = ""
    right: int = 0
    damage: int = 0
    answered: bool = False
    calls: int = 0
    useful: int = 0
    parse_errors: int = 0
    schema_errors: int = 0
    tool_errors: int = 0


class ToolSandboxEnv(ConversationEnv[Task, Episode]):
    """Stateful tools (calendar, contacts and messages, files, shop, notes, bank, home, units) in multi-turn tasks.

    The agent calls one tool a message (several are carried out in order), sees the result as the next user message, and
    ends with ``finish``. Arguments are validated with jsonschema; errors come back as ``{"error": "..."}``.

    The score, of which every reward is the increase, is a weighted mean of the parts that the task has:

    - **state** (weight 0.5, if the solution changes anything): ``max(0, right - damage) / total`` over the facts that
      differ between the world at the start and the world that the solution leads to. A fact is a field of a record to
      change, a record to remove, or a field of a record to add; records to add are recognised by their content.
      ``damage`` counts what should not have been done and still stands: fields changed, records removed or added.
    - **calls** (weight 0.3): the share of the needed calls that were made. A reading may be replaced by another one
      that shows the same facts. A change counts if everything that it rests on was read before it (a partial order, so
      a lucky guess does not count).
    - **answer** (weight 0.2, if the task asks something): 1 if the ``answer`` given to ``finish`` agrees (numbers by
      value, words without regard to case and punctuation), else 0.

    Where the task changes nothing, damage divides the score by ``1 + damage``. The score is rounded down to 1/1024 (so
    rewards sum to it exactly), and is 1.0 only if all is right and nothing is broken; damage can lower it, so rewards
    may be negative. To finish at once gives 0.

    Beside the common metrics ``info["metrics"]`` has ``state_score`` (0 where nothing has to change), ``call_recall``
    and ``call_precision`` (calls that made a step of the solution, by the needed and by all calls), ``answer_correct``,
    and the counters ``parse_errors``, ``schema_errors`` and ``tool_errors``.
    """

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            difficulty: ``"easy"``: one or two calls, three or four tools. ``"medium"``: three to five calls that depend
                on each other, eight to twelve tools. ``"hard"``: two jobs, up to nine calls, fifteen to twenty tools.
            split: Which tasks to draw, ``"train"`` or ``"test"``.
            max_steps: Messages after which an episode is truncated; by default 6, 16 or 24, by difficulty.
            render_mode: ``"ansi"`` makes ``render`` return the conversation as text.

        Raises:
            ValueError: A value that is not one of those named above.
        """
        steps = MAX_STEPS.get(difficulty, 1) if max_steps is None else max_steps
        super().__init__(difficulty=difficulty, split=split, max_steps=steps, render_mode=render_mode)

    def sample_task(self, rng: np.random.Generator) -> Task:
        """Draw a task; a generator of the standard library, seeded from ``rng``, draws its many small values faster."""
        return generate(self.difficulty, Random(int(rng.integers(2**63))))

    def fingerprint(self, task: Task) -> str:
        """The request: equal requests are in one split, also where the world differs."""
        return task.request

    def open(self, task: Task) -> tuple[Episode, list[Message], list[Tool]]:
        """Carry out the solution on a copy of the world, to know what it leads to."""
        start = furnish(task)
        wanted = start.copy()
        for step in task.steps:
            if step.writes:
                TOOLS[step.call.name].run(wanted, step.call.arguments)
        count = len(task.steps)
        episode = Episode(start.copy(), Goal.between(start, wanted), [False] * count, [False] * count)
        tools = [TOOLS[name].schema for name in task.tools] + [FINISH.schema]
        system = SYSTEM if self.difficulty == "easy" else SYSTEM + CAUTION
        messages: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": task.request}]
        return episode, messages, tools

    def apply(self, action: str) -> Outcome:
        """Carry out the calls of a message."""
        episode = self.state
        try:
            calls = parse_calls(action)
        except CallError as error:
            episode.parse_errors += 1
            return Outcome(dump_json({"error": str(error)}), self._score(), valid=False, fault="unparsable")
        observations = []
        valid = True
        fault: Fault | Literal[""] = ""
        for call in calls:
            if call.name == "finish" and not FINISH.complaint(call.arguments):
                answer = self.task.answer
                episode.answered = answer is not None and same_answer(call.arguments.get("answer", ""), answer)
                if episode.recall < 1 or episode.right < episode.goal.total:
                    fault = fault or "gave up early"
                elif episode.damage:  # all was done, and something else too
                    fault = fault or episode.harm or "wrong tool"
                return Outcome("", self._score(), terminated=True, valid=valid, fault=fault)
            observation, accepted, found = self._carry_out(call)
            observations.append(observation)
            valid = valid and accepted
            fault = fault or found
        return Outcome("\n".join(observations), self._score(), valid=valid, fault=fault)

    def expert_action(self) -> str:
        """The next step of the solution that the world allows, or one that repairs something; at last ``finish``."""
        episode = self.state
        for i, step in enumerate(self.task.steps):
            pending = not episode.made[i] if step.writes or step.optional else not episode.counted[i]
            if pending and (not episode.stray or self._would_gain(step.call) is not None):
                return step.call.to_json()
        if episode.stray:
            for step in self.task.steps:
                if step.writes and (self._would_gain(step.call) or 0) > 0:
                    return step.call.to_json()
        answer = self.task.answer
        return Call("finish", {} if answer is None else {"answer": answer}).to_json()

    def metrics(self) -> dict[str, float]:
        """The parts of the score, and what went wrong how often."""
        episode = self.state
        total = episode.goal.total
        return {
            "state_score": max(0, episode.right - episode.damage) / total if total else 0.0,
            "call_recall": episode.recall,
            "call_precision": episode.useful / episode.calls if episode.calls else 0.0,
            "answer_correct": float(episode.answered),
            "parse_errors": float(episode.parse_errors),
            "schema_errors": float(episode.schema_errors),
            "tool_errors": float(episode.tool_errors),
        }

    # Inside ----------------------------------------------------------------------------------------------------------

    @property
    def _right(self) -> list[Call]:
        return [step.call for step in self.task.steps]

    def _carry_out(self, call: Call) -> tuple[str, bool, Fault | Literal[""]]:
        """Validate and run one call; the observation, whether the call was carried out, and what was wrong with it."""
        episode = self.state
        episode.calls += 1
        spec = FINISH if call.name == "finish" else TOOLS[call.name] if call.name in self.task.tools else None
        if spec is None:
            complaint = (
                f"There is no tool named {call.name[:60]!r}. The tools are: {', '.join((*self.task.tools, 'finish'))}."
            )
        else:
            complaint = spec.complaint(call.arguments)
        if spec is None or complaint:
            episode.schema_errors += 1
            return dump_json({"error": complaint}), False, "hallucinated tool" if spec is None else "schema violation"
        try:
            observation = dump_json(spec.run(episode.world, call.arguments))
        except ToolError as error:
            episode.tool_errors += 1
            return dump_json({"error": str(error)}), False, refused(call, self._right)
        if len(observation) > MAX_OBSERVATION:
            observation = dump_json({"error": f"the result has {len(observation)} characters: ask for less."})
        useful = self._note_change(call) if spec.writes else self._note_reading(call, observation)
        fault = "" if useful else stray(call, self._right)
        if spec.writes:
            episode.harm = episode.harm or fault
        return observation, True, fault

    def _note_reading(self, call: Call, observation: str) -> bool:
        """Whether it is one of the readings that the task needs."""
        episode = self.state
        useful = False
        for i, step in enumerate(self.task.steps):
            if not step.writes and not episode.counted[i] and (step.call == call or step.shown_by(observation)):
                episode.made[i] = episode.counted[i] = useful = True
        if useful:
            episode.useful += 1
            self._count_calls()
        return useful

    def _note_change(self, call: Call) -> bool:
        """Whether it is one of the changes that the task needs."""
        episode = self.state
        episode.right, episode.damage = episode.goal.compare(episode.world)
        for i, step in enumerate(self.task.steps):
            if step.writes and not episode.made[i] and step.call == call:
                episode.made[i] = True
                episode.counted[i] = all(episode.counted[k] for k in step.needs)
                episode.useful += 1
                self._count_calls()
                return True
        episode.stray = True
        return False

    def _count_calls(self) -> None:
        steps = self.task.steps
        needed = [done for step, done in zip(steps, self.state.counted, strict=True) if not step.optional]
        self.state.recall = sum(needed) / len(needed)

    def _would_gain(self, call: Call) -> int | None:
        """How many facts a call would put right, net of damage; ``None`` if the world would not allow it."""
        episode = self.state
        world = episode.world.copy()
        try:
            TOOLS[call.name].run(world, call.arguments)
        except ToolError:
            return None
        right, damage = episode.goal.compare(world)
        return (right - damage) - (episode.right - episode.damage)

    def _score(self) -> float:
        episode = self.state
        total = episode.goal.total
        asked = self.task.answer is not None
        if episode.damage == 0 and episode.right == total and episode.recall == 1 and (episode.answered or not asked):
            return 1.0
        value, weight = CALLS_WEIGHT * episode.recall, CALLS_WEIGHT
        if asked:
            value += ANSWER_WEIGHT * episode.answered
            weight += ANSWER_WEIGHT
        if total:
            value += STATE_WEIGHT * max(0, episode.right - episode.damage) / total
            weight += STATE_WEIGHT
        else:
            value /= 1 + episode.damage
        return min(exact(value / weight), 1023 / 1024)
