"""``acenv/BFCL-v0``: function calling in the categories of the Berkeley Function Calling Leaderboard."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, cast

import numpy as np

from acenv.envs.base import Difficulty, Outcome, Split, UnscorableError
from acenv.envs.recorded import RecordedEnv
from acenv.envs.sources import GENERATED
from acenv.envs.tools.bfcl.backends import PACKAGE
from acenv.envs.tools.bfcl.blame import blame
from acenv.envs.tools.bfcl.build import DONE
from acenv.envs.tools.bfcl.checker import check
from acenv.envs.tools.bfcl.dialogue import MAX_TURN_STEPS, Dialogue, Judgement
from acenv.envs.tools.bfcl.generator import generate
from acenv.envs.tools.bfcl.parsing import parse_answer
from acenv.envs.tools.bfcl.records import load_records
from acenv.envs.tools.bfcl.tasks import GENERATED_CATEGORIES, OFFICIAL_CATEGORIES, BFCLTask, language_of
from acenv.envs.tools.calls import CallError
from acenv.types import Fault, Message, Tool

MIXED = "mixed"
"""The ``category`` that is all of them."""


@dataclass(slots=True)
class BFCLState:
    """What changes during an episode.

    Attributes:
        metrics: The scores of a single-turn answer; empty before there is one.
        dialogue: How a multi-turn task stands; ``None`` in the others.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    dialogue: Dialogue | None = None


