from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from acenv.analysis.bounded import chance_above_zero, draw_means, mean_interval, mean_test

tenths = st.lists(st.integers(-10, 10).map(lambda i: i / 10), min_size=1, max_size=30)


@given(tenths)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_sum_is_above_0_or_its_mirror_image_is(values: list[float]) -> None:
    """Also where the coefficients add up to 0, which rounding puts on either side."""
    for coefficients in (np.array(values), np.array([*values, -sum(values)])):
        if np.any(coefficients):
            both = chance_above_zero(coefficients) + chance_above_zero(-coefficients)
            assert both == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize("count", [1, 5, 60, 700])
def test_small_chances_are_exact(count: int) -> None:
    # The one is larger than the sum of the others if it wins every race against the next of them.
    assert chance_above_zero(np.array([1.0] + [-1.0] * count)) == pytest.approx(0.5**count, rel=1e-9)


def test_chances_agree_with_draws() -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        coefficients = rng.normal(-0.2, 1.0, size=8)
        drawn = np.mean(rng.standard_exponential((100_000, 8)) @ coefficients > 0)
        assert chance_above_zero(coefficients) == pytest.approx(drawn, abs=0.006)


@pytest.mark.parametrize(
    "values", [[1e-300, -1.0], [5e-324, 5e-324], [1e-12] * 3 + [-1.0] * 5, [1.0, -1e-9], [0.1 + 0.2, -0.3]]
)
def test_values_of_very_different_sizes_are_no_trouble(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval.low <= interval.estimate <= interval.high and 0.0 <= mean_test(values) <= 1.0


@given(st.integers(2, 60), st.integers(0, 60))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_on_zeros_and_ones_it_is_clopper_and_pearsons(count: int, solved: int) -> None:
    solved = min(solved, count)
    interval = mean_interval([1.0] * solved + [0.0] * (count - solved), low=0.0)
    low = beta.ppf(0.025, solved, count - solved + 1) if solved else 0.0
    high = beta.ppf(0.975, solved + 1, count - solved) if solved < count else 1.0
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_interval_stays_on_the_scale_and_agrees_with_the_test(values: list[float]) -> None:
    interval = mean_interval(values)
    assert -1.0 <= interval.low <= interval.estimate <= interval.high <= 1.0
    p = mean_test(values)
    if abs(p - 0.05) > 1e-4:
        assert (p < 0.05) == (interval.low > 0 or interval.high < 0)


@pytest.mark.parametrize("count", [2, 3, 20])
def test_draws_for_a_mean_over_environments_spread_like_the_mean(count: int) -> None:
    rows = np.random.default_rng(1).random((count, 2))
    drawn = draw_means(rows, 40_000, np.random.default_rng(2), alone=False).means
    assert drawn.mean(axis=0) == pytest.approx(rows.mean(axis=0), abs=0.01)
    assert drawn.var(axis=0) == pytest.approx(rows.var(axis=0, ddof=1) / count, rel=0.05)
    assert drawn.min() >= rows.min() - 1e-12 and drawn.max() <= rows.max() + 1e-12
    equal = draw_means([[0.5, 0.5]] * count, 10, np.random.default_rng(3), alone=False).means
    assert equal == pytest.approx(np.full((10, 2), 0.5))
