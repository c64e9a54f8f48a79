"""The documentation site is built from the pages as they are; a link that leads nowhere fails it."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.blocks import ROOT

pytestmark = pytest.mark.wide


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("furo")
    pytest.importorskip("myst_parser")
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-c", "docs/site", "-b", "html"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "docs", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder


def test_every_page_is_in_it_and_in_its_contents(site: Path) -> None:
    contents = (site / "README.html").read_text()
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        name = page.relative_to(docs).with_suffix(".html")
        assert (site / name).exists()
        assert name.name == "README.html" or f'href="{name}"' in contents
    assert "url=README.html" in (site / "index.html").read_text()


def test_it_can_be_searched_and_asks_no_other_host(site: Path) -> None:
    assert "troubleshooting" in (site / "searchindex.js").read_text().lower()
    for page in site.rglob("*.html"):
        for part in page.read_text().split("<script")[1:] + page.read_text().split("<link")[1:]:
            tag = part.partition(">")[0]
            for word in ("src=", "href="):
                if word in tag:
                    url = tag.split(word)[1].strip("\"'").split('"')[0]
                    assert not urlsplit(url).netloc, url
