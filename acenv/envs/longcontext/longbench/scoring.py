"""The scores of LongBench (THUDM, ``eval.py``): of a record, of a data set, and corrected ones beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from acenv.envs.longcontext.longbench import metrics, segmentation
from acenv.envs.longcontext.longbench.rouge import sequence_f1
from acenv.envs.longcontext.longbench.tasks import TASKS

BUCKETS = ("0-4k", "4-8k", "8k+")


def bucket(length: float) -> str:
    """The length group of LongBench-E.

    >>> bucket(3999), bucket(4000), bucket(8000)
    ('0-4k', '4-8k', '8k+')
    """
    return BUCKETS[0] if length < 4000 else BUCKETS[1] if length < 8000 else BUCKETS[2]


def counted_part(task: str, prediction: str) -> str:
    r"""What of a prediction is scored: in tasks with examples, which a model likes to continue, its first line.

    >>> counted_part("triviaqa", "\nParis\nPassage:"), counted_part("hotpotqa", "\nParis")
    ('Paris', '\nParis')
    """
    return prediction.lstrip("\n").split("\n")[0] if TASKS[task].first_line else prediction


def record_score(task: str, prediction: str, answers: Sequence[str], all_classes: Sequence[str] = ()) -> float:
    """The official score of a prediction: the best over the answers, in [0, 1].

    Raises:
        UnscorableError: The record is such that the official metric fails.
        ModuleNotFoundError: The task is Chinese, and jieba is not installed.
    """
    counted = counted_part(task, prediction)
    return max([0.0, *(TASKS[task].metric(counted, answer, all_classes) for answer in answers)])


def scorer(
    task: str, predictions: Sequence[str], answers: Sequence[Sequence[str]], all_classes: Sequence[str] = ()
) -> float:
    """The official score of a data set: 100 times the mean over its records, with two decimals; nan of none."""
    scores = [record_score(task, p, a, all_classes) for p, a in zip(predictions, answers, strict=True)]
    return round(100 * sum(scores) / len(scores), 2) if scores else float("nan")


def scorer_e(
    task: str,
    predictions: Sequence[str],
    answers: Sequence[Sequence[str]],
    lengths: Sequence[float],
    all_classes: Sequence[str] = (),
) -> dict[str, float]:
    """The official scores of LongBench-E: those of each length group, nan where it is empty."""
    groups = [bucket(length) for length in lengths]
    found = {}
    for name in BUCKETS:
        chosen = [i for i, group in enumerate(groups) if group == name]
        found[name] = scorer(task, [predictions[i] for i in chosen], [answers[i] for i in chosen], all_classes)
    return found


def corrected_score(
    task: str, prediction: str, answers: Sequence[str], all_classes: Sequence[str] = ()
) -> float | None:
    """A score without the official metric's distortions, or None where it has none; the best over the answers.

    * Classification: the class that is named must be the right one. Officially a list of all classes earns a share, and
      a right answer loses some where names of classes are in each other (:func:`.metrics.classification_score`).
      Here a name inside a longer one that is named does not count, and all that is named must be right.
    * Counting and retrieval: there must be one number, repeated or not, and it must be right. Officially a list of
      guesses earns its share, and "1.5" is half right where 5 is.
    * ROUGE-L: officially every distinct word counts once, so that a model caught in a loop loses nothing. Here it is
      the F1 of the longest common subsequence of all words.
    * Code: officially a line that holds ``//`` or ``#`` anywhere is no code, so that a right line with a link or a
      floor division scores 0, and the likeness is rounded. Here only blank lines, lines that are nothing but a comment,
      and fences are passed over, and nothing is rounded.
    """
    counted = counted_part(task, prediction)
    metric = TASKS[task].metric_name
    scores: list[float]
    if metric == "classification_score":
        named = _named(counted, all_classes)
        scores = [float(named == {answer}) for answer in answers]
    elif metric == "count_score":
        scores = [float(_numbers(counted) == {answer}) for answer in answers]
    elif metric in ("retrieval_score", "retrieval_zh_score"):
        name = "段落" if TASKS[task].chinese else "Paragraph "
        scores = [float(_numbers(counted) == {metrics.paragraph_number(answer, name)}) for answer in answers]
    elif metric == "rouge_score":
        scores = [sequence_f1(_words(counted), _words(answer)) for answer in answers]
    elif metric == "rouge_zh_score":
        scores = [sequence_f1(_zh_words(counted), _zh_words(answer)) for answer in answers]
    elif metric == "code_sim_score":
        line = _code_line(counted)
        scores = [SequenceMatcher(None, line, answer).ratio() for answer in answers]
    else:
        return None
    return max([0.0, *scores])


def _named(text: str, all_classes: Sequence[str]) -> set[str]:
    names = sorted((re.escape(name) for name in all_classes if name), key=len, reverse=True)
    return set(re.findall("|".join(names), text)) if names else set()


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def _words(text: str) -> list[str]:
    return text.replace(".", " ").split()


def _zh_words(text: str) -> list[str]:
    return [word for word in segmentation.words(text) if word.strip()]


def _code_line(text: str) -> str:
    for line in text.split("\n"):
        if line.strip() and not line.strip().startswith(("#", "//", "```")):
            return line
    return ""
