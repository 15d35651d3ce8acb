"""The six T-Eval environments: instruct, plan, reason, retrieve, understand, review."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np

from acenv.envs.answering import AnsweringEnv, Grade
from acenv.envs.base import Difficulty, Split, UnscorableError
from acenv.envs.encoders import load_encoder
from acenv.envs.sources import GENERATED
from acenv.envs.tools.faults import compare_names
from acenv.envs.tools.teval.generator import make_task
from acenv.envs.tools.teval.parsing import clean_answer
from acenv.envs.tools.teval.records import read_tasks
from acenv.envs.tools.teval.scoring import (
    call_scores,
    instruct_corrected,
    instruct_scores,
    instructed_call,
    plan_scores,
    read_call,
    read_plan,
    read_plan_lines,
    review_scores,
    text_scores,
)
from acenv.envs.tools.teval.task import FORMATS, Format, Kind, TevalTask
from acenv.types import Fault


class _TevalEnv(AnsweringEnv[TevalTask]):
    """What the six share.

    One conversation, one answer. ``info["metrics"]`` holds the official scores under the names of the official result
    files; those whose name ends in ``_corrected`` are ours, for a score that the official evaluator distorts. The
    return is what the official overall score takes from the record. Before it is scored, the text is cut and stripped
    as in the official test.py (:func:`.parsing.clean_answer`).

    An answer on which the official evaluator would end with an exception has none of the official metrics; ``unscored``
    is 1 then, and the return is the corrected score, or 0.

    With an official ``source`` the prompts are those of the records. Tool results, of role "function" there, are
    messages of the user, as the official templates have it for most models; neighbours of equal role become one
    message, so that every chat template takes them.
    """

    benchmark = "T-Eval"
    kind: ClassVar[Kind]
    default_format: ClassVar[str] = "json"

    def __init__(
        self,
        *,
        format: str | None = None,
        encoder: str = "hash",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        source: str | Path = GENERATED,
        render_mode: str | None = None,
    ) -> None:
        """Set up.

        Args:
            format: ``"json"``, ``"str"`` (also ``"string"``), or ``"mixed"``, which draws either; T-Eval's overall
                score needs episodes of both. None takes the default: ``"str"`` for review, else ``"json"``.
            encoder: Compares thoughts and steps (:func:`~acenv.envs.encoders.load_encoder`); the official one is
                ``"all-mpnet-base-v2"``.
            difficulty: Of generated tasks.
            split: Of generated tasks.
            source: ``"generated"``, or official files: see :func:`.records.read_tasks`.
            render_mode: None or ``"ansi"``.

        Raises:
            ValueError: A setting or a record is not as described.
            FileNotFoundError: There is no such data.
        """
        self.format = {"string": "str", None: self.default_format}.get(format, format)
        if self.format not in (*FORMATS, "mixed"):
            raise ValueError(f"format must be 'json', 'str' or 'mixed', not {format!r}")
        self.formats: tuple[Format, ...] = tuple(f for f in FORMATS if self.format in (f, "mixed"))
        self._encoder = load_encoder(encoder)
        super().__init__(difficulty=difficulty, split=split, source=source, render_mode=render_mode)

    def generate(self, rng: np.random.Generator) -> TevalTask:
        """Make up a task."""
        r = Random(int(rng.integers(2**63)))
        answer_format = self.formats[r.randrange(len(self.formats))] if len(self.formats) > 1 else self.formats[0]
        return make_task(r, self.kind, answer_format, self.difficulty)

    def fingerprint(self, task: TevalTask) -> str:
        """What is asked for, whatever the format."""
        return task.identity

    def read(self, path: Path) -> Sequence[TevalTask]:
        """Read the official records."""
        return read_tasks(path, self.kind, self.formats)

    def labels(self) -> dict[str, str]:
        """``task`` (instruct, plan, ...) and ``format`` (json or str)."""
        return {"task": self.kind, "format": self.task.format}

    def grade(self, answer: str) -> Grade:
        """Score the answer."""
        text = clean_answer(answer)
        try:
            score, metrics, valid = self.score(text)
        except UnscorableError:
            return Grade(self.fallback(text), {"unscored": 1.0}, valid=False)
        return Grade(score, metrics, valid, self.blame(text, metrics) if valid and score < 1.0 else "")

    def blame(self, text: str, metrics: Mapping[str, float]) -> Fault:
        """What is wrong with an answer that has the form that was asked for, and scores less than 1."""
        del text, metrics
        return "wrong answer"

    def known(self, name: str) -> bool:
        """Whether a tool's name stands in the question, as a word of its own."""
        word = re.compile(rf"(?<![\w.]){re.escape(name)}(?![\w.]*\w)")
        return any(word.search(message["content"]) for message in self.task.messages)

    def score(self, text: str) -> tuple[float, dict[str, float], bool]:
        """The return, the metrics, and whether the text had the form that was asked for.

        Raises:
            UnscorableError: The official evaluator would end with an exception.
        """
        raise NotImplementedError

    def fallback(self, text: str) -> float:
        """The return where the official evaluator gives none."""
        del text
        return 0.0


