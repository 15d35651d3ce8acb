"""What the page of the documentation says is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from acenv.analysis.failures import FAILURES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "failures.md").read_text(encoding="utf-8")


def test_it_has_every_kind_in_order() -> None:
    assert tuple(re.findall(r"^\| `([a-z ]+)` \|", PAGE, re.M)) == FAILURES


def test_its_programs_run() -> None:
    programs = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
    assert programs
    for program in programs:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "unparsable" in done.stdout
