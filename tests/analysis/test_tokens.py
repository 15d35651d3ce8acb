"""What a replay computes in blocks with torch equals the definitions, whatever the logits."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from acenv.analysis import tokens  # noqa: E402
from acenv.analysis.energy import energy, kl_divergence, top1_agreement  # noqa: E402
from acenv.analysis.internals import NotFiniteError  # noqa: E402
from acenv.analysis.ranking import rank_agreement, rank_biased_overlap, top_k  # noqa: E402
from acenv.analysis.spectrum import effective_rank  # noqa: E402
from acenv.analysis.tokens import Logits, head_root, logit_rank, measure  # noqa: E402

NAMES = ("base", "compressed")
KS = (3, 10, 20)


class Head:
    """An output layer that remembers how many logits it made at a time."""

    def __init__(self, vocabulary: int, width: int, seed: int = 0) -> None:
        self.weight = torch.from_numpy(np.random.default_rng(seed).standard_normal((vocabulary, width)).astype("f4"))
        self.vocabulary = vocabulary
        self.made: list[int] = []

    def __call__(self, hidden):
        self.made.append(len(hidden) * self.vocabulary)
        return torch.from_numpy(hidden) @ self.weight.T


@st.composite
def pairs(draw):
    """Logits of two models; rounded ones are full of equal values."""
    rows, columns = draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 21, 300, 5_376, 6_001]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base = rng.standard_normal((rows, columns)) * draw(st.sampled_from([0.0, 1.0, 5.0]))
    compressed = base + rng.standard_normal(base.shape) * draw(st.sampled_from([0.0, 0.1, 2.0]))
    digits = draw(st.sampled_from([0, 1, 6]))
    return base.round(digits).astype(np.float32), compressed.round(digits).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_blocks_equal_the_definitions(pair):
    base, compressed = pair
    found = measure(Logits.given(base), Logits.given(compressed), KS, NAMES)
    np.testing.assert_allclose(found.kl, kl_divergence(base, compressed), rtol=1e-4, atol=1e-5)
    assert (found.flips == ~top1_agreement(base, compressed)).all()
    for energies, logits in zip(found.energies, pair, strict=True):
        np.testing.assert_allclose(energies, energy(logits), rtol=1e-5, atol=1e-5)
    tops = top_k(base, 20), top_k(compressed, 20)
    np.testing.assert_allclose(found.rbo, rank_biased_overlap(*tops))
    for k, agreement in rank_agreement(base, compressed, KS).items():
        for name in ("jaccard", "kendall", "spearman"):
            np.testing.assert_allclose(getattr(found.agreement[k], name), getattr(agreement, name))


@settings(max_examples=60, deadline=None)
@given(pairs(), st.integers(1, 20))
def test_the_largest_are_those_of_an_order(pair, k):
    logits = torch.from_numpy(pair[0])
    k = min(k, logits.shape[1])
    values, places = tokens._largest(logits, k)
    assert torch.equal(values, logits.topk(k, dim=1).values)
    assert torch.equal(logits.gather(1, places), values)
    assert all(len(set(row)) == k for row in places.tolist())


def test_models_that_differ_by_a_constant_do_not_differ():
    base = np.random.default_rng(0).standard_normal((4, 500)).astype(np.float32).round(3)
    found = measure(Logits.given(base), Logits.given(base + np.float32(512)), KS, NAMES)
    assert found.kl.max() < 1e-4 and not found.flips.any()
    np.testing.assert_allclose(found.energies[0] - found.energies[1], 512, rtol=1e-5)


def test_never_more_logits_are_made_than_may_be_held(monkeypatch):
    monkeypatch.setattr(tokens, "HELD", 3_000)
    hidden = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    heads = Head(1_000, 8), Head(1_000, 8, seed=1)
    found = measure(*(Logits.made(hidden, head) for head in heads), KS, NAMES)
    assert max(heads[0].made + heads[1].made) <= 3_000 and sum(heads[0].made) == 50 * 1_000
    monkeypatch.undo()
    whole = measure(*(Logits.made(hidden, head) for head in heads), KS, NAMES)
    np.testing.assert_allclose(found.kl, whole.kl, rtol=1e-4)
    assert (found.flips == whole.flips).all()


def test_the_rank_of_logits_is_known_without_them():
    hidden = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    head = Head(3_000, 8)
    rank = logit_rank(hidden, head, head_root(head))
    assert head.made == []
    assert rank == pytest.approx(effective_rank(head(hidden).numpy()), rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_logits_that_are_not_finite_are_told_by_name(value, side):
    pair = [np.zeros((3, 2_000), dtype=np.float32) for _ in range(2)]
    pair[side][1, 7] = value
    with pytest.raises(NotFiniteError, match=f"^{NAMES[side]} are not all finite"):
        measure(*map(Logits.given, pair), KS, NAMES)
