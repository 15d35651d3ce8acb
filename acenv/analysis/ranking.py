"""Do two models rank the likeliest tokens alike? Jaccard overlap, Kendall's tau-b and Spearman's rho on the top k.

The overlap compares the two models' own top-k sets, ``|A n B| / |A u B|``. The rank correlations take the top-k tokens
of the uncompressed model and correlate the two models' logits on them, per position, as ACBench's
``vis_logis_diff.py`` does. All functions work on all positions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from acenv.analysis.statistics import Floats

TOP_K = (3, 10, 20)
"""The values of k that ACBench reports."""

RBO_P = 0.9
"""How slowly the weight of the ranks falls in the rank-biased overlap."""

Logits = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Agreement on the top k of each position, every array of shape [positions].

    Attributes:
        jaccard: ``|A n B| / |A u B|`` of the two top-k sets, in [0, 1].
        kendall: Tau-b on the base's top k, in [-1, 1]; ``nan`` where either side is constant there.
        spearman: Rho on the base's top k, in [-1, 1]; ``nan`` where either side is constant there.
    """

    jaccard: Floats
    kendall: Floats
    spearman: Floats


def rank_agreement(base: Logits, compressed: Logits, ks: Sequence[int] = TOP_K) -> dict[int, RankAgreement]:
    """Compare the rankings of two models.

    Args:
        base: Logits of the uncompressed model, shape [positions, vocabulary].
        compressed: Logits of the compressed model on the same tokens, same shape.
        ks: Sizes of the top; one that exceeds the vocabulary takes all of it.

    Raises:
        ValueError: The shapes differ or are not [positions, vocabulary], a ``k`` is below 1, or there are ``nan``.
    """
    if base.shape != compressed.shape:
        raise ValueError(f"logits of the same tokens have the same shape, not {base.shape} and {compressed.shape}")
    if not ks or min(ks) < 1:
        raise ValueError(f"k must be at least 1, not {list(ks)}")
    # The top of a smaller k is the end of the top of a larger one, so the vocabulary is searched only once.
    top_base, top_compressed = top_k(base, max(ks)), top_k(compressed, max(ks))
    values_base = np.take_along_axis(base, top_base, axis=1)
    values_compressed = np.take_along_axis(compressed, top_base, axis=1)
    return agreement_of(top_base, top_compressed, values_base, values_compressed, ks)


def agreement_of(
    top_base: Indices, top_compressed: Indices, values_base: Logits, values_compressed: Logits, ks: Sequence[int]
) -> dict[int, RankAgreement]:
    """As :func:`rank_agreement`, of what is left of the logits once the largest are found.

    Args:
        top_base: The base's top, for the largest k, as :func:`top_k` gives it.
        top_compressed: The compressed model's.
        values_base: The base's logits at ``top_base``.
        values_compressed: The compressed model's logits at ``top_base``.
        ks: Sizes of the top.
    """
    return {
        k: RankAgreement(
            jaccard(top_base[:, -k:], top_compressed[:, -k:]),
            kendall_tau_b(values_base[:, -k:], values_compressed[:, -k:]),
            spearman_rho(values_base[:, -k:], values_compressed[:, -k:]),
        )
        for k in ks
    }


