"""SmoothQuant (Xiao et al., 2023, arXiv 2211.10438) through llmcompressor: 8 bit weights, and 8 bit activations.

Before both are rounded, outliers of the activations are divided out in the norms and multiplied into the weights behind
them. Weights have one scale a row, activations one a token, found while the model runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from acenv.compressors.checkpoint import Source
from acenv.compressors.eight_bit import SmoothQuantOptions
from acenv.compressors.job import Job, dense_weight, load, load_dense, save_in_source_dtype
from acenv.compressors.oneshot import calibrated
from acenv.compressors.options import Options

__all__ = ["check", "dense_weight", "load", "run"]


def check(source: Source, options: SmoothQuantOptions, layers: Mapping[str, Options], pruned: bool) -> None:
    """Check what the engine cannot do, before anything is loaded.

    Args:
        source: The dense checkpoint.
        options: The method's options.
        layers: Options of each layer to compress.
        pruned: Whether zeros have to stay zero.

    Raises:
        ValueError: With what to do.
    """
    if (other := next((name for name, its in layers.items() if its != options), None)) is not None:
        raise ValueError(f"smoothquant: {other} has options of its own, and layers behind a norm are smoothed together")
    if pruned and options.weights == "gptq":
        raise ValueError("smoothquant: weights=gptq fills the zeros of a pruned model; use weights=rtn")


def run(job: Job) -> None:
    """Smooth, quantise and save.

    Raises:
        ValueError: No norm of this model can be smoothed.
        Exception: Whatever the engine raises.
    """
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier

    options = job.options
    assert isinstance(options, SmoothQuantOptions)
    weights = QuantizationArgs(num_bits=8, type="int", strategy="channel", symmetric=True)
    activations = QuantizationArgs(num_bits=8, type="int", strategy="token", symmetric=True, dynamic=True)
    scheme = QuantizationScheme(targets=list(job.layers), weights=weights, input_activations=activations)
    quantise = GPTQModifier if options.weights == "gptq" else QuantizationModifier
    recipe = [_smoothing(job, options.alpha), quantise(config_groups={"group_0": scheme})]
    model = load_dense(job.source)
    calibrated(model, recipe, job.sequences)
    save_in_source_dtype(model, job.source, job.out)


def _smoothing(job: Job, alpha: float) -> Any:
    """The modifier that smooths, for norms all of whose readers are compressed."""
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    class Smoothing(SmoothQuantModifier):
        def _resolve_mappings(self, model: Any) -> Any:
            compressed = {id(model.get_submodule(name)) for name in job.layers}
            dense = {id(model.get_submodule(name)) for name in job.source.linears} - compressed
            found = [
                mapping
                for mapping in super()._resolve_mappings(model)
                # Scales go into what writes and what reads; neither may be a layer that is to stay as it is.
                if not dense & {id(mapping.smooth_layer), *map(id, mapping.balance_layers)}
            ]
            if not found:
                raise ValueError("no norm has readers that are all compressed, so nothing would be smoothed; use rtn")
            return found

    return Smoothing(smoothing_strength=alpha)
