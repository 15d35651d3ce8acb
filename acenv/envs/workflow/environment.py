"""``acenv/WorkflowFunctionCall-v0``: write the graph of API calls that does a task."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from acenv.envs.base import ConversationEnv, Difficulty, Outcome, Split
from acenv.envs.encoders import Encoder, load_encoder
from acenv.envs.workflow.evaluation import evaluate_workflow
from acenv.envs.workflow.generator import generate_task
from acenv.envs.workflow.graph import edge_labels, node_texts, parse_graph
from acenv.envs.workflow.records import load_records
from acenv.envs.workflow.task import WorkflowTask
from acenv.types import Message, Tool

_FINISH = re.compile(r"^[^\w\n]*+finish[^\w\n]*+$", re.IGNORECASE | re.MULTILINE)
_FIRST_NUMBER = re.compile(r"(?<!\d)(\d++)[:.] .")

_HELP = (
    "Nothing here belongs to a workflow. Write steps as numbered lines, such as `1: step`, and dependencies as pairs, "
    "such as `Edge: (START,1) (1,END)`."
)
_LARGEST = 100

MAX_STEPS: dict[str, int] = {"easy": 6, "medium": 12, "hard": 16}
"""Messages in which a workflow can be built node by node, with some to spare."""


@dataclass(slots=True)
class WorkflowState:
    """A workflow under construction.

    Attributes:
        parts: The messages that it consists of.
        finished: Whether the agent has said that it is complete.
        scores: The metrics of the finished workflow; empty until then.
    """

    parts: list[str] = field(default_factory=list)
    finished: bool = False
    scores: dict[str, float] = field(default_factory=dict)


class WorkflowFunctionCallEnv(ConversationEnv[WorkflowTask, WorkflowState]):
    """Write a workflow: ``Node:`` lines and ``Edge:`` pairs.

    There are two ways to answer. A **whole answer** is one message that has numbered lines, of which the first is
    number 1, an edge from START and an edge to END: it replaces all that was built, is scored as it stands, and ends
    the episode. Any other message that has numbered lines or edges **adds** them to the workflow; nodes are numbered in
    the order in which they come. ``Finish``, alone on a line, completes a workflow that was built so; so does the last
    step.

    The return is the mean of the official node F1 and graph F1. A workflow with edges but without a node, on which the
    official evaluator crashes, scores 0 and has the metric ``unscored`` = 1.
    """

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        source: str | Path = "generated",
        encoder: str | Encoder = "hash",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            difficulty: Of generated tasks.
            split: Of generated tasks. Official records are all for testing, and belong to both.
            source: ``"generated"``, or a file in the format of WorfBench's ``graph_eval.json``, or a folder that holds
                one. The messages of its records are used as they are; a seed draws a record, and
                ``reset(options={"index": i})`` picks one.
            encoder: Compares node texts: ``"hash"``, ``"minilm"``, the id or folder of a sentence-transformers model,
                or an :class:`~acenv.envs.encoders.Encoder` of your own.
            max_steps: Default 6, 12 or 16, by difficulty; with official records 1, as in the official evaluation.
            render_mode: None or ``"ansi"``.

        Raises:
            ValueError: A setting or the file is not as described here.
            FileNotFoundError: There is no such file.
            ImportError: The encoder needs a package that is not installed.
        """
        self._records = None if source == "generated" else load_records(Path(source))
        if max_steps is None:
            max_steps = MAX_STEPS.get(difficulty, 1) if self._records is None else 1
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        self.source = str(source)
        self.encoder = load_encoder(encoder) if isinstance(encoder, str) else encoder

    def sample_task(self, rng: np.random.Generator) -> WorkflowTask:
        """A generated task, or one of the records."""
        if self._records is None:
            return generate_task(rng, self.difficulty)
        return self._records[int(rng.integers(len(self._records)))]

    def draw_task(self, attempts: int = 1000) -> WorkflowTask:
        """A task of the split; official records are a test set as a whole, of which no half is kept back."""
        return super().draw_task(attempts) if self._records is None else self.sample_task(self.np_random)

    def load_task(self, index: int) -> WorkflowTask:
        """Record ``index`` of the file."""
        if self._records is None:
            return super().load_task(index)
        if not 0 <= index < len(self._records):
            raise ValueError(f"options['index'] = {index}, but {self.source} has records 0 to {len(self._records) - 1}")
        return self._records[index]

    def fingerprint(self, task: WorkflowTask) -> str:
        """The task's text without its list of APIs, whose order makes no new task."""
        return task.gold_text

    def open(self, task: WorkflowTask) -> tuple[WorkflowState, list[Message], list[Tool]]:
        """System and user message; the APIs are described there, not as tools: they are planned, never called."""
        return WorkflowState(), [cast(Message, dict(message)) for message in task.messages], []

    def apply(self, action: str) -> Outcome:
        """Take a whole answer, or add to the workflow."""
        state = self.state
        nodes, edges = node_texts(action), edge_labels(action)
        if is_whole_answer(action):
            state.parts = [action]
            return Outcome("", self._finish(action), terminated=True)
        built = "\n".join([*state.parts, action])
        count = len(node_texts(built))
        if count > _LARGEST:
            return Outcome(f"Not added: that would make {count} nodes, and {_LARGEST} is the most.", 0.0, valid=False)
        if nodes or edges:
            state.parts.append(action)
        if _FINISH.search(action):
            return Outcome("", self._finish(f"Node:\n{built}"), terminated=True)
        if self.steps == self.max_steps:
            return Outcome("", 0.0, valid=bool(nodes or edges))
        if not (nodes or edges):
            return Outcome(_HELP, 0.0, valid=False)
        so_far = f"{count} nodes and {len(edge_labels(built))} edges"
        return Outcome(f"The workflow has {so_far} so far. Add the next ones, or write Finish.", 0.0)

    def score_at_truncation(self, score: float) -> float:
        """An unfinished workflow is scored as it is."""
        parts = self.state.parts
        return self._finish(parts[0] if len(parts) == 1 else "Node:\n" + "\n".join(parts))

    def expert_action(self) -> str:
        """The whole gold workflow: it ends the episode, whatever was built before."""
        return self.task.gold_text

    def metrics(self) -> dict[str, float]:
        """The scores of a finished workflow; none while it is under construction."""
        return dict(self.state.scores)

    def _finish(self, text: str) -> float:
        evaluation = evaluate_workflow(parse_graph(text), self.task.gold, self.encoder)
        self.state.scores = evaluation.metrics()
        return evaluation.score


def is_whole_answer(text: str) -> bool:
    r"""Whether a message is a workflow from START to END, with its nodes numbered from 1.

    >>> is_whole_answer("Node:\n1: mix\nEdge: (START,1) (1,END)"), is_whole_answer("2: bake\nEdge: (1,2)")
    (True, False)
    """
    first = _FIRST_NUMBER.search(text)
    if first is None or first[1] != "1":
        return False
    edges = edge_labels(text)
    return any(a == "START" for a, _ in edges) and any(b == "END" for _, b in edges)
