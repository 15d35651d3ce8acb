from __future__ import annotations

import json
import math

import numpy as np
import pytest

from acenv.analysis.comparison import OVERALL, Comparison, compare, compare_all
from acenv.analysis.statistics import paired_bootstrap
from acenv.runs import Results
from acenv.types import Episode


def episode(env_id, seed, value, error=None, success=None):
    metrics = {} if error else {"success": float(value >= 1.0) if success is None else success}
    return Episode(env_id, seed, math.nan if error else value, 1, True, False, error=error, metrics=metrics)


def run(name, returns, errors=(), env_kwargs=None):
    episodes = [episode(env_id, seed, value) for (env_id, seed), value in returns.items()]
    episodes += [episode(env_id, seed, 0.0, error="server gone") for env_id, seed in errors]
    return Results({"policy": {"name": name}, "env_kwargs": env_kwargs or {}}, episodes)


def flat(env_id, values):
    return {(env_id, seed): value for seed, value in enumerate(values)}


BASE = run("base", flat("A", [1, 1, 1, 1, 0, 0.5]) | flat("B", [1, 0]))
SMALL = run("small", flat("A", [1, 0, 0.5, 0, 1, 0.5]) | flat("B", [1, 0]))


def test_pairs_are_counted_listed_and_tested():
    result = compare(BASE, SMALL, resamples=500)
    a, b = result.environments
    assert (result.reference, result.candidate, result.missing) == ("base", "small", 0)
    assert (a.env_id, a.episodes, b.env_id, b.episodes) == ("A", 6, "B", 2)
    assert a.reference.estimate == pytest.approx(4.5 / 6)
    assert a.candidate.estimate == pytest.approx(3 / 6)
    assert a.difference.estimate == pytest.approx(-1.5 / 6)
    assert a.retention is not None and a.retention.estimate == pytest.approx(3 / 4.5)
    assert a.gained == (("A", 4),)
    assert a.lost == (("A", 1), ("A", 2), ("A", 3))
    assert a.p_value == pytest.approx(0.625)  # three flips down, one up: 2 * (1 + 4) / 16
    assert (b.p_value, b.gained, b.lost) == (1.0, (), ())
    assert a.difference.low <= a.difference.estimate <= a.difference.high


def test_overall_weighs_environments_alike():
    returns = flat("big", [0.0] * 50) | flat("small", [1.0] * 5)
    result = compare(run("a", returns), run("b", {k: 0.5 for k in returns}), resamples=300)
    assert result.overall.env_id == OVERALL
    assert result.overall.episodes == 55
    assert result.overall.reference.estimate == pytest.approx(0.5)
    assert result.overall.candidate.estimate == pytest.approx(0.5)
    assert len(result.overall.gained) == 50 and len(result.overall.lost) == 5


def test_a_run_compared_with_itself_shows_no_difference_and_does_not_claim_that_there_is_none():
    result = compare(BASE, BASE)
    for part in (*result.environments, result.overall):
        assert part.difference.estimate == 0.0
        assert part.retention is not None and part.retention.estimate == 1.0
        assert part.retention.low < 1.0 < part.retention.high
        assert (part.p_value, part.p_adjusted, part.p_difference, part.gained, part.lost) == (1.0, 1.0, 1.0, (), ())
    a, b = result.environments
    for part in (a, b):  # the rule of three, two-sided: (1 - bound)^n = 0.025
        bound = 1 - 0.025 ** (1 / part.episodes)
        assert (part.difference.low, part.difference.high) == pytest.approx((-bound, bound))
    many = compare(run("a", flat("A", [1.0] * 500)), run("b", flat("A", [1.0] * 500))).environments[0]
    assert many.difference.high == pytest.approx(3.69 / 500, abs=1e-4)


def test_pairing_makes_the_interval_narrower_than_the_spread_of_the_returns():
    rng = np.random.default_rng(0)
    hard = rng.random(200)
    part = compare(run("a", flat("A", hard)), run("b", flat("A", hard - 0.05))).environments[0]
    assert part.difference.high - part.difference.low < 0.5 * (part.reference.high - part.reference.low)
    assert part.difference.high < 0


def test_difference_agrees_with_the_bootstrap_where_there_are_many_pairs():
    rng = np.random.default_rng(1)
    before, after = rng.random(600), rng.random(600)
    part = compare(run("a", flat("A", before)), run("b", flat("A", after))).environments[0]
    alone = paired_bootstrap(after - before)
    assert part.difference.low == pytest.approx(alone.low, abs=0.004)
    assert part.difference.high == pytest.approx(alone.high, abs=0.004)


