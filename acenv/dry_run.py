"""What a compression would take, and whether this machine has it: nothing is compressed, and no weight is loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acenv.calibration import DEFAULT
from acenv.calibration import parse as parse_spec
from acenv.compression import dense_folder
from acenv.compressors import parse
from acenv.compressors.calibration import tokenize
from acenv.compressors.checkpoint import read_source
from acenv.compressors.estimate import Estimate, estimate
from acenv.texts import draw
from acenv.types import Conversation


@dataclass(frozen=True, slots=True)
class Forecast:
    """An estimate beside what there is.

    Attributes:
        method: The method with all its options.
        calibration_tokens: Tokens of the texts that the method would look at.
        estimate: What it takes.
        free_memory_bytes: Memory that is free now.
        free_disk_bytes: Room where the result would be written.
    """

    method: str
    calibration_tokens: int
    estimate: Estimate
    free_memory_bytes: int
    free_disk_bytes: int

    @property
    def fits_memory(self) -> bool:
        """Whether there is memory enough."""
        return self.estimate.memory_bytes <= self.free_memory_bytes

    @property
    def fits_disk(self) -> bool:
        """Whether there is room enough."""
        return self.estimate.work_bytes <= self.free_disk_bytes


def forecast(
    model: str | Path, method: str, out: str | Path, calibration: str | Sequence[Conversation | str] = DEFAULT
) -> Forecast:
    """Estimate what :func:`acenv.compress` would take with the same arguments.

    Args:
        model: ``"nano"``, a checkpoint folder, or a hub id, whose files are fetched.
        method: A method string.
        out: Where the result would be written.
        calibration: As for :func:`acenv.compress`; texts are drawn and counted, for methods that look at some.

    Raises:
        ValueError: Something asked for makes no sense; the message names the fix.
        ImportError: The method's engine is not installed.
    """
    plan = parse(method)
    plan.check_installed()
    source = str(model).removeprefix("hf:").removeprefix("gguf:")
    if source.endswith(".gguf"):
        raise ValueError(f"a dry run reads the headers of safetensors files, and {source} is a GGUF file")
    folder = dense_folder(model, Path(out).with_name(Path(out).name + "-dense"))
    tokens = 0
    if plan.needs_calibration:
        texts = draw(parse_spec(calibration)).samples if isinstance(calibration, str) else calibration
        tokens = sum(map(len, tokenize(folder, texts, read_source(folder).context)))
    place = Path(out).expanduser().absolute().parent
    while not place.exists():
        place = place.parent
    return Forecast(str(plan), tokens, estimate(folder, method, tokens), free_memory(), shutil.disk_usage(place).free)


def free_memory() -> int:
    """Bytes of memory that can be had now, within the limit of a container if there is one."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux: all of it
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else max(0, min(free, int(limit) - used))
