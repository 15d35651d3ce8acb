"""What the workflow environments share: an answer, at once or node by node, and its scores."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

from acenv.envs.base import Difficulty, Outcome, Split
from acenv.envs.encoders import Encoder, load_encoder
from acenv.envs.recorded import RecordedEnv
from acenv.envs.sources import GENERATED, find_source
from acenv.envs.workflow.evaluation import evaluate_text, restore_end
from acenv.envs.workflow.graph import edge_labels, node_texts
from acenv.envs.workflow.records import EXAMPLES_FILE, load_examples, load_records, with_examples
from acenv.envs.workflow.task import WorkflowTask
from acenv.types import Fault, Message, Tool

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
        scores: The metrics of the finished workflow; empty until then.
        unscored: Why the official evaluator crashes on the finished workflow; empty if it does not.
    """

    parts: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    unscored: str = ""


class WorkflowEnv(RecordedEnv[WorkflowTask, WorkflowState]):
    """Write a workflow: ``Node:`` lines and ``Edge:`` pairs.

    There are two ways to answer. A **whole answer** is one message that has numbered lines, of which the first is
    number 1, an edge from START and an edge to END: it replaces all that was built, is scored as it stands, and ends
    the episode. Any other message that has numbered lines or edges **adds** them to the workflow; nodes are numbered in
    the order in which they come. ``Finish``, alone on a line, completes a workflow that was built so; so does the last
    step.

    The return is the mean of the official node F1 and graph F1. Beside the official metrics, ``node_f1_corrected`` and
    ``graph_f1_corrected`` are without the official faults: see :func:`~acenv.envs.workflow.evaluation.corrected_scores`
    and :func:`~acenv.envs.workflow.evaluation.restore_end`. On a workflow with edges but without a node the official
    node score crashes: its metrics are left out, ``unscored`` is 1, the return is that of the corrected scores, and
    ``state.unscored`` says why. A record whose gold workflow cannot be scored makes the episode an error.

    ``info["labels"]`` has the ``task``: the official split, or the kind of generated task.
    """

    wrong_end = "wrong graph"
    splits: ClassVar[tuple[str, ...]] = ()
    """The official splits of this family."""

    def __init__(
        self,
        *,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        source: str | Path = GENERATED,
        task: str | None = None,
        few_shot: bool | str | Path = False,
        stop_at_end: bool = False,
        encoder: str | Encoder = "hash",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Make the environment.

        Args:
            difficulty: Of generated tasks.
            split: Of generated tasks. Official records are all for testing, and belong to both.
            source: ``"generated"``, or official data of WorfBench: the folder ``gold_traj``, the folder of one split, a
                file in the format of its ``graph_eval.json``, or the id of a data set on the Hugging Face hub that has
                such files. The messages of its records are used as they are; seeds 0 to n - 1 take each of n once, and
                ``reset(options={"index": i})`` picks one.
            task: One of :attr:`splits`, to read no other; None reads all of them that the source has.
            few_shot: Put the official examples of the task before the question: ``True`` looks for the file
                ``prompts/eval_prompt.py`` in the folders that contain the source, as in the official repository; a path
                names the file or the repository's folder. There are none for ``seal_tools`` and ``intercodesql``.
            stop_at_end: Give the official metrics of the answer up to its first "END", as ACBench does, which stops the
                generation there. The corrected metrics and the return are those of the whole answer; in one that comes
                without its end, every node without a successor leads to END.
            encoder: Compares node texts: ``"hash"``, ``"minilm"``, the id or folder of a sentence-transformers model,
                or an :class:`~acenv.envs.encoders.Encoder` of your own.
            max_steps: Default 6, 12 or 16, by difficulty; with official records 1, as in the official evaluation.
            render_mode: None or ``"ansi"``.

        Raises:
            ValueError: A setting or the file is not as described here.
            FileNotFoundError: There is no such file.
            ImportError: The encoder needs a package that is not installed.
        """
        self.source = str(source)
        if task is not None and task not in self.splits:
            raise ValueError(f"task must be None or one of {', '.join(self.splits)}, not {task!r}")
        if self.source != GENERATED:
            path = find_source(source, "WorfBench")
            self.records = load_records(path, self.splits, task)
            if few_shot is not False:
                file = _examples_near(path) if few_shot is True else Path(few_shot).expanduser()
                examples = load_examples(file, sorted({t.kind for t in self.records}))
                self.records = [with_examples(t, examples) for t in self.records]
        elif task is not None or few_shot is not False:
            raise ValueError("task= and few_shot= are of official records: name their folder with source=")
        if max_steps is None:
            max_steps = MAX_STEPS.get(difficulty, 1) if self.records is None else 1
        super().__init__(difficulty=difficulty, split=split, max_steps=max_steps, render_mode=render_mode)
        self.stop_at_end = stop_at_end
        self.encoder = load_encoder(encoder) if isinstance(encoder, str) else encoder

    def fingerprint(self, task: WorkflowTask) -> str:
        """The right answer: what else is listed, and in which order, makes no new task."""
        return task.gold_text

    def open(self, task: WorkflowTask) -> tuple[WorkflowState, list[Message], list[Tool]]:
        """The prompt; what can be done is described there, not as tools: it is planned, and never called."""
        return WorkflowState(), [cast(Message, dict(message)) for message in task.messages], []

    def apply(self, action: str) -> Outcome:
        """Take a whole answer, or add to the workflow."""
        if self.task.unscorable:
            return Outcome("", 0.0, unscored=self.task.unscorable)
        state = self.state
        nodes, edges = node_texts(action), edge_labels(action)
        if is_whole_answer(restore_end(action) if self.stop_at_end else action):
            state.parts = [action]
            return Outcome("", self._finish(action), terminated=True)
        built = "\n".join([*state.parts, action])
        count = len(node_texts(built))
        if count > _LARGEST:
            told = f"Not added: that would make {count} nodes, and {_LARGEST} is the most."
            return Outcome(told, 0.0, valid=False, fault="wrong graph")
        if nodes or edges:
            state.parts.append(action)
        if _FINISH.search(action):
            return Outcome("", self._finish(f"Node:\n{built}"), terminated=True)
        if self.steps == self.max_steps:
            fault: Fault = "wrong graph" if state.parts else "unparsable"
            return Outcome("", 0.0, valid=bool(nodes or edges), fault=fault)
        if not (nodes or edges):
            return Outcome(_HELP, 0.0, valid=False, fault="unparsable")
        so_far = f"{count} nodes and {len(edge_labels(built))} edges"
        return Outcome(f"The workflow has {so_far} so far. Add the next ones, or write Finish.", 0.0)

    def refuse(self, action: str, complaint: str) -> Outcome:
        """A record that cannot be scored stays so, whatever the action."""
        if self.task.unscorable:
            return Outcome("", 0.0, unscored=self.task.unscorable)
        return super().refuse(action, complaint)

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

    def labels(self) -> dict[str, str]:
        """The official split, or the kind of generated task."""
        return {"task": self.task.kind}

    def _finish(self, text: str) -> float:
        evaluation = evaluate_text(text, self.task.gold, self.encoder, stop_at_end=self.stop_at_end)
        self.state.scores = evaluation.metrics()
        self.state.unscored = evaluation.unscored
        if self.stop_at_end:
            return evaluate_text(restore_end(text), self.task.gold, self.encoder).score
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


def _examples_near(source: Path) -> Path:
    """The closest folder around official data that has the official examples, or the data's own if none has."""
    folders = [source, *source.resolve().parents]
    return next((folder for folder in folders if (folder / EXAMPLES_FILE).is_file()), source)
