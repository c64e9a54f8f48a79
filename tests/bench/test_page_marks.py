"""Between its marks, a page takes what was measured; nothing else changes."""

import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import capacity  # type: ignore[import-not-found]
import hook_cost  # type: ignore[import-not-found]
import newest  # type: ignore[import-not-found]
import page_marks  # type: ignore[import-not-found]
import pieces  # type: ignore[import-not-found]

PAGES = [
    (capacity.BENCHMARKS, "bench"),
    (ROOT / "docs/topics/capacity.md", "nodes"),
    (ROOT / "docs/topics/capacity.md", "sums"),
    (hook_cost.PAGE, "hooks"),
    (newest.PAGE, "newest"),
    (pieces.PAGE, "pieces"),
]


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nz\n")
    page_marks.write_into(page, "x", "new\n")
    assert page.read_text() == "a\n<!-- x: begin -->\n\nnew\n\n<!-- x: end -->\nz\n"
    with pytest.raises(ValueError, match=r"page\.md has no <!-- y: begin --> … <!-- y: end -->"):
        page_marks.write_into(page, "y", "new")


@pytest.mark.parametrize(("page", "name"), PAGES, ids=[name for _, name in PAGES])
def test_the_page_has_its_marks(page: Path, name: str, tmp_path: Path) -> None:
    copy = tmp_path / page.name
    copy.write_text(page.read_text())
    page_marks.write_into(copy, name, "new")
    assert "\n\nnew\n\n" in copy.read_text()
