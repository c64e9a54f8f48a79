"""The documentation site: the pages as they are, with a table of contents of the folders (`make docs`).

The pages are written for people who read them in the repository. What a site needs beyond them is added while it is built:
the side bar, and links to files that are not pages of it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]

project = "channeld"
copyright = "the authors of channeld"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "README"
exclude_patterns = ["site", "man", "reference/pages"]
html_theme = "furo"
html_title = "channeld"
html_show_sphinx = False
html_show_copyright = False
html_favicon = str(DOCS.parent / "channeld/api/console/icon.svg")
html_theme_options = {"sidebar_hide_name": False}
html_permalinks_icon = "#"
pygments_dark_style = "monokai"
myst_heading_anchors = 6
# Lexers for what the tests read in a block's first line: `yaml bad CH310`, `console`, `http`.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]

_SECTION = re.compile(r"^\*\*([\w ]+)\*\*(.*?)(?=^\*\*|\Z)", re.MULTILINE | re.DOTALL)
_PAGE = re.compile(r"\]\(([a-z][^)#\s]*)\.md\)")
_REFERENCE = [f"reference/{path.stem}" for path in sorted((DOCS / "reference").glob("*.md"))]
_OUTSIDE = re.compile(r"\]\(((?:\.\./)+[^)#\s]+\.md)(?:#[^)]*)?\)")


def _contents(front: str) -> Iterator[str]:
    """The front page's lists of links, section by section, as tables of contents."""
    for caption, listed in _SECTION.findall(front):
        pages = list[str]()
        for page in _PAGE.findall(listed):
            pages += _REFERENCE if page == "reference/README" else [page]
        yield "\n".join(
            ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]
        )


def add_what_a_site_needs(_app: Sphinx, name: str, source: list[str]) -> None:
    """Change a page's text on its way into the site."""
    folder = (DOCS / name).parent

    def as_file(link: re.Match[str]) -> str:
        target = (folder / link[1]).resolve()
        # A page of the repository that is not one of the site is offered as a file.
        return link[0] if target.is_relative_to(DOCS) else f"](path:{link[1]})"

    source[0] = _OUTSIDE.sub(as_file, source[0])
    if name == root_doc:
        source[0] += "\n".join(_contents(source[0]))


def lead_to_the_front_page(app: Sphinx, _error: Exception | None) -> None:
    """Web servers look for `index.html`; the front page is `README.html`, as in the repository."""
    target = '<meta http-equiv="refresh" content="0; url=README.html">'
    (app.outdir / "index.html").write_text(f"<!doctype html><title>channeld</title>{target}\n")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_what_a_site_needs)
    app.connect("build-finished", lead_to_the_front_page)
