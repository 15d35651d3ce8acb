"""``acenv/Ruler-v0``: RULER's tasks, generated, read from files, or drawn as its own generator draws them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from acenv.envs.answering import AnsweringEnv, Grade
from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.longcontext.ruler.generator import SIZES, TASKS, generate
from acenv.envs.longcontext.ruler.official import SAMPLES, official_samples, token_counter
from acenv.envs.longcontext.ruler.records import OfficialRecords, RulerTask, is_part, read_folder
from acenv.envs.longcontext.ruler.repository import find_generator
from acenv.envs.longcontext.ruler.scoring import clean_prediction, string_match_all, string_match_part, whole_match
from acenv.envs.sources import GENERATED

OFFICIAL_LENGTH = 4096
"""The shortest length that RULER reports."""


class RulerEnv(AnsweringEnv[RulerTask]):
    """Long context beyond one needle: the thirteen tasks of RULER (NVIDIA, arXiv 2404.06654).

    * ``niah_single_1`` to ``_3``: one value in repeated noise, in changing text, and as a long identifier;
    * ``niah_multikey_1`` to ``_3``: one value among a few others, and in nothing but others;
    * ``niah_multivalue``, ``niah_multiquery``: all values of one thing, the values of several things;
    * ``vt``: variables to which a value was handed on from one to the next;
    * ``cwe``, ``fwe``: the most common words of a list, and of a text in code;
    * ``qa_1``, ``qa_2``: questions about one of many documents, and about two of them together.

    Metrics: ``string_match_all`` (percentage of the references that occur in the answer) or, in question answering,
    ``string_match_part`` (100 if any does) are RULER's; ``score`` is the same in [0, 1], and the return. RULER finds
    ``"12"`` in ``"1234"`` and takes the repeated prompt for a perfect answer, so ``whole_match`` stands beside them:
    see :func:`.scoring.whole_match`. ``length`` is the size in tokens.

    Keywords beyond those of :class:`~acenv.envs.answering.AnsweringEnv`:

    * ``task``: one of the names above, or ``"mixed"``, which draws one for every episode;
    * ``length``: tokens of the prompt; ``None`` takes the value of the difficulty (100 / 4000 / 16000). With the
      official generator it is RULER's ``max_seq_length``, prompt and answer together, and 4096 by default;
    * ``tokenizer``: what counts tokens: an object with ``tokenize(text)`` or ``encode(text)``, or a function from text
      to a number. ``None`` counts words;
    * ``source``: ``"generated"``; a folder or file of samples as RULER writes them (``<task>/validation.jsonl``,
      ``<task>.jsonl``, ``<task>.json``); or a copy of RULER's repository, from whose texts its official samples are
      generated (:func:`.official.official_samples`, seed 42): record ``i`` is sample ``i % samples`` of task
      ``i // samples``. Official prompts are one message that ends with the beginning of the answer, as RULER's prompts
      for base models do;
    * ``samples``: how many official samples of a task to generate (RULER takes 500).
    """

    benchmark = "RULER"

    def __init__(
        self,
        *,
        task: str = "mixed",
        difficulty: Difficulty = "medium",
        split: Split = "test",
        length: int | None = None,
        tokenizer: Any = None,
        source: str | Path = GENERATED,
        samples: int = SAMPLES,
        render_mode: str | None = None,
    ) -> None:
        """Set up; see the class for the keywords.

        Raises:
            ValueError: A setting or a record is not as described.
            FileNotFoundError: There is no such data, or the repository lacks a file that a task needs.
        """
        if task != "mixed" and task not in TASKS:
            raise ValueError(f"task must be 'mixed' or one of {', '.join(TASKS)}, not {task!r}")
        if length is not None and length < 1:
            raise ValueError(f"length must be at least 1 token, not {length}")
        if samples < 1:
            raise ValueError(f"samples must be at least 1, not {samples}")
        self.tasks = TASKS if task == "mixed" else (task,)
        self.length = length
        self.samples = samples
        self._tokenizer = tokenizer
        self._count = token_counter(tokenizer)
        super().__init__(difficulty=difficulty, split=split, source=source, render_mode=render_mode)
        self._sizes = SIZES[self.difficulty] if length is None else replace(SIZES[self.difficulty], length=length)

    def generate(self, rng: np.random.Generator) -> RulerTask:
        """A sample of one of the tasks."""
        task = str(pick(rng, self.tasks))
        sample = generate(task, rng, self._sizes, self._count)
        return RulerTask(task, sample.prompt, sample.references, self._count(sample.prompt))

    def read(self, path: Path) -> Sequence[RulerTask]:
        """Samples as they are, or those of the official generator; see the class."""
        if find_generator(path) is None:
            return read_folder(path, self.tasks)

        def samples(task: str) -> Iterator[dict[str, Any]]:
            return official_samples(
                task, self.length or OFFICIAL_LENGTH, path, count=self.samples, tokenizer=self._tokenizer
            )

        return OfficialRecords(self.tasks, self.samples, samples, path)

    def fingerprint(self, task: RulerTask) -> str:
        """The question and its answer."""
        return repr((task.task, task.prompt.rsplit("\n", 1)[-1], task.references))

    def grade(self, answer: str) -> Grade:
        """Score an answer as RULER does, and more strictly."""
        part = is_part(self.task.task)
        match = (string_match_part if part else string_match_all)(clean_prediction(answer), self.task.references)
        metrics = {
            "score": match / 100.0,
            "string_match_part" if part else "string_match_all": match,
            "whole_match": whole_match(answer, self.task.references, part=part),
            "length": float(self.task.length),
        }
        return Grade(match / 100.0, metrics, valid=bool(answer.strip()))

    def labels(self) -> dict[str, str]:
        """The task."""
        return {"task": self.task.task}
