from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.analysis.bounded import mean_interval
from acenv.analysis.sequential import Stopping, anytime_mean, is_narrow, looks, mean_test, paired

differences = st.lists(st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.0, 0.0, 0.25, 1.0]), min_size=2, max_size=60)


@given(differences)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_interval_holds_the_mean_and_is_wider_than_one_for_a_fixed_number(values):
    interval, fixed = anytime_mean(values), mean_interval(values)
    assert -1.0 <= interval.low <= interval.estimate == pytest.approx(np.mean(values))
    assert interval.estimate <= interval.high <= 1.0
    assert interval.low <= fixed.low + 1e-6 and interval.high >= fixed.high - 1e-6


@given(differences)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_test_agrees_with_the_interval_and_with_the_mirror_image(values):
    interval, p = anytime_mean(values), mean_test(values)
    assert p == pytest.approx(mean_test([-v for v in values]))
    if abs(p - 0.05) > 1e-6:
        assert (p < 0.05) == (interval.low > 0 or interval.high < 0)
    mirrored = anytime_mean([-v for v in values])
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


@pytest.mark.parametrize("chance", [0.02, 0.3])
def test_it_covers_the_mean_at_all_looks_at_once(chance):
    """An interval that is right at one look only would miss in a third of the runs here."""
    rng = np.random.default_rng(11)
    missed = naive = 0
    for _ in range(100):
        values = np.where(rng.random(240) < chance, rng.choice([-1.0, -0.5, 0.5], size=240), 0.0)
        mean = chance * -1.0 / 3.0
        inside = [anytime_mean(values[:n]) for n in (20, 40, 60, 90, 120, 180, 240)]
        missed += not all(i.low <= mean <= i.high for i in inside)
        spread = [(values[:n].mean(), 1.96 * values[:n].std() / math.sqrt(n)) for n in range(20, 241, 10)]
        naive += not all(abs(m - mean) <= s for m, s in spread)
    assert missed <= 100 * 0.05
    assert naive > 100 * 0.1


@pytest.mark.parametrize("kind", ["rare losses", "every one changes"])
def test_the_true_mean_is_rarely_ruled_out_at_any_time_when_looked_at_after_every_episode(kind):
    rng = np.random.default_rng(21)
    missed = 0
    for _ in range(30):
        values = np.where(rng.random(120) < 0.05, -1.0, 0.0) if kind == "rare losses" else rng.choice([-1.0, 1.0], 120)
        mean = -0.05 if kind == "rare losses" else 0.0
        missed += any(mean_test(values[:n] - mean, low=-1 - mean, high=1 - mean) < 0.05 for n in range(1, 121))
    assert missed <= 5  # binomial, 5% of 30 at 99.5%


def test_stopping_at_the_first_significant_look_is_no_false_alarm():
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(150):
        values = np.where(rng.random(200) < 0.2, rng.choice([-1.0, 1.0], size=200), 0.0)
        alarms += min(mean_test(values[:n]) for n in range(20, 201, 20)) < 0.05
    assert alarms <= 150 * 0.05


def test_several_environments_are_bounded_together_and_narrower_than_each():
    rng = np.random.default_rng(3)
    strata = [np.stack([np.ones(120), np.where(rng.random(120) < q, 0.5, 1.0)], axis=1) for q in (0.0, 0.05, 0.2)]
    together = paired(strata)
    alone = [paired([r]) for r in strata]
    assert together.difference.estimate == pytest.approx(np.mean([a.difference.estimate for a in alone]))
    widths = [a.difference.high - a.difference.low for a in alone]
    assert together.difference.high - together.difference.low < min(widths)
    assert together.p_value < 0.05 and together.difference.high < 0
    assert together.retention is not None
    assert together.retention.low < together.retention.estimate < together.retention.high < 1.0


def test_the_mean_of_several_environments_is_covered_whatever_stops_each():
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(60):
        strata = []
        for chance in (0.02, 0.2):
            values = np.where(rng.random(120) < chance, -1.0, 0.0)
            count = next((n for n in (30, 60, 90) if is_narrow(values[:n], 0.13)), 120)
            strata.append(np.stack([np.ones(count), 1.0 + values[:count]], axis=1))
        interval = paired(strata).difference
        missed += not interval.low <= -0.11 <= interval.high
    assert missed <= 60 * 0.05 + 2


def test_the_ratio_of_the_means_is_covered():
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(60):
        before = rng.choice([0.0, 0.5, 1.0], size=80)
        after = np.where(rng.random(80) < 0.2, 0.0, before)
        retention = paired([np.stack([before, after], axis=1)]).retention
        assert retention is not None and retention.low <= retention.estimate <= retention.high
        missed += not retention.low <= 0.8 <= retention.high
    assert missed <= 3


def test_looks_begin_where_the_interval_can_be_narrow_enough():
    sizes = looks(0.05, 1000)
    assert sizes[-1] == 1000 and list(sizes) == sorted(set(sizes))
    assert is_narrow([0.0] * sizes[0], 0.05) and not is_narrow([0.0] * (sizes[0] - 1), 0.05)
    assert all(b <= math.ceil(1.25 * a) for a, b in zip(sizes, sizes[1:], strict=False))
    assert not is_narrow([], 0.05)


@pytest.mark.parametrize(
    ("until", "most", "problem"),
    [(0.0, 100, "half-width"), (1.5, 100, "half-width"), (math.nan, 100, "half-width"), (0.02, 100, "at least 248")],
)
def test_what_can_never_stop_is_refused(until, most, problem):
    with pytest.raises(ValueError, match=problem):
        looks(until, most)


@pytest.mark.parametrize("call", [lambda: anytime_mean([]), lambda: anytime_mean([0.0, math.nan])])
def test_values_that_are_none_are_refused(call):
    with pytest.raises(ValueError, match=r"empty|not finite"):
        call()


def test_saved_episodes_count_those_of_the_original_too():
    stopping = Stopping(0.1, 100, {"x": {"A": 50, "B": 100}, "y": {"A": 60, "B": 60}})
    # The original acts 60 times in A and 100 times in B.
    assert stopping.planned == 600 and stopping.saved == 600 - (50 + 100 + 60 + 60) - (60 + 100)
    assert Stopping.from_dict(json.loads(json.dumps(stopping.to_dict()))) == stopping