class ToolInstructEnv(_TevalEnv):
    """Write a given thought, tool and arguments in a form that is described.

    Metrics: ``json_format_metric json_args_em_metric``, or ``string_format_metric string_args_em_metric``, and
    ``instruct_corrected`` (:func:`.scoring.instruct_corrected`). Return: mean of the two official ones.
    """

    kind = "instruct"

    def score(self, text: str) -> tuple[float, dict[str, float], bool]:
        """See :func:`.scoring.instruct_scores`."""
        metrics = instruct_scores(text, self.task.gold, self.task.template or {})
        form, content = metrics.values()
        return (form + content) / 2, {**metrics, "instruct_corrected": self.fallback(text)}, form == 1.0

    def blame(self, text: str, metrics: Mapping[str, float]) -> Fault:
        """Whether tool or arguments are not those that are given."""
        call = instructed_call(text, self.task.template or {})
        if call is None or call["action"] == self.task.gold["action"]:
            return "wrong argument"
        return "wrong tool" if self.known(str(call["action"])) else "hallucinated tool"

    def fallback(self, text: str) -> float:
        """See :func:`.scoring.instruct_corrected`."""
        return instruct_corrected(text, self.task.gold, self.task.template or {})


class ToolPlanEnv(_TevalEnv):
    """Plan all the calls that a request needs, as a JSON list or as lines.

    Metrics: ``precision recall f1_score parse_rate``, and ``f1_score_corrected`` (:func:`.scoring.plan_scores`).
    Return: ``f1_score``.
    """

    kind = "plan"

    def score(self, text: str) -> tuple[float, dict[str, float], bool]:
        """See :func:`.scoring.plan_scores`."""
        task = self.task
        plan = read_plan(text) if task.format == "json" else read_plan_lines(text, task.apis)
        metrics = plan_scores(plan, task.gold, self._encoder)
        return metrics["f1_score"], metrics, bool(plan)

    def blame(self, text: str, metrics: Mapping[str, float]) -> Fault:
        """Whether the tools are others than those of the right plan, or fewer, or only their arguments differ."""
        task = self.task
        plan = read_plan(text) if task.format == "json" else read_plan_lines(text, task.apis)
        names = [str(step["name"]) for step in plan]
        if any(not self.known(name) for name in names):
            return "hallucinated tool"
        return compare_names(Counter(names), Counter(step["name"] for step in read_plan(task.gold)))


class _NextCallEnv(_TevalEnv):
    """The next thought, tool and arguments after a conversation: one JSON object with all three, or one of them."""

    metric: ClassVar[str]

    def score(self, text: str) -> tuple[float, dict[str, float], bool]:
        """See :func:`.scoring.call_scores` and :func:`.scoring.text_scores`."""
        task = self.task
        if task.format == "json":
            metrics = call_scores(text, task.gold, self._encoder)
        else:
            metrics = text_scores(task.kind, text, task.gold, self._encoder)
        score = metrics[self.metric]
        if self.metric == "args":
            score = metrics.get("args_corrected", score)
        # Rounding makes the cosine of a text with itself a little more or less than 1.
        return (1.0 if abs(score - 1.0) < 1e-6 else score), metrics, metrics["parse_rate"] == 1.0

    def blame(self, text: str, metrics: Mapping[str, float]) -> Fault:
        """What was asked for is what is wrong."""
        if self.metric == "name":
            name = read_call(text)["name"] if self.task.format == "json" else ""
            return "wrong tool" if self.known(name) else "hallucinated tool"
        return "wrong argument" if self.metric == "args" else "wrong answer"


class ToolReasonEnv(_NextCallEnv):
    """Say what to do next.

    Metrics: ``thought parse_rate``; in JSON also ``name args args_corrected``. Return: ``thought``.
    """

    kind = "reason"
    metric = "thought"


class ToolRetrieveEnv(_NextCallEnv):
    """Name the tool for the next step.

    Metrics: ``name parse_rate``; in JSON also ``thought args args_corrected``, in words ``name_corrected``
    (:func:`.scoring.text_scores`). Return: ``name``.
    """

    kind = "retrieve"
    metric = "name"


class ToolUnderstandEnv(_NextCallEnv):
    """Give the arguments of the next call; in words, one argument.

    Metrics: ``args parse_rate``; in JSON also ``thought name`` and ``args_corrected``. Return: ``args``, in JSON
    ``args_corrected``, because the official score of a perfect answer is less than 1 (:func:`.scoring.args_scores`).
    """

    kind = "understand"
    metric = "args"


class ToolReviewEnv(_TevalEnv):
    """Judge whether a call's result does what its goal asks: one of five letters, or ``{"is_finished": bool}``.

    Metrics: ``review_quality parse_rate``, and with letters ``review_quality_corrected``
    (:func:`.scoring.review_scores`). Return: ``review_quality``. The official data only has letters, so the default
    format is ``"str"``.
    """

    kind = "review"
    default_format = "str"

    def score(self, text: str) -> tuple[float, dict[str, float], bool]:
        """See :func:`.scoring.review_scores`."""
        metrics = review_scores(text, self.task.gold)
        return metrics["review_quality"], metrics, metrics["parse_rate"] == 1.0
