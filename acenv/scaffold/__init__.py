"""``acenv new``: a package with an environment, policy, compression method or analyzer of one's own, and its test."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

KINDS = {"env": "an environment", "policy": "a policy", "compressor": "a compression method", "analyzer": "an analyzer"}
"""What can be begun, with its name in full."""


def new(kind: str, name: str, folder: str | Path | None = None) -> Path:
    """Write a package that works as it is, to be changed into what is wanted.

    Args:
        kind: One of :data:`KINDS`.
        name: What it is to be called, such as ``"tic-tac-toe"``.
        folder: Where to write it; default: a folder of that name here.

    Returns:
        The folder; it holds ``pyproject.toml`` with the entry point, the package, and a test.

    Raises:
        ValueError: An unknown kind, a name that makes no package, or a folder that is not empty.
    """
    if kind not in KINDS:
        raise ValueError(f"can begin {', '.join(KINDS)}, not {kind!r}")
    package = re.sub(r"[-.\s]+", "_", name.strip()).lower()
    if not package.isidentifier() or not package.isascii() or keyword.iskeyword(package) or package == "acenv":
        raise ValueError(f"{name!r} cannot be the name of a Python package; take letters, digits and -")
    title = "".join(part.capitalize() for part in package.split("_"))
    out = Path(folder) if folder is not None else Path(package.replace("_", "-"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already; choose another name or folder")
    names = {"package": package, "title": title, "project": package.replace("_", "-"), "kind": KINDS[kind]}
    templates = files(__name__) / "templates"
    written = {
        "pyproject.toml": f"pyproject_{kind}.toml",
        "README.md": f"readme_{kind}.md",
        f"{package}/__init__.py": "package.py",
        f"{package}/{kind}.py": f"{kind}.py",
        f"tests/test_{kind}.py": f"test_{kind}.py",
    }
    for target, template in written.items():
        path = out / target
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{template}.template").read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(names), encoding="utf-8")
    return out
