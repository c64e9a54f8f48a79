import json
import re

import pytest

from channeld.dev.prompt import HELP, Quit, Say, SendCommand, paint, parse_line
from channeld.protocol.reserved import RESERVED_CLIENT


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("/ping", {"type": "ping"}),
        ("/sub general", {"type": "subscribe", "room": "general"}),
        ("/sub general 12-3", {"type": "subscribe", "room": "general", "since": "12-3"}),
        ("/unsub general", {"type": "unsubscribe", "room": "general"}),
        ("/who general", {"type": "presence", "room": "general"}),
        ("/history general 5", {"type": "history", "room": "general", "limit": 5}),
        ("/auth abc", {"type": "authenticate", "token": "abc"}),
    ],
)
def test_short_forms_become_frames(line: str, frame: dict[str, object]) -> None:
    sent = parse_line(line)
    assert isinstance(sent, SendCommand)
    assert json.loads(sent.text) == frame
    assert frame["type"] in RESERVED_CLIENT


def test_a_frame_is_sent_as_it_was_written() -> None:
    assert parse_line(' {"type": "message",  "text": "hi"} ') == SendCommand(
        '{"type": "message",  "text": "hi"}'
    )


def test_raw_sends_anything() -> None:
    assert parse_line("/raw {nonsense") == SendCommand("{nonsense")


@pytest.mark.parametrize("line", ["/quit", "/exit", "/q"])
def test_leaving(line: str) -> None:
    assert parse_line(line) == Quit()


@pytest.mark.parametrize("line", ["", "  ", "\n"])
def test_an_empty_line_is_nothing(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", 'write {"type": "message", "text": "hi"}'),
        ('{"type": "message"', "that is not JSON: .* at character"),
        ("[1]", 'an object with a string "type"'),
        ('{"text": "hi"}', 'an object with a string "type"'),
        ('{"type": 5}', 'an object with a string "type"'),
        ("/nope", "there is no /nope"),
        ("/sub", "write /sub ROOM SINCE"),
        ("/ping now", "write /ping$"),
    ],
)
def test_what_cannot_be_sent_is_explained(line: str, words: str) -> None:
    said = parse_line(line)
    assert isinstance(said, Say)
    assert re.search(words, said.text)


def test_help_names_every_short_form() -> None:
    assert parse_line("/help") == Say(HELP)


def test_a_frame_is_one_line_with_time_and_direction() -> None:
    shown = paint("←", {"type": "message", "n": [1, None]}, colour=False, moment="12:00:00.000")
    assert shown == '12:00:00.000 ← {"type": "message", "n": [1, null]}'


def test_colours_tell_keys_from_values() -> None:
    shown = paint("→", {"type": "a: b"}, colour=True, moment="12:00:00.000")
    assert shown.endswith('{\x1b[36m"type"\x1b[0m: \x1b[32m"a: b"\x1b[0m}')


def test_the_arrow_of_an_error_is_red() -> None:
    assert "\x1b[31;1m←" in paint("←", {"type": "error", "code": "FORBIDDEN"}, colour=True)


def test_a_server_cannot_move_the_cursor() -> None:
    shown = paint("←", {"type": "x\x1b[2J\x9b1m\u202e"}, colour=False)
    assert shown.isprintable()


def test_without_a_time_it_is_now() -> None:
    assert paint("←", {}, colour=False)[12:] == " ← {}"
