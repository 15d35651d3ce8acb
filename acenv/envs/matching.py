"""Matching of predicted with right texts by the cosine of their meanings, as WorfBench and T-Eval do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import numpy.typing as npt

from acenv.envs.encoders import Embeddings, Encoder

Similarities = npt.NDArray[np.float32]

MATCH_THRESHOLD = 0.6
"""Two nodes can be matched if the cosine of their texts is larger than this."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and F1, each in [0, 1]."""

    precision: float = 0.0
    recall: float = 0.0
    f1: float = 0.0


ZERO = Scores()


def harmonic_scores(precision: float, recall: float) -> Scores:
    """Precision and recall with their harmonic mean, which is 0 if both are.

    >>> harmonic_scores(0.5, 1.0).f1
    0.6666666666666666
    """
    total = precision + recall
    return Scores(precision, recall, 2 * precision * recall / total if total else 0.0)


def similarities(predicted: Sequence[str], gold: Sequence[str], encoder: Encoder) -> Similarities:
    """Cosines of node texts, shape ``[len(predicted), len(gold)]``; a zero vector has cosine 0 with all.

    They stay ``float32``, as officially: rounding decides between texts that are equally close.
    """
    vectors = _unit(encoder.encode([*predicted, *gold]))
    # Not a matrix product: its libraries add up in another order on each kind of processor, and scores would too.
    cosines: Similarities = np.einsum("ik,jk->ij", vectors[: len(predicted)], vectors[len(predicted) :])
    return cosines


def match_nodes(cosines: Similarities, threshold: float = MATCH_THRESHOLD) -> dict[int, int]:
    """Match predicted to gold nodes so that the sum of the cosines is largest.

    Args:
        cosines: Shape ``[predicted, gold]``.
        threshold: Pairs at or below it cannot be matched; the default is WorfBench's.

    Returns:
        The gold node of every predicted node, -1 where there is none. Among equally good matchings (equal texts) it is
        the one that ``networkx.max_weight_matching`` finds when the pairs are added row by row, as officially.
    """
    pairs = candidates(cosines, threshold)
    matching = dict.fromkeys(range(cosines.shape[0]), -1)
    if is_matching(pairs):
        matching.update(pairs)
        return matching
    graph: nx.Graph = nx.Graph()
    for i, j in pairs:
        graph.add_edge(i, str(j), weight=float(cosines[i, j]))
    for a, b in nx.max_weight_matching(graph):
        i, j = (a, b) if isinstance(a, int) else (b, a)
        matching[i] = int(j)
    return matching


def longest_increasing(values: Sequence[int]) -> int:
    """Length of the longest strictly increasing subsequence; 0 of nothing."""
    lengths: list[int] = []
    for i, value in enumerate(values):
        lengths.append(1 + max((lengths[k] for k in range(i) if values[k] < value), default=0))
    return max(lengths, default=0)


def _unit(vectors: Embeddings) -> Embeddings:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    # Unit vectors are left alone: another rounding would decide ties otherwise than officially.
    if all(abs(square - 1.0) < 1e-4 or square == 0.0 for square in squares.tolist()):
        return vectors
    lengths = np.sqrt(np.where(squares > 0.0, squares, np.float32(1.0)))
    return np.asarray(vectors / lengths[:, None], dtype=np.float32)


def candidates(cosines: Similarities, threshold: float = MATCH_THRESHOLD) -> list[tuple[int, int]]:
    """The pairs that could be matched, row by row."""
    rows, columns = np.nonzero(cosines > threshold)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def is_matching(pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether no node is in two pairs, so that there is nothing to optimise."""
    return len({i for i, _ in pairs}) == len(pairs) == len({j for _, j in pairs})
