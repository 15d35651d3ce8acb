"""What other packages add to acenv, by entry points in their ``pyproject.toml``.

A package names its things in one of these groups, and once it is installed they work by name like acenv's own::

    [project.entry-points."acenv.envs"]
    "acenv/Chess-v0" = "my_package.chess:ChessEnv"       # gymnasium.make, --envs

    [project.entry-points."acenv.policies"]
    my-engine = "my_package.engine:MyPolicy"             # load_policy("my-engine:MODEL"), --policy

    [project.entry-points."acenv.compressors"]
    my-method = "my_package.method:ENGINE"               # compress(model, "my-method:bits=3"), --methods

    [project.entry-points."acenv.analyzers"]
    my-table = "my_package.analysis:my_table"            # a table of compare, bench and report

Nothing is imported before its name is used, and what cannot be imported breaks no other.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any

ENVS, POLICIES, COMPRESSORS, ANALYZERS = "acenv.envs", "acenv.policies", "acenv.compressors", "acenv.analyzers"


class PluginError(ImportError):
    """Something that another package adds cannot be used; the message names the package."""


@functools.cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """What other packages add to a group, by name; the first of two packages with the same name counts."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, entry)
    return found


def load(group: str, name: str) -> Any:
    """Import what a package calls ``name`` in a group.

    Raises:
        KeyError: No package does.
        PluginError: It cannot be imported.
    """
    entry = plugins(group)[name]
    try:
        return entry.load()
    except Exception as error:  # other people's code is at work in there
        raise PluginError(
            f"{name!r} of the package {package_of(entry)} cannot be loaded from {entry.value}: "
            f"{type(error).__name__}: {error}"
        ) from error


def package_of(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point is from."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.module
