from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acenv.analysis.spectrum import GramAccumulator, SpectrumAccumulator, effective_rank, singular_value_rank

shapes = st.tuples(st.integers(2, 30), st.integers(1, 30))
seeds = st.integers(0, 10_000)


def matrix(shape, seed, offset=0.0):
    return np.random.default_rng(seed).standard_normal(shape) + offset


def in_memory(values):
    """The definition of Diff-eRank, as literally as numpy allows."""
    rows = values.astype(np.float64) - values.astype(np.float64).mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    covariance = rows.T @ rows / len(rows)
    weights = np.linalg.svd(covariance / np.trace(covariance), compute_uv=False)
    return math.exp(-sum(w * math.log(w) for w in weights if w > 0))


@given(shapes, seeds, st.sampled_from([0.0, 3.0, 100.0]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_both_sides_equal_the_definition(shape, seed, offset):
    values = matrix(shape, seed, offset)
    assert effective_rank(values) == pytest.approx(in_memory(values), rel=1e-8)


@given(shapes, seeds)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_bounds(shape, seed):
    values = matrix(shape, seed)
    assert 1 - 1e-9 <= effective_rank(values) <= min(shape) + 1e-9
    assert 1 - 1e-9 <= singular_value_rank(values) <= min(shape) + 1e-9


@given(shapes, seeds, st.floats(0.01, 100), st.floats(-10, 10))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_effective_rank_does_not_see_scale_shift_order_or_rotation(shape, seed, scale, shift):
    values = matrix(shape, seed)
    rng = np.random.default_rng(seed + 1)
    rotation, _ = np.linalg.qr(rng.standard_normal((shape[1], shape[1])))
    expected = pytest.approx(effective_rank(values), rel=1e-7)
    assert effective_rank(values * scale) == expected
    assert effective_rank(values + shift) == expected
    assert effective_rank(rng.permutation(values, axis=0)) == expected
    assert effective_rank(values @ rotation) == expected


@given(shapes, seeds, st.floats(0.01, 100))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_singular_value_rank_is_of_the_matrix_as_it_is(shape, seed, scale):
    values = matrix(shape, seed)
    sigma = np.linalg.svd(values, compute_uv=False)
    shares = sigma / sigma.sum()
    assert singular_value_rank(values) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-10)
    assert singular_value_rank(values * scale) == pytest.approx(singular_value_rank(values), rel=1e-9)
    assert singular_value_rank(values.T) == pytest.approx(singular_value_rank(values), rel=1e-9)


@given(shapes, seeds, st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_streams_equal_the_whole(shape, seed, first, second):
    values = matrix(shape, seed, offset=5.0).astype(np.float32)
    expected = pytest.approx(effective_rank(values), rel=1e-8)
    rows = SpectrumAccumulator(shape[1])
    for start in range(0, shape[0], first):
        rows.observe(values[start : start + first])
    for start in reversed(range(0, shape[0], second)):
        rows.add(values[start : start + second])
    assert rows.effective_rank() == expected
    columns = GramAccumulator(shape[0])
    for start in range(0, shape[1], first):
        columns.add(values[:, start : start + first])
    assert columns.effective_rank() == expected


def test_the_two_definitions_differ():
    values = matrix((40, 20), 0, offset=10.0)
    assert singular_value_rank(values) < 10 < 15 < effective_rank(values)


def test_large_matrices_go_through_several_blocks():
    tall, wide = matrix((9000, 120), 1), matrix((120, 9000), 2)
    for values in (tall, wide):
        assert effective_rank(values) == pytest.approx(
            in_memory(values if values is tall else tall_form(values)), rel=1e-8
        )
        sigma = np.linalg.svd(values, compute_uv=False)
        shares = sigma / sigma.sum()
        assert singular_value_rank(values) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-10)


def tall_form(values):
    """The same rows in coordinates of their own span, so that the literal definition is feasible."""
    _, triangle = np.linalg.qr(values.T)
    return triangle.T


def test_known_values():
    corners = np.array([[1.0, 1], [-1, 1], [1, -1], [-1, -1]])
    assert effective_rank(corners) == pytest.approx(2.0)
    assert effective_rank(np.array([[0.0, 0.0], [5.0, 5.0]])) == pytest.approx(1.0)
    assert singular_value_rank(np.eye(7)) == pytest.approx(7.0)
    assert singular_value_rank(np.ones((5, 3))) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
@pytest.mark.parametrize("shape", [(1, 4), (3, 8), (8, 3)])
def test_equal_rows_have_no_effective_rank(value, shape):
    assert math.isnan(effective_rank(np.full(shape, value)))


def test_a_row_at_the_mean_has_no_direction():
    values = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    assert effective_rank(values) == pytest.approx(1.0)
    assert math.isnan(singular_value_rank(np.zeros((3, 2))))


@pytest.mark.parametrize("function", [effective_rank, singular_value_rank])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((0, 3)), "at least one number"),
        (np.array([[1.0, math.nan], [0.0, 1.0]]), "not finite"),
        (np.array([[1.0, math.inf], [0.0, 1.0], [2.0, 2.0]]), "not finite"),
    ],
)
def test_what_is_no_matrix_is_refused(function, values, message):
    with pytest.raises(ValueError, match=message):
        function(values)


def test_accumulators_refuse_misuse():
    rows = SpectrumAccumulator(3)
    with pytest.raises(ValueError, match="both passes"):
        rows.effective_rank()
    with pytest.raises(ValueError, match="observed before"):
        SpectrumAccumulator(3).add(np.ones((1, 3)))
    with pytest.raises(ValueError, match="shape"):
        rows.observe(np.ones((2, 4)))
    rows.observe(np.eye(3))
    rows.add(np.eye(3)[:1])
    with pytest.raises(ValueError, match="3 rows were observed, but 1 added"):
        rows.effective_rank()
    with pytest.raises(ValueError, match="before the first add"):
        rows.observe(np.eye(3))
    with pytest.raises(ValueError, match="shape"):
        GramAccumulator(3).add(np.ones((2, 2)))
    for make in (GramAccumulator, SpectrumAccumulator):
        with pytest.raises(ValueError, match="at least 1"):
            make(0)


def test_wide_logits_are_never_copied_whole():
    logits = np.random.default_rng(0).standard_normal((64, 100_000), dtype=np.float32)
    tracemalloc.start()
    effective_rank(logits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < logits.nbytes  # a float64 copy would be twice as large
