"""Tasks of our own with the structure of LongBench's, at three difficulties."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from acenv.envs.base import Difficulty
from acenv.envs.longcontext.longbench import chinese, code, passages, reading, shots, summaries
from acenv.envs.longcontext.longbench.drafts import Draft, Size
from acenv.envs.longcontext.longbench.easy import easy_draft

SIZES = {
    "medium": Size(words=4000, chars=4000, items=8, hops=2),
    "hard": Size(words=16000, chars=12000, items=16, hops=4),
}

_MAKERS: dict[str, Callable[[np.random.Generator, Size], Draft]] = {
    "narrativeqa": reading.story,
    "qasper": reading.article,
    "multifieldqa_en": reading.report,
    "multifieldqa_zh": chinese.reading,
    "hotpotqa": passages.bridge,
    "2wikimqa": passages.acquaintances,
    "musique": passages.chain,
    "dureader": chinese.search,
    "gov_report": summaries.conclusions,
    "qmsum": summaries.meeting,
    "multi_news": summaries.news,
    "vcsum": chinese.meeting,
    "trec": shots.question_types,
    "triviaqa": shots.trivia,
    "samsum": shots.dialogues,
    "lsht": chinese.headlines,
    "passage_count": passages.count,
    "passage_retrieval_en": passages.retrieval,
    "passage_retrieval_zh": chinese.retrieval,
    "lcc": code.one_file,
    "repobench-p": code.repository,
}


def generate(task: str, rng: np.random.Generator, difficulty: Difficulty) -> Draft:
    """A task of the kind named; the first of its answers scores 1.0 by the official metric."""
    return easy_draft(task, rng) if difficulty == "easy" else _MAKERS[task](rng, SIZES[difficulty])
