"""What a compression will take, from the headers of the checkpoint: no weight is loaded."""

from __future__ import annotations

import importlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from acenv.compressors.checkpoint import Source, read_source
from acenv.compressors.job import check_method, compute_dtype, layers_of
from acenv.compressors.layout import layout
from acenv.compressors.method import Method, Pass, parse
from acenv.compressors.options import Options
from acenv.compressors.stream import stored_bytes

FACTOR = 3.0
"""The real seconds are within this factor of the estimate, above and below, on a machine with nothing else to do."""

HELDOUT_TOKENS = 2048
"""Tokens on which the dense and the compressed model are compared, about."""

_BLOCK = re.compile(r".*?\.\d+\.")
# Anonymous memory of an interpreter that has the engine loaded and has compressed a model of next to no weights.
_BASE = {"torch": 350e6, "llmcompressor": 430e6, "gptqmodel": 640e6}
# Seconds that the libraries take to load, in units of the time of 100,000 turns of a Python loop.
_LOADING = {"torch": 4000, "llmcompressor": 5000, "gptqmodel": 6500}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a compression will take.

    Attributes:
        seconds: From beginning to end, the check of the result included.
        factor: The seconds are uncertain by this factor, above and below.
        memory_bytes: Peak of memory that is not mapped from a file; an upper bound for the methods of this package.
        disk_bytes: Weight files of the result.
        work_bytes: Most that lies on the disk while it is made.
        bits_per_weight: Stored bits for each weight of the layers that are compressed, with scales and the like.
        compressed_parameters: Weights in these layers.
        kept_parameters: All others.
    """

    seconds: float
    factor: float
    memory_bytes: int
    disk_bytes: int
    work_bytes: int
    bits_per_weight: float
    compressed_parameters: int
    kept_parameters: int


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do.

    Attributes:
        flops: Multiplications and additions in products of matrices.
        elements: Numbers that a simple operation on a large tensor goes through.
        calls: Operations on tensors so small that the call is what takes the time.
        loops: Turns of a Python loop.
    """

    flops: float = 0.0
    elements: float = 0.0
    calls: float = 0.0
    loops: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops,
            self.elements + other.elements,
            self.calls + other.calls,
            self.loops + other.loops,
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """Seconds that this machine takes for each unit of :class:`Work`."""

    flop: float
    element: float
    call: float
    loop: float

    def seconds(self, work: Work) -> float:
        """Seconds for some work."""
        return work.flops * self.flop + work.elements * self.element + work.calls * self.call + work.loops * self.loop


def estimate(model: str | Path, method: str, calibration_tokens: int = 16384) -> Estimate:
    """Estimate a compression before it is done.

    Disk is exact but for a percent. Memory is what :func:`acenv.compress` is held to: the model in the type in which it
    is computed, twice its largest layer, and the libraries. Seconds are the work of the method at the speed of this
    machine, which is measured for a second, and uncertain.

    Args:
        model: Folder of a dense safetensors checkpoint.
        method: For example ``"wanda:pattern=2:4+gptq:bits=4"``; see :func:`acenv.compressors.method.parse`.
        calibration_tokens: Tokens of all calibration texts; methods that look at none do not care.

    Raises:
        ValueError: The method, or the model, is at fault.
        ImportError: The engine of the method, or torch, is not installed.
    """
    plan = parse(method)
    plan.check_installed()
    source = read_source(model)
    dtype = compute_dtype(source)
    width = dtype.itemsize
    layers = check_method(source, plan)
    written = [layout(step.name, source, its) for step, its in zip(plan.passes, layers, strict=True)]
    compressed = set().union(*layers)
    size = stored_bytes(written[-1])
    inside = sum(tensor.size for name, tensor in written[-1].items() if name.rpartition(".")[0] in compressed) - sum(
        source.tensors[f"{name}.bias"].size for name in compressed if f"{name}.bias" in source.tensors
    )
    count = sum(prod(source.linears[name]) for name in compressed)
    base = max(_BASE.get(step.engine.package, 450e6) for step in plan.passes)
    return Estimate(
        seconds=measure_machine(dtype).seconds(work(plan, source, calibration_tokens)),
        factor=FACTOR,
        memory_bytes=int(base + source.parameters * width + 2 * largest_layer(source) * width),
        disk_bytes=size,
        work_bytes=sum(map(stored_bytes, written)),
        bits_per_weight=8 * inside / count,
        compressed_parameters=count,
        kept_parameters=source.parameters - count,
    )


