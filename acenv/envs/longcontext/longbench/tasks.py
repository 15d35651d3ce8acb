"""The 21 tasks of LongBench: what each is scored by, and how long its answers may be."""

from __future__ import annotations

from dataclasses import dataclass

from acenv.envs.longcontext.longbench import metrics
from acenv.envs.longcontext.longbench.metrics import Metric


@dataclass(frozen=True, slots=True)
class Kind:
    """A task.

    Attributes:
        metric: The official metric.
        max_new_tokens: The official length of an answer in tokens (``dataset2maxlen.json``).
        chinese: Whether its texts are Chinese.
        first_line: Whether only the first line of an answer counts.
        extended: Whether LongBench-E has it.
    """

    metric: Metric
    max_new_tokens: int
    chinese: bool = False
    first_line: bool = False
    extended: bool = False

    @property
    def max_chars(self) -> int:
        """How much of an answer is scored: several times what so many tokens can hold, so that scoring stays fast."""
        return self.max_new_tokens * (4 if self.chinese else 20)

    @property
    def metric_name(self) -> str:
        """The official name of the metric."""
        return getattr(self.metric, "__name__", "score")


TASKS: dict[str, Kind] = {
    "narrativeqa": Kind(metrics.qa_f1_score, 128),
    "qasper": Kind(metrics.qa_f1_score, 128, extended=True),
    "multifieldqa_en": Kind(metrics.qa_f1_score, 64, extended=True),
    "multifieldqa_zh": Kind(metrics.qa_f1_zh_score, 64, chinese=True),
    "hotpotqa": Kind(metrics.qa_f1_score, 32, extended=True),
    "2wikimqa": Kind(metrics.qa_f1_score, 32, extended=True),
    "musique": Kind(metrics.qa_f1_score, 32),
    "dureader": Kind(metrics.rouge_zh_score, 128, chinese=True),
    "gov_report": Kind(metrics.rouge_score, 512, extended=True),
    "qmsum": Kind(metrics.rouge_score, 512),
    "multi_news": Kind(metrics.rouge_score, 512, extended=True),
    "vcsum": Kind(metrics.rouge_zh_score, 512, chinese=True),
    "trec": Kind(metrics.classification_score, 64, first_line=True, extended=True),
    "triviaqa": Kind(metrics.qa_f1_score, 32, first_line=True, extended=True),
    "samsum": Kind(metrics.rouge_score, 128, first_line=True, extended=True),
    "lsht": Kind(metrics.classification_score, 64, chinese=True, first_line=True),
    "passage_count": Kind(metrics.count_score, 32, extended=True),
    "passage_retrieval_en": Kind(metrics.retrieval_score, 32, extended=True),
    "passage_retrieval_zh": Kind(metrics.retrieval_zh_score, 32, chinese=True),
    "lcc": Kind(metrics.code_sim_score, 64, extended=True),
    "repobench-p": Kind(metrics.code_sim_score, 64, extended=True),
}