class BFCLEnv(RecordedEnv[BFCLTask, BFCLState]):
    """Which functions to call, and with what: the tasks of the Berkeley Function Calling Leaderboard (BFCL).

    **Single-turn** categories take one message. ``simple`` has one function, ``multiple`` several to choose from;
    ``parallel`` and ``parallel_multiple`` need several calls in one message, in any order. In ``irrelevance`` no
    function fits, and any text without a call is right; in ``relevance`` any call is. Calls are compared with the right
    ones by function, types and values (:mod:`.checker`). The metric ``accuracy``, which is the return, is 1 or 0.

    **Multi-turn** tasks have several turns of the user. The agent makes calls, one or several a message, and gets their
    results; a message without a call ends its turn. After each turn in which something had to be done, the state that
    the calls led to must equal that of the right calls, and the results of the right calls must be among those that the
    agent has got so far (in generated tasks only where nothing is changed, since there is more than one way to look
    things up). The first turn that fails, or that takes more than 20 messages with calls, ends the episode. The return
    is the share of turns that were right; the official ``accuracy`` is 1 if all were. ``restraint`` is the share of the
    turns in which nothing can be done and the agent did make no call: the official score forgives calls there.

    Calls are read in Python's notation or as JSON, see :func:`.parsing.parse_answer`. Values of Java and JavaScript are
    texts in the notation of the language. Official functions with dots in their names are offered with underscores, and
    either spelling is right.

    If the official evaluator fails on an answer, there is no ``accuracy`` but ``unscored`` = 1, and the return is 0.
    """

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        category: str = MIXED,
        source: str | Path | None = GENERATED,
        render_mode: str | None = None,
    ) -> None:
        """Set up, and read the data set if there is one.

        Args:
            difficulty: Of generated tasks.
            split: Of generated tasks; official records belong to both splits.
            category: One of the categories of the source, or ``"mixed"`` for all of them.
            source: ``"generated"``; ``"bfcl-eval"`` or None for the data in the package of that name, if it is
                installed; or a folder in its layout (``BFCL_v4_<category>.json``, ``possible_answer/``,
                ``multi_turn_func_doc/``). The multi-turn categories of official data need the package in any case, for
                the backends in it.
            render_mode: None or ``"ansi"``.

        Raises:
            ValueError: A setting or a record is not as described.
            FileNotFoundError: There is no such data.
            ImportError: The package ``bfcl-eval`` is needed and not installed.
        """
        self.source = PACKAGE if source is None else str(source)
        known = GENERATED_CATEGORIES if self.source == GENERATED else OFFICIAL_CATEGORIES
        if category != MIXED and category not in known:
            raise ValueError(
                f"category must be {MIXED!r} or, with source={self.source!r}, one of {', '.join(known)}; "
                f"not {category!r}"
            )
        self.category = category
        if self.source != GENERATED:
            self.records = load_records(self.source, None if category == MIXED else category)
        turns = 8 if self.records is None else max(len(task.turns) for task in self.records)
        # A limit that cannot be reached: each turn has one of its own.
        super().__init__(
            difficulty=difficulty, split=split, max_steps=turns * (MAX_TURN_STEPS + 2), render_mode=render_mode
        )

    def generate(self, rng: np.random.Generator) -> BFCLTask:
        """A task of the category, or of one of them."""
        category = self.category
        if category == MIXED:
            category = GENERATED_CATEGORIES[int(rng.integers(len(GENERATED_CATEGORIES)))]
        return generate(category, self.difficulty, Random(int(rng.integers(2**63))))

    def fingerprint(self, task: BFCLTask) -> str:
        """What the user says."""
        return "\n".join(m["content"] for turn in task.turns for m in turn.messages if m["role"] == "user")

    def open(self, task: BFCLTask) -> tuple[BFCLState, list[Message], list[Tool]]:
        """The first turn, and the tools that are there from the start."""
        dialogue = Dialogue.of(task) if task.kind == "multi_turn" and not task.unscorable else None
        messages = [cast(Message, dict(message)) for message in task.turns[0].messages]
        return BFCLState(dialogue=dialogue), messages, list(task.tools)

    def apply(self, action: str) -> Outcome:
        """Grade the answer, or carry out the calls of a multi-turn task."""
        task = self.task
        if task.unscorable:
            return Outcome("", 0.0, unscored=task.unscorable)
        dialogue = self.state.dialogue
        if dialogue is not None:
            return self._outcome(dialogue.answer(action, task))
        fault: Fault | Literal[""] = ""
        try:
            calls = parse_answer(action)
        except CallError:
            calls = []
            fault = "unparsable"
        valid = bool(calls) or task.kind == "irrelevance"
        try:
            wrong = check(task.kind, calls, task.functions, task.possible, language_of(task.category))
        except UnscorableError:
            self.state.metrics = {"unscored": 1.0}
            return Outcome("", 0.0, terminated=True, valid=valid, fault=fault)
        self.state.metrics = {"accuracy": float(not wrong)}
        if not wrong:
            return Outcome("", 1.0, terminated=True, valid=valid)
        fault = fault or blame(calls, task.functions, task.possible, language_of(task.category))
        return Outcome("", 0.0, terminated=True, valid=valid, fault=fault)

    def refuse(self, action: str, complaint: str) -> Outcome:
        """A single-turn answer that was cut is graded as far as it goes; in a dialogue the agent may try again."""
        dialogue = self.state.dialogue
        if dialogue is not None:
            return self._outcome(dialogue.refuse(complaint, self.task))
        outcome = self.apply(action)
        return Outcome("", outcome.score, terminated=True, valid=False, unscored=outcome.unscored)

    def expert_action(self) -> str:
        """A right answer; in a dialogue the next right call, or the end of the turn."""
        dialogue = self.state.dialogue
        if dialogue is None:
            return self.task.answer
        return "\n".join(call.to_json() for call in dialogue.next_calls(self.task)) or DONE

    def metrics(self) -> dict[str, float]:
        """``accuracy``, and ``restraint`` in dialogues that have turns in which nothing can be done."""
        dialogue = self.state.dialogue
        return dict(self.state.metrics) if dialogue is None else dialogue.metrics(self.task)

    def labels(self) -> dict[str, str]:
        """The category."""
        return {"category": self.task.category}

    def _outcome(self, judgement: Judgement) -> Outcome:
        return Outcome(judgement.observation, judgement.score, judgement.over, judgement.valid, fault=judgement.fault)