def work(plan: Method, source: Source, calibration_tokens: int) -> Work:
    """What there is to do for a method: loading libraries, all passes, and a check after each.

    Args:
        plan: The method.
        source: The dense checkpoint.
        calibration_tokens: Tokens of all calibration texts.
    """
    total = _compare(source) + Work(loops=1e5 * max(_LOADING.get(step.engine.package, 5000) for step in plan.passes))
    for step in plan.passes:
        layers = layers_of(source, step)
        total += _work(step, source, layers, calibration_tokens) + _compare(source) + _check(source, layers)
    return total


def largest_layer(source: Source) -> int:
    """Weights in the largest block of the decoder."""
    blocks: defaultdict[str, int] = defaultdict(int)
    for name, tensor in source.tensors.items():
        if match := _BLOCK.match(name):
            blocks[match[0]] += prod(tensor.shape)
    return max(blocks.values())


def measure_machine(dtype: Any, clock: Callable[[], float] = time.perf_counter) -> Machine:
    """How fast this machine is, in about a second.

    Args:
        dtype: The torch type of the products of matrices.
        clock: Gives seconds.
    """
    torch = importlib.import_module("torch")
    matrix, large, small = torch.ones(1024, 1024, dtype=dtype), torch.ones(1 << 21), torch.ones(8)
    return Machine(
        flop=_seconds(lambda: matrix @ matrix, clock) / (2 * 1024**3),
        element=_seconds(lambda: large + large, clock) / (1 << 21),
        call=_seconds(lambda: [small + small for _ in range(1000)], clock) / 1000,
        loop=_seconds(lambda: sum(range(100_000)), clock) / 100_000,
    )


def _seconds(do: Callable[[], Any], clock: Callable[[], float]) -> float:
    """The median of what it takes in a quarter of a second."""
    do()
    taken: list[float] = []
    begin = clock()
    while len(taken) < 3 or clock() - begin < 0.25:
        start = clock()
        do()
        taken.append(clock() - start)
    return sorted(taken)[len(taken) // 2]


def _work(step: Pass, source: Source, layers: Mapping[str, Options], tokens: int) -> Work:
    """What a pass has to do, without the check."""
    shapes = [source.linears[name] for name in layers]
    weights = sum(map(prod, shapes))
    forward = Work(flops=2 * sum(map(prod, source.linears.values())) * tokens, calls=400 * len(source.linears))
    hessians = Work(
        flops=sum(2 * tokens * n**2 + 4 * n**3 + m * n**2 for m, n in shapes), calls=sum(80 * n for _, n in shapes)
    )
    if step.name == "magnitude":
        return Work(elements=40 * weights)
    if step.name == "rtn":
        return Work(elements=150 * weights)
    if step.name == "wanda":
        return forward + forward + Work(elements=100 * weights)
    if step.name == "sparsegpt":
        return forward + forward + hessians + Work(elements=50 * weights)
    if step.name == "gptq":
        return forward + forward + hessians + Work(elements=200 * weights)
    if step.name == "awq":  # twenty scales and twenty cuts are tried, each with the layer's outputs
        return Work(flops=22 * forward.flops, calls=44 * forward.calls, elements=1000 * weights)
    looks = (forward + forward) if step.engine.needs_calibration else Work()
    return looks + Work(elements=200 * weights)


def _compare(source: Source) -> Work:
    """Loading a model, and its logits on the held-out texts."""
    return Work(flops=2 * source.parameters * HELDOUT_TOKENS, elements=10 * source.parameters)


def _check(source: Source, layers: Mapping[str, Options]) -> Work:
    """Levels, zeros and patterns of the compressed layers."""
    return Work(elements=100 * sum(prod(source.linears[name]) for name in layers))
