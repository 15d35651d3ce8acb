"""The programs in CONTRIBUTING.md run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = dict(
    re.findall(
        r"<!-- runs: (\w+) -->\n```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.S
    )
)


def run(name: str, folder: Path, after: str = "") -> str:
    program = folder / f"my_{name}.py"
    program.write_text(PROGRAMS[name] + after, encoding="utf-8")
    done = subprocess.run([sys.executable, program.name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_five_and_each_is_under_30_lines() -> None:
    assert sorted(PROGRAMS) == ["analyzer", "compressor", "environment", "policy", "table"]
    for program in PROGRAMS.values():
        assert sum(bool(line.strip()) for line in program.splitlines()) < 30


def test_the_environment(tmp_path: Path) -> None:
    assert "Sum-v0 1.000" in run("environment", tmp_path)


def test_the_environment_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    from gymnasium.utils.env_checker import check_env

    names: dict[str, object] = {}
    exec(compile(PROGRAMS["environment"], "CONTRIBUTING.md", "exec"), names)
    try:
        check_env(gymnasium.make("acenv/Sum-v0").unwrapped, skip_render_check=True)
    finally:
        del gymnasium.registry["acenv/Sum-v0"]


def test_the_policy(tmp_path: Path) -> None:
    assert "20 episodes" in run("policy", tmp_path)


def test_the_compressor(tmp_path: Path) -> None:
    run(
        "compressor",
        tmp_path,
        "    from pathlib import Path\n    print(Path('random-30/compression.json').read_text())\n",
    )


def test_the_table(tmp_path: Path) -> None:
    assert "'method': 'random', 'environment': 'acenv/ToolSandbox-v0'" in run("table", tmp_path)


def test_the_analyzer(tmp_path: Path) -> None:
    assert abs(float(run("analyzer", tmp_path))) < 0.5
