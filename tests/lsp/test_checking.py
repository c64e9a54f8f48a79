from pathlib import Path

import pytest

from channeld.config.file_kinds import is_configuration, is_scenarios
from channeld.diagnostics.catalogue import CATALOGUE
from channeld.diagnostics.diagnostic import Diagnostic
from channeld.lsp.buffers import Buffer
from channeld.lsp.checking import VERSION, above, is_of, part, whole
from channeld.lsp.projects import Projects
from channeld.plan.load import check_any
from tests.lsp.parts import CHAT, opened

EXAMPLES = [
    code
    for code, entry in CATALOGUE.items()
    if code.startswith("CH") and entry.wrong and not entry.wrong.startswith("#")
]


def test_kinds_are_told_by_name_and_content() -> None:
    assert is_scenarios("a/chat.test.yaml")
    assert is_scenarios("chat.test.yml")
    assert not is_scenarios("test.yaml")
    assert is_configuration("x/channels.yml")
    assert not is_configuration("chat.yaml")
    assert VERSION.search("# a chat\nchanneld: 1\n")
    assert not VERSION.search("services: {channeld: {}}\n")


def test_the_whole_is_what_validate_says(chat: Path) -> None:
    found = whole(str(chat), {})
    assert list(found.findings) == check_any(str(chat), import_hooks=False).report.sorted()
    assert set(found.files) == {str(chat), str(chat.parent / "schemas/news.json"), *found.files}


def test_unsaved_texts_count(chat: Path) -> None:
    news = str(chat.parent / "schemas/news.json")
    found = whole(str(chat), {news: '{"type": "nothing"}'})
    assert [(one.code, one.place.file) for one in found.findings] == [("CH201", news)]


def test_a_schema_file_belongs_to_the_configuration_that_reads_it(chat: Path) -> None:
    news = str(chat.parent / "schemas/news.json")
    assert whole(news, {news: "{}"}).root == str(chat)
    other = str(chat.parent / "schemas/other.json")
    assert whole(other, {other: '{"type": "nothing"}'}).root == ""


def test_scenarios_are_checked_with_their_configuration(chat: Path) -> None:
    name = str(chat.parent / "chat.test.yaml")
    assert whole(name, {}).findings == ()
    assert whole(name, {}).files == (name, str(chat))
    broken = whole(name, {str(chat): CHAT.replace("auth: session", "auth: sesion")})
    assert [one.code for one in broken.findings] == ["CH811"]
    assert [one.code for one in whole(name, {name: "scenarios: 3"}).findings] == ["CH801"]


def test_what_lies_above_is_tried_from_near_to_far(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "channels.yaml").touch()
    (tmp_path / "a/channels.yml").touch()
    found = list(above(str(tmp_path / "a/b/x.json")))
    assert found[:2] == [str(tmp_path / "a/channels.yml"), str(tmp_path / "channels.yaml")]
    assert list(above("untitled:1")) == []


def key(one: Diagnostic) -> tuple[str, int, int, str]:
    return one.code, one.place.line, one.place.column, one.message


# Its second document is not part of the file: there the parts see more than there is.
@pytest.mark.parametrize("code", [code for code in EXAMPLES if code != "CH003"])
def test_parts_find_what_the_whole_finds_there(code: str, tmp_path: Path) -> None:
    projects, name = opened(tmp_path / "channels.yaml", CATALOGUE[code].wrong)
    findings = projects.shown[name]
    blocks = projects.blocks(name)
    assert blocks is not None
    for index in range(len(blocks.cuts)):
        found = part(name, name, blocks, [index], projects.around(name, name))
        expected = [one for one in findings if is_of(one, name, blocks, [index])]
        assert sorted(map(key, found)) == sorted(map(key, expected))


def test_a_part_of_a_large_file_finds_what_the_whole_finds_there(tmp_path: Path) -> None:
    extra = "".join(
        f"  more{i}:\n    path: /more{i}\n    auth: none\n    description: More.\n"
        f"    rooms: '{{params.x{i}}}'\n    events: {{news: {{schema: {{type: object}}}}}}\n"
        for i in range(5)
    )
    path = tmp_path / "channels.yaml"
    projects = Projects()
    name = projects.open(path.as_uri(), Buffer.of(CHAT + extra))
    found = whole(name, projects.texts)
    blocks = projects.blocks(name)
    assert blocks is not None
    for channel, index in blocks.channels.items():
        parts = part(name, name, blocks, [index], projects.around(name, name))
        expected = [one for one in found.findings if is_of(one, name, blocks, [index])]
        assert sorted(map(key, parts)) == sorted(map(key, expected))
        assert any(one.code == "CH302" for one in parts) == channel.startswith("more")
