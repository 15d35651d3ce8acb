"""The programs of docs/adapters.md run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adapters.md"
PROGRAMS = re.findall(r"<!-- runs: (\w+) -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("needs, program", PROGRAMS)
def test_a_program_runs(needs: str, program: str) -> None:
    pytest.importorskip(needs, reason=f"{needs} is not in this environment")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_python_block_is_run() -> None:
    assert len(PROGRAMS) == PAGE.read_text(encoding="utf-8").count("```python")


def test_importing_acenv_imports_no_framework() -> None:
    program = (
        "import sys, acenv, acenv.adapters, acenv.adapters.session, acenv.adapters.choices, acenv.adapters.tracking\n"
        "heavy = {'torch', 'transformers', 'trl', 'torchrl', 'openenv', 'verifiers', 'inspect_ai', 'mlflow', 'wandb'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
