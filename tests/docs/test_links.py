"""Links within the documentation lead somewhere; links to elsewhere are only counted on to be https."""

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, anchors, links, name_of, prose


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


def test_every_page_is_reached_from_the_index() -> None:
    seen, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            paths = [link.partition("#")[0] for link in links(page) if "://" not in link]
            waiting += [(page.parent / path).resolve() for path in paths if path]
    assert [name_of(page) for page in PAGES if page not in seen] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_left_to_do(page: Path) -> None:
    assert not {"TODO", "FIXME", "TBD", "lorem"} & set(prose(page).split())
