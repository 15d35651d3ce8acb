"""``acenv/LongGenBench-v0``: many questions at once, to be answered in one long text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from acenv.envs.answering import AnsweringEnv, Grade
from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.longcontext.longgenbench.generator import generate
from acenv.envs.longcontext.longgenbench.records import LongGenTask, read_records
from acenv.envs.longcontext.longgenbench.scoring import TASKS, acbench_score, corrected_score, upstream_score
from acenv.envs.sources import GENERATED


class LongGenBenchEnv(AnsweringEnv[LongGenTask]):
    """Long generation: K questions in one prompt, all to be answered (LongGenBench, Liu et al. 2024, arXiv 2410.04199).

    Answers have the form ``Answer_9:``, a line of reasoning or more, and ``The answer is 7.`` (``gsm8k``) or, on the
    line on which the answer begins, ``The answer is (B).`` (``mmlu``).

    Metrics, all in [0, 1]: ``score``, the share of right answers as ACBench's evaluator finds them, is the return;
    ``upstream_score`` is what the benchmark's authors compute; ``corrected_score`` goes by the number of the question.
    The first two pair answers with questions by their place, so that one answer left out, or written in another form,
    makes all later ones wrong, and each reads some right answers wrongly: see :mod:`.longgenbench.scoring`.

    Keywords beyond those of :class:`~acenv.envs.answering.AnsweringEnv`:

    * ``task``: ``"gsm8k"`` (calculations in several steps), ``"mmlu"`` (multiple choice), or ``"mixed"``;
    * ``questions``: how many; ``None`` takes 3 / 10 / 30 by difficulty, and of official data what ACBench takes: 30 of
      GSM8K, 20 of MMLU;
    * ``source``: ``"generated"``, where the multiple choice is about a sheet of facts that the prompt holds; a folder
      with ``MMLU/test/*_test.csv``, GSM8K's ``test.jsonl`` (``{"question", "answer"}``) and the prompts of the
      benchmark (``LongGenBench_MMLU_prompt``, ``LongGenBench_GSM8K_prompt``), whatever the tasks need of these; or
      ready-made sets as ACBench reads them, ``gsm8k_30.jsonl`` and ``mmlu_20.jsonl``
      (``{"prompt", "questions", "answers"}``, and ``"task"`` for MMLU). The sets are the official ones: all of GSM8K,
      the first K questions of every subject of MMLU. As officially, a question with a blank line in it counts as two,
      so that the gold answers to all later ones of that subject are those of the question after, and the choice "None"
      reads "nan".

    :attr:`max_new_tokens` is what ACBench allows. Labels: ``task``, and the ``subject`` of MMLU.
    """

    benchmark = "LongGenBench"
    max_action_chars = 100_000

    QUESTIONS = {"easy": 3, "medium": 10, "hard": 30}

    def __init__(
        self,
        *,
        task: str = "mixed",
        questions: int | None = None,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        source: str | Path = GENERATED,
        render_mode: str | None = None,
    ) -> None:
        """Set up; see the class for the keywords.

        Raises:
            ValueError: A setting or a record is not as described.
            FileNotFoundError: There is no such data.
        """
        if task != "mixed" and task not in TASKS:
            raise ValueError(f"task must be 'mixed' or one of {', '.join(TASKS)}, not {task!r}")
        if questions is not None and not 1 <= questions <= 200:
            raise ValueError(f"questions must be from 1 to 200, not {questions}")
        self.tasks = TASKS if task == "mixed" else (task,)
        self.questions = questions
        super().__init__(difficulty=difficulty, split=split, source=source, render_mode=render_mode)

    @property
    def max_new_tokens(self) -> int:
        """How many tokens ACBench lets a model write: 4096 for 30 questions, else 7950."""
        count = len(self.task.answers) if self._progress is not None else self.questions
        return 4096 if count == 30 else 7950

    def generate(self, rng: np.random.Generator) -> LongGenTask:
        """A set of questions of our own."""
        task = str(pick(rng, self.tasks))
        count = self.questions or self.QUESTIONS[self.difficulty]
        draft = generate(task, rng, self.difficulty, count)
        return LongGenTask(
            task=task,
            subject="",
            system=draft.system,
            prompt=draft.prompt,
            answers=draft.answers,
            first=draft.first,
            answer=draft.response,
        )

    def read(self, path: Path) -> Sequence[LongGenTask]:
        """The official sets of questions with the official prompts."""
        return read_records(path, self.tasks, self.questions)

    def grade(self, answer: str) -> Grade:
        """Score a response in three ways."""
        task = self.task
        score = acbench_score(task.task, answer, task.answers)
        metrics = {
            "score": score,
            "upstream_score": upstream_score(task.task, answer, task.answers),
            "corrected_score": corrected_score(task.task, answer, task.answers, task.first),
        }
        return Grade(score, metrics, valid="Answer_" in answer)

    def fingerprint(self, task: LongGenTask) -> str:
        """The questions and their answers."""
        return repr((task.prompt, task.answers))

    def labels(self) -> dict[str, str]:
        """The task, and the subject where there is one."""
        subject = {"subject": self.task.subject} if self.task.subject else {}
        return {"task": self.task.task, **subject}
