"""Each code's own example gives exactly the report that its case holds; after a wished change see `update_cases.py`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channeld.diagnostics.catalogue import CATALOGUE
from tests.config.golden import CASES, DIVIDER, ENTRIES, Case, cases, outcome_of

EACH = pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.file.stem)


@pytest.fixture(autouse=True)
def own_imports() -> Iterator[None]:
    """Hook modules of an example are not found by another test, nor other tests' hooks by an example."""
    path = list(sys.path)
    sys.path[:] = [folder for folder in path if not (Path(folder) / "chat").exists()]
    _forget_chat()
    yield
    sys.path[:] = path
    _forget_chat()


def _forget_chat() -> None:
    for name in [name for name in sys.modules if name == "chat" or name.startswith("chat.")]:
        del sys.modules[name]


@EACH
def test_an_example_gives_the_report_of_its_case(case: Case, tmp_path: Path) -> None:
    text = case.file.read_bytes().decode("utf-8", "surrogateescape")
    example, _, expected = text.partition(DIVIDER)
    assert example == case.example
    outcome = outcome_of(case, tmp_path / "conf")
    assert outcome.text == expected
    if case.example == case.entry.wrong:
        assert case.entry.code in outcome.codes
    else:
        assert outcome.codes == frozenset()


def test_every_file_is_the_case_of_an_entry() -> None:
    assert set(CASES.glob("*")) == {case.file for case in cases()}


def test_only_what_diff_tells_has_its_cases_elsewhere() -> None:
    assert all(re.fullmatch(r"D\d{3}", code) for code in set(CATALOGUE) - {e.code for e in ENTRIES})
