from pathlib import Path

from channeld.lsp.buffers import Buffer, Caret
from channeld.lsp.projects import Projects
from channeld.lsp.symbols import Outline, OutlineEntry
from tests.lsp.parts import CHAT, opened


def names(entries: list[OutlineEntry] | tuple[OutlineEntry, ...]) -> dict[str, object]:
    return {entry.name: names(entry.below) for entry in entries}


def outline(chat: Path, text: str = CHAT) -> list[OutlineEntry]:
    return Outline().of(*opened(chat, text))


def test_the_outline_has_channels_with_their_types(chat: Path) -> None:
    assert names(outline(chat)) == {
        "channeld": {},
        "auth": {"session": {}},
        "channels": {"room": {"say": {}, "said": {}}, "lobby": {"news": {}}},
    }


def test_entries_know_where_they_are(chat: Path) -> None:
    channels = outline(chat)[2]
    lobby = channels.below[1]
    assert (lobby.detail, lobby.kind) == ("/lobby", "class")
    line = CHAT.splitlines().index("  lobby:")
    assert lobby.span.start == Caret(line, 2)
    assert channels.whole.end.line == lobby.whole.end.line == len(CHAT.splitlines()) - 1
    assert [one.kind for one in channels.below[0].below] == ["method", "event"]


def test_another_way_of_writing_gives_the_same_outline(chat: Path) -> None:
    flow = "{channeld: 1, channels: {a: {path: /a, messages: {x: {}}, events: {y: {}}}}}"
    assert names(outline(chat, flow)) == {
        "channeld": {},
        "channels": {"a": {"x": {}, "y": {}}},
    }


def test_a_broken_block_leaves_the_others(chat: Path) -> None:
    text = CHAT.replace("    rooms: lobby", "    rooms: [lobby")
    assert names(outline(chat, text))["channels"] == {"room": {"say": {}, "said": {}}}


def test_after_an_edit_above_everything_has_moved(chat: Path) -> None:
    projects, name = opened(chat)
    kept = Outline()
    before = kept.of(projects, name)
    projects.edit(name, Caret(0, 0), Caret(0, 0), "# more\n")
    after = kept.of(projects, name)
    assert [one.span.start.line + 1 for one in before] == [one.span.start.line for one in after]


def test_scenarios_have_an_outline(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    assert names(outline(path, path.read_text())) == {
        "what is said is heard": {"ann": {}, "eve": {}}
    }


def test_any_text_has_an_outline(chat: Path) -> None:
    for text in ("", "a: [", "- a", "scalar", "'': 1"):
        projects = Projects()
        name = projects.open(chat.as_uri(), Buffer.of(text))
        assert isinstance(Outline().of(projects, name), list)
    assert Outline().of(Projects(), "nowhere") == []
