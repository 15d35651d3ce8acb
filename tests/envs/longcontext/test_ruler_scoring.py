from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acenv.envs.longcontext.ruler.scoring import clean_prediction, string_match_all, string_match_part, whole_match

WORDS = st.lists(st.text("abc1", min_size=1, max_size=4), min_size=1, max_size=5)


@given(st.text(max_size=80), WORDS)
def test_scores_are_bounded_and_agree(prediction: str, references: list[str]) -> None:
    everything, anything = string_match_all(prediction, references), string_match_part(prediction, references)
    assert 0.0 <= everything <= anything <= 100.0
    assert whole_match(prediction, references) <= everything / 100.0 + 1e-9
    assert whole_match(prediction, references, part=True) >= whole_match(prediction, references)


@given(WORDS)
def test_the_references_themselves_are_a_right_answer(references: list[str]) -> None:
    answer = ", ".join(references)
    assert string_match_all(clean_prediction(answer), references) == 100.0
    assert whole_match(answer, references) == 1.0


@pytest.mark.parametrize(
    ("prediction", "reference", "found"),
    [
        ("It is 12.", "12", True),
        ("(12)", "12", True),
        ("a12", "12", False),
        ("112", "12", False),
        ("amber-bell", "bell", False),
        ("amber-bell", "amber", False),
        ("Amber-Bell!", "amber-bell", True),
        ("glass\nduck  82", "glass duck 82", True),
        ("12 - twelve", "12", True),
        ("x " * 40 + "12", "12", False),
    ],
)
def test_whole_words_near_the_beginning_count(prediction: str, reference: str, found: bool) -> None:
    assert whole_match(prediction, [reference]) == float(found)


def test_without_references_there_is_no_score() -> None:
    for score in (string_match_all, string_match_part, whole_match):
        with pytest.raises(ValueError, match="references"):
            score("x", [])
