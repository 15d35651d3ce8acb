"""The functions of medium and hard tasks, by area."""

from __future__ import annotations

from collections.abc import Mapping

from acenv.envs.tools.bfcl.catalogue_office import OFFICE
from acenv.envs.tools.bfcl.catalogue_places import PLACES
from acenv.envs.tools.bfcl.templates import Template

AREAS: Mapping[str, tuple[Template, ...]] = {**PLACES, **OFFICE}
"""Area to its functions."""
