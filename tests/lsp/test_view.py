from pathlib import Path

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.view import Found, found_at, scalars, view_of
from tests.lsp.parts import CHAT, after, opened


def found(text: str, line: int, column: int) -> Found | None:
    tree = parse(text, "f", Report())
    assert tree is not None
    return found_at(tree, Caret(line, column))


def test_keys_and_scalars_are_found_at_their_characters() -> None:
    text = 'a:\n  b: ["x", {c: 1}]\n'
    key = found(text, 0, 1)
    assert key is not None
    assert (key.pointer, key.is_key) == ("/a", True)
    value = found(text, 1, 7)
    assert value == Found(
        pointer="/a/b/0", is_key=False, text="x", span=TextSpan(Caret(1, 6), Caret(1, 9)), offset=0
    )
    deep = found(text, 1, 15)
    assert deep is not None
    assert deep.path == ["a", "b", "1", "c"]
    assert found(text, 0, 2) is None
    assert found("a: 1\n\n", 1, 0) is None


def test_what_an_alias_repeats_is_found_where_it_is_used() -> None:
    text = "x: &x {y: 1}\nz: *x\nw: {<<: *x}\n"
    assert found(text, 1, 4) is None
    y = found(text, 0, 7)
    assert y is not None
    assert y.pointer == "/x/y"


def test_every_scalar_has_its_pointer() -> None:
    tree = parse("{a: [1, {b: 2}]}", "f", Report())
    assert tree is not None
    assert [pointer for pointer, _ in scalars(tree.root)] == ["/a/0", "/a/1/b"]


def test_a_view_knows_fields_and_claims(chat: Path) -> None:
    projects, name = opened(chat)
    view = view_of(projects, name, after(CHAT, "  room:").line)
    assert view is not None
    schema = "/channels/room/messages/say/schema"
    assert view.fields(schema) == {"text": True, "tone": False}
    assert view.fields(schema, ("text",)) == {}
    assert view.fields("/nowhere") == {}
    assert view.claims(["session"]) == {"name": True, "role": False, "sub": True, "exp": True}
    assert view.claims(["other"]) == {}
    assert view.authenticators("room") == ["session"]
    assert view.channels == ("room", "lobby")


def test_a_view_holds_what_is_around_a_line(chat: Path) -> None:
    projects, name = opened(chat)
    view = view_of(projects, name, after(CHAT, "  lobby:").line)
    assert view is not None
    assert view.names("channels") == ["lobby"]
    assert view.at("channels", "lobby", "path") == "/lobby"


def test_a_broken_text_has_no_view(chat: Path) -> None:
    projects, name = opened(chat, "a: [")
    assert view_of(projects, name, 0) is None
    assert view_of(projects, "nowhere", 0) is None


def test_a_scenario_file_has_a_view_of_its_own(chat: Path) -> None:
    projects, name = opened(chat.parent / "chat.test.yaml")
    view = view_of(projects, name, 0)
    assert view is not None
    assert view.is_scenarios
    assert view.config is None
