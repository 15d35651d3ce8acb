"""The domains of the sandbox: each module holds plain functions on a world, and lists them as tools."""

from __future__ import annotations

from acenv.envs.tools.domains import bank, calendar, contacts, files, home, notes, shop, units
from acenv.envs.tools.tooling import ToolSpec

TOOLS: dict[str, ToolSpec] = {
    spec.name: spec for module in (contacts, calendar, files, shop, units, notes, bank, home) for spec in module.TOOLS
}
"""Every tool by name, ``finish`` excepted."""
