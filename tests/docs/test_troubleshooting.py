"""The troubleshooting page has a row for everything that a client or an operator can see."""

import re

import pytest

from channeld.protocol.codes import REFUSALS, CloseCode, ErrorCode
from channeld.telemetry import EVENTS
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs/guides/troubleshooting.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n([\s\S]*?)(?=^## |\Z)", PAGE, re.MULTILINE))


def rows(section: str) -> set[str]:
    """The names in the first cells of a section's table."""
    cells = [line.split("|")[1] for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    return {name.strip(" `") for cell in cells[1:] for name in cell.split(",")}


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("A client cannot connect", {str(status) for status in REFUSALS}),
        ("A connection is closed", {str(int(code)) for code in CloseCode}),
        ("A message is refused", {str(code) for code in ErrorCode}),
        ("A line in the log", set(EVENTS)),
    ],
)
def test_nothing_is_left_out_and_nothing_is_made_up(section: str, known: set[str]) -> None:
    assert rows(section) == known


def test_every_row_says_what_to_do() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    assert all(cell.strip() for line in lines for cell in line.strip("|").split("|"))
