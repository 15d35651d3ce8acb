"""Needle-in-a-Haystack scores against the official ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from acenv.envs.longcontext.official_needle import DEPTHS, LENGTHS, NEEDLE, QUESTION
from acenv.envs.longcontext.scoring import rouge1_x10, word_recall


def test_scores_equal_the_official_ones(parity_dir: Path) -> None:
    pytest.importorskip("rouge_score")
    official = json.loads((parity_dir / "oracle" / "needle.json").read_text())
    # The heat map looks for the words of the needle's statement, without the words of its question.
    expected = official["needle"].strip().removeprefix(official["question"].removesuffix(": ")).strip()
    assert set(expected.lower().split()) == set(official["expected_unique_words"])
    for case in official["cases"]:
        assert word_recall(case["response"], expected) == pytest.approx(case["visualize_score"], abs=1e-9)
        rouge = rouge1_x10(case["response"], official["needle"])
        assert rouge == pytest.approx(case["score_rouge1_x10"], abs=1e-9)


def test_the_grid_and_the_texts_are_the_official_ones(parity_dir: Path) -> None:
    official = json.loads((parity_dir / "oracle" / "needle.json").read_text())
    assert (official["needle"], official["question"]) == (NEEDLE, QUESTION)
    assert official["depths"] == list(DEPTHS)
    assert official["context_lengths_40k"] == list(LENGTHS)


def test_answers_to_the_official_test_have_the_official_scores(parity_dir: Path) -> None:
    pytest.importorskip("rouge_score")
    official = json.loads((parity_dir / "oracle" / "needle.json").read_text())
    source = str(parity_dir / "data" / "needle" / "PaulGrahamEssays")
    env: Any = gymnasium.make("acenv/Needle-v0", preset="official", source=source).unwrapped
    for index, case in zip((0, 57, 123, 299, 399), official["cases"], strict=False):
        env.reset(seed=0, options={"index": index})
        length, depth = LENGTHS[index // 10], DEPTHS[index % 10]
        assert env.task.cell == (length, depth)
        place = env.task.text.index(NEEDLE)
        assert place / (len(env.task.text) - len(NEEDLE)) == pytest.approx(depth / 100, abs=0.05)
        *_, info = env.step(case["response"])
        assert info["metrics"]["score"] == pytest.approx(case["visualize_score"], abs=1e-9)
        assert info["metrics"]["rouge1_x10"] == pytest.approx(case["score_rouge1_x10"], abs=1e-9)
        assert (info["metrics"]["length"], info["metrics"]["depth"]) == (length, depth)
