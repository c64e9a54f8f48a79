from pathlib import Path

import pytest

from channeld.lsp.buffers import Buffer, Caret
from channeld.lsp.checking import Checkup, whole
from channeld.lsp.projects import Projects
from tests.lsp.parts import CHAT, after, opened


def codes(projects: Projects, name: str) -> list[tuple[str, int]]:
    return sorted((one.code, one.place.line) for one in projects.of_document(name))


def typed(projects: Projects, name: str, words: str, text: str) -> None:
    at = after(projects.buffers[name].text, words)
    projects.edit(name, at, at, text)


def test_an_edit_is_checked_at_once(chat: Path) -> None:
    projects, name = opened(chat)
    typed(projects, name, "rooms: lobby", "s")
    typed(projects, name, "auth: session", "s")
    assert projects.quick(name) == name
    assert codes(projects, name) == [("CH401", 17)]


def test_findings_elsewhere_stay_and_move(chat: Path) -> None:
    text = CHAT.replace("    description: A lobby.\n", "")
    projects, name = opened(chat, text)
    line = text[: text.index("  lobby:")].count("\n") + 1
    assert codes(projects, name) == [("CH701", line)]
    typed(projects, name, "auth: session", "\n    rat: 1\n")
    projects.quick(name)
    assert codes(projects, name) == [("CH103", 18), ("CH701", line + 2)]
    projects.edit(name, Caret(17, 0), Caret(19, 0), "")
    projects.quick(name)
    assert codes(projects, name) == [("CH701", line)]


def test_related_places_move_as_well(chat: Path) -> None:
    text = CHAT.replace("rooms: lobby", "rooms: lobby\n    auth: none")
    projects, name = opened(chat, text)
    before = projects.shown[name][0].related[0].place.line
    typed(projects, name, "channeld: 1", "\n# more")
    assert projects.shown[name][0].related[0].place.line == before + 1


def test_a_broken_text_tells_it_and_keeps_the_rest(chat: Path) -> None:
    text = CHAT.replace("    description: A lobby.\n", "")
    projects, name = opened(chat, text)
    typed(projects, name, "    auth: session", "\n    route: {to")
    projects.quick(name)
    assert [code for code, _ in codes(projects, name)] == ["CH001", "CH701"]


def test_edits_add_up_until_they_are_checked(chat: Path) -> None:
    projects, name = opened(chat)
    typed(projects, name, "    auth: none", "x")
    typed(projects, name, "channeld: 1", "\n# more\n# and more")
    typed(projects, name, "auth: session", "s")
    projects.quick(name)
    assert [code for code, _ in codes(projects, name)] == ["CH401", "CH401"]


def test_nothing_is_checked_twice(chat: Path) -> None:
    projects, name = opened(chat)
    assert projects.quick(name) == ""


def test_a_large_edit_is_left_to_the_worker(chat: Path) -> None:
    projects, name = opened(chat)
    more = "".join(f"  c{i}:\n    path: /c{i}\n" for i in range(20))
    typed(projects, name, "      news: {schema: schemas/news.json}\n", more)
    assert projects.quick(name) == ""


def test_a_schema_file_is_checked_as_its_channels_see_it(chat: Path) -> None:
    projects, name = opened(chat)
    news = str(chat.parent / "schemas/news.json")
    projects.open(Path(news).as_uri(), Buffer.of(Path(news).read_text()))
    typed(projects, news, '"type": "object', "s")
    assert projects.quick(news) == name
    assert codes(projects, news) == [("CH201", 2)]
    assert codes(projects, name) == []


def test_an_included_file_is_checked_with_the_main_file(chat: Path) -> None:
    more = chat.parent / "more.yaml"
    text = "channels:\n  more:\n    path: /more\n    auth: session\n    description: M.\n    events: {}\n"
    more.write_text(text)
    chat.write_text(CHAT + "include: [more.yaml]\n")
    projects, main = opened(chat)
    assert projects.configuration_files(main) == [main, str(more)]
    name = projects.open(more.as_uri(), Buffer.of(text))
    assert projects.root_of(name) == main
    typed(projects, name, "auth: session", "s")
    assert projects.quick(name) == main
    assert ("CH401", 4) in codes(projects, name)
    assert projects.concerned(name) == sorted([name, main])


def test_scenarios_keep_what_was_found_of_their_configuration(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    text = path.read_text().replace(
        "scenarios:", "hooks: {'hooks:other': {nothing: true}}\nscenarios:"
    )
    projects, name = opened(path, text)
    assert codes(projects, name) == [("CH814", 1)]
    typed(projects, name, "{type: said, text: hi}", ", x: y")
    projects.quick(name)
    assert [code for code, _ in codes(projects, name)] == ["CH802", "CH814"]


def test_a_closed_document_is_what_the_disk_says(chat: Path) -> None:
    projects, name = opened(chat, "channeld: 2")
    assert projects.text(name) == "channeld: 2"
    projects.close(chat.as_uri())
    assert projects.text(name) == CHAT
    chat.write_text("channeld: 1")
    assert projects.text(name) == "channeld: 1"
    chat.unlink()
    assert projects.text(name) is None
    assert projects.blocks(name) is None
    assert not projects.is_wanted(name)


def test_a_foreign_document_has_no_findings(chat: Path) -> None:
    projects = Projects()
    other = chat.parent / "compose.yaml"
    name = projects.open(other.as_uri(), Buffer.of("services: {}\nservices: {}\n"))
    assert projects.root_of(name) == ""
    assert projects.settle(name, whole(name, projects.texts)) == []
    assert list(projects.of_document(name)) == []


def test_what_no_longer_belongs_loses_its_findings(chat: Path) -> None:
    projects, name = opened(chat, CHAT + "x: 1\n")
    assert projects.settle(name, Checkup()) == [name]
    assert projects.shown == {}


@pytest.mark.parametrize("text", ["", "\n", "|", "a: b", "channels:\n", "channels:\n  - a"])
def test_any_text_can_be_edited(text: str, chat: Path) -> None:
    projects, name = opened(chat, text)
    projects.edit(name, Caret(0, 0), Caret(0, 0), "channeld: 1\n")
    projects.quick(name)
    assert projects.shown[name]
