"""The adapters cost nothing before they are used; the programs of their page run in tests/test_docs.py."""

from __future__ import annotations

import subprocess
import sys


def test_importing_acenv_imports_no_framework() -> None:
    program = (
        "import sys, acenv, acenv.adapters, acenv.adapters.session, acenv.adapters.choices, acenv.adapters.tracking\n"
        "heavy = {'torch', 'transformers', 'trl', 'torchrl', 'openenv', 'verifiers', 'inspect_ai', 'mlflow', 'wandb'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
