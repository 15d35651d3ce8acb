"""The documentation site: the pages of this folder, pages made from the code, and a reference from the docstrings."""

from __future__ import annotations

import sys
from pathlib import Path

import acenv

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "acenv"
author = "the acenv authors"
version = release = acenv.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_templates"]
html_theme = "furo"
html_title = "acenv"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
# Commands and transcripts are shown as they are.
highlight_language = "none"

autoclass_content = "both"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Some short names, such as Point, are of several modules; annotations name the right one without saying which.
suppress_warnings = ["ref.python"]


def setup(app):
    """Write the pages that come from the code before the others are read."""
    from generate import write_pages

    app.connect("builder-inited", lambda _: write_pages(HERE))
