"""The moving picture of the first minute: made from a real terminal, and safe to show anywhere."""

import re
from xml.etree import ElementTree as ET

from tests.docs.blocks import ROOT

PICTURE = (ROOT / "docs/start/minute.svg").read_text()


def test_it_is_an_svg_that_loads_nothing_and_holds_no_secret() -> None:
    assert ET.fromstring(PICTURE).tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"(?:href|src)=|@import|url\(|<script", PICTURE) == []
    assert re.findall(r"token=(?!…)|key=(?!…)|/go/(?!…)", PICTURE) == []


def test_it_shows_what_the_commands_print() -> None:
    shown = "\n".join(
        "".join(text.itertext())
        for text in ET.fromstring(PICTURE).iter()
        if text.tag.endswith("}text")
    )
    for words in (
        "error[CH103]",
        "did you mean `route`?",
        "Open in a browser:",
        '"text":"hello","from":"ann"',
    ):
        assert words in shown


def test_it_stands_still_for_those_who_want_that() -> None:
    style = PICTURE.partition("<style>")[2].partition("</style>")[0]
    before = style.partition("@media (prefers-reduced-motion:no-preference)")[0]
    assert "animation" not in before
    assert style != before
    # Without motion only the last scene can be seen.
    assert len(re.findall(r"<g id='s\d' visibility='hidden'>", PICTURE)) == 2
