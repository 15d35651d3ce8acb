"""Round to nearest through llmcompressor, stored packed in the compressed-tensors format."""

from __future__ import annotations

from typing import Any

from acenv.compressors.job import Job, dense_weight, load, load_dense, save_in_source_dtype
from acenv.compressors.options import RoundingOptions

__all__ = ["dense_weight", "load", "run"]


def run(job: Job) -> None:
    """Quantise and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor.entrypoints.oneshot import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier

    options = job.options
    assert isinstance(options, RoundingOptions)
    group: dict[str, Any] = {"strategy": "channel"}
    if options.group_size > 0:
        group = {"strategy": "group", "group_size": options.group_size}
    weights = QuantizationArgs(num_bits=options.bits, type="int", symmetric=True, **group)
    recipe = QuantizationModifier(
        config_groups={"linears": QuantizationScheme(targets=["Linear"], weights=weights)}, ignore=["re:.*lm_head"]
    )
    model = load_dense(job.source)
    oneshot(model=model, recipe=recipe)
    save_in_source_dtype(model, job.source, job.out)
