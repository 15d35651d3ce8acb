from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from acenv.analysis.comparison import Comparison, compare
from acenv.analysis.statistics import Interval
from acenv.analysis.verdict import judge, recommendation, ruled_out, standings
from acenv.runs import Results
from acenv.types import Episode

A, B = "acenv/ToolSandbox-v0", "acenv/Needle-v0"
SIZES = {"small": 2.0, "large": 4.0}


def run(name: str, returns: Mapping[str, Sequence[float]]) -> Results:
    episodes = [
        Episode(env_id, seed, value, 1, True, False)
        for env_id, values in returns.items()
        for seed, value in enumerate(values)
    ]
    return Results({"policy": {"name": name}}, episodes)


def compared(reference: Mapping[str, Sequence[float]], candidate: Mapping[str, Sequence[float]]) -> Comparison:
    return compare(run("dense", reference), run("c", candidate))


SOLVED = {A: [1.0] * 50, B: [1.0] * 50}


def say(**candidates: Mapping[str, Sequence[float]]) -> str:
    verdicts = [judge(name, compared(SOLVED, returns)) for name, returns in candidates.items()]
    return recommendation(verdicts, SIZES, 10.0)


def test_no_change_in_few_episodes_rules_out_little() -> None:
    for episodes, largest in ((5, 0.522), (20, 0.168), (80, 0.045), (100, 0.036)):
        comparison = compared({A: [1.0] * episodes}, {A: [1.0] * episodes})
        assert ruled_out(comparison.overall) == pytest.approx(largest, abs=0.001)
        verdict = judge("m", comparison)
        assert verdict.kind == ("close" if largest <= 0.05 else "undecided")
        assert "above the original" not in verdict.sentence


def test_a_difference_of_nothing_is_not_said_to_be_a_gain() -> None:
    sentence = judge("m", compared(SOLVED, SOLVED)).sentence
    assert "a loss of more than 0.03" in sentence and "above" not in sentence
    better = judge("m", compared({A: [0.0] * 50}, {A: [1.0] * 25 + [0.0] * 25}))
    assert "above the original" in judge("m", compared({A: [0.5] * 50}, {A: [0.6, 0.7] * 25})).sentence
    assert better.kind == "close"


def test_what_scores_nothing_cannot_lose() -> None:
    verdict = judge("m", compared({A: [0.0] * 10}, {A: [0.0] * 10}))
    assert (verdict.kind, verdict.ruled_out) == ("close", 0.0) and "neither scores at all" in verdict.sentence


def test_the_smallest_method_that_is_surely_close_is_recommended() -> None:
    text = say(large=SOLVED, small=SOLVED)
    assert text.startswith("May be deployed for what was tested: small (2.00 MB, 20% of the original).")
    assert "a loss of more than 0.03" in text and "of the mean return is ruled out" in text


def test_a_method_whose_loss_is_open_is_not_recommended() -> None:
    half = {A: [1.0] * 25 + [0.0] * 25}
    open_ = judge("small", compared(half, {A: [1.0] * 20 + [0.0] * 27 + [1.0] * 3}))
    text = recommendation([open_], SIZES, 10.0)
    assert text.startswith("Not decided yet. small (2.00 MB, 20% of the original) is the smallest")
    assert "is still possible; run more episodes" in text
    sure = judge("large", compared(SOLVED, SOLVED))
    assert recommendation([open_, sure], SIZES, 10.0).startswith("May be deployed for what was tested: large")


def test_a_method_that_loses_somewhere_may_be_good_elsewhere() -> None:
    wide = {A: [1.0] * 80, B: [1.0] * 80}
    half = judge("small", compared(wide, {A: [1.0] * 80, B: [0.0] * 60 + [1.0] * 20}))
    assert half.keeps == (A,)
    text = recommendation([half], SIZES, None)
    assert "keeps the original's return in ToolSandbox, and only there" in text


def test_nothing_is_recommended_where_all_is_lost() -> None:
    lost = {A: [0.0] * 50, B: [0.0] * 50}
    assert say(small=lost) == "Do not deploy small: it does not keep the original's return."
    assert say(small=lost, large=lost).startswith("Deploy none of them: all 2 lose significantly.")
    assert recommendation([], {}, None) == "No compressed model was compared with the original."


def test_without_pairs_nothing_is_ruled_out() -> None:
    verdict = judge("m", compared({A: [1.0]}, {A: [0.0]}))
    assert math.isnan(verdict.ruled_out) and "too few episodes" in recommendation([verdict], {}, None)


def test_a_difference_that_is_written_as_nothing_is_no_rise_and_no_fall() -> None:
    unchanged = judge("c", compared({A: [1.0] * 200}, {A: [1.0] * 200}))
    assert "difference 0.000" in unchanged.sentence and "above" not in unchanged.sentence
    rise = compared({A: [0.5] * 400}, {A: [0.5001] * 400})
    tiny = judge("c", replace(rise, overall=replace(rise.overall, difference=Interval(0.0002, 0.0001, 0.0004))))
    assert tiny.kind == "close" and "difference 0.000 [0.000, 0.000]" in tiny.sentence
    assert "above" not in tiny.sentence
    better = judge("c", compared({A: [0.5] * 400}, {A: [0.8] * 400}))
    assert "scores above the original" in better.sentence
    assert "-0.0" not in unchanged.sentence + tiny.sentence + say(small={A: [1.0] * 200, B: [1.0] * 200})


def test_a_difference_inside_the_noise_is_said_to_be_inside_it() -> None:
    again = compared(SOLVED, {A: [1.0] * 48 + [0.0] * 2, B: [1.0] * 50})
    fallen = compared(SOLVED, {A: [1.0] * 49 + [0.0], B: [0.0] * 40 + [1.0] * 10})
    assert standings(fallen, {"batch size": again}) == {
        A: {"batch size": "inside"},
        B: {"batch size": "outside"},
        "overall": {"batch size": "outside"},
    }
    inside = judge("m", compared(SOLVED, {A: [1.0] * 49 + [0.0], B: [1.0] * 50}), {"batch size": again})
    assert inside.in_noise and "inside the noise floor of batch size" in inside.sentence
    assert standings(fallen, {"dtype": compared({A: [1.0] * 5}, {A: [1.0] * 5})})[B] == {}  # was not run there
