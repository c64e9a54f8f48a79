from pathlib import Path

import pytest

from channeld.lsp.cursor import Cursor, cursor_at
from tests.lsp.parts import CHAT, at_mark, marked, opened

ROUTE = "        route: room\n"


def cursor(chat: Path, old: str, new: str) -> Cursor:
    found = cursor_at(*at_mark(chat, old, new))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("new", "pointer"),
    [
        ("        rou|", "/channels/room/messages/say"),
        ("        |\n", "/channels/room/messages/say"),
        ("        route: {|}\n", "/channels/room/messages/say/route"),
        ("        route: {to: room, |\n", "/channels/room/messages/say/route"),
        ("        route: {to: room, me|\n", "/channels/room/messages/say/route"),
        (
            "        route:\n          - to: room\n            |\n",
            "/channels/room/messages/say/route/0",
        ),
        ("        route: room\n      |\n", "/channels/room/messages"),
        ("        route: room\n    |\n", "/channels/room"),
        ("        route: room\n        'em|'\n", "/channels/room/messages/say"),
    ],
)
def test_keys_are_found_while_they_are_written(new: str, pointer: str, chat: Path) -> None:
    found = cursor(chat, ROUTE, new)
    assert (found.pointer, found.is_key or found.own_line) == (pointer, True)


@pytest.mark.parametrize(
    ("new", "pointer", "word"),
    [
        ("        route: |\n", "/channels/room/messages/say/route", ""),
        ("        route: ro|om\n", "/channels/room/messages/say/route", "ro"),
        ("        route: {to: |}\n", "/channels/room/messages/say/route/to", ""),
        ("        route: {to: 'r|\n", "/channels/room/messages/say/route/to", "r"),
        ("        route: [room, |\n", "/channels/room/messages/say/route/1", ""),
        ("        route:\n          - |\n", "/channels/room/messages/say/route/0", ""),
        (
            "        route: room\n        hook: 'a.b:c|'\n",
            "/channels/room/messages/say/hook",
            "a.b:c",
        ),
    ],
)
def test_values_are_found_while_they_are_written(
    new: str, pointer: str, word: str, chat: Path
) -> None:
    if "hook" in new:
        found = cursor(chat, f"{ROUTE}        hook: hooks:no_shouting\n", new)
    else:
        found = cursor(chat, ROUTE, new)
    assert (found.pointer, found.word, found.is_key) == (pointer, word, False)


@pytest.mark.parametrize(
    ("new", "template"),
    [
        ('rooms: "{|"', ""),
        ('rooms: "{params.ro|}"', "params.ro"),
        ('rooms: "a-{params.room_id}-{cl|"', "cl"),
        ('rooms: "{params.room_id}|"', None),
        ('rooms: "{{x|"', None),
        ('rooms: "{|', ""),
    ],
)
def test_templates_are_found_while_they_are_written(
    new: str, template: str | None, chat: Path
) -> None:
    assert cursor(chat, 'rooms: "{params.room_id}"', new).template == template


def test_siblings_are_those_on_both_sides(chat: Path) -> None:
    found = cursor(chat, ROUTE, "        |\n")
    assert set(found.siblings) == {"schema", "hook", "emit"}


def test_a_line_broken_further_down_does_not_matter(chat: Path) -> None:
    text = CHAT.replace("        emit: {type", "        emit: {type: [").replace(
        ROUTE, "        rou|\n"
    )
    changed, caret = marked(text)
    projects, name = opened(chat, changed)
    found = cursor_at(projects, name, caret)
    assert found is not None
    assert found.pointer == "/channels/room/messages/say"


def test_a_bracket_left_open_above_does_not_matter(chat: Path) -> None:
    text = CHAT.replace("    auth: session", "    auth: [session").replace(
        ROUTE, "        route: {|\n"
    )
    changed, caret = marked(text)
    projects, name = opened(chat, changed)
    # What stands above can't be read, so nothing is offered rather than something wrong.
    assert cursor_at(projects, name, caret) is None


@pytest.mark.parametrize("text", ["|", "|\n", "\t|", "# |", "- |", "{|", "'|", "&|", "]|"])
def test_no_text_is_too_strange(text: str, chat: Path) -> None:
    changed, caret = marked(text)
    projects, name = opened(chat, changed)
    found = cursor_at(projects, name, caret)
    assert found is None or found.pointer in ("", "/0")
