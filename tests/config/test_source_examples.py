"""Each entry about reading files's wrong example gives its code, and its right one nothing."""

from fnmatch import fnmatch

import pytest

from channeld.config.ignores import apply_ignores
from channeld.config.source import FileSystem, read_sources
from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.diagnostics.diagnostic import Report

ENTRIES = [
    entry
    for entry in CATALOGUE.values()
    if entry.code.startswith("CH0") or "CH112" <= entry.code <= "CH117"
]

MAIN = """\
channeld: 1
include: [rooms.yaml]
channels:
  lobby: {path: /chat, auth: none}
"""


def codes(example: str) -> list[str]:
    """What reading finds; an example's first line may say that it is another file than the main one."""
    files: dict[str, str | None] = {"channels.yaml": example}
    if example.startswith("# rooms.yaml:"):
        files = {"channels.yaml": MAIN, "rooms.yaml": example}
    elif example.startswith("# secret.yaml:"):
        files["secret.yaml"] = None

    def read(name: str) -> bytes:
        text = files[name]
        if text is None:
            raise PermissionError(13, "Permission denied")
        return text.encode()

    report = Report()
    sources = read_sources(
        "channels.yaml",
        FileSystem(read, lambda pattern: [name for name in files if fnmatch(name, pattern)]),
        {},
        report,
        missing_is_error=False,
    )
    return [diagnostic.code for diagnostic in apply_ignores(report, sources.ignores)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_the_examples_show_the_code_and_its_absence(entry: CatalogueEntry) -> None:
    expected = ["CH004", "CH091"] if entry.code == "CH091" else [entry.code]

    assert codes(entry.wrong) == expected
    assert codes(entry.right) == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_titles_are_lower_case_and_explanations_are_sentences(entry: CatalogueEntry) -> None:
    assert entry.title[0].islower()
    assert not entry.title.endswith(".")
    assert entry.explanation.endswith((".", ")"))
    assert len(entry.explanation) > 100
