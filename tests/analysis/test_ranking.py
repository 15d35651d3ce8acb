from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import kendalltau, spearmanr

from acenv.analysis.ranking import jaccard, kendall_tau_b, rank_agreement, rank_biased_overlap, spearman_rho, top_k

# Few different values, so that ties are everywhere; and ordinary numbers.
numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-100, 100, width=32))
shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)
rows = hnp.arrays(np.float32, shapes, elements=numbers)
pairs = shapes.flatmap(lambda s: st.tuples(*(hnp.arrays(np.float32, s, elements=numbers),) * 2))


@given(rows, st.integers(1, 15))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_top_k_is_the_end_of_a_stable_argsort(logits, k):
    expected = np.argsort(logits, axis=1, kind="stable")[:, -k:]
    np.testing.assert_array_equal(top_k(logits, k), expected)


def test_top_k_of_many_equal_logits_in_a_large_vocabulary():
    logits = np.round(np.random.default_rng(0).standard_normal((20, 5000)) * 2).astype(np.float32)
    for k in (1, 3, 20, 700):
        np.testing.assert_array_equal(top_k(logits, k), np.argsort(logits, axis=1, kind="stable")[:, -k:])


@given(pairs)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_correlations_equal_scipys(pair):
    x, y = pair
    tau, rho = kendall_tau_b(x, y), spearman_rho(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(len(x)):
            expected = (kendalltau(x[i], y[i])[0], spearmanr(x[i], y[i])[0]) if x.shape[1] > 1 else (math.nan, math.nan)
            np.testing.assert_allclose((tau[i], rho[i]), expected, atol=1e-12)


@given(pairs)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_correlations_are_symmetric_and_bounded_and_see_only_the_order(pair):
    x, y = pair
    for function in (kendall_tau_b, spearman_rho):
        there = function(x, y)
        np.testing.assert_array_equal(there, function(y, x))
        np.testing.assert_allclose(there, -function(x, -y), atol=1e-12)
        np.testing.assert_array_equal(there, function(x.astype(np.float64) * 2, y))
        assert np.all((np.abs(there) <= 1) | np.isnan(there))
        same = function(x, x)
        assert np.all((same == 1) | (np.isnan(same) & (x.max(axis=1) == x.min(axis=1))))


@given(pairs)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_agreement_with_oneself_is_whole_and_jaccard_is_that_of_the_sets(pair):
    base, compressed = pair
    for k, agreement in rank_agreement(base, compressed, (1, 3, 10)).items():
        for i, overlap in enumerate(agreement.jaccard):
            a, b = (set(np.argsort(m[i], kind="stable")[-k:].tolist()) for m in (base, compressed))
            assert overlap == pytest.approx(len(a & b) / len(a | b))
    assert all((a.jaccard == 1).all() for a in rank_agreement(base, base).values())


def test_the_base_chooses_the_tokens_that_are_correlated():
    base = np.array([[5.0, 4.0, 3.0, 0.0, 0.0]])
    compressed = np.array([[3.0, 4.0, 5.0, 9.0, 9.0]])
    assert rank_agreement(base, compressed, (3,))[3].kendall[0] == -1
    assert rank_agreement(compressed, base, (3,))[3].kendall[0] == pytest.approx(-1.0)
    assert rank_agreement(base, compressed, (3,))[3].jaccard[0] == pytest.approx(1 / 5)


def test_a_constant_top_has_no_correlation():
    agreement = rank_agreement(np.zeros((2, 9)), np.ones((2, 9)))[3]
    assert np.isnan(agreement.kendall).all() and np.isnan(agreement.spearman).all()
    assert (agreement.jaccard == 1).all()


def test_no_positions_give_no_values():
    assert rank_agreement(np.empty((0, 30)), np.empty((0, 30)))[20].kendall.shape == (0,)
    assert jaccard(np.empty((0, 3), dtype=int), np.empty((0, 3), dtype=int)).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_agreement(np.zeros((2, 3)), np.zeros((2, 4))), "same shape"),
        (lambda: rank_agreement(np.zeros((2, 3)), np.zeros((2, 3)), ()), "k must be"),
        (lambda: rank_agreement(np.zeros((2, 3)), np.zeros((2, 3)), (0, 3)), "k must be"),
        (lambda: top_k(np.zeros(3), 1), "shape"),
        (lambda: top_k(np.zeros((1, 3)), 0), "k must be"),
        (lambda: top_k(np.array([[1.0, math.nan, 2.0, 0.0]]), 2), "nan"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rank_biased_overlap_equals_its_definition():
    # Of the lists <a b c d> and <b a d e>: agreements 0, 1, 2/3, 3/4 at depths 1 to 4.
    a, b = np.array([[3, 2, 1, 0]]), np.array([[4, 3, 0, 1]])
    p = 0.9
    agreements = [0, 1, 2 / 3, 3 / 4]
    expected = (1 - p) * sum(x * p**d for d, x in enumerate(agreements)) + agreements[-1] * p**4
    assert rank_biased_overlap(a, b)[0] == pytest.approx(expected)


def test_rank_biased_overlap_is_whole_for_equal_rankings_and_nothing_for_other_ones():
    rows = np.array([[1, 2, 3], [3, 1, 2]])
    assert rank_biased_overlap(rows, rows).tolist() == [1.0, 1.0]
    assert rank_biased_overlap(rows, rows + 10).tolist() == [0.0, 0.0]


def test_rank_biased_overlap_weighs_the_head():
    base = np.array([[0, 1, 2, 3, 4]])
    tail, head = base[:, [1, 0, 2, 3, 4]], base[:, [0, 1, 2, 4, 3]]
    assert rank_biased_overlap(base, tail)[0] > rank_biased_overlap(base, head)[0]


@pytest.mark.parametrize(("a", "b", "p"), [([[1]], [[1]], 1.0), ([[1]], [[1, 2]], 0.5)])
def test_rank_biased_overlap_refuses_what_makes_no_sense(a, b, p):
    with pytest.raises(ValueError):
        rank_biased_overlap(np.array(a), np.array(b), p)
