from collections.abc import Callable

import pytest

from channeld.config.load import Loaded
from channeld.config.rules.style import workers_without_broker

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
server: {}
channels:
  room:
    path: /room
    description: d
    auth: none
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""


def found(loaded: Loaded) -> list[tuple[str, str]]:
    return [(d.code, d.place.path) for d in loaded.report.sorted()]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "route: room",
            "emit: {a: 1}, stamp: {b: 1}",
            [("CH122", "/channels/room/messages/say/stamp")],
        ),
        (
            "route: room",
            "stamp: {id: 1, type: a}",
            [
                ("CH123", "/channels/room/messages/say/stamp/id"),
                ("CH123", "/channels/room/messages/say/stamp/type"),
            ],
        ),
        (
            "say:",
            "ack:",
            [("CH313", "/channels/room/messages/ack")],
        ),
        (
            "rooms: lobby",
            "rooms: lobby\n    events: {presence: {}}",
            [("CH313", "/channels/room/events/presence")],
        ),
        ("    description: d\n", "", [("CH701", "/channels/room")]),
        ("channels:", "x-channels:", [("CH104", "")]),
    ],
)
def test_findings_stand_where_the_mistake_is(
    load_config: Load, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    assert found(load_config(BASE.replace(old, new))) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ("", ["CH308"]),
        ("    messages: {}\n", ["CH308"]),
        ("    events: {}\n", []),
        ("    messages: 5\n", ["CH105"]),
        ("    messages:\n", ["CH110"]),
        ("    messages: {a: {}}\n", ["CH104"]),
    ],
)
def test_a_channel_without_a_word(load_config: Load, messages: str, expected: list[str]) -> None:
    text = BASE[: BASE.index("    messages")] + messages
    assert [code for code, _ in found(load_config(text))] == expected


def test_names_that_differ_in_nothing_people_see(load_config: Load) -> None:
    text = BASE + "  Room: {path: /b, description: d, auth: none, events: {}}\n"
    (finding,) = load_config(text).report
    assert (finding.code, finding.place.path) == ("CH703", "/channels/Room")
    assert finding.related[0].place.path == "/channels/room"


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ("server: {workers: 1}", []),
        ("server: {workers: 2}", ["CH704"]),
        ("server: {workers: 2}\nbroker: memory", ["CH704"]),
        ("server: {workers: 2}\nbroker: valkey", []),
        ("server: {workers: 2}\nbroker: {redis: {}}", []),
    ],
)
def test_workers(load_config: Load, top: str, expected: list[str]) -> None:
    loaded = load_config(BASE.replace("server: {}", top))
    assert loaded.config is not None
    assert loaded.sources is not None
    rule = workers_without_broker(loaded.config, loaded.sources)
    assert [finding.code for finding in rule] == expected
