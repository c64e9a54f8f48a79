"""The table of threats names tests that exist, and each threat names one."""

import re

import pytest

from tests.docs.blocks import ROOT
from tests.docs.test_wire_tests import functions_of

PAGE = ROOT / "docs/threat-tests.md"
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", TEXT)))
ROWS = [row for row in re.findall(r"^\| (.*) \|$", TEXT, re.MULTILINE) if "shown by" not in row]


@pytest.mark.parametrize("named", NAMED)
def test_a_named_test_exists(named: str) -> None:
    file, _, test = named.partition("::")
    assert test in functions_of(file)


def test_every_threat_names_a_test() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if "::test_" not in row] == []