def test_graded_changes_without_a_flip_show_in_the_test_of_the_difference():
    result = compare(run("a", flat("A", [0.8] * 20)), run("b", flat("A", [0.4] * 20)))
    part = result.environments[0]
    assert part.p_value == 1.0 and part.p_difference < 0.01
    assert part.difference.high < 0
    assert len(part.lost) == 20


def test_the_test_of_the_difference_is_mcnemars_where_returns_are_solved_or_not():
    part = compare(run("a", flat("A", [1.0] * 20)), run("b", flat("A", [0.0] * 7 + [1.0] * 13))).environments[0]
    assert part.p_difference == pytest.approx(part.p_value) == pytest.approx(2 / 2**7)


@pytest.mark.parametrize("anytime", [False, True])
def test_the_difference_is_significant_where_its_interval_leaves_out_0(anytime):
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(40):
        before = rng.choice([0.0, 0.5, 1.0], size=30)
        lost = rng.random(30) < rng.random() * 0.6
        after = np.where(lost, before * rng.choice([0.0, 0.5], size=30), before)
        returns = flat("A", before) | flat("B", before[::-1])
        other = flat("A", after) | flat("B", after[::-1])
        result = compare(run("a", returns), run("b", other), anytime=anytime)
        for part in (*result.environments, result.overall):
            outside = part.difference.high < 0 or part.difference.low > 0
            if abs(part.p_difference - 0.05) > 0.003:  # what is drawn, is drawn
                assert (part.p_difference < 0.05) == outside
                seen.add(outside)
            assert part.anytime == anytime
    assert seen == {True, False}


def test_the_order_of_the_episodes_does_not_matter():
    shuffled = [BASE.episodes[i] for i in (7, 2, 5, 0, 1, 6, 4, 3)]
    again = compare(Results(BASE.manifest, shuffled), SMALL)
    assert again == compare(BASE, SMALL)


def test_anytime_intervals_are_wider_and_leave_out_what_was_not_needed():
    base = run("a", flat("A", [1.0] * 60) | flat("B", [1.0] * 60))
    candidate = run("b", flat("A", [1.0] * 30) | flat("B", [1.0, 0.0] * 30))
    fixed, free = compare(base, candidate), compare(base, candidate, anytime=True)
    for narrow, wide in zip((*fixed.environments, fixed.overall), (*free.environments, free.overall), strict=True):
        for name in ("reference", "candidate", "difference", "retention"):
            inner, outer = getattr(narrow, name), getattr(wide, name)
            assert outer.estimate == pytest.approx(inner.estimate)
            assert outer.high - outer.low > inner.high - inner.low or inner.low == inner.high
        assert wide.p_difference >= narrow.p_difference or narrow.p_difference < 0.001  # the least that draws give
    assert (fixed.missing, free.missing) == (30, 0)
    assert Comparison.from_dict(json.loads(json.dumps(free.to_dict(), allow_nan=False))) == free


def test_success_is_what_the_environment_says_not_the_return():
    a = Results({"policy": {"name": "a"}}, [episode("A", s, 0.9, success=1.0) for s in range(8)])
    b = Results({"policy": {"name": "b"}}, [episode("A", s, 0.9, success=0.0) for s in range(8)])
    part = compare(a, b).environments[0]
    assert part.p_value == pytest.approx(2 / 2**8)
    assert part.lost == ()


def test_errors_are_left_out_of_the_pairs_and_counted():
    a = run("a", flat("A", [1, 1, 1]), errors=[("A", 3)])
    b = run("b", {("A", 0): 1.0, ("A", 3): 0.0}, errors=[("A", 1), ("A", 2)])
    result = compare(a, b)
    part = result.environments[0]
    assert (part.episodes, part.reference_errors, part.candidate_errors) == (1, 1, 2)
    assert (result.overall.reference_errors, result.overall.candidate_errors, result.missing) == (1, 2, 0)
    assert math.isnan(part.difference.low)  # one pair says nothing about the spread


