"""Compressors: what makes a checkpoint smaller. :func:`compress` writes a folder that is a checkpoint again."""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from acenv.checkpoint import MANIFEST, read_checkpoint
from acenv.checkpoint import fingerprint as checkpoint_fingerprint
from acenv.compressors.calibration import Texts, check_types, summary, tokenize
from acenv.compressors.checkpoint import Source, copy_companions, fingerprint, read_source
from acenv.compressors.estimate import Estimate, estimate
from acenv.compressors.job import Job, check_method
from acenv.compressors.memory import given_back
from acenv.compressors.method import METHODS, Method, parse
from acenv.compressors.options import CompressionError, Options, Target
from acenv.silence import silenced
from acenv.types import Conversation

__all__ = ["MANIFEST", "METHODS", "CompressionError", "Estimate", "Method", "compress", "estimate", "parse"]

_VERSIONS = ("acenv", "torch", "transformers", "safetensors", "gptqmodel", "llmcompressor", "compressed-tensors")

_COLLECTED_ABOVE = 1 << 26
"""Bytes of a model that are worth the second that it takes to look for what nobody uses any more."""


def compress(
    model: str | Path,
    method: str,
    out: str | Path,
    calibration: Sequence[Conversation | str] = (),
    heldout: Sequence[Conversation | str] = (),
    calibrated_on: str = "",
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
            are compared. Without any, one in eight of the calibration is kept aside for that, and not looked at.
        calibrated_on: What to call the calibration in the manifest.

    Returns:
        ``out``: a checkpoint folder, with a manifest named :data:`MANIFEST` in it.

    Raises:
        ValueError: The method string, the model, ``out`` or the calibration is at fault; the message names the fix.
        ImportError: The engine is not installed; the message names the command.
        CompressionError: The engine failed, or what it wrote is not what was asked for.
    """
    plan = parse(method)
    plan.check_installed()
    check_types(calibration)
    check_types(heldout, "heldout")
    source = read_source(model)
    layers = check_method(source, plan)
    folder = Path(out).expanduser()
    _check_out(folder, source)
    if plan.needs_calibration and not calibration:
        names = " and ".join(step.name for step in plan.passes if step.engine.needs_calibration)
        raise ValueError(f"{names} needs calibration texts; give some of the domain in which the model will act")
    # One folder per target, and not per run: what a killed run left is swept away by the next.
    work = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with silenced(), given_back():
            result, manifest = _compress(plan, layers, source, calibration, heldout, work)
        manifest["calibration"] = {"spec": calibrated_on, **manifest["calibration"]}
        (result / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        result.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _compress(
    plan: Method,
    layers: Sequence[Mapping[str, Options]],
    source: Source,
    calibration: Sequence[Conversation | str],
    heldout: Sequence[Conversation | str],
    work: Path,
) -> tuple[Path, dict[str, Any]]:
    """Carry out all passes.

    Returns:
        The folder of the result, below ``work``, and its manifest.
    """
    start = time.perf_counter()
    _reset_peak_memory()
    from acenv.compressors import divergence, measure

    texts = Texts.choose(
        tokenize(source.folder, calibration, source.context),
        tokenize(source.folder, heldout, source.context, "heldout"),
        plan.needs_calibration,
    )
    logits = work / "reference"
    logits.mkdir()
    reference = divergence.record(source, texts.heldout, logits)
    _release(source)
    prepared = time.perf_counter() - start
    before, targets = source, dict[str, Target]()
    passes: list[dict[str, Any]] = []
    for i, step in enumerate(plan.passes):
        start = time.perf_counter()
        out = work / f"pass-{i}"
        out.mkdir()
        engine = importlib.import_module(step.engine.module)
        sequences = texts.calibration if step.engine.needs_calibration else []
        _run(engine, Job(before, step.name, step.options, layers[i], sequences, out, keep_zeros=i > 0))
        copy_companions(source.folder, out)
        seconds = {"compress": time.perf_counter() - start}
        start = time.perf_counter()
        targets = measure.merge_targets(targets, layers[i])
        measured = measure.measure(out, source, before, layers[i], targets, reference, engine)
        _release(source)
        package = step.settings.get("engine", step.engine.package)  # where there is a choice
        passes.append(
            {
                "method": str(step),
                "name": step.name,
                "settings": step.settings,
                "ignore": list(step.ignore),
                "overrides": [str(override) for override in step.overrides],
                "engine": {"package": package, "version": _version(package)},
                "measured": measured,
                "seconds": seconds | {"check": time.perf_counter() - start},
            }
        )
        if i + 1 < len(plan.passes):
            before = read_source(out)
    total = {name: sum(step["seconds"][name] for step in passes) for name in ("compress", "check")}
    return out, {
        "method": str(plan),
        "slug": plan.slug,
        "passes": passes,
        "source": {"path": str(source.folder.resolve()), "sha256": fingerprint(source), "dtype": source.dtype},
        "checkpoint": {"sha256": checkpoint_fingerprint(read_checkpoint(out), companions=False)},
        "calibration": summary(texts.calibration),
        "heldout": {"from": texts.origin, **summary(reference.texts)},
        "measured": {
            **measured,
            "seconds": {"prepare": prepared, **total},
            "peak_rss_bytes": _peak_memory(),
        },
        "versions": {"python": platform.python_version(), **_versions()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _run(engine: Any, job: Job) -> None:
    import torch

    with torch.random.fork_rng(devices=[]):  # the same seed each time, and the caller's generator left alone
        torch.manual_seed(0)
        try:
            engine.run(job)
        except Exception as error:  # an engine may raise anything
            raise CompressionError(f"{job.method} failed: {type(error).__name__}: {error}") from error
    _release(job.source)


def _release(source: Source) -> None:
    """Let go of the model that was at work, before the next is loaded."""
    if source.size < _COLLECTED_ABOVE:
        return
    # llmcompressor keeps the last model until it is given another.
    core = sys.modules.get("llmcompressor.core")
    if core is not None and core.active_session().state.model is not None:
        core.reset_session()
    gc.collect()


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
    return {name: version for name in _VERSIONS if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


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

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
