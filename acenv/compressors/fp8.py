"""FP8 (Micikevicius et al., 2022, arXiv 2209.05433) through llmcompressor: weights, and activations, in e4m3.

Weights have one scale a row; activations one a token, found while the model runs. Nothing is calibrated.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from acenv.compressors.eight_bit import FP8Options
from acenv.compressors.job import Job, dense_weight, load, load_dense, save_in_source_dtype

__all__ = ["dense_weight", "load", "run"]


def run(job: Job) -> None:
    """Quantise and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    from llmcompressor.entrypoints.oneshot import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier

    kinds: defaultdict[Any, list[str]] = defaultdict(list)
    for name, options in job.layers.items():
        kinds[options].append(name)
    groups = {f"group_{i}": _scheme(options, names) for i, (options, names) in enumerate(kinds.items())}
    recipe: Any = [QuantizationModifier(config_groups=groups)]
    model = load_dense(job.source)
    oneshot(model=model, recipe=recipe)
    save_in_source_dtype(model, job.source, job.out)


def _scheme(options: FP8Options, names: list[str]) -> Any:
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    e4m3: dict[str, Any] = {"num_bits": 8, "type": "float", "symmetric": True}
    activations = QuantizationArgs(**e4m3, strategy="token", dynamic=True)
    return QuantizationScheme(
        targets=names,
        weights=QuantizationArgs(**e4m3, strategy="channel"),
        input_activations=activations if options.activations == "dynamic" else None,
    )
