"""LongGenBench's parsing and scores against those of ACBench and of its authors; the real questions of MMLU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.longcontext.longgenbench.scoring import (
    acbench_score,
    expected_number,
    predicted_choices,
    predicted_numbers,
    upstream_answers,
    upstream_correct,
)


@pytest.fixture(scope="module")
def official(parity_dir: Path) -> dict[str, list[dict[str, Any]]]:
    return json.loads((parity_dir / "oracle" / "longgenbench.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(parity_dir: Path) -> Path:
    return parity_dir / "data" / "longgenbench"


@pytest.fixture(scope="module")
def mmlu(data: Path) -> Any:
    return gymnasium.make("acenv/LongGenBench-v0", task="mmlu", source=data).unwrapped


def test_every_kind_of_case_is_known(official: dict[str, list[dict[str, Any]]]) -> None:
    assert set(official) == {"scope_gsm8k", "scope_mmlu", "original_test_answer", "original_parse"}


def test_acbench_finds_and_scores_the_same(official: dict[str, list[dict[str, Any]]]) -> None:
    for case in official["scope_gsm8k"]:
        assert predicted_numbers(case["pred"]) == case["predicted"]
        assert [expected_number(gold) for gold in case["answers"]] == case["expected"]
        assert acbench_score("gsm8k", case["pred"], case["answers"]) == pytest.approx(case["accuracy"], abs=1e-9)
    for case in official["scope_mmlu"]:
        assert predicted_choices(case["pred"]) == case["predicted"]
        assert acbench_score("mmlu", case["pred"], case["answers"]) == pytest.approx(case["accuracy"], abs=1e-9)


def test_the_authors_find_and_judge_the_same(official: dict[str, list[dict[str, Any]]]) -> None:
    for case in official["original_parse"]:
        assert upstream_answers(case["text"]) == case["parsed"]
    for case in official["original_test_answer"]:
        assert upstream_correct(case["which"], case["pred"], case["gold"]) == case["correct"], case


def test_real_questions_make_real_prompts(mmlu: Any, data: Path) -> None:
    files = sorted((data / "MMLU" / "test").glob("*_test.csv"))
    assert [record.subject for record in mmlu.records] == [file.name.removesuffix("_test.csv") for file in files]
    for index, record in enumerate(mmlu.records):
        messages, info = mmlu.reset(options={"index": index})
        assert [message["role"] for message in messages] == ["system", "user"]
        assert info["labels"] == {"task": "mmlu", "subject": record.subject}
        assert len(record.answers) == 20
        prompt = messages[1]["content"]
        assert prompt.startswith("Examples: \nQuestion_1:\n")
        assert "\n\nFollowing Question: \nQuestion_6:\n" in prompt
        assert "\nQuestion_25:\n" in prompt
        assert "\nQuestion_26:\n" not in prompt


def test_gold_answers_are_right_and_shifted_ones_are_not(mmlu: Any) -> None:
    shifted_scores = []
    for index, record in enumerate(mmlu.records):
        mmlu.reset(options={"index": index})
        *_, info = mmlu.step(mmlu.expert_action())
        scores = ("score", "upstream_score", "corrected_score", "success")
        assert [info["metrics"][name] for name in scores] == [1.0] * 4
        shifted = record.answers[1:] + record.answers[:1]
        mmlu.reset(options={"index": index})
        *_, info = mmlu.step("\n\n".join(f"Answer_{i}: The answer is ({a})." for i, a in enumerate(shifted, 6)))
        shifted_scores.append(info["metrics"]["score"])
    assert sum(shifted_scores) / len(shifted_scores) < 0.4


def test_a_missing_file_is_named(data: Path) -> None:
    with pytest.raises(FileNotFoundError, match="GSM8K's test questions: expected GSM8K/test.jsonl"):
        gymnasium.make("acenv/LongGenBench-v0", task="gsm8k", source=data)