def test_an_environment_that_only_gave_errors_stays_visible():
    a = run("a", flat("A", [1, 0, 1]) | flat("B", [1, 1]))
    b = run("b", flat("A", [1, 0, 0]), errors=[("B", 0), ("B", 1)])
    result = compare(a, b)
    broken = result.environments[1]
    assert (broken.env_id, broken.episodes, broken.candidate_errors, broken.p_value) == ("B", 0, 2, 1.0)
    assert math.isnan(broken.difference.estimate) and broken.retention is None
    assert result.overall.episodes == 3
    assert result.overall.reference.estimate == pytest.approx(2 / 3)


def test_episodes_of_only_one_run_are_missing():
    result = compare(run("a", flat("A", [1, 1, 1]) | flat("B", [1])), run("b", flat("A", [1, 1])))
    assert result.missing == 2
    assert [e.env_id for e in result.environments] == ["A"]


def test_no_retention_without_a_reference_to_retain():
    part = compare(run("a", flat("A", [0, 0])), run("b", flat("A", [1, 0]))).environments[0]
    assert part.retention is None
    assert part.difference.estimate == pytest.approx(0.5)


def test_retention_stays_finite_where_few_episodes_succeed():
    part = compare(run("a", flat("A", [1, 0, 0, 0])), run("b", flat("A", [1, 1, 0, 0]))).environments[0]
    assert part.retention is not None
    assert math.isfinite(part.retention.low) and math.isfinite(part.retention.high)


def test_holm_is_over_methods_and_environments():
    good = {(env, s): 1.0 for env in "AB" for s in range(12)}
    bad = good | {("A", s): 0.0 for s in range(10)}
    worse = good | {("A", s): 0.0 for s in range(8)}
    base = run("base", good)
    results = compare_all(base, {"w2": run("hf:x", bad), "w3": run("hf:y", worse)}, resamples=100)
    assert list(results) == ["w2", "w3"]
    assert results["w2"].candidate == "w2"
    a2, b2 = results["w2"].environments
    a3, _ = results["w3"].environments
    assert a2.p_value == pytest.approx(2 / 2**10) and a2.p_adjusted == pytest.approx(4 * 2 / 2**10)
    assert a3.p_adjusted == pytest.approx(3 * 2 / 2**8)
    assert b2.p_adjusted == 1.0
    assert results["w2"].overall.p_adjusted == pytest.approx(2 * 2 / 2**10)  # a family of its own: two methods
    alone = compare(base, run("w2", bad), resamples=100)
    assert alone.environments[0].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert alone.environments[0].difference == a2.difference


def test_an_environments_interval_does_not_depend_on_the_others():
    rng = np.random.default_rng(3)
    a, b = flat("A", rng.random(20)), flat("A", rng.random(20))
    more = flat("0", rng.random(9))
    alone = compare(run("a", a), run("b", b), resamples=200)
    together = compare(run("a", a | more), run("b", b | more), resamples=200)
    assert alone.environments[0].difference == together.environments[1].difference


@pytest.mark.parametrize("result", [compare(BASE, SMALL), compare(run("a", flat("A", [0])), run("b", flat("A", [1])))])
def test_comparisons_survive_json(result):
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert repr(Comparison.from_dict(json.loads(text))) == repr(result)


def test_from_dict_refuses_other_data():
    with pytest.raises(ValueError, match="not a comparison"):
        Comparison.from_dict({"reference": "a"})


def test_different_settings_are_refused_by_name():
    a = run("a", flat("A", [1]), env_kwargs={"A": {"difficulty": "easy", "sizes": (1, 2)}})
    same = run("b", flat("A", [1]), env_kwargs={"A": {"difficulty": "easy", "sizes": [1, 2]}})
    other = run("c", flat("A", [1]), env_kwargs={"A": {"difficulty": "hard", "sizes": [1, 2]}})
    assert compare(a, same).environments[0].episodes == 1
    with pytest.raises(ValueError, match=r"different environment settings \(A: .*easy.*hard"):
        compare(a, other)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (run("b", flat("A", [])), "no finished episode in common"),
        (run("b", {("A", 99): 1.0}), "no finished episode in common"),
        (run("b", {}, errors=[("A", 0)]), "no finished episode in common"),
        (Results({"policy": {"name": "b"}}, [episode("A", 0, 1.0)] * 2), "seed 0 twice"),
        (run("b", flat("A", [math.nan])), "finite return"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        compare(run("a", flat("A", [1, 0])), other)


def test_results_compare_is_the_same_function():
    assert SMALL.compare(BASE, resamples=100) == compare(BASE, SMALL, resamples=100)
