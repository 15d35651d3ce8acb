"""Pruning by magnitude, in plain torch: the smallest weights of each matrix, or of each N:M group, become zero."""

from __future__ import annotations

from typing import Any

from acenv.compressors.job import Job, dense_weight, load, save_in_source_dtype
from acenv.compressors.options import PruningOptions

__all__ = ["dense_weight", "load", "prune", "run"]


def run(job: Job) -> None:
    """Prune and save."""
    import torch
    from transformers import AutoModelForCausalLM

    options = job.options
    assert isinstance(options, PruningOptions)
    dtype = getattr(torch, job.source.dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(job.source.folder, dtype=dtype)
    with torch.no_grad():
        for name in job.source.linears:
            weight = model.get_submodule(name).weight
            weight.copy_(prune(weight, options.sparsity, options.target().pattern))
    save_in_source_dtype(model, job.source, job.out)


def prune(weight: Any, sparsity: float, pattern: tuple[int, int] | None = None) -> Any:
    """Set the smallest weights to zero, as the magnitude baseline of Wanda's code does.

    Args:
        weight: ``[out, in]``.
        sparsity: Share of the whole matrix that becomes zero; ties go to the earlier weight, so the count is exact.
        pattern: ``(zeros, of)``: instead, that many zeros in every run of ``of`` neighbours along the inputs.

    Returns:
        The pruned copy.
    """
    size = weight.abs().float()
    if pattern is None:
        # Sorting, and not a threshold: weights that are equal in 16 bit must not all fall on one side of it.
        smallest = size.flatten().argsort(stable=True)[: int(size.numel() * sparsity)]
        return weight.flatten().index_fill(0, smallest, 0).view_as(weight)
    zeros, of = pattern
    groups = size.view(len(weight), -1, of)
    smallest = groups.topk(zeros, dim=-1, largest=False).indices
    return weight.reshape_as(groups).scatter(-1, smallest, 0).view_as(weight)
