"""Needle-in-a-Haystack scores against the official ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
