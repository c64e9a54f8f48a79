"""The glossary names classes that exist, and no public class is named with a word that says nothing."""

import ast
import importlib
import re

import pytest

from tests.docs.blocks import ROOT

ROWS = re.findall(
    r"^\| ([^|]+) \| [^|]+ \| `(channeld[\w.]+)` \|$",
    (ROOT / "docs/glossary.md").read_text(),
    re.MULTILINE,
)
EMPTY_WORDS = {
    "Handler",
    "Processor",
    "Manager",
    "Data",
    "Info",
    "Item",
    "Util",
    "Utils",
    "Helper",
    "Base",
}
# A word of the wire protocol's own: `presence` frames have `info`.
TOLERATED = {"ConnectionInfo"}


def words_of(name: str) -> set[str]:
    return set(re.findall(r"[A-Z][a-z0-9]*", name))


@pytest.mark.parametrize(("word", "path"), ROWS)
def test_the_class_of_a_word_exists(word: str, path: str) -> None:
    module, _, name = path.rpartition(".")
    assert hasattr(importlib.import_module(module), name), word


def test_there_are_rows() -> None:
    assert len(ROWS) > 20


def test_public_classes_have_names_that_say_something() -> None:
    named = [
        (path.name, node.name)
        for path in (ROOT / "channeld").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [
        one for one in named if words_of(one[1]) & EMPTY_WORDS and one[1] not in TOLERATED
    ] == []
    assert len(named) > 100
