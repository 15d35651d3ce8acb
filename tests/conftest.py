"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Nothing in the tests may reach for a network, and a model hub that is not there must not cost a minute of retries.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def parity_dir() -> Path:
    """The folder with the official inputs and outputs; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("ACENV_PARITY_DIR", ROOT.parent / "shared"))
    if not (folder / "oracle").is_dir():
        pytest.skip(f"no official results in {folder}: set ACENV_PARITY_DIR to the folder that holds oracle/")
    return folder
