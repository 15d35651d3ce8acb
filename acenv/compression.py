"""Compressing by name: finds the model, chooses what to calibrate on, and hands over to the compressors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from acenv.calibration import DEFAULT, Spec, check
from acenv.calibration import parse as parse_spec
from acenv.texts import Calibration, draw
from acenv.types import Conversation


def compress(
    model: str | Path,
    method: str,
    out: str | Path,
    calibration: str | Sequence[Conversation | str] = DEFAULT,
) -> Path:
    """Compress a model into a checkpoint folder.

    Args:
        model: ``"nano"``, a checkpoint folder, a GGUF file, or a hub id.
        method: For example ``"gptq:bits=4,group_size=128"``; see :func:`acenv.compressors.method.parse`.
        out: The folder to make; it must not exist.
        calibration: What the method looks at: a spec such as ``"transcripts:toolcalling"``, ``"text:corpus.txt"`` or
            ``"run:runs/train?min_return=0.5"`` (see :mod:`acenv.calibration`), or conversations and texts, all of which
            are used. Default: the experts' transcripts of the train split of the four quick environments.

    Returns:
        ``out``, with the manifest ``compression.json`` in it. The two models were compared on texts of the same kind
        that the method has not seen; of conversations and texts that were given, one in eight is kept aside for that.

    Raises:
        ValueError: Something asked for makes no sense; the message names the fix.
        RunError: The folder of a recorded run holds none.
        ImportError: The method's engine is not installed; the message names the command.
        acenv.compressors.CompressionError: The engine failed, or what it wrote is not what was asked for.
    """
    from acenv.compressors import compress as run
    from acenv.compressors import parse

    plan = parse(method)  # A typing mistake should not wait for a download.
    plan.check_installed()
    spec: Spec | None = None
    if isinstance(calibration, str):
        spec = parse_spec(calibration)
        check(spec)
    folder = dense_folder(model, Path(out).with_name(Path(out).name + "-dense"))
    drawn = Calibration(tuple(calibration)) if spec is None else draw(spec)
    looked_at = str(spec or "texts of the caller") if plan.needs_calibration else ""
    return run(folder, method, out, drawn.samples, drawn.heldout, looked_at)


def dense_folder(model: str | Path, unpacked: Path) -> Path:
    """The folder of a dense checkpoint.

    Args:
        model: ``"nano"``, a checkpoint folder, a GGUF file (or a folder with one and no ``config.json``), or a hub id;
            ``"hf:"`` and ``"gguf:"`` in front are understood.
        unpacked: Where a GGUF file is written as a dense checkpoint; it is used again if it is there.

    Raises:
        ValueError: There is no such checkpoint, or it cannot be used.
    """
    from acenv.policies import NANO

    source = str(model).removeprefix("hf:").removeprefix("gguf:")
    if source == "nano":
        return NANO
    path = Path(source).expanduser()
    if path.is_dir() and not (path / "config.json").exists() and len(files := list(path.glob("*.gguf"))) == 1:
        path = files[0]
    if path.is_file():
        if not (unpacked / "config.json").exists():
            _unpack_gguf(path, unpacked)
        return unpacked
    from acenv.checkpoint import find_checkpoint

    return find_checkpoint(source).folder


def _unpack_gguf(file: Path, out: Path) -> None:
    """Write a GGUF file as a dense bfloat16 checkpoint; transformers itself refuses to save a model loaded from one."""
    import torch

    from acenv.checkpoint import find_checkpoint
    from acenv.policies.checkpoints import load_model, load_tokenizer

    checkpoint = find_checkpoint(str(file))
    loaded = load_model(checkpoint, dtype=torch.bfloat16, device=torch.device("cpu"), dequantize=True)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(loaded)(config).to(torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    partial = out.with_name(f".{out.name}.partial")
    model.save_pretrained(partial)
    load_tokenizer(checkpoint).save_pretrained(partial)
    partial.rename(out)
