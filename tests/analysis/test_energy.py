from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp, rel_entr, softmax

from acenv.analysis.energy import energy, energy_shift, kl_divergence, top1_agreement

shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10)
numbers = st.floats(-500, 500, width=32)
matrices = hnp.arrays(np.float32, shapes, elements=numbers)
pairs = shapes.flatmap(lambda s: st.tuples(*(hnp.arrays(np.float32, s, elements=numbers),) * 2))
temperatures = st.floats(0.05, 50)


@given(matrices, temperatures)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_energy_equals_its_formula_and_survives_large_logits(logits, temperature):
    expected = -temperature * logsumexp(logits.astype(np.float64) / temperature, axis=1)
    np.testing.assert_allclose(energy(logits, temperature), expected, rtol=1e-12, atol=1e-9)
    assert np.isfinite(energy(logits * np.float32(1e30), temperature)).all()


@given(matrices, temperatures, st.floats(-50, 50))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_energy_falls_by_what_is_added_and_does_not_see_the_order(logits, temperature, shift):
    before = energy(logits, temperature)
    np.testing.assert_allclose(energy(logits.astype(np.float64) + shift, temperature), before - shift, atol=1e-9)
    np.testing.assert_allclose(energy(logits[:, ::-1], temperature), before, atol=1e-9)
    # Between the largest logit and that plus T log(vocabulary).
    top = logits.max(axis=1).astype(np.float64)
    assert np.all(-before >= top - 1e-9)
    assert np.all(-before <= top + temperature * math.log(logits.shape[1]) + 1e-9)


def test_shift_is_the_absolute_difference():
    base, compressed = np.zeros((2, 4)), np.ones((2, 4)) * [[1.0], [-2.0]]
    np.testing.assert_allclose(energy_shift(base, compressed), [1.0, 2.0])


@given(pairs)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_kl_equals_scipys_and_is_never_negative(pair):
    base, compressed = (m.astype(np.float64) / 50 for m in pair)
    expected = rel_entr(softmax(base, axis=1), softmax(compressed, axis=1)).sum(axis=1)
    found = kl_divergence(base, compressed)
    np.testing.assert_allclose(found, np.maximum(expected, 0), atol=1e-9)
    assert np.all(found >= 0)
    np.testing.assert_allclose(kl_divergence(base, base + 3.0), 0.0, atol=1e-9)


def test_blocks_make_no_difference():
    rng = np.random.default_rng(0)
    base, compressed = rng.standard_normal((2, 70, 30_000)).astype(np.float32)
    np.testing.assert_allclose(energy(base), -logsumexp(base.astype(np.float64), axis=1), rtol=1e-12)
    parts = [kl_divergence(base[i : i + 1], compressed[i : i + 1])[0] for i in range(70)]
    np.testing.assert_allclose(kl_divergence(base, compressed), parts, rtol=1e-12)


def test_top1_agreement():
    assert top1_agreement(np.array([[1.0, 2], [2, 1]]), np.array([[0.0, 9], [0, 9]])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy(np.zeros((2, 3)), 0.0), "temperature"),
        (lambda: energy(np.zeros((2, 3)), math.nan), "temperature"),
        (lambda: energy(np.zeros(3)), "shape"),
        (lambda: energy(np.array(1.0)), "shape"),
        (lambda: energy(np.zeros((3, 0))), "shape"),
        (lambda: energy_shift(np.zeros((2, 3)), np.zeros((3, 3))), "2 and 3 positions"),
        (lambda: kl_divergence(np.zeros((2, 3)), np.zeros((2, 4))), "same shape"),
        (lambda: top1_agreement(np.zeros((2, 3)), np.zeros((2, 4))), "same shape"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
