"""Compressors: what makes a checkpoint smaller. :func:`compress` writes a folder that is a checkpoint again."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from acenv.compressors.calibration import check_types, summary, tokenize
from acenv.compressors.checkpoint import Source, check_shapes, copy_companions, fingerprint, read_source
from acenv.compressors.job import Job
from acenv.compressors.method import METHODS, Method, parse
from acenv.compressors.options import CompressionError
from acenv.silence import silenced
from acenv.types import Conversation

__all__ = ["MANIFEST", "METHODS", "CompressionError", "Method", "compress", "parse"]

MANIFEST = "compression.json"
"""Name of the manifest in a compressed checkpoint's folder."""

_VERSIONS = ("acenv", "torch", "transformers", "safetensors", "gptqmodel", "llmcompressor", "compressed-tensors")


def compress(
    model: str | Path,
    method: str,
    out: str | Path,
    calibration: Sequence[Conversation | str] = (),
    heldout: Sequence[Conversation | str] = (),
) -> Path:
    """Compress a checkpoint.

    Everything that can be known to fail is checked before a library is imported or a weight is loaded. The result is
    written beside ``out`` and renamed at the end, so that ``out`` never holds half a model; before that it is loaded
    again, measured, and checked. What the engines print goes nowhere.

    Args:
        model: Folder of a dense safetensors checkpoint with its tokenizer.
        method: For example ``"gptq:bits=4,group_size=32"``; see :func:`acenv.compressors.method.parse`.
        out: The folder to make; it must not exist.
        calibration: Conversations or texts of the domain in which the model will act; gptq, wanda and sparsegpt look at
            activations and need some.
        heldout: Conversations or texts that are not in the calibration, on which the dense and the compressed model
            are compared.

    Returns:
        ``out``: a checkpoint folder, with a manifest named :data:`MANIFEST` in it.

    Raises:
        ValueError: The method string, the model, ``out`` or the calibration is at fault; the message names the fix.
        ImportError: The engine is not installed; the message names the command.
        CompressionError: The engine failed, or what it wrote is not what was asked for.
    """
    plan = parse(method)
    plan.engine.check_installed()
    check_types(calibration)
    check_types(heldout)
    source = read_source(model)
    check_shapes(source, plan.options.target())
    folder = Path(out).expanduser()
    _check_out(folder, source)
    if plan.engine.needs_calibration and not calibration:
        raise ValueError(f"{plan.name} needs calibration texts; give some of the domain in which the model will act")
    # One folder per target, and not per run: what a killed run left is swept away by the next.
    work = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with silenced():
            manifest = _compress(plan, source, calibration, heldout, work)
        (work / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _compress(
    plan: Method,
    source: Source,
    calibration: Sequence[Conversation | str],
    heldout: Sequence[Conversation | str],
    work: Path,
) -> dict[str, Any]:
    start = time.perf_counter()
    _reset_peak_memory()
    import torch

    from acenv.compressors import measure

    sequences = tokenize(source.folder, calibration, source.context)
    engine = importlib.import_module(plan.engine.module)
    layers = dict.fromkeys(source.linears, plan.options)
    job = Job(source, plan.name, plan.options, layers, sequences, work)
    ids = measure.probe(tokenize(source.folder, heldout, source.context) or sequences, source)
    seconds = {"prepare": time.perf_counter() - start}
    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):  # the same seed each time, and the caller's generator left alone
        torch.manual_seed(0)
        try:
            engine.run(job)
        except Exception as error:  # an engine may raise anything
            raise CompressionError(f"{plan.name} failed: {type(error).__name__}: {error}") from error
    copy_companions(source.folder, work)
    seconds["compress"] = time.perf_counter() - start
    start = time.perf_counter()
    reference = measure.dense_logits(source, ids)
    found = measure.measure(work, source, plan.options.target(), reference, ids, engine.load, engine.dense_weight)
    seconds["check"] = time.perf_counter() - start
    return {
        "method": str(plan),
        "name": plan.name,
        "slug": plan.slug,
        "settings": plan.settings,
        "source": {"path": str(source.folder.resolve()), "sha256": fingerprint(source), "dtype": source.dtype},
        "calibration": summary(sequences),
        "measured": {**found, "seconds": seconds, "peak_rss_bytes": _peak_memory()},
        "versions": {"python": platform.python_version(), **_versions()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _check_out(folder: Path, source: Source) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} exists already; delete it, or give another folder")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"{folder} cannot be made: {parent} is no folder that can be written to")
    # A pruned model is as large as the dense one, a quantised one smaller: the dense size is enough for all.
    free = shutil.disk_usage(parent).free
    if free < source.size:
        raise ValueError(
            f"{parent} has {free / 1e9:.1f} GB free, and {source.size / 1e9:.1f} GB may be needed; make room"
        )


def _versions() -> dict[str, str]:
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _reset_peak_memory() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux, or not allowed: the peak is then the process's own since its start
        return


def _peak_memory() -> int:
    """Peak resident memory of this process in bytes, since :func:`_reset_peak_memory` where the system can."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
