"""llmcompressor's one way in, for all methods that go through it with calibration texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from acenv.compressors.memory import tracing


def calibrated(model: Any, recipe: Sequence[Any], sequences: Sequence[Sequence[int]]) -> None:
    """Apply modifiers to a model in place, all in one walk through its layers.

    Args:
        model: A transformers model.
        recipe: The modifiers.
        sequences: Token ids of the calibration texts.
    """
    import torch
    from llmcompressor.entrypoints.oneshot import oneshot
    from torch.utils.data import DataLoader

    # One text at a time: padding would count in the statistics.
    samples: Any = [
        {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        for ids in sequences
    ]
    with tracing():
        oneshot(
            model=model,
            recipe=list(recipe),
            dataset=DataLoader(samples, batch_size=None),
            num_calibration_samples=len(samples),
            shuffle_calibration_samples=False,
            pipeline="sequential",
        )
