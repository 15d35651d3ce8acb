from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acenv.compressors import METHODS, CompressionError, compress
from acenv.compressors.options import Engine, RoundingOptions
from acenv.types import Conversation, Message


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def refused(model: Path, method: str, out: Path, message: str) -> None:
    before = sorted(out.parent.iterdir())
    with pytest.raises(ValueError, match=re.escape(message)):
        compress(model, method, out, ["some text"])
    assert sorted(out.parent.iterdir()) == before


def test_folders_that_are_no_dense_checkpoint(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(tmp_path / "nowhere", "magnitude", out, "there is no folder")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "awq"}}))
    refused(copy, "magnitude", out, "compressed already (awq)")
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    refused(copy, "magnitude", out, "Conv1D")
    (copy / "config.json").write_text("{")
    refused(copy, "magnitude", out, "is not valid JSON")
    (copy / "config.json").unlink()
    refused(copy, "magnitude", out, "config.json is missing")


def test_damaged_and_missing_weights(copy: Path, tmp_path: Path) -> None:
    weights = copy / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-10])
    refused(copy, "magnitude", tmp_path / "out", "damaged")
    weights.write_bytes(b"\xff" * 100)
    refused(copy, "magnitude", tmp_path / "out", "damaged")
    weights.unlink()
    refused(copy, "magnitude", tmp_path / "out", "no *.safetensors file")


def test_indivisible_group_size_names_those_that_fit(tiny: Path, tmp_path: Path) -> None:
    for method in ("gptq", "rtn"):
        refused(
            tiny, f"{method}:group_size=128", tmp_path / "out", "for this model use group_size=16 or 32 or 64 or -1"
        )


def test_existing_out_is_kept(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("x")
    refused(tiny, "magnitude", out, "exists already")
    assert (out / "precious").read_text() == "x"
    with pytest.raises(ValueError, match="cannot be made"):
        compress(tiny, "magnitude", out / "precious" / "below")


def test_calibration_is_asked_for_and_checked(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanda needs calibration"):
        compress(tiny, "wanda", tmp_path / "out")
    with pytest.raises(ValueError, match=re.escape("calibration[1] is of type int")):
        compress(tiny, "magnitude", tmp_path / "out", ["text", 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="calibration is one text"):
        compress(tiny, "magnitude", tmp_path / "out", "text")
    with pytest.raises(ValueError, match="all empty"):
        compress(tiny, "magnitude", tmp_path / "out", ["", Conversation([])])
    assert list(tmp_path.iterdir()) == []


def test_missing_engine_names_the_extra(tiny: Path, tmp_path: Path) -> None:
    # A process that cannot see the installed engine, as on a machine without it.
    code = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'gptqmodel' else find(name, *a)\n"
        "from acenv.compressors import compress\n"
        f"try: compress({str(tiny)!r}, 'gptq', {str(tmp_path / 'out')!r}, ['text'])\n"
        "except ImportError as error: print(error, 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == 'this method needs gptqmodel: pip install "acenv[gptq]" False\n'


def test_models_that_do_not_work_are_named_as_such(copy: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], torch.nan)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    refused(copy, "magnitude", tmp_path / "out", "itself gives no finite numbers")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "hidden_act": "nonsense"}))
    refused(copy, "magnitude", tmp_path / "out", "cannot be loaded")


def test_engine_that_fails_leaves_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A row that anybody can add: pruning works, and the second pass fails half-way.
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "failing_engine.py").write_text(
        "def run(job):\n    (job.out / 'half').write_text('x')\n    raise OSError('the disk is on fire')\n"
    )
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setitem(METHODS, "failing", Engine(RoundingOptions, "failing_engine", "torch", "hf", False))
    with pytest.raises(CompressionError, match="failing failed: OSError: the disk is on fire"):
        compress(tiny, "magnitude+failing:group_size=32", tmp_path / "out")
    assert list(tmp_path.iterdir()) == [modules]


class Interrupting(list[Message]):
    """Messages that are interrupted, as by Ctrl-C, when they are rendered."""

    def __iter__(self) -> Iterator[Message]:
        raise KeyboardInterrupt


def test_interrupted_run_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    messages = Interrupting([{"role": "user", "content": "text"}])
    with pytest.raises(KeyboardInterrupt):
        compress(tiny, "magnitude", tmp_path / "out", [Conversation(messages)])
    assert list(tmp_path.iterdir()) == []


def test_killed_run_leaves_no_model_and_is_swept_up(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = f"from acenv.compressors import compress; compress({str(tiny)!r}, 'magnitude', {str(out)!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert [path.name for path in tmp_path.iterdir()] == [".out.partial"]
    compress(tiny, "magnitude", out)
    assert list(tmp_path.iterdir()) == [out]
