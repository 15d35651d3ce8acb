"""How far two models are apart on each token, from logits that are made a few tokens at a time.

The definitions are those of :mod:`acenv.analysis.energy` and :mod:`acenv.analysis.ranking`; here they are computed with
torch in float32, in one go over blocks that fit a processor's cache, because a replay must not take much longer than
the models themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from acenv.analysis.internals import NotFiniteError
from acenv.analysis.ranking import RankAgreement, agreement_of, rank_biased_overlap, top_k
from acenv.analysis.spectrum import effective_rank, gram_root
from acenv.analysis.statistics import Floats

if TYPE_CHECKING:
    from acenv.types import OutputLayer

HELD = 2**23
"""Logits of each model that are held at a time, 32 MB; the product that makes them is slow where it has few rows."""

WHOLE = 2**26
"""Logits of one conversation that may be held, 256 MB, where their effective rank cannot be had in another way."""

_CACHED = 2**19
"""Logits that are looked at in one go."""

_RUN = 64
"""Neighbours among which the largest logits are searched together."""

_WEIGHTS = 2**21
"""Weights of an output layer that are held in float64 at a time."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What is known of each token, all of shape [T].

    Attributes:
        kl: KL(base || compressed), in nats, at least 0.
        flips: Whether the two models have different favourites.
        energies: Energies of the base, and of the compressed model.
        rbo: Rank-biased overlap of the likeliest tokens, as many as the largest k.
        agreement: Jaccard, Kendall and Spearman, by k.
    """

    kl: Floats
    flips: npt.NDArray[np.bool_]
    energies: tuple[Floats, Floats]
    rbo: Floats
    agreement: Mapping[int, RankAgreement]


@dataclass(frozen=True, slots=True)
class Logits:
    """The logits of one model on one conversation, given or still to be made.

    Attributes:
        tokens: Number of rows.
        vocabulary: Number of columns.
        rows: Gives the rows from one number to another, as a float32 tensor.
    """

    tokens: int
    vocabulary: int
    rows: Callable[[int, int], Tensor]

    @classmethod
    def given(cls, logits: npt.NDArray[np.float32]) -> Logits:
        """Those of an array, shape [T, vocabulary]."""
        matrix = torch.from_numpy(np.ascontiguousarray(logits, dtype=np.float32))
        return cls(logits.shape[0], logits.shape[1], lambda start, stop: matrix[start:stop])

    @classmethod
    def made(cls, hidden: npt.NDArray[np.float32], head: OutputLayer) -> Logits:
        """Those that an output layer makes of hidden states, shape [T, width]."""

        def rows(start: int, stop: int) -> Tensor:
            made: Tensor = head(hidden[start:stop])
            return made

        return cls(len(hidden), head.vocabulary, rows)


def measure(base: Logits, compressed: Logits, ks: Iterable[int], names: tuple[str, str]) -> Measures:
    """Compare the next-token distributions of two models.

    Args:
        base: Of the original model; at least one token.
        compressed: Of the compressed model, with as many tokens and the same vocabulary.
        ks: Sizes of the top.
        names: How an error calls the logits of each.

    Raises:
        NotFiniteError: Logits are infinite or NaN.
    """
    ks = tuple(ks)
    parts = [_block(*rows, ks, names) for rows in _blocks(base, compressed)]
    columns = list(zip(*parts, strict=True))
    kl, flips, energy_base, energy_compressed, top_base, top_compressed, values, others = map(np.concatenate, columns)
    return Measures(
        kl=kl,
        flips=flips,
        energies=(energy_base, energy_compressed),
        rbo=rank_biased_overlap(top_base, top_compressed),
        agreement=agreement_of(top_base, top_compressed, values, others, ks),
    )


def logit_rank(hidden: npt.NDArray[np.float32], head: OutputLayer, root: Floats | None) -> float:
    """The effective rank of the logits that an output layer makes of hidden states, shape [T, width].

    Args:
        hidden: At least one row.
        head: The output layer.
        root: What :func:`head_root` gives for it.

    Returns:
        ``nan`` if there is no ``root`` and the logits are more than :data:`WHOLE`.
    """
    if root is not None:
        return effective_rank(hidden.astype(np.float64) @ root)
    if len(hidden) * head.vocabulary > WHOLE:
        return float("nan")
    return effective_rank(head(hidden).cpu().numpy())


def head_root(head: OutputLayer) -> Floats | None:
    """A small matrix that stands for an output layer, if it has one: :func:`~acenv.analysis.spectrum.gram_root`."""
    weight = head.weight
    if weight is None:
        return None
    step = max(1, _WEIGHTS // weight.shape[1])
    try:
        return gram_root(weight[i : i + step].detach().float().cpu().numpy() for i in range(0, len(weight), step))
    except ValueError:
        return None  # infinite weights: the logits will tell


def _blocks(base: Logits, compressed: Logits) -> Iterator[tuple[Tensor, Tensor]]:
    most = max(1, HELD // base.vocabulary)
    step = -(-base.tokens // -(-base.tokens // most))  # blocks of about the same size
    for start in range(0, base.tokens, step):
        stop = min(start + step, base.tokens)
        ours = base.rows(start, stop)
        yield ours, compressed.rows(start, stop).to(ours.device)


@torch.inference_mode()
def _block(
    base: Tensor, compressed: Tensor, ks: tuple[int, ...], names: tuple[str, str]
) -> tuple[npt.NDArray[Any], ...]:
    k = min(max(ks), base.shape[1])
    top_base, first_base, at_base, peak_base = _top(base, k)
    top_compressed, first_compressed, at_compressed, peak_compressed = _top(compressed, k)
    offset = peak_base - peak_compressed
    step = len(base) if base.device.type != "cpu" else max(1, _CACHED // base.shape[1])
    # In a softmax the likeliest token has 1 / sum(exp(logits - peak)).
    sums = torch.empty((3, len(base)), device=base.device)
    shares, apart = torch.empty_like(base[:step]), torch.empty_like(base[:step])
    for start in range(0, len(base), step):
        rows = slice(start, start + step)
        ours, theirs = base[rows], compressed[rows]
        weights, difference = shares[: len(ours)], apart[: len(ours)]
        torch.softmax(theirs, dim=1, out=weights)
        sums[1, rows] = weights.gather(1, at_compressed[rows])[:, 0]
        torch.softmax(ours, dim=1, out=weights)
        sums[0, rows] = weights.gather(1, at_base[rows])[:, 0]
        # Below the peaks, so that models whose logits differ by a constant do not differ in what float32 leaves of it.
        torch.sub(ours, theirs, out=difference).sub_(offset[rows])
        sums[2, rows] = difference.mul_(weights).sum(dim=1)
    found = sums.double().cpu().numpy()
    if not np.isfinite(found).all():
        for name, logits in zip(names, (base, compressed), strict=True):
            if not torch.isfinite(logits).all():
                raise NotFiniteError(name)
    logs = -np.log(found[:2])
    energies = [
        -total - peak.double().cpu().numpy()[:, 0]
        for total, peak in zip(logs, (peak_base, peak_compressed), strict=True)
    ]
    chosen = torch.from_numpy(top_base).to(base.device)
    return (
        np.maximum(found[2] - logs[0] + logs[1], 0.0),  # rounding can give less than 0
        first_base != first_compressed,
        *energies,
        top_base,
        top_compressed,
        base.gather(1, chosen).cpu().numpy(),
        compressed.gather(1, chosen).cpu().numpy(),
    )


def _top(logits: Tensor, k: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Tensor, Tensor]:
    """The k largest of each row as ``top_k`` orders them, the first of the largest, and a largest: place and value."""
    highest, places = _largest(logits, min(k + 1, logits.shape[1]))
    values, indices = highest.cpu().numpy(), places.cpu().numpy()
    order = np.lexsort((indices, values), axis=1)
    top = np.take_along_axis(indices, order, axis=1)[:, -k:]
    first = np.where(values == values[:, :1], indices, logits.shape[1]).min(axis=1)
    # torch takes any of equal logits; where there is a choice at the edge, the row is done again.
    for row in np.flatnonzero(values[:, -1] == values[:, k - 1]) if values.shape[1] > k else ():
        whole = logits[row : row + 1].cpu().numpy()
        if np.isfinite(whole).all():
            top[row] = top_k(whole, k)[0]
            first[row] = whole[0].argmax()
    return top, first, places[:, :1], highest[:, :1]


def _largest(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row, falling, and their places; of equal ones any.

    No more than k runs of neighbours can hold them, those with the highest peaks, and peaks are found several times
    faster than an order.
    """
    runs = logits.shape[1] // _RUN
    if runs < 4 * k:
        found = logits.topk(k, dim=1)
        return found.values, found.indices
    inside = logits[:, : runs * _RUN].unflatten(1, (runs, _RUN))
    chosen = inside.amax(dim=2).topk(k, dim=1).indices
    near = inside.gather(1, chosen[:, :, None].expand(-1, -1, _RUN)).flatten(1)
    found = torch.cat([near, logits[:, runs * _RUN :]], dim=1).topk(k, dim=1)
    # A place among the candidates: in which of the runs and where in it, or behind all runs.
    run, within = found.indices // _RUN, found.indices % _RUN
    places = chosen.gather(1, run.clamp(max=k - 1)) * _RUN + within
    return found.values, torch.where(run < k, places, found.indices + (runs - k) * _RUN)
