"""``acenv new``: what it writes works as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from acenv.cli import main
from acenv.scaffold import KINDS, new


def pretend_to_install(package: Path) -> None:
    """What pip leaves behind: the entry points of ``pyproject.toml``."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = (
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_begun_passes_its_own_test_and_works_by_name(kind: str, tmp_path: Path) -> None:
    if kind == "compressor":
        pytest.importorskip("torch")
    folder = new(kind, "my-thing", tmp_path / "thing")
    pretend_to_install(folder)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    names = {
        "env": "assert acenv.evaluate('MyThing', 'oracle', range(3)).mean_returns() == {'acenv/MyThing-v0': 1.0}",
        "policy": "assert acenv.evaluate('ToolSandbox', 'my-thing:x', range(2)).errors == []",
        "analyzer": "from acenv.analysis.analyzers import analyzer_names; assert analyzer_names() == ('my-thing',)",
        "compressor": "assert acenv.compressors.parse('my-thing').slug == 'my-thing-50'",
    }
    code = f"import acenv, acenv.compressors; {names[kind]}"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_begun_is_in_the_style_of_the_house(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    folder = new(kind, "other", tmp_path / "other")
    rules = ["--isolated", "--line-length", "120", "--target-version", "py311"]
    for command in (["check", *rules, "--select", "E,F,I,UP,B,SIM"], ["format", *rules, "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=folder, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["", "2048", "class", "acenv", "../up", "a/b", "naïve", "x;rm"])
def test_names_that_make_no_package_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a Python package"):
        new("env", name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.py").write_text("years of work")
    with pytest.raises(ValueError, match="exists already"):
        new("env", "mine", tmp_path / "mine")
    with pytest.raises(ValueError, match="can begin env, policy, compressor, analyzer, not 'world'"):
        new("world", "mine", tmp_path / "new")


def test_the_command_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["new", "env", "tic-tac-toe"])
    assert left.value.code in (0, None)
    assert (tmp_path / "tic-tac-toe" / "tic_tac_toe" / "env.py").exists()
    assert "cd tic-tac-toe && pip install -e '.[dev]' && pytest" in " ".join(capsys.readouterr().out.split())