def top_k(logits: Logits, k: int) -> Indices:
    """Indices of the k largest logits of each position, the largest last.

    Equals ``argsort(logits, kind="stable")[..., -k:]``: of equal logits the one with the higher index counts as larger.

    Args:
        logits: Shape [positions, vocabulary].
        k: How many; at most the vocabulary.

    Returns:
        Shape [positions, min(k, vocabulary)].

    Raises:
        ValueError: Another shape, ``k`` below 1, or logits that are ``nan``.

    >>> top_k(np.array([[0.0, 5.0, 5.0, 1.0]]), 3).tolist()
    [[3, 1, 2]]
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must be of shape [positions, vocabulary], not {logits.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    k = min(k, logits.shape[1])
    if not logits.size:
        return np.empty((len(logits), k), dtype=np.intp)
    chosen = np.argpartition(logits, -k, axis=1)[:, -k:]
    values = np.take_along_axis(logits, chosen, axis=1)
    if np.isnan(values).any():  # nan sorts above everything, so one anywhere in a row is among its largest
        raise ValueError("logits hold nan: the model is broken, or its outputs overflowed")
    threshold = values.min(axis=1, keepdims=True)
    # Partitioning picks any of the equal logits at the edge; positions where there is a choice are done again.
    for row in np.flatnonzero((logits >= threshold).sum(axis=1) > k):
        above = np.flatnonzero(logits[row] > threshold[row])
        edge = np.flatnonzero(logits[row] == threshold[row])
        chosen[row] = np.concatenate([above, edge[len(edge) - (k - len(above)) :]])
    chosen = np.sort(chosen, axis=1)
    order = np.argsort(np.take_along_axis(logits, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


def jaccard(a: Indices, b: Indices) -> Floats:
    """``|A n B| / |A u B|`` of the sets in the rows of two index arrays.

    Args:
        a: Shape [positions, k], the indices of a row all different.
        b: Shape [positions, k], likewise.

    >>> jaccard(np.array([[1, 2]]), np.array([[2, 3]])).round(3).tolist()
    [0.333]
    """
    common = (a[:, :, None] == b[:, None, :]).sum(axis=(1, 2))
    overlap: Floats = common / (a.shape[1] + b.shape[1] - common)
    return overlap


def rank_biased_overlap(a: Indices, b: Indices, p: float = RBO_P) -> Floats:
    """Rank-biased overlap of two rankings of the same length (Webber, Moffat and Zobel, TOIS 28(4), 2010).

    The overlap at depth d weighs p^(d-1), so the head counts most. This is their extrapolated form RBO_ext (equation
    32, for rankings that are cut at the same depth): beyond the cut the overlap is taken to stay as it is.

    Args:
        a: Shape [positions, k], indices of the likeliest tokens, the likeliest *last* as :func:`top_k` gives them.
        b: Shape [positions, k], likewise.
        p: How slowly the weight falls, between 0 and 1; at 0.9 the first ten ranks have 86% of it.

    Returns:
        Shape [positions], in [0, 1]; 1 for equal rankings.

    Raises:
        ValueError: ``p`` is not between 0 and 1, or the shapes differ.

    >>> rank_biased_overlap(np.array([[3, 2, 1]]), np.array([[3, 2, 1]])).tolist()
    [1.0]
    """
    if not 0 < p < 1:
        raise ValueError(f"p must be between 0 and 1, not {p}")
    if a.shape != b.shape:
        raise ValueError(f"rankings of the same length are needed, not {a.shape} and {b.shape}")
    k = a.shape[1]
    first, second = a[:, ::-1], b[:, ::-1]
    place = np.arange(k)
    # An index that stands at i in one and at j in the other is common from depth max(i, j) + 1 on.
    depth = np.maximum(place[:, None], place[None, :])
    same = first[:, :, None] == second[:, None, :]
    joined = np.where(same, depth, k).min(axis=2)
    common = (joined[:, :, None] == place).sum(axis=1).cumsum(axis=1)
    agreement = common / np.arange(1, k + 1)
    weights = p ** np.arange(k)
    overlap: Floats = (1 - p) * (agreement * weights).sum(axis=1) + agreement[:, -1] * p**k
    return overlap.round(12)  # equal rankings give 1, whatever the rounding of the sum


def kendall_tau_b(x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """Kendall's tau-b along the last axis (Biometrika 33, 1945), ties accounted for.

    Every pair is looked at: memory and time grow with n squared, which suits the short rows of a top k.

    Args:
        x: Shape [positions, n].
        y: Shape [positions, n].

    Returns:
        Shape [positions], ``nan`` where ``x`` or ``y`` is constant.
    """
    signs_x, signs_y = _signs(x), _signs(y)
    count, n, _ = signs_x.shape
    return _cosine(signs_x.reshape(count, n * n), signs_y.reshape(count, n * n))


def spearman_rho(x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """Spearman's rho along the last axis: the correlation of the ranks, equal values sharing their mean rank.

    Args:
        x: Shape [positions, n].
        y: Shape [positions, n].

    Returns:
        Shape [positions], ``nan`` where ``x`` or ``y`` is constant.
    """
    # (how many are smaller) - (how many are larger) is twice the centred mean rank, so Pearson's r is a plain cosine.
    return _cosine(_signs(x).sum(axis=2, dtype=np.int64), _signs(y).sum(axis=2, dtype=np.int64))


def _signs(x: npt.ArrayLike) -> npt.NDArray[np.int8]:
    values = np.asarray(x)
    left, right = values[:, :, None], values[:, None, :]
    return (left > right).astype(np.int8) - (left < right).astype(np.int8)


def _cosine(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Floats:
    """Cosine of rows of whole numbers; those are summed exactly, so identical rankings give exactly 1."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    dot, xx, yy = (np.einsum("ij,ij->i", a, b) for a, b in ((x, y), (x, x), (y, y)))
    with np.errstate(invalid="ignore"):
        cosine: Floats = dot / np.sqrt(xx * yy)
    return np.clip(cosine, -1.0, 1.0)
