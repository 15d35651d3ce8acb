"""Wanda (Sun et al., 2024, arXiv 2306.11695) and SparseGPT (Frantar & Alistarh, 2023, arXiv 2301.00774).

Both through llmcompressor. Each layer is calibrated on what the pruned layers before it give.
"""

from __future__ import annotations

from typing import Any

from acenv.compressors.job import Job, dense_weight, load, load_dense, save_in_source_dtype
from acenv.compressors.options import PruningOptions

__all__ = ["dense_weight", "load", "run"]


def run(job: Job) -> None:
    """Prune and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    import torch
    from llmcompressor.entrypoints.oneshot import oneshot
    from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier
    from torch.utils.data import DataLoader

    options = job.options
    assert isinstance(options, PruningOptions)
    settings: dict[str, Any] = {"sparsity": options.sparsity, "targets": ["Linear"], "ignore": ["re:.*lm_head"]}
    if options.pattern != "unstructured":
        settings["mask_structure"] = options.pattern
    recipe = WandaPruningModifier(**settings) if job.method == "wanda" else SparseGPTModifier(**settings)
    # One text at a time: padding would count in the statistics.
    samples: Any = [
        {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        for ids in job.sequences
    ]
    model = load_dense(job.source)
    oneshot(
        model=model,
        recipe=recipe,
        dataset=DataLoader(samples, batch_size=None),
        num_calibration_samples=len(samples),
        shuffle_calibration_samples=False,
    )
    save_in_source_dtype(model, job.source, job.out)
