"""LongBench's metrics: hand-made cases, the packages that the official code uses, and what the corrections mend."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.base import UnscorableError
from acenv.envs.longcontext.longbench import metrics
from acenv.envs.longcontext.longbench.rouge import BEST, rouge_l, sequence_f1
from acenv.envs.longcontext.longbench.scoring import bucket, corrected_score, record_score, scorer, scorer_e
from acenv.envs.longcontext.longbench.tasks import TASKS

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "a.", "b.", ".", ""]), max_size=25).map(" ".join)


@given(WORDS, WORDS)
def test_rouge_equals_the_package(prediction: str, reference: str) -> None:
    package = pytest.importorskip("rouge")
    try:
        official = package.Rouge().get_scores([prediction], [reference], avg=True)["rouge-l"]["f"]
    except ValueError:  # an empty text, for which LongBench takes 0
        official = 0.0
    assert rouge_l(prediction, reference) == pytest.approx(official, abs=1e-12)


@given(st.text("abc \n", max_size=40), st.text("abc \n", min_size=1, max_size=40))
def test_code_similarity_equals_the_package(prediction: str, reference: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "Levenshtein", None)  # the official scores were made without it
        fuzz = pytest.importorskip("fuzzywuzzy.fuzz")
    line = prediction.lstrip("\n").split("\n")[0]
    assert metrics.code_sim_score(prediction, reference) == fuzz.ratio(line, reference) / 100


def test_a_perfect_summary_gets_all_that_there_is() -> None:
    text = "One thing. Another thing, and a third."
    assert rouge_l(text, text) == BEST < 1.0
    assert sequence_f1(text.split(), text.split()) == 1.0


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_sequence_f1_is_that_of_the_longest_common_subsequence(a: list[str], b: list[str]) -> None:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    expected = 2 * table[-1][-1] / (len(a) + len(b)) if a and b else 0.0
    assert sequence_f1(a, b) == pytest.approx(expected)


def test_chinese_words_are_compared_without_punctuation() -> None:
    pytest.importorskip("jieba")
    assert metrics.qa_f1_zh_score("北京大学。", "「北京大学」") == 1.0
    assert metrics.qa_f1_zh_score("我去北京大学", "北京大学") == pytest.approx(0.5)
    assert metrics.qa_f1_zh_score("。", "北京大学") == 0.0
    assert metrics.rouge_zh_score("", "北京大学") == 0.0


def test_loading_the_chinese_dictionary_writes_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    pytest.importorskip("jieba")
    from acenv.envs.longcontext.longbench import segmentation

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    segmentation.load.cache_clear()
    assert segmentation.load().lcut("北京大学") == ["北京大学"]
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "prediction", "answers", "classes", "official", "corrected"),
    [
        ("passage_count", "5 5 3", ["5"], (), 2 / 3, 0.0),
        ("passage_count", "1.5", ["5"], (), 0.5, 0.0),
        ("passage_count", "There are 5, I counted 5.", ["5"], (), 1.0, 1.0),
        ("passage_retrieval_en", "Paragraph 1 or Paragraph 2", ["Paragraph 2"], (), 0.5, 0.0),
        ("passage_retrieval_zh", "段落2", ["段落2"], (), 1.0, 1.0),
        ("trec", "cat dog cow", ["dog"], ("cat", "dog", "cow"), 1 / 3, 0.0),
        # Removing "a" from the list that is run over passes "ab" by.
        ("trec", "abc", ["abc"], ("a", "ab", "abc"), 0.5, 1.0),
        ("trec", "\ndog\ncat", ["dog"], ("cat", "dog"), 1.0, 1.0),
        ("gov_report", "the end the end the end the end", ["the end"], (), BEST, 0.4),
        ("lcc", "x = y // 2", ["x = y // 2"], (), 0.0, 1.0),
        ("lcc", "```python\n# half of it\nx = y / 2\n```", ["x = y / 2"], (), 1.0, 1.0),
    ],
)
def test_what_the_corrected_score_mends(
    task: str, prediction: str, answers: list[str], classes: tuple[str, ...], official: float, corrected: float
) -> None:
    assert record_score(task, prediction, answers, classes) == pytest.approx(official)
    assert corrected_score(task, prediction, answers, classes) == pytest.approx(corrected)


def test_questions_need_no_correction() -> None:
    assert corrected_score("hotpotqa", "the mill", ["a mill"]) is None


def test_the_best_answer_counts_and_only_the_first_line_where_examples_tempt_to_go_on() -> None:
    assert record_score("hotpotqa", "the mill", ["the river", "mill"]) == 1.0
    assert record_score("triviaqa", "\nthe mill\nQuestion: and more", ["mill"]) == 1.0
    assert record_score("hotpotqa", "the mill\nQuestion: and more", ["mill"]) < 1.0


def test_ground_truths_that_the_official_metrics_fail_on_have_a_reason() -> None:
    with pytest.raises(UnscorableError, match="'Paragraph ' with a number"):
        metrics.retrieval_score("Paragraph 1", "the first")
    with pytest.raises(UnscorableError, match="段落"):
        metrics.retrieval_zh_score("段落1", "Paragraph 1")
    with pytest.raises(UnscorableError, match="all_classes"):
        metrics.classification_score("dog", "dog")


def test_data_set_scores_are_percentages_and_empty_groups_are_nan() -> None:
    groups = scorer_e("hotpotqa", ["mill", "mill", "mill"], [["mill"], ["river"], ["mill"]], [3999, 3000, 8000])
    assert groups["0-4k"] == 50.0
    assert groups["8k+"] == 100.0
    assert math.isnan(groups["4-8k"])
    assert math.isnan(scorer("hotpotqa", [], []))
    assert [bucket(n) for n in (0, 3999, 4000, 7999, 8000)] == ["0-4k", "0-4k", "4-8k", "4-8k", "8k+"]


@given(st.text(max_size=200))
def test_any_text_has_a_score(text: str) -> None:
    classes = ("a", "ab", "b")
    for task, kind in TASKS.items():
        if kind.chinese and not _has_jieba():
            continue
        answer = {"passage_retrieval_en": "Paragraph 3", "passage_retrieval_zh": "段落3"}.get(task, "ab 3")
        assert 0.0 <= record_score(task, text, [answer], classes) <= 1.0
        corrected = corrected_score(task, text, [answer], classes)
        assert corrected is None or 0.0 <= corrected <= 1.0


def _has_jieba() -> bool:
    try:
        import jieba  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("text", ["the end " * 3000, "a. " * 7000, "the. end of it and. " * 1000, "x" * 20_000])
@pytest.mark.usefixtures("no_collections")
def test_scoring_a_long_answer_takes_little_time(text: str) -> None:
    reference = "the end of it and the start " * 80
    start = time.thread_time()
    rouge_l(text[:10_000], reference)
    metrics.code_sim_score(text[:1280], "    return self.value + other.value")
    assert time.thread_time() - start < 0.5  # a tenth of it on an idle machine
