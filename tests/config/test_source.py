"""Files of a configuration: includes, environment, places across files."""

from collections.abc import Mapping
from fnmatch import fnmatch

import attrs
import pytest

from channeld.config.source import FileSystem, Sources, read_sources
from channeld.diagnostics.diagnostic import Diagnostic, Report

MAIN = "include: [rooms/*.yaml]\nchannels:\n  lobby: {path: /chat}\n"


@attrs.frozen
class Read:
    sources: Sources
    found: list[Diagnostic]

    @property
    def codes(self) -> list[str]:
        return [diagnostic.code for diagnostic in self.found]


def read(
    files: Mapping[str, str | None],
    environ: Mapping[str, str] | None = None,
    root: str = "channels.yaml",
) -> Read:
    """Reads from a dict; None is a file that can't be read."""

    def read_file(name: str) -> bytes:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", name)
        text = files[name]
        if text is None:
            raise PermissionError(13, "Permission denied", name)
        return text.encode()

    report = Report()
    sources = read_sources(
        root,
        FileSystem(read_file, lambda pattern: [name for name in files if fnmatch(name, pattern)]),
        environ or {},
        report,
        missing_is_error=False,
    )
    return Read(sources, list(report))


def test_a_file_alone() -> None:
    result = read({"channels.yaml": "channeld: 1\n"})

    assert result.sources.value == {"channeld": 1}
    assert (result.sources.readable, result.sources.files) == (True, ["channels.yaml"])
    assert result.found == []


def test_a_missing_file_is_one_finding() -> None:
    result = read({})

    assert result.codes == ["CH117"]
    assert not result.sources.readable
    assert result.sources.unreadable == {"channels.yaml": "No such file or directory"}
    assert result.sources.text("channels.yaml") is None


def test_after_a_syntax_error_there_is_a_text_and_no_value() -> None:
    result = read({"channels.yaml": "a: [\n"})

    assert result.codes == ["CH001"]
    assert (result.sources.readable, result.sources.value) == (False, None)
    assert result.sources.text("channels.yaml") == "a: [\n"
    assert result.sources.place("/a").file == "channels.yaml"
    assert result.sources.span("/a", 0, 1).line == 1


def test_included_channels_are_merged_with_their_places() -> None:
    result = read({"channels.yaml": MAIN, "rooms/a.yaml": "channels:\n  annex: {path: /annex}\n"})
    sources = result.sources

    assert sources.value == {
        "include": ["rooms/*.yaml"],
        "channels": {"lobby": {"path": "/chat"}, "annex": {"path": "/annex"}},
    }
    place = sources.place("/channels/annex/path")
    assert (place.file, place.line, place.column) == ("rooms/a.yaml", 2, 17)
    assert sources.place("/channels/annex/path", key=True).column == 11
    assert sources.span("/channels/annex/path", 1, 2).column == 18
    assert sources.place("/channels/lobby/path").file == "channels.yaml"
    assert sources.place("/channels/annex", file="channels.yaml").path == "/channels"
    assert result.found == []


def test_patterns_are_relative_to_the_file_and_files_come_sorted_and_once() -> None:
    files = {
        "conf/channels.yaml": "include: [b.yaml, '*.yaml']",
        "conf/b.yaml": "channels: {b: 1}",
        "conf/a.yaml": "auth: {a: 1}",
    }

    result = read(files, root="conf/channels.yaml")

    assert result.sources.files == ["conf/channels.yaml", "conf/b.yaml", "conf/a.yaml"]
    assert result.sources.value == {
        "include": ["b.yaml", "*.yaml"],
        "channels": {"b": 1},
        "auth": {"a": 1},
    }
    assert result.found == []


@pytest.mark.parametrize("pattern", ["nope/*.yaml", "channels.yaml"])
def test_a_pattern_that_matches_no_other_file_is_an_error_at_it(pattern: str) -> None:
    [found] = read({"channels.yaml": f"include: [{pattern}]"}).found

    assert (found.code, found.place.path, found.place.column) == ("CH114", "/include/0", 11)


def test_an_included_file_can_not_include() -> None:
    result = read({"channels.yaml": MAIN, "rooms/a.yaml": "include: [b.yaml]\n"})

    [found] = result.found
    assert (found.code, found.place.file) == ("CH114", "rooms/a.yaml")


def test_other_sections_in_an_included_file_are_errors_at_their_keys() -> None:
    text = "x-notes: 1\nserver: {}\nlog: {}\n"

    result = read({"channels.yaml": MAIN, "rooms/a.yaml": text})

    assert result.codes == ["CH115", "CH115"]
    assert [d.place.path for d in result.found] == ["/server", "/log"]


@pytest.mark.parametrize("text", ["[1]", "channels: [1]", "auth: x"])
def test_an_included_file_is_a_mapping_of_names(text: str) -> None:
    assert read({"channels.yaml": MAIN, "rooms/a.yaml": text}).codes == ["CH115"]


def test_a_name_in_two_files_shows_both_places_and_the_first_counts() -> None:
    files = {"channels.yaml": MAIN, "rooms/a.yaml": "channels:\n  lobby: {path: /other}\n"}

    result = read(files)

    [found] = result.found
    assert (found.code, found.place.file, found.place.line) == ("CH116", "rooms/a.yaml", 2)
    assert [(r.place.file, r.place.line) for r in found.related] == [("channels.yaml", 3)]
    assert result.sources.file_of("/channels/lobby/path") == "channels.yaml"


