"""HTML files that need no network: templates filled in, and written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

from acenv.analysis.charts.style import MissingLibraryError

SCRIPTS = ("theme", "transcripts", "viewer")
"""Scripts of the pages, which templates call "theme_script" and so on."""


def render(template: str, **values: Any) -> str:
    """Fill in a template of this package, which stands on ``page.html`` and its style sheet.

    Args:
        template: Name of the file.
        values: What the template shows; text in it is escaped.

    Raises:
        MissingLibraryError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingLibraryError("jinja2") from error

    def breakable(text: str) -> Markup:
        """The text with places where a narrow column may break it: in CamelCase, and after punctuation."""
        parts = re.split(r"(?<=[a-z])(?=[A-Z])|(?<=[,:=_/])", text)
        return Markup("<wbr>").join(parts)

    templates = Environment(
        loader=FunctionLoader(resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["breakable"] = breakable
    scripts = {f"{name}_script": Markup(resource(f"page/{name}.js")) for name in SCRIPTS}
    css = Markup(resource("report.css") + resource("page/viewer.css"))
    page: str = templates.get_template(template).render(css=css, policy=_policy(*scripts.values()), **scripts, **values)
    # A lone surrogate in what a model said can be shown by no browser.
    return page.encode("utf-8", "replace").decode("utf-8")


def _policy(*scripts: str) -> str:
    """What a page may do: load nothing, and run these scripts alone."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode("utf-8")).digest()).decode("ascii") for s in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def write(page: str, path: Path) -> Path:
    """Write a page, and make the folders that lead to it.

    Raises:
        OSError: The file cannot be written; what was there before is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(page, encoding="utf-8", newline="\n")
    os.replace(temporary, path)
    return path


def resource(name: str) -> str:
    """A text file of this package."""
    return resources.files("acenv.analysis").joinpath(name).read_text(encoding="utf-8")
