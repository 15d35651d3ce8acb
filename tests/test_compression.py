from __future__ import annotations

import json
from pathlib import Path

import pytest

import acenv
from acenv.compression import default_calibration, dense_folder
from acenv.policies import NANO


def test_the_default_calibration_is_what_experts_say_on_train_tasks() -> None:
    conversations = default_calibration()
    assert len(conversations) == 64
    assert all(c.messages[0]["role"] in ("system", "user") for c in conversations)
    assert any(c.tools for c in conversations)
    assert conversations == default_calibration()


def test_models_are_found_by_name_and_folder(tmp_path: Path) -> None:
    assert dense_folder("nano", tmp_path / "unused") == NANO
    assert dense_folder(f"hf:{NANO}", tmp_path / "unused") == NANO
    with pytest.raises(ValueError, match="nowhere"):
        dense_folder(str(tmp_path / "nowhere"), tmp_path / "unused")
    assert not list(tmp_path.iterdir())


def test_a_mistyped_method_costs_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wanda"):
        acenv.compress("some/model-on-a-hub", "wonda", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nano_is_compressed_and_acts(tmp_path: Path) -> None:
    folder = acenv.compress("nano", "rtn:bits=4,group_size=32", tmp_path / "rtn4")
    manifest = json.loads((folder / "compression.json").read_text(encoding="utf-8"))
    assert 4 <= manifest["measured"]["bits_per_weight"] < 5
    assert manifest["measured"]["levels_max"] <= 16
    assert manifest["measured"]["disk_bytes"] < manifest["measured"]["source_disk_bytes"]
    results = acenv.evaluate("ToolSandbox", f"hf:{folder}", range(3), env_kwargs={"difficulty": "easy"})
    assert not results.errors
