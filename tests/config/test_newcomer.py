"""One mistake of a newcomer is one finding, and its help shows what to write; after a wished change see `update_cases.py`."""

from pathlib import Path

import pytest

from channeld.diagnostics.diagnostic import Severity
from tests.config.newcomer import NEWCOMERS, NewcomerCase, findings, newcomer_cases, said

CASES = [
    pytest.param(case, id=f"{file.stem}-{case.name}")
    for file in sorted(NEWCOMERS.glob("*.txt"))
    for case in newcomer_cases(file)
]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_gives_its_finding(case: NewcomerCase, tmp_path: Path) -> None:
    report = findings(case, tmp_path / "conf")
    assert said(report) == case.expected
    assert len(report.errors or report.warnings) == case.mistakes
    assert all(d.help for d in report if d.severity is not Severity.INFO)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 300
