"""How the site is built: ``make docs``, which is ``sphinx-build -W docs site``.

Pages are Markdown that also reads well on its own; the reference pages (recipe keys, commands, games, pictures of the
measures) are written by ``docs/hooks`` from the program itself before a build, and committed. Every warning is an
error: a broken link or anchor, a page that the contents leave out. Nothing is fetched, neither by a build nor by a
reader's browser, and the pages and their search work from the folder without a server.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "src")]

import sepo  # noqa: E402
from docs.hooks.pages import write  # noqa: E402

project = "sepo"
author = "the authors of sepo"
copyright = "Apache-2.0"
version = release = sepo.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["hooks", "static"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 4
suppress_warnings = ["ref.python"]  # one class under two names: sepo.api's and its own
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True  # attributes are fields of their class, not further entries of the index
napoleon_custom_sections = [("Class attributes", "Attributes")]

html_theme = "furo"
html_title = "sepo"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # summaries are fetched, which a page that is opened as a file may not
html_theme_options = {"navigation_with_keys": True}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

API = {
    "sepo.api": "What `import sepo` offers.",
    "sepo.errors": "What is raised.",
    "sepo.games.base": "The contract of a game.",
    "sepo.games.contract": "Whether a game of your own keeps it.",
    "sepo.games.registry": "Games by name.",
    "sepo.policies.base": "What everything that acts answers.",
    "sepo.audit.measures": "J as a sum of terms.",
}
"""Modules of the API page, with what each is; one that is not there is left out."""


FOLDER = re.compile(r"\[([^\]]+)\]\(\.\./[\w/]*/\)")
"""A link to a folder of the repository, which a site does not have."""

OPTIONAL = ("play", "cards", "python")


def described(module: str, about: str) -> str:
    """Return the part of the API page that is a module's."""
    directive = f".. automodule:: {module}\n   :members:\n   :exclude-members: model_config\n"
    return f"## `{module}`\n\n{about}\n\n```{{eval-rst}}\n{directive}```\n"


def fill(app: Sphinx, page: str, text: list[str]) -> None:
    """Put modules into the API page, leave pages that do not exist out of the contents, and links to folders bare."""
    text[0] = FOLDER.sub(r"\1", text[0])
    if page == "api":
        parts = [described(*item) for item in API.items() if importlib.util.find_spec(item[0]) is not None]
        text[0] = text[0].replace("<!-- modules -->", "\n".join(parts))
    if page == "index":
        missing = [name for name in OPTIONAL if not (HERE / f"{name}.md").exists()]
        text[0] = "".join(line for line in text[0].splitlines(keepends=True) if line.strip() not in missing)


def skip(app: Sphinx, kind: str, name: str, member: object, skipped: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, of which Python says "Alias for field number 0"."""
    return True if (getattr(member, "__doc__", None) or "").startswith("Alias for field number") else None


def accessible(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Let keyboards reach what scrolls, and give the headings of the contents the level that the theme leaves out."""
    for name, plain, better in (
        ("body", "<pre>", '<pre tabindex="0">'),
        ("body", '<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
        ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
    ):
        if name in context:
            context[name] = context[name].replace(plain, better)


def setup(app: Sphinx) -> None:
    """Write the generated pages before the sources are read."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir)))
    app.connect("source-read", fill)
    app.connect("autodoc-skip-member", skip)
    app.connect("html-page-context", accessible, priority=900)  # after the theme's own
