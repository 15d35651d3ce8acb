from __future__ import annotations

import json
from pathlib import Path

import pytest

import acenv
from acenv.compression import dense_folder
from acenv.policies import NANO


def test_models_are_found_by_name_and_folder(tmp_path: Path) -> None:
    assert dense_folder("nano", tmp_path / "unused") == NANO
    assert dense_folder(f"hf:{NANO}", tmp_path / "unused") == NANO
    with pytest.raises(ValueError, match="nowhere"):
        dense_folder(str(tmp_path / "nowhere"), tmp_path / "unused")
    assert not list(tmp_path.iterdir())


def test_a_mistyped_method_costs_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanda"):
        acenv.compress("some/model-on-a-hub", "wonda", tmp_path / "out")
    with pytest.raises(ValueError, match="did you mean transcripts"):
        acenv.compress("some/model-on-a-hub", "wanda", tmp_path / "out", calibration="transcript")
    with pytest.raises(ValueError, match="no file"):
        acenv.compress("some/model-on-a-hub", "wanda", tmp_path / "out", calibration=f"text:{tmp_path}/nothing")
    assert not list(tmp_path.iterdir())


def test_the_manifest_says_what_was_calibrated_on(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"The agent puts block {i} on the table." for i in range(30)), encoding="utf-8")
    seen = {}
    for name, calibration in (("file", f"text:{corpus}?samples=4"), ("list", ["The first text.", "The second text."])):
        folder = acenv.compress("nano", "wanda:sparsity=0.3", tmp_path / name, calibration)
        seen[name] = json.loads((folder / "compression.json").read_text(encoding="utf-8"))["calibration"]
    assert seen["file"]["spec"] == f"text:{corpus}?samples=4" and seen["file"]["texts"] == 4
    assert seen["list"]["spec"] == "texts of the caller"
    assert all(c["tokens"] > c["texts"] and len(c["sha256"]) == 64 for c in seen.values())


def test_nano_is_compressed_and_acts(tmp_path: Path) -> None:
    folder = acenv.compress("nano", "rtn:bits=4,group_size=32", tmp_path / "rtn4")
    manifest = json.loads((folder / "compression.json").read_text(encoding="utf-8"))
    assert 4 <= manifest["measured"]["bits_per_weight"] < 5
    assert manifest["measured"]["levels_max"] <= 16
    assert manifest["measured"]["disk_bytes"] < manifest["measured"]["source_disk_bytes"]
    results = acenv.evaluate("ToolSandbox", f"hf:{folder}", range(3), env_kwargs={"difficulty": "easy"})
    assert not results.errors
