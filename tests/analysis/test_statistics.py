from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from acenv.analysis.statistics import (
    bootstrap_mean,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    percentile_interval,
    resampled_means,
)

finite = st.floats(-1e6, 1e6)
probabilities = st.floats(0, 1)


@given(st.lists(finite, min_size=2, max_size=40), st.integers(0, 5))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_interval_holds_the_mean_and_stays_in_the_range_of_the_values(values, seed):
    interval = bootstrap_mean(values, resamples=200, seed=seed)
    slack = 1e-9 * max(1.0, max(map(abs, values)))
    assert interval.estimate == pytest.approx(np.mean(values))
    assert min(values) - slack <= interval.low <= interval.estimate <= interval.high <= max(values) + slack


@given(st.lists(finite, min_size=2, max_size=20), st.floats(-100, 100))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_interval_moves_with_the_values(values, shift):
    here = bootstrap_mean(values, resamples=100)
    there = bootstrap_mean([v + shift for v in values], resamples=100)
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)
    assert there.high == pytest.approx(here.high + shift, abs=1e-6)


def test_seeds_make_bootstraps_repeatable_and_different():
    values = np.random.default_rng(0).random(30)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_more_confidence_is_wider():
    values = np.random.default_rng(0).random(30)
    widths = [i.high - i.low for i in (bootstrap_mean(values, confidence=c) for c in (0.5, 0.9, 0.99))]
    assert widths == sorted(widths)


@pytest.mark.parametrize("count", [6, 15, 60])
def test_intervals_cover_the_true_mean_about_as_often_as_they_say(count):
    rng = np.random.default_rng(7)
    trials = 400
    hits = 0
    for trial in range(trials):
        interval = paired_bootstrap(rng.normal(0.1, 1.0, count), resamples=600, seed=trial)
        hits += interval.low <= 0.1 <= interval.high
    # Three standard errors of a share of 0.95 are 0.033; small samples may be off by a little more.
    assert 0.90 <= hits / trials <= 0.99


def test_one_value_has_no_interval():
    interval = paired_bootstrap([0.25])
    assert interval.estimate == 0.25
    assert math.isnan(interval.low) and math.isnan(interval.high)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused_with_their_place(bad):
    with pytest.raises(ValueError, match="differences are not finite, the first at position 1"):
        paired_bootstrap([0.0, bad])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean([]), "empty"),
        (lambda: bootstrap_mean([[1.0, 2.0]]), "flat list"),
        (lambda: bootstrap_mean([1.0, 2.0], confidence=95), "confidence"),
        (lambda: bootstrap_mean([1.0, 2.0], confidence=math.nan), "confidence"),
        (lambda: bootstrap_mean([1.0, 2.0], resamples=0), "resamples"),
        (lambda: resampled_means(np.empty((0, 2)), 10, np.random.default_rng(0)), "at least one row"),
        (lambda: mcnemar_exact(-1, 3), "gained"),
        (lambda: mcnemar_exact(1, math.nan), "lost"),
        (lambda: holm([0.5, math.nan]), "p-value 1"),
        (lambda: holm([1.5]), "p-value 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_memory_does_not_grow_with_the_number_of_resamples():
    values = np.random.default_rng(0).random((5000, 2))
    tracemalloc.start()
    resampled_means(values, 1000, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6  # 1000 samples of 5000 pairs at once would be 80 MB, and their places 40 MB more


def test_columns_are_resampled_together():
    values = np.arange(50.0)
    means = resampled_means(np.stack([values, 3 * values], axis=1), 100, np.random.default_rng(0))
    np.testing.assert_allclose(means[:, 1], 3 * means[:, 0])


def test_the_expansion_is_hesterbergs():
    # For n = 10 and 95%, the tail is Phi(-sqrt(10/9) t_{0.025, 9}) = Phi(-2.3845) = 0.00855.
    draws = np.linspace(0, 1, 100_001)
    interval = percentile_interval(0.5, draws, 10, 0.95)
    assert interval.low == pytest.approx(0.00855, abs=2e-4)
    assert interval.high == pytest.approx(1 - 0.00855, abs=2e-4)


@given(st.integers(0, 400), st.integers(0, 400))
@settings(deadline=None, derandomize=True)
def test_mcnemar_equals_the_two_sided_binomial_test(gained, lost):
    expected = binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert mcnemar_exact(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_holm_on_a_worked_example():
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 (raised to 0.06, since adjusted values never fall).
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.8]) == [1.0, 1.0]


@given(st.lists(probabilities, max_size=12))
def test_holm_keeps_the_order_and_lies_between_the_raw_and_bonferronis(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= min(1.0, p * len(p_values)) + 1e-12 for p, a in zip(p_values, adjusted, strict=True))
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[i] for i in by_size] == sorted(adjusted)
