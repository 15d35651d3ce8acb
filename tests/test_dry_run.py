from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from acenv.cli import main
from acenv.dry_run import forecast, free_memory

pytest.importorskip("torch")
pytest.importorskip("transformers")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_a_dry_run_says_what_it_would_take_and_does_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "below" / "out"
    code, text, _ = run(capsys, "compress", "nano", "magnitude:pattern=2:4", "--out", str(out), "--dry-run")
    assert code == 0
    for word in ("time", "between", "memory", "disk", "fits", "3,276,800"):
        assert word in text
    code, text, _ = run(capsys, "compress", "nano", "magnitude:pattern=2:4", "--out", str(out), "--dry-run", "--json")
    found: dict[str, Any] = json.loads(text)
    assert found["fits_memory"] and found["fits_disk"]
    assert found["estimate"]["compressed_parameters"] == 3_276_800
    assert found["estimate"]["bits_per_weight"] == 16
    assert found["calibration_tokens"] == 0
    assert list(tmp_path.iterdir()) == []


def test_texts_are_counted_where_they_are_looked_at(tmp_path: Path) -> None:
    pytest.importorskip("llmcompressor")
    texts = ["move the red block"] * 4
    found = forecast("nano", "wanda", tmp_path / "out", texts)
    assert 8 <= found.calibration_tokens <= 60
    assert found.method == "wanda:sparsity=0.5,pattern=unstructured"


def test_mistakes_are_the_same_as_without_a_dry_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, out = tmp_path / "m.gguf", str(tmp_path / "out")
    model.write_bytes(b"GGUF")
    for arguments, message in (
        (("nano", "magnitud"), "unknown method"),
        ((str(tmp_path / "nowhere"), "magnitude"), "there is no folder"),
        ((str(model), "magnitude"), "GGUF file"),
    ):
        code, _, complaint = run(capsys, "compress", *arguments, "--out", out, "--dry-run")
        assert code == 1
        assert message in " ".join(complaint.split())


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    from dataclasses import replace

    found = forecast("nano", "magnitude", tmp_path / "out")
    assert 0 < free_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert not replace(found, free_memory_bytes=found.estimate.memory_bytes - 1).fits_memory
    assert not replace(found, free_disk_bytes=found.estimate.work_bytes - 1).fits_disk
