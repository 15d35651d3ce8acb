"""GPTQ (Frantar et al., 2023, arXiv 2210.17323) through gptqmodel: 2, 3, 4 and 8 bit weights, on a CPU too."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acenv.compressors.options import GROUP_SIZES, Target, option

if TYPE_CHECKING:
    from acenv.compressors.job import Job

DAMP = 0.01
"""Share of the mean diagonal that is added to the Hessian's diagonal, as in the paper's code."""

BATCH = 8
"""Calibration texts that go through the model at once; padding is masked out of the Hessians."""


@dataclass(frozen=True, slots=True)
class GPTQOptions:
    """Options of GPTQ.

    Attributes:
        bits: Bits of a code.
        group_size: Inputs that share a scale, -1 for all.
        desc_act: Quantise the inputs with the largest activations first.
        sym: Codes are symmetric around zero; otherwise each group has a zero point.
    """

    bits: int = option(4, allowed=(2, 3, 4, 8))
    group_size: int = option(128, allowed=GROUP_SIZES)
    desc_act: bool = option(False)
    sym: bool = option(True)

    def problem(self) -> str | None:
        """Why these values cannot go together, or ``None``."""
        return None

    def slug(self) -> str:
        """For example ``4bit-g32`` or ``3bit-row-actorder-asym``."""
        group = "row" if self.group_size == -1 else f"g{self.group_size}"
        return f"{self.bits}bit-{group}{'-actorder' if self.desc_act else ''}{'' if self.sym else '-asym'}"

    def target(self) -> Target:
        """Few levels in each group."""
        return Target(bits=self.bits, group_size=self.group_size)


def run(job: Job) -> None:
    """Quantise and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    engine = _engine()
    import torch
    from gptqmodel.looper import loop_processor

    from acenv.compressors.job import compute_dtype

    # The engine keeps a log for each run in ./logs of whoever calls; it is no part of the result.
    logs = job.out / "engine-logs"
    loop_processor._PROJECT_LOG_DIR = logs

    options = job.options
    assert isinstance(options, GPTQOptions)
    config = engine.QuantizeConfig(
        bits=options.bits,
        group_size=options.group_size,
        desc_act=options.desc_act,
        sym=options.sym,
        damp_percent=DAMP,
        device="cuda:0" if torch.cuda.is_available() else "cpu",
        offload_to_disk=False,
        pack_impl="original",  # the default compiles a C++ extension for a minute at first use
    )
    model = engine.GPTQModel.load(str(job.source.folder), config, dtype=compute_dtype(job.source))
    data = [
        {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        for ids in job.sequences
    ]
    model.quantize(data, batch_size=BATCH)
    # What was packed is in buffers; the parameters that are left are the dense rest.
    dtype = getattr(torch, job.source.dtype)
    for parameter in model.model.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
    model.model.config.dtype = dtype
    model.save(str(job.out))
    (job.out / "quant_log.csv").unlink(missing_ok=True)
    shutil.rmtree(logs, ignore_errors=True)


def load(folder: Path, dtype: Any) -> Any:
    """Load a quantised checkpoint on the CPU with kernels that unpack in plain torch."""
    import torch

    engine = _engine()
    kind = torch.bfloat16 if dtype == torch.float32 else dtype  # the kernels know 16 bit only
    return engine.GPTQModel.load(str(folder), device="cpu", dtype=kind, backend=engine.BACKEND.GPTQ_TORCH).model


def dense_weight(module: Any) -> Any:
    """The weights of a layer, float32 ``[out, in]``."""
    if hasattr(module, "dequantize_weight"):
        return module.dequantize_weight().T.float()
    return module.weight.detach().float()  # it was left dense


def _engine() -> Any:
    # Read when gptqmodel is imported; with fewer than two workers it refuses to start.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    import gptqmodel

    return gptqmodel
