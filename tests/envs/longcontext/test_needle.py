from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.longcontext.haystack import hide
from acenv.envs.longcontext.scoring import word_recall


def make(**keywords: Any) -> Any:
    return gymnasium.make("acenv/Needle-v0", **keywords).unwrapped


def words(text: str) -> int:
    return len(text.split())


def text_of(env: Any) -> str:
    return str(env.reset(seed=0)[0][0]["content"])


def test_length_is_in_words_by_default_and_in_tokens_of_a_tokenizer() -> None:
    plain = text_of(make(length=1000, distractors=0, needles=1, difficulty="easy"))
    assert 970 < words(plain) < 1040
    by_letters = text_of(make(length=1000, distractors=0, needles=1, difficulty="easy", tokenizer=len))
    assert 800 < len(by_letters) < 1300

    class Halves:
        def encode(self, text: str) -> list[int]:
            return [0] * (2 * words(text))

    assert words(text_of(make(length=1000, difficulty="easy", distractors=0, tokenizer=Halves()))) < 560


@pytest.mark.parametrize(("depth", "low", "high"), [(0, 0.0, 0.02), (50, 0.45, 0.5), (100, 0.98, 1.0)])
def test_the_needle_is_at_its_depth(depth: float, low: float, high: float) -> None:
    env = make(length=2000, depth=depth, needles=1, distractors=0, difficulty="easy")
    env.reset(seed=1)
    text = env.task.text
    at = text.index(env.task.answers[0]) / len(text)
    assert low <= at <= high + 0.03


def test_several_needles_are_spread_from_the_depth_to_the_end() -> None:
    env = make(length=2000, depth=40, needles=3, distractors=0, difficulty="easy")
    env.reset(seed=1)
    places = [env.task.text.index(answer) / len(env.task.text) for answer in env.task.answers]
    assert places == pytest.approx([0.4, 0.6, 0.8], abs=0.03)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.floats(0, 100))
def test_hiding_keeps_the_haystack_and_respects_the_depth(sizes: list[int], depth: float) -> None:
    haystack = [" ".join(["w"] * size) + "." for size in sizes]
    text = hide(haystack, [(depth, "NEEDLE")], words)
    place = text.index("NEEDLE")
    assert [s for s in text if s != "NEEDLE"] == haystack
    before = sum(sizes[:place])
    assert before <= sum(sizes) * depth / 100 + 1e-6
    if place < len(sizes):
        assert before + sizes[place] > sum(sizes) * depth / 100 - 1e-6


def test_answers_are_scored_by_their_words_one_question_a_turn() -> None:
    env = make(difficulty="easy", needles=2)
    env.reset(seed=5)
    first, second = env.task.answers
    messages, reward, terminated, *_ = env.step(f"It is {first.upper()}.")
    assert reward == pytest.approx(0.5) and not terminated
    assert messages[-1]["content"] == env.task.questions[1]
    _, reward, terminated, _, info = env.step(second.split()[0])
    assert terminated
    assert reward == pytest.approx(0.5 / 3)
    assert info["metrics"]["score"] == pytest.approx((1 + 1 / 3) / 2)
    assert info["metrics"]["success"] == 0.0


def test_repeating_the_text_is_no_answer() -> None:
    env = make(difficulty="easy", needles=1)
    messages, _ = env.reset(seed=5)
    _, reward, *_ = env.step("so " * 30 + messages[0]["content"])
    assert reward == 0.0


def test_hard_questions_join_two_facts() -> None:
    env = make(difficulty="hard", length=500)
    env.reset(seed=0)
    owner = env.task.questions[0].split("belongs to ")[1].rstrip("?")
    assert f"belongs to {owner}." in env.task.text


def test_a_folder_of_texts_is_the_haystack(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The sea was calm. Nobody spoke! Was it late? " * 40, encoding="utf-8")
    env = make(source=str(tmp_path), difficulty="easy", length=100)
    assert "Nobody spoke!" in text_of(env)
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8"):
        make(source=str(tmp_path)).reset(seed=0)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(ValueError, match=r"expected \*.txt"):
        make(source=str(tmp_path)).reset(seed=0)


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"length": -1}, "length"),
        ({"needles": 0}, "needles"),
        ({"depth": 101}, "percentage"),
        ({"distractors": -1}, "distractors"),
        ({"source": "/no/such/folder"}, "no folder"),
        ({"tokenizer": 3}, "tokenizer"),
    ],
)
def test_settings_out_of_range_are_refused(keywords: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make(**keywords)


def test_an_expected_answer_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        word_recall("x", "  ")
