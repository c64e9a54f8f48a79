from pathlib import Path

from channeld.lsp.fields import fields_of, roots
from channeld.lsp.view import View, view_of
from tests.lsp.parts import CHAT, after, opened

EMIT = "/channels/room/messages/say/emit/text"


def view(chat: Path) -> View:
    text = CHAT.replace(
        "    auth: session\n", "    auth: session\n    query: {a: {default: x}, b: {}}\n"
    )
    projects, name = opened(chat, text)
    found = view_of(projects, name, after(text, "  room:").line)
    assert found is not None
    return found


def test_first_words_depend_on_the_place() -> None:
    assert list(roots("/auth/session/user")) == ["claims"]
    assert {"message", "room", "now"} <= roots(EMIT).keys()
    assert list(roots("/channels/room/events/said/key")) == ["event"]
    assert "message" not in roots("/channels/room/rooms")
    assert "room" in roots("/channels/room/presence/info/name")
    assert "room" not in roots("/channels/room/rooms")


def test_fields_are_those_of_what_is_named(chat: Path) -> None:
    here = view(chat)
    assert fields_of(here, EMIT, "message", ()) == {"text": True, "tone": False, "type": True}
    assert fields_of(here, EMIT, "params", ()) == {"room_id": True}
    assert fields_of(here, EMIT, "query", ()) == {"a": True, "b": False}
    assert fields_of(here, EMIT, "user", ()) == {"id": True}
    assert fields_of(here, EMIT, "claims", ())["role"] is False
    assert fields_of(here, "/auth/session/user", "claims", ())["name"] is True
    assert fields_of(here, EMIT, "params", ("room_id",)) == {}
    assert fields_of(here, EMIT, "nothing", ()) == {}
