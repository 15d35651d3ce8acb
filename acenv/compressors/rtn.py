"""Round to nearest through llmcompressor, stored packed in the compressed-tensors format."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from acenv.checkpoint import read_json
from acenv.compressors.checkpoint import Source
from acenv.compressors.job import Job, dense_weight, load
from acenv.compressors.layout import layout
from acenv.compressors.options import Options, RoundingOptions
from acenv.compressors.stream import read_stored, rows_at_once, write_stored

__all__ = ["dense_weight", "load", "quantization_config", "run"]


def run(job: Job) -> None:
    """Quantise and save, one tensor at a time.

    Raises:
        Exception: Whatever the engine raises.
    """
    config = read_json(job.source.folder / "config.json")
    config["quantization_config"] = quantization_config(job.source, job.layers)
    (job.out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_stored(job.out, layout("rtn", job.source, job.layers), _rounded(job))


def quantization_config(source: Source, layers: Mapping[str, Options]) -> dict[str, Any]:
    """The ``quantization_config`` by which transformers and vLLM know how each layer is stored.

    Args:
        source: The dense checkpoint.
        layers: Options of each layer to compress; where they differ, each kind becomes a group that names its layers.
    """
    from compressed_tensors import __version__
    from compressed_tensors.quantization import QuantizationConfig, QuantizationStatus

    kinds: defaultdict[Options, list[str]] = defaultdict(list)
    for module, options in layers.items():
        kinds[options].append(module)
    # All by name where there are several: vLLM fuses q, k and v, and would let "Linear" win over their names.
    targets = [["Linear"]] if len(kinds) == 1 else list(kinds.values())
    schemes = map(_scheme, kinds, targets)
    config = QuantizationConfig(
        config_groups={f"group_{i}": scheme for i, scheme in enumerate(schemes)},
        ignore=["lm_head", *(module for module in _matrices(source) if module not in layers)],
        format="pack-quantized",
        quantization_status=QuantizationStatus.COMPRESSED,
    )
    return {"quant_method": "compressed-tensors", "version": __version__, **config.model_dump(mode="json")}


def _scheme(options: Options, targets: list[str]) -> Any:
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    assert isinstance(options, RoundingOptions)
    group: dict[str, Any] = {"strategy": "channel"}
    if options.group_size > 0:
        group = {"strategy": "group", "group_size": options.group_size}
    weights = QuantizationArgs(num_bits=options.bits, type="int", symmetric=True, observer="memoryless_minmax", **group)
    return QuantizationScheme(targets=targets, weights=weights, format="pack-quantized")


def _matrices(source: Source) -> list[str]:
    """Modules that may be linear layers: those that can be compressed, routers, projections outside of the layers."""
    return [
        name.removesuffix(".weight")
        for name, tensor in source.tensors.items()
        if name.endswith(".weight") and len(tensor.shape) == 2 and not re.search(r"lm_head|embed|\.wte|\.wpe", name)
    ]


def _rounded(job: Job) -> Iterator[tuple[str, Any]]:
    schemes = {options: _scheme(options, ["Linear"]) for options in set(job.layers.values())}
    for name, tensor in read_stored(job.source.tensors, job.source.tensors):
        options = job.layers.get(name.removesuffix(".weight"))
        if options is None or not name.endswith(".weight"):
            yield name, tensor
        else:
            for part, value in _round(tensor, schemes[options]).items():
                yield f"{name}_{part}", value


def _round(weight: Any, scheme: Any) -> dict[str, Any]:
    """Codes, scales and shape of a matrix. Scales are kept in the matrix's type, and the codes are for these scales."""
    import torch
    from compressed_tensors.compressors import compress_module
    from llmcompressor.entrypoints.model_free.lifecycle import calibrate_weight, initialize_quantized_linear

    packed, scales = [], []
    for rows in rows_at_once(weight):
        module: Any = initialize_quantized_linear(rows.float(), scheme, "cpu")
        calibrate_weight(module)
        scales.append(module.weight_scale.data.to(weight.dtype))
        module.weight_scale.data = scales[-1].float()  # in 16 bit the quotient would be rounded once more
        compress_module(module)
        packed.append(module.weight_packed.data)
    return {"packed": torch.cat(packed), "scale": torch.cat(scales), "shape": torch.tensor(weight.shape)}
