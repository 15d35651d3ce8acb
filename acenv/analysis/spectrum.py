"""Effective rank: how many directions a matrix of token vectors really uses.

Two definitions are in use, and their values differ:

- :func:`effective_rank`, the one of Diff-eRank (Wei et al., *Diff-eRank: A Novel Rank-Based Metric for Evaluating Large
  Language Models*, NeurIPS 2024), which ACBench's code applies to the logit matrix: the rows are centred by their mean
  and scaled to length 1, and the entropy is that of the *eigenvalues* of their covariance.
- :func:`singular_value_rank`, the original one (Roy and Vetterli, *The effective rank: a measure of effective
  dimensionality*, EUSIPCO 2007), as ACBench's paper defines it: the entropy of the *singular values* of the matrix as
  it is, divided by their sum.

Both are exp(entropy), computed in float64 over blocks, so that neither a float64 copy of a matrix of tokens x
vocabulary nor a matrix of vocabulary x vocabulary is ever made: the eigenvalues are those of the smaller of Z Z^T
(tokens x tokens) and Z^T Z (width x width), which share all that are not 0. (Official float32 results differ from these
by up to about 1e-4, because rounding fills the empty directions.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from acenv.analysis.statistics import Floats

Matrix = npt.NDArray[np.floating[Any]]

_BLOCK = 2**20
"""Numbers that are held in float64 at a time, beside the accumulated matrix."""


def effective_rank(matrix: Matrix) -> float:
    """The effective rank of Diff-eRank: of centred rows of length 1, from the eigenvalues of their covariance.

    Args:
        matrix: One row for each token, shape [tokens, width]; hidden states or logits.

    Returns:
        Between 1 and min(tokens, width); ``nan`` if all rows are equal (one token included), as they have no spread.

    Raises:
        ValueError: Another shape, no numbers, or numbers that are not finite.

    >>> round(effective_rank(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
    2.0
    """
    _check(matrix)
    if len(matrix) > matrix.shape[1]:
        accumulator = SpectrumAccumulator(matrix.shape[1])
        for rows in _slices(len(matrix), matrix.shape[1]):
            accumulator.observe(matrix[rows])
        for rows in _slices(len(matrix), matrix.shape[1]):
            accumulator.add(matrix[rows])
        return accumulator.effective_rank()
    gram = GramAccumulator(len(matrix))
    for columns in _slices(matrix.shape[1], len(matrix)):
        gram.add(matrix[:, columns])
    return gram.effective_rank()


def singular_value_rank(matrix: Matrix) -> float:
    """The effective rank of Roy and Vetterli: from the singular values of the matrix, neither centred nor scaled.

    Args:
        matrix: Shape [rows, columns].

    Returns:
        Between 1 and min(rows, columns); ``nan`` if the matrix is 0.

    Raises:
        ValueError: Another shape, no numbers, or numbers that are not finite.

    >>> round(singular_value_rank(np.diag([2.0, 2.0, 2.0])), 6)
    3.0
    """
    _check(matrix)
    tall = matrix if len(matrix) > matrix.shape[1] else matrix.T
    # Stacking each block under the triangle of those before keeps all singular values, with the accuracy of an SVD;
    # square roots of a Gram matrix' eigenvalues would turn rounding of 1e-16 into singular values of 1e-8.
    triangle: Floats = np.empty((0, tall.shape[1]))
    for rows in _slices(len(tall), tall.shape[1]):
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, _finite(tall[rows])]), mode="r"))
    return _exp_entropy(np.linalg.svd(triangle, compute_uv=False))


def gram_root(blocks: Iterable[Matrix]) -> Floats:
    """A square matrix that stands for a tall one: R with R R^T = W^T W.

    For any H, the rows of H W^T and of H R have the same lengths and angles, so that the effective rank of logits
    H W^T (tokens x vocabulary) is that of H R (tokens x width); what is added to every row alike, such as the bias of
    an output layer, falls out when rows are centred.

    Args:
        blocks: The rows of W, of shape [vocabulary, width], in blocks of any size.

    Returns:
        R, of shape [width, width].

    Raises:
        ValueError: There are no rows, or numbers that are not finite.
    """
    gram: Floats | None = None
    for rows in blocks:
        block = _finite(rows)
        gram = block.T @ block if gram is None else gram + block.T @ block
    if gram is None:
        raise ValueError("a matrix with at least one row is needed")
    values, vectors = np.linalg.eigh(gram)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


class GramAccumulator:
    """Effective rank (of Diff-eRank) of few tokens and many columns, which arrive in blocks of columns.

    A block holds a column of every token, so it is centred exactly at once; the lengths of the centred rows are the
    diagonal of the Gram matrix. One pass, and memory for tokens x tokens.
    """

    def __init__(self, tokens: int) -> None:
        """Start with nothing.

        Args:
            tokens: Number of rows of the whole matrix.
        """
        if tokens < 1:
            raise ValueError(f"tokens must be at least 1, not {tokens}")
        self._gram = np.zeros((tokens, tokens))
        self._peak = 0.0
        self._width = 0

    def add(self, columns: Matrix) -> None:
        """Add a block of shape [tokens, any number].

        Raises:
            ValueError: Another shape, or numbers that are not finite.
        """
        if columns.ndim != 2 or len(columns) != len(self._gram):
            raise ValueError(f"a block must be of shape [{len(self._gram)}, columns], not {columns.shape}")
        block = _finite(columns)
        self._peak = max(self._peak, _peak(block))
        self._width += block.shape[1]
        block = block - block.mean(axis=0)
        self._gram += block @ block.T

    def effective_rank(self) -> float:
        """The effective rank of all columns so far; see :func:`effective_rank`."""
        length = np.sqrt(np.diag(self._gram))
        scale = _inverse(length, self._peak, self._width)
        return _exp_entropy(np.linalg.eigvalsh(self._gram * scale[:, None] * scale))


class SpectrumAccumulator:
    """Effective rank (of Diff-eRank) of any number of tokens, which arrive in blocks of rows.

    Each row is scaled to length 1 *after* the mean of all rows was taken off, so the mean has to be known first: every
    block goes through :meth:`observe`, and then every block, in any order and division, through :meth:`add`. Memory for
    width x width, whatever the number of tokens; meant for hidden states.
    """

    def __init__(self, width: int) -> None:
        """Start with nothing.

        Args:
            width: Number of columns.
        """
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        self._mean = np.zeros(width)
        self._observed = 0
        self._covariance = np.zeros((width, width))
        self._added = 0
        self._peak = 0.0

    def observe(self, rows: Matrix) -> None:
        """First pass: take the rows into the mean.

        Args:
            rows: Shape [any number, width].

        Raises:
            ValueError: Another shape, numbers that are not finite, or the second pass has begun.
        """
        if self._added:
            raise ValueError("observe() all rows before the first add(): the mean must be complete")
        block = self._checked(rows)
        if len(block):
            self._observed += len(block)
            self._mean += (block - self._mean).sum(axis=0) / self._observed
            self._peak = max(self._peak, _peak(block))

    def add(self, rows: Matrix) -> None:
        """Second pass: take the rows into the covariance.

        Args:
            rows: Shape [any number, width].

        Raises:
            ValueError: Another shape, numbers that are not finite, or more rows than were observed.
        """
        block = self._checked(rows) - self._mean
        self._added += len(block)
        if self._added > self._observed:
            raise ValueError(f"{self._added} rows were added, but only {self._observed} observed before")
        block *= _inverse(np.linalg.norm(block, axis=1), self._peak, block.shape[1])[:, None]
        self._covariance += block.T @ block

    def effective_rank(self) -> float:
        """The effective rank of all rows; see :func:`effective_rank`.

        Raises:
            ValueError: Not every observed row was added, or there were none.
        """
        if not self._observed or self._added != self._observed:
            raise ValueError(f"{self._observed} rows were observed, but {self._added} added: both passes need all rows")
        return _exp_entropy(np.linalg.eigvalsh(self._covariance))

    def _checked(self, rows: Matrix) -> Floats:
        if rows.ndim != 2 or rows.shape[1] != len(self._mean):
            raise ValueError(f"a block must be of shape [rows, {len(self._mean)}], not {rows.shape}")
        return _finite(rows)


def _exp_entropy(weights: Matrix) -> float:
    """Exp of the entropy of weights divided by their sum; rounding can make eigenvalues slightly negative."""
    weights = weights[weights > 0]
    total = float(weights.sum())
    if total <= 0:
        return math.nan
    shares = weights / total
    shares = shares[shares > 0]
    return math.exp(-float((shares * np.log(shares)).sum()))


def _inverse(length: Floats, peak: float, width: int) -> Floats:
    """1 / length; 0 where a row equals the mean but for rounding, because its direction is noise."""
    noise = 16 * np.finfo(np.float64).eps * peak * math.sqrt(width)
    return np.divide(1.0, length, out=np.zeros_like(length), where=length > noise)


def _peak(block: Floats) -> float:
    return float(max(block.max(), -block.min())) if block.size else 0.0


def _slices(count: int, other: int) -> Iterator[slice]:
    step = max(1, _BLOCK // other)
    for start in range(0, count, step):
        yield slice(start, start + step)


def _check(matrix: Matrix) -> None:
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"a matrix of shape [tokens, width] with at least one number is needed, not {matrix.shape}")


def _finite(block: Matrix) -> Floats:
    if not np.isfinite(block).all():
        raise ValueError("the matrix holds numbers that are not finite: the model is broken, or its outputs overflowed")
    return block.astype(np.float64)
