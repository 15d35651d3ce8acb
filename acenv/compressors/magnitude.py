"""Pruning by magnitude, in plain torch: the smallest weights of each matrix, or of each N:M group, become zero."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from typing import Any

from acenv.compressors.job import Job, dense_weight, load
from acenv.compressors.options import PruningOptions
from acenv.compressors.stream import read_stored, rows_at_once, write_stored

__all__ = ["dense_weight", "load", "prune", "run"]


def run(job: Job) -> None:
    """Prune and save, one tensor at a time."""
    shutil.copyfile(job.source.folder / "config.json", job.out / "config.json")
    write_stored(job.out, job.source.tensors, _pruned(job))


def prune(weight: Any, sparsity: float, pattern: tuple[int, int] | None = None) -> Any:
    """Set the smallest weights to zero, as the magnitude baseline of Wanda's code does.

    Args:
        weight: ``[out, in]``.
        sparsity: Share of the whole matrix that becomes zero; of equal weights the earlier go first, so the count is
            exact.
        pattern: ``(zeros, of)``: instead, that many zeros in every run of ``of`` neighbours along the inputs.

    Returns:
        The pruned copy.

    >>> import torch
    >>> prune(torch.tensor([[1.0, -2.0, 3.0, -1.0]]), 0.25)
    tensor([[ 0., -2.,  3., -1.]])
    >>> prune(torch.tensor([[1.0, -2.0, 3.0, 4.0, 5.0, 6.0]]), 0.5, (2, 3))
    tensor([[0., 0., 3., 0., 0., 6.]])
    """
    import torch

    pruned = weight.clone(memory_format=torch.contiguous_format)
    if pattern is None:
        _zero_smallest(pruned.view(-1), int(pruned.numel() * sparsity))
        return pruned
    zeros, of = pattern
    for rows in rows_at_once(pruned):
        groups = rows.view(len(rows), -1, of)
        # A stable sort: equal weights must fall the same way on every machine.
        smallest = groups.abs().argsort(dim=-1, stable=True)[..., :zeros]
        groups.scatter_(-1, smallest, torch.zeros((), dtype=groups.dtype).expand(smallest.shape))
    return pruned


def _zero_smallest(weights: Any, count: int) -> None:
    """Set ``count`` weights to zero in place; the threshold is found without the eight bytes a weight of a sort.

    Raises:
        ValueError: So many weights are no numbers that there is no threshold.
    """
    if count == 0:
        return
    sizes = weights.abs().float()
    ranked = sizes.numpy().copy()
    ranked.partition(count - 1)
    threshold = float(ranked[count - 1])
    del ranked
    if math.isnan(threshold):
        raise ValueError("the weights of a layer are no numbers")
    below = sizes < threshold
    ties = (sizes == threshold).nonzero().squeeze(-1)[: count - int(below.sum())]
    weights[below] = 0
    weights[ties] = 0


def _pruned(job: Job) -> Iterator[tuple[str, Any]]:
    for name, tensor in read_stored(job.source.tensors, job.source.tensors):
        options = job.layers.get(name.removesuffix(".weight"))
        if options is None or not name.endswith(".weight"):
            yield name, tensor
            continue
        assert isinstance(options, PruningOptions)
        yield name, prune(tensor, options.sparsity, options.target().pattern)
