"""GPTQ (Frantar et al., 2023, arXiv 2210.17323) through gptqmodel: 2, 3, 4 and 8 bit weights, on a CPU too."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acenv.compressors.options import GROUP_SIZES, Target, group_slug, number_text, option

if TYPE_CHECKING:
    from acenv.compressors.job import Job

_DAMP = 0.01

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
        damp: Share of the mean diagonal that is added to the Hessian's diagonal; the default is the paper's code's.
    """

    bits: int = option(4, allowed=(2, 3, 4, 8))
    group_size: int = option(128, allowed=GROUP_SIZES)
    desc_act: bool = option(False)
    sym: bool = option(True)
    damp: float = option(_DAMP, above=0.0, below=1.0)

    def problem(self) -> str | None:
        """All combinations are possible."""
        return None

    def slug(self) -> str:
        """For example ``4bit-g32`` or ``3bit-row-actorder-asym``."""
        slug = f"{self.bits}bit-{group_slug(self.group_size)}"
        slug += f"{'-actorder' if self.desc_act else ''}{'' if self.sym else '-asym'}"
        return slug if self.damp == _DAMP else f"{slug}-damp{number_text(self.damp)}"

    def target(self) -> Target:
        """Few levels in each group."""
        return Target(bits=self.bits, group_size=self.group_size)


def run(job: Job) -> None:
    """Quantise and save.

    Raises:
        Exception: Whatever the engine raises.
    """
    engine = gptqmodel()
    import torch
    from gptqmodel.looper import loop_processor

    from acenv.compressors.gptq_zeros import keeping_zeros
    from acenv.compressors.job import compute_dtype, to_source_dtype

    # The engine keeps a log for each run in ./logs of whoever calls; it is no part of the result.
    logs = job.out / "engine-logs"
    loop_processor._PROJECT_LOG_DIR = logs

    config = engine.QuantizeConfig(
        **_settings(job.options, job.keep_zeros),
        dynamic=_dynamic(job) or None,
        device="cuda:0" if torch.cuda.is_available() else "cpu",
        offload_to_disk=False,
        pack_impl="original",  # the default compiles a C++ extension for a minute at first use
    )
    model = engine.GPTQModel.load(str(job.source.folder), config, dtype=compute_dtype(job.source))
    data = [
        {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        for ids in job.sequences
    ]
    with keeping_zeros() if job.keep_zeros else nullcontext():
        model.quantize(data, batch_size=BATCH)
    # What was packed is in buffers; the parameters that are left are the dense rest.
    to_source_dtype(model.model, job.source)
    model.save(str(job.out))
    (job.out / "quant_log.csv").unlink(missing_ok=True)
    shutil.rmtree(logs, ignore_errors=True)


def _settings(options: Any, keep_zeros: bool) -> dict[str, Any]:
    """Options in gptqmodel's words."""
    assert isinstance(options, GPTQOptions)
    return {
        # Groups with the largest activations first: there must be groups, of which zeros can be kept track.
        "act_group_aware": options.group_size > 0 and not options.desc_act and not keep_zeros,
        "bits": options.bits,
        "group_size": options.group_size,
        "desc_act": options.desc_act,
        "sym": options.sym,
        "damp_percent": options.damp,
    }


def _dynamic(job: Job) -> dict[str, dict[str, Any]]:
    """What is different in single layers, in gptqmodel's way: a regular expression for each kind of them."""
    kinds: defaultdict[Any, list[str]] = defaultdict(list)
    for name in job.source.linears:
        if job.layers.get(name) != job.options:
            kinds[job.layers.get(name)].append(re.escape(name))
    rules = {}
    for options, names in kinds.items():
        pattern = f"^(?:{'|'.join(names)})$"
        rules[f"-:{pattern}" if options is None else f"+:{pattern}"] = (
            {} if options is None else _settings(options, job.keep_zeros)
        )
    return rules


def load(folder: Path, dtype: Any) -> Any:
    """Load a quantised checkpoint on the CPU with kernels that unpack in plain torch."""
    import torch

    engine = gptqmodel()
    kind = torch.bfloat16 if dtype == torch.float32 else dtype  # the kernels know 16 bit only
    return engine.GPTQModel.load(str(folder), device="cpu", dtype=kind, backend=engine.BACKEND.GPTQ_TORCH).model


def dense_weight(module: Any) -> Any:
    """The weights of a layer, float32 ``[out, in]``."""
    if hasattr(module, "dequantize_weight"):
        return module.dequantize_weight().T.float()
    return module.weight.detach().float()  # it was left dense


def gptqmodel() -> Any:
    """The engine, imported."""
    # Read when gptqmodel is imported; with fewer than two workers it refuses to start.
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    import gptqmodel

    return gptqmodel
