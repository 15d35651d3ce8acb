"""AWQ (Lin et al., 2024, arXiv 2306.00978): inputs with large activations are scaled up before rounding to 4 bits.

Two engines write the same format: gptqmodel, which is maintained, and AutoAWQ, the archived reference.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acenv.compressors.gptq import gptqmodel
from acenv.compressors.options import Options, Target, group_slug, option

if TYPE_CHECKING:
    from acenv.compressors.checkpoint import Source
    from acenv.compressors.job import Job

__all__ = ["AWQOptions", "best_clip", "check", "cut", "dense_weight", "load", "run"]

BLOCK = 512
"""Tokens in a block of calibration text, as in the paper's code."""

BLOCKS = 16
"""Most blocks that are read: every one goes through each layer 60 times, and the paper finds no gain from more."""

BATCH = 8
"""Blocks that go through a layer at once."""

_GRID, _LARGEST_CUT = 20, 0.5

# Text models of AutoAWQ's own list whose layers transformers still calls as they were called then.
_AUTOAWQ_KNOWS = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class AWQOptions:
    """Options of AWQ.

    Attributes:
        bits: Bits of a code; the format knows 4 only.
        group_size: Inputs that share a scale, -1 for all.
        sym: Codes are symmetric around zero; otherwise each group has a zero point, as in the paper.
        engine: What searches and packs.
    """

    bits: int = option(4, allowed=(4,))
    group_size: int = option(128, allowed=(16, 32, 64, 128, -1))
    sym: bool = option(False)
    engine: str = option("gptqmodel", allowed=("gptqmodel", "autoawq"))

    def problem(self) -> str | None:
        """AutoAWQ writes groups with zero points only."""
        if self.engine == "autoawq" and (self.sym or self.group_size == -1):
            wrong = "sym=true" if self.sym else "group_size=-1"
            return f"engine=autoawq cannot do {wrong}; leave one of the two out"
        return None

    def slug(self) -> str:
        """For example ``4bit-g128`` or ``4bit-g32-sym-autoawq``."""
        engine = "" if self.engine == "gptqmodel" else f"-{self.engine}"
        return f"{self.bits}bit-{group_slug(self.group_size)}{'-sym' if self.sym else ''}{engine}"

    def target(self) -> Target:
        """Few levels in each group."""
        return Target(bits=self.bits, group_size=self.group_size)


def check(source: Source, options: AWQOptions, layers: Mapping[str, Options], pruned: bool) -> None:
    """Check what the engine cannot do, before anything is loaded.

    Args:
        source: The dense checkpoint.
        options: The method's options.
        layers: Options of each layer to compress.
        pruned: Whether zeros have to stay zero; both engines keep them.

    Raises:
        ValueError: With what to do.
        ImportError: The second engine is not installed.
    """
    if (other := next((name for name, its in layers.items() if its != options), None)) is not None:
        raise ValueError(f"awq: {other} has options of its own, and the format has one setting for all; leave them out")
    multiple = 8
    if options.engine == "autoawq":
        multiple = 32
        kept = next((name for name in source.linears if name not in layers), None)
        if kept is not None:
            raise ValueError(f"awq: engine=autoawq cannot leave single layers dense ({kept}); use engine=gptqmodel")
        if importlib.util.find_spec("awq") is None:
            raise ImportError("engine=autoawq needs autoawq: pip install --no-deps autoawq==0.2.9")
        if (kind := source.config.get("model_type")) not in _AUTOAWQ_KNOWS:
            raise ValueError(f"awq: engine=autoawq does not know models of type {kind}; use engine=gptqmodel")
    bad = next((name for name in layers if source.linears[name][0] % multiple), None)
    if bad is not None:
        raise ValueError(
            f"awq: {bad} has {source.linears[bad][0]} outputs, and {options.engine} packs multiples of {multiple}; "
            f"leave such layers dense with ignore={bad}, or use another method"
        )


