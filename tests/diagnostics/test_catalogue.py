"""The catalogue as a mapping, and the form of its files."""

import re

import pytest

from channeld.diagnostics import catalogue
from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Severity

ENTRIES = list(CATALOGUE.values())
EACH = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)


def test_every_file_is_an_entry_or_describes_them() -> None:
    files = {path.name for path in catalogue._FOLDER.iterdir()}  # the folder is the table

    assert files == {f"{code}.md" for code in CATALOGUE} | {"README.md"}
    assert list(CATALOGUE) == sorted(CATALOGUE)
    assert len(CATALOGUE) == len(ENTRIES) > 200


def test_codes_are_keys_and_names_are_unique() -> None:
    assert all(code == entry.code for code, entry in CATALOGUE.items())
    names = [entry.name for entry in ENTRIES]
    assert sorted(names) == sorted(set(names))


def test_an_entry_is_the_text_of_its_file() -> None:
    entry = CATALOGUE["CH106"]

    assert (entry.name, entry.severity) == ("unknown-value", Severity.ERROR)
    assert "allowed_origins: same_origin\n" in entry.wrong
    assert "allowed_origins: same-origin\n" in entry.right
    assert entry.wrong.startswith("channeld: 1\n")
    assert "```" not in entry.explanation


def test_other_fences_belong_to_the_explanation() -> None:
    entry = CATALOGUE["D101"]

    assert entry.explanation.endswith("```")
    assert (entry.wrong, entry.right) == ("", "")


@pytest.mark.parametrize("code", ["CH000", "README", "../catalogue", "ch106", ""])
def test_anything_else_is_not_a_code(code: str) -> None:
    assert code not in CATALOGUE
    assert CATALOGUE.get(code) is None


def test_a_file_of_another_form_is_told_by_its_name(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("codes")
    (folder / "CH999.md").write_text("# CH998: another code\n\nerror, `x`\n\nWhy.\n")
    monkeypatch.setattr(catalogue, "_FOLDER", folder)

    with pytest.raises(ValueError, match=r"CH999\.md"):
        catalogue._read("CH999")


@EACH
def test_titles_are_headlines_and_explanations_are_sentences(entry: CatalogueEntry) -> None:
    assert not entry.title.endswith(".")
    assert not re.match(r"[A-Z][a-z]", entry.title)
    assert entry.explanation.endswith((".", ")", "```"))
    assert len(entry.explanation) >= 20


@EACH
def test_every_finding_of_validate_has_both_examples(entry: CatalogueEntry) -> None:
    assert all([entry.wrong, entry.right]) is entry.code.startswith("CH")
