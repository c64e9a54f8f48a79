"""The table of threats names tests that exist, and each threat names one."""

import re

import pytest

from tests.docs.blocks import ROOT
from tests.docs.test_wire_tests import functions_of

PAGE = ROOT / "docs/threat-tests.md"
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", TEXT)))


def rows_of(text: str) -> list[str]:
    """Rows of its tables, without their heads."""
    return [row for row in re.findall(r"^\| (.*) \|$", text, re.MULTILINE) if "shown by" not in row]


ROWS, THREATS = rows_of(TEXT), rows_of(TEXT.partition("## Found")[0])


@pytest.mark.parametrize("named", NAMED)
def test_a_named_test_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert test in functions_of(file)


def test_every_threat_and_everything_that_was_found_names_a_test() -> None:
    found = [row for row in ROWS if row not in THREATS]
    assert (len(THREATS), len(found)) >= (46, 26)
    assert [row for row in ROWS if "::test_" not in row] == []
