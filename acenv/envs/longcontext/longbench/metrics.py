"""The metrics of LongBench (THUDM, ``metrics.py``): one prediction against one ground truth, in [0, 1]."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from acenv.envs.base import UnscorableError
from acenv.envs.longcontext.longbench import segmentation
from acenv.envs.longcontext.longbench.rouge import rouge_l

Metric = Callable[[str, str, Sequence[str]], float]
"""From a prediction, a ground truth and the classes that there are."""

_FULL_WIDTH = "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】"
_RARE = "〔〕〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏."
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ZH_PUNCTUATION = str.maketrans("", "", string.punctuation + _FULL_WIDTH + _RARE)


def qa_f1_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """F1 over words, lower-cased, without punctuation and articles.

    >>> qa_f1_score("The mill.", "a mill by the river")
    0.5
    """
    return _f1(_normalise(prediction).split(), _normalise(ground_truth).split())


def qa_f1_zh_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """F1 over Chinese words, without punctuation."""
    return _f1(_zh_words(prediction), _zh_words(ground_truth))


def rouge_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """ROUGE-L; see :func:`.rouge.rouge_l`."""
    return rouge_l(prediction, ground_truth)


def rouge_zh_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """ROUGE-L over Chinese words, which a Chinese full stop does not split into sentences."""
    return rouge_l(" ".join(segmentation.words(prediction)), " ".join(segmentation.words(ground_truth)))


def classification_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """One over the number of classes that the prediction names, if the right one is among them.

    Classes that are part of the right one's name do not count, but the official loop removes them from the list that it
    runs over, and so passes over every class that follows a removed one.

    Raises:
        UnscorableError: There are no classes.

    >>> classification_score("ab", "ab", ["a", "ab"]), classification_score("abc", "abc", ["a", "ab", "abc"])
    (1.0, 0.5)
    """
    if not all_classes:
        raise UnscorableError("classification_score needs all_classes, of which the record has none")
    named = [name for name in all_classes if name in prediction]
    i = 0
    while i < len(named):
        if named[i] in ground_truth and named[i] != ground_truth:
            named.remove(named[i])  # the first of that name; what is next moves to i, and is not looked at
        i += 1
    return 1.0 / len(named) if ground_truth in named else 0.0


def count_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """Which share of the whole numbers in the prediction is the right one.

    >>> count_score("5, or 6", "5")
    0.5
    """
    return _share(prediction, ground_truth)


def retrieval_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """Which share of the whole numbers in the prediction is the number of the paragraph.

    Raises:
        UnscorableError: The ground truth names no ``Paragraph 1``.
    """
    return _share(prediction, paragraph_number(ground_truth, "Paragraph "))


def retrieval_zh_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """Which share of the whole numbers in the prediction is the number of the paragraph.

    Raises:
        UnscorableError: The ground truth names no ``段落1``.
    """
    return _share(prediction, paragraph_number(ground_truth, "段落"))


def code_sim_score(prediction: str, ground_truth: str, all_classes: Sequence[str] = ()) -> float:
    """How alike the first line of code is, in whole percent.

    A line with a back quote, a ``#`` or a ``//`` anywhere does not count as code. The likeness is that of
    ``fuzzywuzzy.fuzz.ratio`` where it has no other package to build on, which is that of :mod:`difflib`.
    """
    lines = prediction.lstrip("\n").split("\n")
    line = next((x for x in lines if "`" not in x and "#" not in x and "//" not in x), "")
    if line == ground_truth:
        return 1.0
    if not line or not ground_truth:
        return 0.0
    return int(round(100 * SequenceMatcher(None, line, ground_truth).ratio())) / 100


def paragraph_number(ground_truth: str, name: str) -> str:
    """The number after the name in a ground truth.

    Raises:
        UnscorableError: There is none.

    >>> paragraph_number("Paragraph 15", "Paragraph ")
    '15'
    """
    match = re.search(rf"{name}(\d+)", ground_truth)
    if not match:
        raise UnscorableError(f"expected '{name}' with a number as the answer, got {ground_truth[:60]!r}")
    return match[1]


def _share(prediction: str, number: str) -> float:
    numbers = re.findall(r"\d+", prediction)
    return numbers.count(number) / len(numbers) if numbers else 0.0


def _normalise(text: str) -> str:
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION))


def _zh_words(text: str) -> list[str]:
    cleaned = ("".join(word.lower().translate(_ZH_PUNCTUATION).split()) for word in segmentation.words(text))
    return [word for word in cleaned if word]


def _f1(predicted: list[str], gold: list[str]) -> float:
    same = (Counter(predicted) & Counter(gold)).total()
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(gold)
    return 2 * precision * recall / (precision + recall)
