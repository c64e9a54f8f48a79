"""Each code's own example gives exactly the report that its case holds; after a wished change see `update_cases.py`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channeld.diagnostics.catalogue import CATALOGUE, Entry
from tests.config.golden import (
    CASES,
    DIVIDER,
    ENTRIES,
    LEFT_OUT,
    case_of,
    checked_example,
    report_of,
)

EACH = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)


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


def conf(folder: Path) -> Path:
    return folder / "conf"


@EACH
def test_the_wrong_example_gives_the_report_of_its_case(entry: Entry, tmp_path: Path) -> None:
    case = case_of(entry).read_bytes().decode("utf-8", "surrogateescape")
    example, _, expected = case.partition(DIVIDER)
    assert example == entry.wrong
    checked = checked_example(example, conf(tmp_path))
    assert entry.code in {finding.code for finding in checked.report}
    assert report_of(checked) == expected


@EACH
def test_the_right_example_does_not_give_the_code(entry: Entry, tmp_path: Path) -> None:
    checked = checked_example(entry.right, conf(tmp_path))
    assert entry.code not in {finding.code for finding in checked.report}


def test_every_case_belongs_to_an_entry() -> None:
    assert set(CASES.glob("*")) == {case_of(entry) for entry in ENTRIES}


def test_only_codes_of_other_files_have_no_case() -> None:
    assert {code for code in LEFT_OUT if not re.match(r"CH8|D\d", code)} == set()
    assert set(LEFT_OUT) | {entry.code for entry in ENTRIES} == set(CATALOGUE)
