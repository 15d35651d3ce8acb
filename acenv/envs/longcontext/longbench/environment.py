"""``acenv/LongBench-v0``: the 21 tasks of LongBench, generated or read from its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from acenv.envs.answering import AnsweringEnv, Grade
from acenv.envs.base import Difficulty, Split, pick
from acenv.envs.longcontext.longbench import rouge, segmentation
from acenv.envs.longcontext.longbench.generator import generate
from acenv.envs.longcontext.longbench.records import LongBenchRecords, LongBenchTask
from acenv.envs.longcontext.longbench.scoring import bucket, corrected_score, record_score
from acenv.envs.longcontext.longbench.tasks import TASKS
from acenv.envs.longcontext.official_needle import WordCodec
from acenv.envs.sources import GENERATED
from acenv.types import Message, Tool

_ROUGE = ("rouge_score", "rouge_zh_score")


class LongBenchEnv(AnsweringEnv[LongBenchTask]):
    """One question about a long text: LongBench (THUDM, arXiv 2308.14508), 21 tasks in English and Chinese.

    * questions about one text: ``narrativeqa``, ``qasper``, ``multifieldqa_en``, ``multifieldqa_zh``;
    * about several: ``hotpotqa``, ``2wikimqa``, ``musique``, ``dureader``;
    * summaries: ``gov_report``, ``qmsum``, ``multi_news``, ``vcsum``;
    * with examples: ``trec``, ``triviaqa``, ``samsum``, ``lsht``;
    * counting and finding passages: ``passage_count``, ``passage_retrieval_en``, ``passage_retrieval_zh``;
    * the next line of code: ``lcc``, ``repobench-p``.

    Keywords beyond those of :class:`~acenv.envs.answering.AnsweringEnv`:

    * ``task``: one of these, or ``"mixed"``, which draws one for every episode. An ending ``_e`` is LongBench-E;
    * ``e``: whether to read LongBench-E, which has 13 of the tasks, in even numbers of three lengths;
    * ``source``: ``"generated"``; a folder with ``<task>.jsonl``, ``data/<task>.jsonl`` or ``data.zip``; one such file;
      or the id of the data set on the hub;
    * ``config``: the folder with the official ``dataset2prompt.json`` and ``dataset2maxlen.json``, where they are not
      beside the data or above it;
    * ``max_length``: a longer prompt loses its middle, as officially: of the first and the last tokens
      ``int(max_length / 2)`` stay. It happens before the chat template is applied;
    * ``tokenizer``: what counts and cuts: an object with ``encode`` and ``decode``. Without one, ``max_length`` counts
      words, or characters of Chinese.

    :attr:`max_new_tokens` is the official length of an answer. The official script gives the tasks with examples and
    the code to a model without a chat template; here every prompt is a user's message.

    The Chinese tasks, so ``"mixed"`` too, need the jieba package (``pip install 'acenv[longbench]'``).

    Metrics: the official one under its name (``qa_f1_score``, ``rouge_score``, ``classification_score``,
    ``retrieval_score``, ``count_score``, ``code_sim_score``, and ``qa_f1_zh_score``, ``rouge_zh_score``,
    ``retrieval_zh_score``) and as ``score``, in [0, 1], the best over the answers; ``length``; and, where the official
    metric distorts, ``corrected_score``, which :func:`.scoring.corrected_score` explains. The return is ``score``, for
    ROUGE divided by what a perfect answer gets (:data:`.rouge.BEST`, 0.999999995), so that it is 1.0 for that. Of an
    answer only as many characters count as the official length could hold several times over
    (:attr:`.tasks.Kind.max_chars`).

    Labels: ``task``, and the length group of LongBench-E as ``bucket``.
    """

    benchmark = "LongBench"

    def __init__(
        self,
        *,
        task: str = "mixed",
        e: bool = False,
        difficulty: Difficulty = "medium",
        split: Split = "test",
        source: str | Path = GENERATED,
        config: str | Path | None = None,
        max_length: int | None = None,
        tokenizer: Any = None,
        render_mode: str | None = None,
    ) -> None:
        """Set up; see the class for the keywords.

        Raises:
            ValueError: A setting or a record is not as described.
            FileNotFoundError: There is no such data, or the official prompts are not found.
            ModuleNotFoundError: A task is Chinese, and jieba is not installed.
        """
        name = task.removesuffix("_e")
        self.extended = e or name != task
        possible = [known for known, kind in TASKS.items() if kind.extended or not self.extended]
        if name != "mixed" and name not in possible:
            raise ValueError(f"task must be 'mixed' or one of {', '.join(possible)}, not {task!r}")
        if max_length is not None and max_length < 2:
            raise ValueError(f"max_length must be at least 2 tokens, not {max_length}")
        if tokenizer is not None and max_length is None:
            raise ValueError("a tokenizer is there to cut prompts: say to how many tokens with max_length")
        if tokenizer is not None and not (hasattr(tokenizer, "encode") and hasattr(tokenizer, "decode")):
            raise ValueError(f"tokenizer must have encode and decode, not be {tokenizer!r}")
        self.tasks = possible if name == "mixed" else [name]
        if any(TASKS[known].chinese for known in self.tasks):
            segmentation.require()
        self.max_length = max_length
        self._config = config
        self._tokenizer = tokenizer
        super().__init__(difficulty=difficulty, split=split, source=source, render_mode=render_mode)

    @property
    def max_new_tokens(self) -> int:
        """The official length of an answer to the present task; before there is one, the longest of all tasks."""
        if self._progress is not None:
            return self.task.max_new_tokens
        return max(TASKS[task].max_new_tokens for task in self.tasks)

    def generate(self, rng: np.random.Generator) -> LongBenchTask:
        """A task of our own with the structure of one of LongBench's."""
        task = str(pick(rng, self.tasks))
        draft = generate(task, rng, self.difficulty)
        kind = TASKS[task]
        said = (draft.prompt, *draft.answers)
        return LongBenchTask(
            task=task,
            prompt=self._cut(draft.prompt, kind.chinese),
            answers=draft.answers,
            all_classes=draft.all_classes,
            length=sum(len(text) if kind.chinese else len(text.split()) for text in said),
            max_new_tokens=kind.max_new_tokens,
        )

    def read(self, path: Path) -> Sequence[LongBenchTask]:
        """The official records with the official prompts."""
        every = len(self.tasks) == 1
        return LongBenchRecords(
            path, self.tasks, extended=self.extended, every=every, config=self._config, cut=self._cut
        )

    def open(self, task: LongBenchTask) -> tuple[Any, list[Message], list[Tool]]:
        """The question."""
        if TASKS[task.task].chinese:
            segmentation.load()  # takes a second the first time, which no step should
        return super().open(task)

    def grade(self, answer: str) -> Grade:
        """Score an answer as LongBench does, and without its distortions."""
        task = self.task
        kind = TASKS[task.task]
        counted = answer[: kind.max_chars]
        score = record_score(task.task, counted, task.answers, task.all_classes)
        metrics = {"score": score, kind.metric_name: score, "length": float(task.length)}
        corrected = corrected_score(task.task, counted, task.answers, task.all_classes)
        if corrected is not None:
            metrics["corrected_score"] = corrected
        best = rouge.BEST if kind.metric_name in _ROUGE else 1.0
        return Grade(score / best, metrics, valid=bool(answer.strip()))

    def fingerprint(self, task: LongBenchTask) -> str:
        """The prompt and its answers."""
        return repr((task.task, task.prompt, task.answers))

    def labels(self) -> dict[str, str]:
        """The task, and how long its text is."""
        return {"task": self.task.task, "bucket": bucket(self.task.length)}

    def _cut(self, prompt: str, chinese: bool) -> str:
        """Take the middle out of a prompt that is too long."""
        if self.max_length is None:
            return prompt
        half = int(self.max_length / 2)
        if self._tokenizer is None:
            tokens = list(prompt) if chinese else WordCodec().encode(prompt)
            return prompt if len(tokens) <= self.max_length else "".join(tokens[:half]) + "".join(tokens[-half:])
        ids = self._tokenizer.encode(prompt)
        if len(ids) <= self.max_length:
            return prompt
        # tiktoken's decode knows no special tokens to skip.
        options = {"skip_special_tokens": True} if hasattr(self._tokenizer, "all_special_ids") else {}
        first, last = (self._tokenizer.decode(part, **options) for part in (ids[:half], ids[-half:]))
        return f"{first}{last}"
