"""Energy of a model's outputs, and how far two next-token distributions are apart.

Energy is E = -T logsumexp(logits / T) (Liu et al., *Energy-based Out-of-distribution Detection*, NeurIPS 2020), as
ACBench measures it. It does not change when logits are shuffled over the vocabulary, so only the comparison of a model
with its compressed version tells something: the shift ``|E_base - E_compressed|``.

Everything is computed in float64, in blocks of positions, whatever the precision of the logits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from acenv.analysis.statistics import Floats

Logits = npt.NDArray[np.floating[Any]]

_BLOCK = 2**17
"""Logits that are held in float64 at a time: bounds the memory, and fits a processor's cache."""

_FINE = 2**14
"""Fine bins that a histogram keeps at most."""


def energy(logits: Logits, temperature: float = 1.0) -> Floats:
    """The energy of each position.

    Args:
        logits: Shape [positions, vocabulary].
        temperature: T, above 0.

    Returns:
        Shape [positions].

    Raises:
        ValueError: Another shape, an empty vocabulary, or a temperature that is not above 0.

    >>> energy(np.zeros((1, 4))).round(4).tolist()
    [-1.3863]
    """
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be a number above 0, not {temperature}")
    _check(logits)
    result = np.empty(len(logits))
    for rows in _blocks(logits):
        result[rows] = -temperature * _logsumexp(logits[rows].astype(np.float64) / temperature)
    return result


def energy_shift(base: Logits, compressed: Logits, temperature: float = 1.0) -> Floats:
    """``|E_base - E_compressed|`` at each position, shape [positions].

    Raises:
        ValueError: As :func:`energy`, or the two have different numbers of positions.
    """
    energies = energy(base, temperature), energy(compressed, temperature)
    if len(base) != len(compressed):
        raise ValueError(f"the models were run on {len(base)} and {len(compressed)} positions; they must be the same")
    return np.abs(energies[0] - energies[1])


def kl_divergence(base: Logits, compressed: Logits) -> Floats:
    """KL(base || compressed) of the next-token distributions, in nats.

    Args:
        base: Shape [positions, vocabulary].
        compressed: Same shape.

    Returns:
        Shape [positions], at least 0.

    Raises:
        ValueError: The shapes differ, or are not [positions, vocabulary].
    """
    _check_pair(base, compressed)
    result = np.empty(len(base))
    for rows in _blocks(base):
        log_p, log_q = (_log_softmax(logits[rows].astype(np.float64)) for logits in (base, compressed))
        np.subtract(log_p, log_q, out=log_q)
        result[rows] = (np.exp(log_p, out=log_p) * log_q).sum(axis=1)
    return np.maximum(result, 0.0)  # rounding can give -1e-17


def top1_agreement(base: Logits, compressed: Logits) -> npt.NDArray[np.bool_]:
    """Whether both models would greedily choose the same token, shape [positions].

    Raises:
        ValueError: As :func:`kl_divergence`.
    """
    _check_pair(base, compressed)
    agree: npt.NDArray[np.bool_] = base.argmax(axis=1) == compressed.argmax(axis=1)
    return agree


def _check(logits: Logits) -> None:
    if np.ndim(logits) != 2 or not logits.shape[1]:
        raise ValueError(f"logits must be of shape [positions, vocabulary], not {np.shape(logits)}")


def _check_pair(base: Logits, compressed: Logits) -> None:
    _check(base)
    if base.shape != compressed.shape:
        raise ValueError(f"logits of the same tokens have the same shape, not {base.shape} and {compressed.shape}")


def _blocks(logits: Logits) -> Iterator[slice]:
    step = max(1, _BLOCK // logits.shape[1])
    for start in range(0, len(logits), step):
        yield slice(start, start + step)


def _logsumexp(x: Floats) -> Floats:
    peak = x.max(axis=1, keepdims=True)
    shifted = x - peak
    total: Floats = np.log(np.exp(shifted, out=shifted).sum(axis=1)) + peak[:, 0]
    return total


def _log_softmax(x: Floats) -> Floats:
    result: Floats = x - _logsumexp(x)[:, None]
    return result


class StreamingHistogram:
    """Counts of two models' values in bins that are chosen as the values come, in bounded memory.

    The bins are multiples of a power of two. They start out finer than anyone looks, and neighbours are merged in pairs
    whenever the values so far span more than ``_FINE`` of them. So every value is counted exactly, and the result does
    not depend on the order in which the values came.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._exponent = -30
        self._counts: tuple[Counter[int], Counter[int]] = Counter(), Counter()

    def add(self, base: Floats, compressed: Floats) -> None:
        """Count the values of the base and those of the compressed model, which must be finite."""
        for values, counts in zip((base, compressed), self._counts, strict=True):
            numbers, times = np.unique(np.floor(np.ldexp(values, -self._exponent)), return_counts=True)
            counts.update(dict(zip(map(int, numbers.tolist()), times.tolist(), strict=True)))
        self._merge(_FINE)

    def bins(self, count: int) -> tuple[list[float], list[int], list[int]]:
        """Edges of ``count`` bins of equal width over all values, and how many values of each model lie in each.

        Raises:
            ValueError: Nothing was counted.
        """
        numbers = [number for counts in self._counts for number in counts]
        if not numbers:
            raise ValueError("there are no values to count")
        low, high = min(numbers), max(numbers) + 1
        # Whole multiples of the fine bins, so that none is cut in two.
        step = -(-(high - low) // count)
        low -= (step * count - (high - low)) // 2
        found = [[0] * count, [0] * count]
        for counts, side in zip(self._counts, found, strict=True):
            for number, times in counts.items():
                side[(number - low) // step] += times
        return [math.ldexp(low + step * i, self._exponent) for i in range(count + 1)], found[0], found[1]

    def _merge(self, most: int) -> None:
        numbers = [number for counts in self._counts for number in counts]
        span = max(numbers) - min(numbers) if numbers else 0
        shift = max(0, (span // most).bit_length())
        if shift:
            self._exponent += shift
            merged = Counter[int](), Counter[int]()
            for counts, side in zip(self._counts, merged, strict=True):
                for number, times in counts.items():
                    side[number >> shift] += times
            self._counts = merged
