"""The changelog says who notices each line, and its policy covers what may be relied on."""

import re

from channeld import __version__
from tests.docs.blocks import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text()
WHO = ("Config authors", "Clients", "Hook authors", "Operators")
HEADINGS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Not there yet"}


def test_every_line_says_who_notices() -> None:
    lines = re.findall(r"^- (.*)", TEXT, re.MULTILINE)
    assert [line for line in lines if not line.removeprefix("**").startswith(WHO)] == []
    assert lines


def test_the_headings_are_those_of_the_form() -> None:
    assert set(re.findall(r"^### (.*)", TEXT, re.MULTILINE)) <= HEADINGS
    versions = re.findall(r"^## (.*)", TEXT, re.MULTILINE)[1:]
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", one) for one in versions[1:])


def test_four_surfaces_have_a_promise() -> None:
    policy = TEXT.partition("## What may change, and how")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", policy, re.MULTILINE)
    assert [row for row in rows if row not in ("surface", "---")] == [
        "the configuration language",
        "the wire",
        "the hooks API",
        "the command line",
    ]


def test_the_version_is_a_release_or_still_unreleased() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:\.dev\d+)?", __version__)