def test_an_unreadable_included_file_stops_with_one_finding() -> None:
    files = {"channels.yaml": "include: ['r/*', 'r/a']\nchannels: {}\n", "r/a": None}

    result = read(files)

    assert result.codes == ["CH117"]
    assert not result.sources.readable


def test_a_syntax_error_in_an_included_file_stops() -> None:
    result = read({"channels.yaml": MAIN, "rooms/a.yaml": "a: b: c"})

    assert result.codes == ["CH001"]
    assert (result.sources.readable, result.sources.value) == (False, None)


def test_a_wrong_include_is_left_to_the_check_of_the_structure() -> None:
    assert read({"channels.yaml": "include: x\n"}).found == []
    assert read({"channels.yaml": "include: [1]\n"}).found == []
    assert read({"channels.yaml": "[1]\n"}).sources.value == [1]


def test_channels_that_are_no_mapping_are_left_to_the_check_of_the_structure() -> None:
    files = {"channels.yaml": "include: [r.yaml]\nchannels: x\n", "r.yaml": "channels: {a: 1}"}

    assert read(files).sources.value == {"include": ["r.yaml"], "channels": "x"}


def test_extensions_in_included_sections_are_left_out() -> None:
    files = {"channels.yaml": MAIN, "rooms/a.yaml": "channels: {x-base: 1}"}

    result = read(files)

    assert result.found == []
    assert isinstance(result.sources.value, dict)
    assert result.sources.value["channels"] == {"lobby": {"path": "/chat"}}


def test_findings_of_later_documents_go_to_the_report_that_is_set() -> None:
    sources = read({"channels.yaml": "a: 1\n", "s.json": "{"}).sources
    sources.report = Report()

    sources.read_document("s.json")

    assert [d.place.file for d in sources.report] == ["s.json"]


def test_an_empty_section_takes_included_names() -> None:
    files = {"channels.yaml": "include: [r.yaml]\nchannels:\n", "r.yaml": "channels: {a: 1}"}

    assert read(files).sources.value == {"include": ["r.yaml"], "channels": {"a": 1}}


def test_the_environment_is_for_some_sections_only() -> None:
    text = "server: {workers: '${N}'}\nchannels: {a: '${N}'}\nwebhooks: [{url: 'http://${N}'}]\n"

    sources = read({"channels.yaml": text}, {"N": "3"}).sources

    assert sources.value == {
        "server": {"workers": "3"},
        "channels": {"a": "${N}"},
        "webhooks": [{"url": "http://3"}],
    }
    assert sources.from_environment == {"/server/workers", "/webhooks/0/url"}
    assert sources.span("/webhooks/0/url", 7, 1) == sources.place("/webhooks/0/url")


def test_the_environment_reaches_included_authenticators_and_aliases() -> None:
    files = {
        "channels.yaml": "include: [a.yaml]\nx-s: &s ${S}\nauth: {main: {secret: *s}}\n",
        "a.yaml": "auth: {more: {secret: '${S}${T}'}}\n",
    }

    result = read(files, {"S": "abc"})

    assert isinstance(result.sources.value, dict)
    assert result.sources.value["auth"] == {
        "main": {"secret": "abc"},
        "more": {"secret": "${S}${T}"},
    }
    assert result.sources.value["x-s"] == "${S}"
    assert result.sources.unset == {"/auth/more/secret"}
    assert result.codes == ["CH113"]
    assert result.found[0].place.file == "a.yaml"


def test_values_that_reading_called_unreadable_are_unset() -> None:
    files = {"channels.yaml": f"a: *x\n{MAIN}", "rooms/a.yaml": "channels: {b: {c: *y}, d: 1}\n"}

    assert read(files).sources.unset == {"/a", "/channels/b/c"}


def test_a_schema_file_is_read_once_and_has_places() -> None:
    sources = read({"channels.yaml": "a: 1\n", "s.json": '{"type": "object"}'}).sources

    tree = sources.read_document("s.json")

    assert tree is not None
    assert tree.value == {"type": "object"}
    assert sources.read_document("s.json") is tree
    assert sources.place("/type", file="s.json").column == 10
    assert sources.files == ["channels.yaml", "s.json"]


def test_a_schema_file_that_can_not_be_read_is_for_the_caller_to_tell() -> None:
    result = read({"channels.yaml": "a: 1\n", "s.json": None})

    assert result.sources.read_document("s.json") is None
    assert result.sources.unreadable == {"s.json": "Permission denied"}
    assert len(result.sources.report) == 0


def test_a_schema_file_with_a_syntax_error_is_told_at_once_and_once() -> None:
    sources = read({"channels.yaml": "a: 1\n", "s.json": "{"}).sources

    assert sources.read_document("s.json") is None
    assert sources.read_document("s.json") is None

    assert [d.code for d in sources.report] == ["CH001"]


def test_comments_of_all_files_are_found() -> None:
    files = {
        "channels.yaml": f"# channeld: ignore[CH005]\n{MAIN}",
        "rooms/a.yaml": "channels: {b: 1} # channeld: ignore[CH006]",
    }

    found = read(files).sources.ignores

    assert [(i.file, i.line, i.codes) for i in found] == [
        ("channels.yaml", 2, ("CH005",)),
        ("rooms/a.yaml", 1, ("CH006",)),
    ]


def test_the_text_to_show_has_no_secrets() -> None:
    sources = read({"channels.yaml": "auth: {a: {secret: hunter2}}\n"}).sources

    assert sources.text("channels.yaml") == "auth: {a: {secret: *******}}\n"
    assert "hunter2" not in repr(sources)
