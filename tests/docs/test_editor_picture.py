"""The picture of an editor: what Neovim shows, and safe to show anywhere."""

import re
import shutil
import sys
from importlib import import_module
from xml.etree import ElementTree as ET

import pytest

from tests.docs.blocks import ROOT
from tests.system_parts import PATH

PICTURE = (ROOT / "docs/guides/editors.svg").read_text("utf-8")
SAID = ("there is no authenticator `sesion`", "did you mean `session`?", "**Rate**")


def words_of(picture: str) -> str:
    shown = [text for text in ET.fromstring(picture).iter() if text.tag.endswith("}text")]
    return "".join("".join(text.itertext()) for text in shown).replace("\xa0", " ")


def test_it_is_an_svg_that_loads_nothing() -> None:
    assert re.findall(r"(?:href|src)=|@import|url\((?!#)|<script", PICTURE) == []
    assert all(words in words_of(PICTURE) for words in SAID)


def test_the_guide_shows_it() -> None:
    assert "](editors.svg)" in (ROOT / "docs/guides/editors.md").read_text("utf-8")


@pytest.mark.wide
@pytest.mark.timeout(300)
def test_neovim_still_shows_that(monkeypatch: pytest.MonkeyPatch) -> None:
    nvim = shutil.which("nvim", path=PATH)
    if nvim is None:
        pytest.skip("no Neovim here")
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs/reference"), *sys.path])
    editor = import_module("editor")
    shown = editor.screen(nvim)
    assert all(words in shown for words in SAID)
    assert all(words in words_of(editor.picture(shown)) for words in SAID)
