"""LongGenBench's three scores, against the official regular expressions and by hand."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.longcontext.longgenbench.scoring import (
    acbench_score,
    corrected_score,
    predicted_choices,
    predicted_numbers,
    scorer,
    upstream_score,
)

PIECES = [
    "Answer_1:",
    "Answer_23:",
    "Answer_:",
    " ",
    "\n",
    "\n\n",
    "answer is 7",
    "answer is (B)",
    "answer is (",
    ")",
    "x",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)


@given(TEXTS)
def test_the_linear_search_finds_what_the_official_expressions_find(text: str) -> None:
    numbers = re.findall(r"Answer_\d+:\s*.*?answer is (\d+)", text, re.DOTALL)
    choices = re.findall(r"Answer_\d+:\s*.*?answer is \((.*?)\)", text)
    assert predicted_numbers(text) == numbers
    assert predicted_choices(text) == choices


def test_one_answer_left_out_shifts_the_official_score_and_not_the_corrected_one() -> None:
    golds = ["#### 1", "#### 2", "#### 3"]
    response = "Answer_9:\nThe answer is 1.\n\nAnswer_11:\nThe answer is 3."
    assert acbench_score("gsm8k", response, golds) == pytest.approx(1 / 3)
    assert corrected_score("gsm8k", response, golds, 9) == pytest.approx(2 / 3)
    assert upstream_score("gsm8k", response, golds) == 0.5  # of the two that were found


@pytest.mark.parametrize(
    ("answer", "gold", "official", "corrected"),
    [
        ("The answer is 7.", "#### 7", 1.0, 1.0),
        ("The answer is $7.", "#### 7", 0.0, 1.0),
        ("The answer is -7.", "#### -7", 0.0, 1.0),
        ("The answer is 70000.", "#### 70,000", 0.0, 1.0),
        ("The answer is 70.", "#### 70,000", 1.0, 0.0),
        ("The answer is 7.00.", "#### 7", 1.0, 1.0),
        ("The answer is **7**.", "#### 7", 0.0, 1.0),
        ("It is 7.", "#### 7", 0.0, 0.0),
    ],
)
def test_numbers_in_all_forms(answer: str, gold: str, official: float, corrected: float) -> None:
    assert acbench_score("gsm8k", f"Answer_9:\n{answer}", [gold]) == official
    assert corrected_score("gsm8k", f"Answer_9:\n{answer}", [gold], 9) == corrected


@pytest.mark.parametrize(
    ("answer", "official", "corrected"),
    [
        ("The answer is (B).", 1.0, 1.0),
        ("The answer is B.", 0.0, 1.0),
        ("So.\nThe answer is (B).", 0.0, 1.0),
        ("The answer is (A). No, the answer is (B).", 0.0, 1.0),
        ("The answer is Bad.", 0.0, 0.0),
    ],
)
def test_choices_in_all_forms(answer: str, official: float, corrected: float) -> None:
    assert acbench_score("mmlu", f"Answer_6:\n{answer}", ["B"]) == official
    assert corrected_score("mmlu", f"Answer_6:\n{answer}", ["B"], 6) == corrected


def test_the_authors_read_their_own_marks() -> None:
    # "A_model:Q_0" before the answer has an A, and the number 0.
    assert upstream_score("mmlu", "Answer_6:\nno idea", ["A"]) == 1.0
    assert upstream_score("gsm8k", "Answer_9:\nno idea", ["#### 0"]) == 1.0
    assert upstream_score("gsm8k", "nothing", ["#### 0"]) == 0.0


def test_data_set_scores_are_percentages() -> None:
    right, wrong = "Answer_6: The answer is (B).", "Answer_6: The answer is (C)."
    assert scorer("mmlu", [right, wrong, wrong], [["B"]] * 3) == 33.3333
    assert scorer("mmlu", [], []) != scorer("mmlu", [], [])


@pytest.mark.parametrize(
    "text",
    [
        "Answer_1:" * 11_000,
        "Answer_1:\n" * 10_000,
        "answer is (" * 9000,
        "Answer_1: answer is (" * 4700,
        "Answer_1: answer is $" * 4700,
        "1" * 100_000,
        "answer is" + " " * 99_000,
        "Answer_" + "1" * 99_000 + ":",
        ":\n" * 50_000,
    ],
)
@pytest.mark.usefixtures("no_collections")
def test_the_longest_responses_are_scored_fast(text: str) -> None:
    start = time.thread_time()
    for task, golds in (("gsm8k", ["#### 1"] * 30), ("mmlu", ["B"] * 20)):
        acbench_score(task, text, golds)
        upstream_score(task, text, golds)
        corrected_score(task, text, golds, 1)
    assert time.thread_time() - start < 1.0  # a twentieth of it on an idle machine
