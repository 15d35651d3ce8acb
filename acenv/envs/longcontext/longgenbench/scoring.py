"""The scores of LongGenBench: as ACBench computes them, as its authors do, and by the number of the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from acenv.envs.longcontext.longgenbench.drafts import LETTERS

TASKS = ("gsm8k", "mmlu")

_HEADER = re.compile(r"Answer_\d+:\s*")
_NUMBER = re.compile(r"answer is (\d+)")
_CHOICE = "answer is ("
_ANY_NUMBER = re.compile(r"\d*\.?\d+")


def expected_number(gold: str) -> str | None:
    """The number that ACBench expects for a gold answer of GSM8K: the first digits after ``####``.

    >>> expected_number("... #### 70,000"), expected_number("#### -5")
    ('70', None)
    """
    match = re.search(r"####\s*(\d+)", gold)
    return match[1] if match else None


def predicted_numbers(response: str) -> list[str]:
    r"""The numbers that ACBench finds in a response to GSM8K questions (``eval_longgenbench.py``).

    After each ``Answer_1:`` it is the first number that directly follows "answer is ", even where that is in a later
    answer. The official regular expression takes quadratic time; this is linear.

    >>> predicted_numbers("Answer_9:\nThe answer is $5.\nAnswer_10:\nThe answer is 7.")
    ['7']
    """
    found = []
    header = _HEADER.search(response)
    while header:
        number = _NUMBER.search(response, header.end())
        if not number:
            break
        found.append(number[1])
        header = _HEADER.search(response, number.end())
    return found


def predicted_choices(response: str) -> list[str]:
    r"""What ACBench finds in a response to MMLU questions: what is in brackets after "answer is ".

    It must be on the line on which the answer begins. The official regular expression takes quadratic time; this is
    linear.

    >>> predicted_choices("Answer_6:\nIt is (B). The answer is (C).\nAnswer_7: so\nthe answer is (D).")
    ['C']
    """
    found = []
    line_end = -1  # of the last line that was searched in vain
    header = _HEADER.search(response)
    while header:
        start, resume = header.end(), header.end()
        if start > line_end:
            end = response.find("\n", start)
            end = len(response) if end < 0 else end
            opened = response.find(_CHOICE, start, end)
            closed = response.find(")", opened + len(_CHOICE), end) if opened >= 0 else -1
            if closed >= 0:
                found.append(response[opened + len(_CHOICE) : closed])
                resume = closed + 1
            else:
                line_end = end
        header = _HEADER.search(response, resume)
    return found


def acbench_score(task: str, response: str, answers: Sequence[str]) -> float:
    """The share of questions that ACBench counts as right, in [0, 1].

    Answers are paired with questions in the order in which they are found, whatever their numbers: one that is missing
    or has another form shifts all that follow.
    """
    expected: list[str | None]
    if task == "gsm8k":
        expected, predicted = [expected_number(gold) for gold in answers], predicted_numbers(response)
    else:
        expected, predicted = [*answers], predicted_choices(response)
    right = sum(a == b for a, b in zip(expected, predicted, strict=False))
    return right / len(expected) if expected else 0.0


def scorer(task: str, responses: Sequence[str], answers: Sequence[Sequence[str]]) -> float:
    """ACBench's score of a data set: 100 times the mean over its records, with four decimals; nan of none."""
    scores = [acbench_score(task, response, golds) for response, golds in zip(responses, answers, strict=True)]
    return round(100 * sum(scores) / len(scores), 4) if scores else float("nan")


def upstream_answers(response: str) -> list[str]:
    r"""The answers as the benchmark's authors find them: from a colon at a line's end to the next blank line.

    >>> upstream_answers("Answer_9:\nso 5\n\nAnswer_10:\nso 7")
    ['so 5', 'so 7']
    """
    text = "\n".join(response.split("Answer_"))
    return [part.strip() for part in re.findall(r"(?<=:\n)(.*?)(?=\n\n|$)", text, re.DOTALL)]


def upstream_correct(task: str, prediction: str, gold: str) -> bool:
    """Whether the authors count an answer as right: by its last number, or its last A, B, C or D, in whatever word.

    >>> upstream_correct("gsm8k", "It is 1,234.", "#### 1234"), upstream_correct("mmlu", "About 5", "A")
    (True, True)
    """
    if task == "gsm8k":
        predicted, right = _ANY_NUMBER.findall(prediction.replace(",", "")), _ANY_NUMBER.findall(gold)
    else:
        predicted, right = (re.findall("A|B|C|D", text) for text in (prediction, gold))
    return bool(predicted and right) and predicted[-1] == right[-1]


def upstream_score(task: str, response: str, answers: Sequence[str]) -> float:
    """The authors' score: the share of right answers among those found (GSM8K) or among all questions (MMLU).

    Their files have ``A_model:Q_3`` before the answer to question 3, and the check reads that too: an answer without a
    number counts as that number, and one without a capital as A.
    """
    pairs = list(zip(upstream_answers(response), answers, strict=False))
    right = sum(
        upstream_correct(task, f"A_model:Q_{i}\n{prediction}\n", f"A_gold:\n{gold}\n")
        for i, (prediction, gold) in enumerate(pairs)
    )
    asked = len(pairs) if task == "gsm8k" else len(answers)
    return right / asked if asked else 0.0


def corrected_score(task: str, response: str, answers: Sequence[str], first: int) -> float:
    r"""The share of questions that are answered rightly under their own number.

    Officially answers are paired with questions by their place, so that one left out makes all later ones wrong; a sum
    in dollars, a negative number and a choice without brackets are not seen, and "70,000" is 70. Here the answer to
    question 9 is what follows the first ``Answer_9:``, up to the next answer, and in it the last number or letter that
    "answer is" announces.

    Args:
        task: ``"gsm8k"`` or ``"mmlu"``.
        response: All that the model wrote.
        answers: Gold answers: texts with ``#### n``, or letters.
        first: The number of the first question.

    >>> corrected_score("gsm8k", "Answer_10:\nThe answer is $7.", ["#### 5", "#### 7"], first=9)
    0.5
    """
    parts = re.split(r"Answer_(\d+):", response)
    given: dict[int, str] = {}
    for number, text in zip(parts[1::2], parts[2::2], strict=True):
        if len(number) < 7:
            given.setdefault(int(number), text)
    right = 0
    for number, gold in enumerate(answers, first):
        text = given.get(number, "")
        if task == "gsm8k":
            found = re.findall(r"answer is:?[\s$*]*(-?\d[\d,]*(?:\.\d+)?)", text)
            wanted = re.findall(r"####\s*(-?\d[\d,]*(?:\.\d+)?)", gold)
            right += bool(found and wanted) and _plain(found[-1]) == _plain(wanted[-1])
        else:
            found = re.findall(rf"answer is:?[\s(*]*([{LETTERS}])\b", text)
            right += bool(found) and found[-1] == gold
    return right / len(answers) if answers else 0.0


def _plain(number: str) -> str:
    """A number without commas and without zeros after its decimal point."""
    number = number.replace(",", "")
    return number.rstrip("0").rstrip(".") if "." in number else number
