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

_SECTIONS = (
    ("Learn", ["start/*"]),
    (
        "For the worried",
        [
            "guides/deployment",
            "guides/troubleshooting",
            "guides/tracing",
            "guides/redis",
            "topics/security",
        ],
    ),
    ("Do", ["guides/*"]),
    ("Look up", ["reference/*", "glossary"]),
    ("Understand", ["topics/*"]),
    (
        "Shown by tests",
        ["conformance", "durable-streams", "wire-tests", "threat-tests", "benchmarks"],
    ),
    ("Decisions", ["decisions/*"]),
)
_OUTSIDE = re.compile(r"\]\(((?:\.\./)+[^)#\s]+\.md)(?:#[^)]*)?\)")


def _contents() -> Iterator[str]:
    seen: set[str] = set()
    for caption, patterns in _SECTIONS:
        found = [
            str(path.relative_to(DOCS).with_suffix(""))
            for pattern in patterns
            for path in sorted(DOCS.glob(f"{pattern}.md"))
        ]
        # A page stands in the first section that names it.
        pages = [page for page in dict.fromkeys(found) if page not in seen]
        seen.update(pages)
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
        source[0] += "\n".join(_contents())


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_what_a_site_needs)
