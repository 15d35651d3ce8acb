"""Wanda (Sun et al., 2024, arXiv 2306.11695) and SparseGPT (Frantar & Alistarh, 2023, arXiv 2301.00774).

Both through llmcompressor. Each layer is calibrated on what the pruned layers before it give.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from acenv.compressors.job import Job, dense_weight, load, load_dense, save_in_source_dtype
from acenv.compressors.oneshot import calibrated
from acenv.compressors.options import PruningOptions

__all__ = ["dense_weight", "load", "run"]

BLOCK = 128
"""Columns that SparseGPT prunes at once, as in the paper."""


def run(job: Job) -> None:
    """Prune and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier

    kinds: defaultdict[PruningOptions, list[str]] = defaultdict(list)
    for name, options in job.layers.items():
        assert isinstance(options, PruningOptions)
        kinds[options].append(name)
    modifier = WandaPruningModifier if job.method == "wanda" else SparseGPTModifier
    recipe = [modifier(**_settings(job.method, options, names)) for options, names in kinds.items()]
    model = load_dense(job.source)
    calibrated(model, recipe, job.sequences)
    save_in_source_dtype(model, job.source, job.out)


def _settings(method: str, options: PruningOptions, names: list[str]) -> dict[str, Any]:
    """What a modifier is told about layers with the same options."""
    settings: dict[str, Any] = {"sparsity": options.sparsity, "targets": names}
    if pattern := options.target().pattern:
        zeros, of = pattern
        settings["mask_structure"] = f"{zeros}:{of}"
        if method == "sparsegpt":
            settings["block_size"] = BLOCK // of * of  # a group must not lie across the border of two blocks
    return settings