def run(job: Job) -> None:
    """Quantise and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    options = job.options
    assert isinstance(options, AWQOptions)
    blocks = cut(job.sequences, min(BLOCK, job.source.context))
    if options.engine == "autoawq":
        _run_autoawq(job, options, blocks)
    else:
        _run_gptqmodel(job, options, blocks)


def load(folder: Path, dtype: Any) -> Any:
    """Load a quantised checkpoint, of either engine, on the CPU with kernels that unpack in plain torch."""
    import torch

    engine = gptqmodel()
    kind = torch.bfloat16 if dtype == torch.float32 else dtype  # the kernels know 16 bit only
    return engine.GPTQModel.load(str(folder), device="cpu", dtype=kind, backend=engine.BACKEND.AWQ_TORCH).model


def dense_weight(module: Any) -> Any:
    """The weights of a layer, float32 ``[out, in]``."""
    if not hasattr(module, "qweight"):  # it was left dense
        return module.weight.detach().float()
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm

    packed = module.qweight, module.qzeros, module.scales
    return dequantize_gemm(*packed, module.bits, module.group_size).T.float()


def cut(sequences: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """Join calibration texts and cut them into blocks, as the paper's code does.

    gptqmodel judges scales by the last batch alone unless all batches have one shape, and AutoAWQ drops texts that are
    longer than a block.

    Args:
        sequences: Token ids of each text.
        length: Tokens in a block.

    Returns:
        At most :data:`BLOCKS` blocks of equal length, evenly spread; the end of the last text may be left out.

    >>> cut([[1, 2, 3], [4, 5], [6, 7]], 3)
    [[1, 2, 3], [4, 5, 6]]
    """
    tokens = list(chain.from_iterable(sequences))
    length = min(length, len(tokens))
    count = len(tokens) // length
    kept = min(count, BLOCKS)
    return [tokens[i * length : (i + 1) * length] for i in (k * count // kept for k in range(kept))]


def best_clip(weight: Any, inputs: Any, group_size: int, quantise: Callable[[Any], Any]) -> Any:
    """The bounds to which weights are clipped so that the layer's outputs change least.

    The engines multiply out 512 tokens for every candidate. The error of a group is a quadratic form in the change of
    its weights, with the second moments of the inputs as its matrix: the same errors, over all tokens, in a hundredth
    of the time on a CPU.

    Args:
        weight: ``[out, in]``.
        inputs: ``[..., in]``, what the layer reads.
        group_size: Inputs that share a bound, and a scale; -1 for all.
        quantise: Rounds a ``[out, in]`` matrix.

    Returns:
        ``[out, groups, 1]``.
    """
    import torch

    size = group_size if group_size > 0 else weight.shape[1]
    groups = inputs.reshape(-1, weight.shape[1] // size, size).float()
    moments = torch.einsum("tgi,tgj->gij", groups, groups)
    dense = weight.detach().reshape(len(weight), -1, size)
    largest = dense.abs().amax(-1, keepdim=True)
    best, least = largest, torch.full(largest.shape, float("inf"), device=largest.device)
    for step in range(int(_LARGEST_CUT * _GRID)):
        bound = largest * (1 - step / _GRID)
        change = (quantise(dense.clamp(-bound, bound).reshape(weight.shape)).reshape(dense.shape) - dense).float()
        error = (torch.einsum("ogi,gij->ogj", change, moments) * change).sum(-1, keepdim=True)
        best, least = torch.where(error < least, bound, best), torch.minimum(error, least)
    return best


def _run_gptqmodel(job: Job, options: AWQOptions, blocks: list[list[int]]) -> None:
    engine = gptqmodel()
    import torch
    from gptqmodel.looper import loop_processor
    from gptqmodel.looper.awq_processor import AWQProcessor
    from gptqmodel.quantization.config import FORMAT, METHOD

    from acenv.compressors.job import to_source_dtype

    # The engine keeps a log for each run in ./logs of whoever calls; it is no part of the result.
    logs = job.out / "engine-logs"
    loop_processor._PROJECT_LOG_DIR = logs
    AWQProcessor._compute_best_clip = _search_of_gptqmodel

    kept = [name for name in job.source.linears if name not in job.layers]
    config = engine.QuantizeConfig(
        bits=options.bits,
        group_size=options.group_size,
        sym=options.sym,
        quant_method=METHOD.AWQ,
        format=FORMAT.GEMM,
        dynamic={f"-:^(?:{'|'.join(map(re.escape, kept))})$": {}} if kept else None,
        device="cuda:0" if torch.cuda.is_available() else "cpu",
        offload_to_disk=False,
    )
    # The engine packs 16 bit only; what float32 loses in float16 is far below what 4 bits lose.
    dtype = torch.float16 if job.source.dtype == "float32" else getattr(torch, job.source.dtype)
    model = engine.GPTQModel.load(str(job.source.folder), config, dtype=dtype)
    _scale_no_dense_layers(model, kept)
    data = [{"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids)).long()} for ids in blocks]
    backend = {} if torch.cuda.is_available() else {"backend": engine.BACKEND.AWQ_TORCH}
    model.quantize(data, batch_size=BATCH, **backend)
    to_source_dtype(model.model, job.source)
    _restore(model.model, job)
    model.save(str(job.out))
    (job.out / "quant_log.csv").unlink(missing_ok=True)
    shutil.rmtree(logs, ignore_errors=True)
    _name_dense_layers(job.out / "config.json", kept)


def _search_of_gptqmodel(processor: Any, weight: Any, inputs: Any) -> Any:
    return best_clip(weight, inputs, processor.qcfg.group_size, lambda w: processor.pseudo_quantize_tensor(w)[0])


def _scale_no_dense_layers(model: Any, kept: list[str]) -> None:
    """Keep the engine from moving scales into layers that are to stay as they are."""
    dense = {id(model.model.get_submodule(name)) for name in kept}
    choose = model.awq_get_modules_for_scaling

    def chosen(*arguments: Any) -> list[dict[str, Any]]:
        return [step for step in choose(*arguments) if id(step["prev_op"]) not in dense]

    model.awq_get_modules_for_scaling = chosen


def _restore(model: Any, job: Job) -> None:
    """Give matrices that stay dense the bits that they had; the engine works in 16 bit."""
    from acenv.compressors.stream import read_stored

    dense = [
        name
        for name, tensor in job.source.tensors.items()
        if len(tensor.shape) == 2 and name.removesuffix(".weight") not in job.layers
    ]
    parameters = dict(model.named_parameters())
    for name, tensor in read_stored(job.source.tensors, dense):
        if name in parameters:
            parameters[name].data = tensor


def _name_dense_layers(path: Path, kept: list[str]) -> None:
    """Say in AWQ's own words which layers are dense; vLLM and transformers do not read gptqmodel's."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["quantization_config"]["modules_to_not_convert"] = kept or None
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _run_autoawq(job: Job, options: AWQOptions, blocks: list[list[int]]) -> None:
    from awq import AutoAWQForCausalLM

    from acenv.compressors.job import compute_dtype, to_source_dtype

    model = AutoAWQForCausalLM.from_pretrained(
        str(job.source.folder), torch_dtype=compute_dtype(job.source), device_map="cpu", trust_remote_code=False
    )
    model.quantize(
        None,
        {"zero_point": True, "q_group_size": options.group_size, "w_bit": options.bits, "version": "GEMM"},
        calib_data=blocks,
        max_calib_samples=len(blocks),
        max_calib_seq_len=len(blocks[0]),
        n_parallel_calib_samples=BATCH,
        quantizer_cls=_autoawq_quantizer(),
    )
    to_source_dtype(model.model, job.source)
    model.save_quantized(str(job.out))


def _autoawq_quantizer() -> Any:
    """AutoAWQ's quantizer, mended for CPUs."""
    from awq.quantize.quantizer import AwqQuantizer

    class Quantizer(AwqQuantizer):  # type: ignore[misc]
        def _compute_best_scale(self, x: Any, w_mean: Any, x_mean: Any, module2inspect: Any, *rest: Any) -> Any:
            # The engine tries scales on the weights and puts back `state_dict()[k].cpu()`, which on a CPU is no copy
            # but the changed weights themselves: the scales of all trials pile up, and the model is destroyed.
            hook = module2inspect.register_state_dict_post_hook(_copy_state)
            try:
                return super()._compute_best_scale(x, w_mean, x_mean, module2inspect, *rest)
            finally:
                hook.remove()

        def _compute_best_clip(self, w: Any, input_feat: Any) -> Any:
            return best_clip(w, input_feat, self.group_size, lambda weight: self.pseudo_quantize_tensor(weight)[0])

    return Quantizer


def _copy_state(_module: Any, state: dict[str, Any], *_rest: Any) -> None:
    state.update({name: tensor.clone() for name, tensor in state.items()})
