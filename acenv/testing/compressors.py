"""What every compression method promises: the check behind :func:`check_compressor`."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acenv.compression import compress
from acenv.compressors import MANIFEST, parse
from acenv.policies import load_policy
from acenv.testing.policies import it_gives_one_decision_a_request


def check_compressor(method: str, model: str | Path = "nano") -> None:
    """Check that a compression method keeps its promises, by compressing a small model twice.

    Args:
        method: A method string, such as ``"mine:bits=4"``.
        model: A dense checkpoint that it fits.

    Raises:
        AssertionError: A promise is broken; the message says which.
    """
    plan = parse(method)
    if str(parse(str(plan))) != str(plan):
        raise AssertionError(f"{method}: its full form {plan} is read back as {parse(str(plan))}")
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "second")
        for out in (first, second):
            _attempt(method, "compressing", lambda out=out: compress(model, method, out))  # type: ignore[misc]
        left = sorted(path.name for path in Path(folder).iterdir() if path not in (first, second))
        if left:
            raise AssertionError(f"{method}: it leaves {', '.join(left)} beside the checkpoint")
        _check_manifest(method, first)
        if _digests(first) != _digests(second):
            different = [name for name, digest in _digests(first).items() if _digests(second).get(name) != digest]
            raise AssertionError(f"{method}: compressing again gives other weights in {', '.join(different)}")
        try:
            compress(model, method, first)
        except ValueError:
            pass
        else:
            raise AssertionError(f"{method}: it wrote over a checkpoint that was there")
        policy = _attempt(method, "loading the checkpoint", lambda: load_policy(f"hf:{first}", max_new_tokens=4))
        _attempt(method, "acting", lambda: it_gives_one_decision_a_request(policy))


def _check_manifest(method: str, folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    measured = manifest["measured"]
    for name in ("disk_bytes", "bits_per_weight", "sparsity", "kl_from_dense"):
        value = measured.get(name)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise AssertionError(f"{method}: the manifest's measured {name} is {value!r}, and no number")
    if not measured["kl_from_dense"] > 0:
        raise AssertionError(f"{method}: the compressed model says exactly what the dense one says")


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.safetensors"))}


def _attempt(method: str, what: str, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:
        raise AssertionError(f"{method}: {what} raised {type(error).__name__}: {error}") from error
