from collections.abc import Callable

import pytest

from channeld.config.load import Loaded

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
    return [(d.code, d.place.path) for d in loaded.report]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("{ping: {interval: 10s}}", [("CH603", "/server/ping/interval")]),
        ("{ping: {timeout: 30s}}", [("CH603", "/server/ping/timeout")]),
        ("{ping: {interval: 10s, timeout: 10s}}", []),
        ("{limits: {message_size: 2MiB}}", [("CH609", "/server/limits/message_size")]),
        (
            "{limits: {message_size: 2MiB, outbox: 4MiB}}",
            [("CH617", "/server/limits/message_size")],
        ),
        ("{limits: {outbox: 2KiB}}", [("CH609", "/server/limits/outbox")]),
        (
            "{limits: {errors: {limit: 60/s, burst: 10}}}",
            [("CH610", "/server/limits/errors/burst")],
        ),
        ("{limits: {errors: {limit: 60/m, burst: 10}}}", []),
        ("{limits: {auth_timeout: 1s}}", []),
    ],
)
def test_limits_of_the_server(
    load_config: Load, server: str, expected: list[tuple[str, str]]
) -> None:
    assert found(load_config(BASE.replace("server: {}", f"server: {server}"))) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("history: {size: 100, ttl: 1h}", []),
        ("history: {size: 20000, ttl: 1h}", [("CH608", "/channels/room/history/size")]),
        ("history: {size: 20000, ttl: 1h}\n    limits: {message_size: 1KiB}", []),
        ("limits: {outbox: 4KiB}", [("CH609", "/channels/room/limits/outbox")]),
        ("limits: {message_size: 2MiB}", [("CH609", "/channels/room/limits/message_size")]),
        (
            "limits: {message_size: 2MiB, outbox: 4MiB}",
            [("CH617", "/channels/room/limits/message_size")],
        ),
        ("limits: {message_size: 1MiB}", []),
        (
            "limits: {messages: {limit: 9/s, burst: 1}}",
            [("CH610", "/channels/room/limits/messages/burst")],
        ),
        ("limits: {errors: 5/m}", []),
    ],
)
def test_limits_of_a_channel(load_config: Load, line: str, expected: list[tuple[str, str]]) -> None:
    assert found(load_config(BASE.replace("rooms: lobby", f"rooms: lobby\n    {line}"))) == expected


@pytest.mark.parametrize(
    ("rooms", "expected"),
    [
        ("", ["CH606"]),
        ("rooms: []", ["CH606"]),
        ("rooms: {join: []}", ["CH606"]),
        ("rooms: {subscribe: {allow: [a]}}", []),
        ("rooms:", ["CH110"]),
        ("rooms: 5", ["CH105"]),
    ],
)
def test_a_history_needs_rooms(load_config: Load, rooms: str, expected: list[str]) -> None:
    text = BASE.replace("rooms: lobby", f"history: {{size: 9, ttl: 1h}}\n    {rooms}")
    assert [code for code, _ in found(load_config(text))] == expected


@pytest.mark.parametrize(
    ("limits", "rate", "expected"),
    [
        ("{}", "100/s", []),
        ("{}", "200/s", ["CH611"]),
        ("{messages: 1/s}", "61/m", ["CH611"]),
        ("{messages: 1/s}", "60/m", []),
    ],
)
def test_a_rate_under_the_limit_on_all_messages(
    load_config: Load, limits: str, rate: str, expected: list[str]
) -> None:
    text = BASE.replace("rooms: lobby", f"rooms: lobby\n    limits: {limits}")
    text = text.replace("route: room", f"route: room, rate: {rate}")
    assert [code for code, _ in found(load_config(text))] == expected


JWT = """\
auth:
  session: {type: jwt, algorithms: [HS256], secret: "${CHANNELD_JWT_SECRET}", audience: a}
"""


@pytest.mark.parametrize(
    ("limits", "path"),
    [("{auth_timeout: 1s}", "auth_timeout"), ("{handshake_timeout: 20s}", "handshake_timeout")],
)
def test_time_for_the_token(load_config: Load, limits: str, path: str) -> None:
    text = BASE.replace("server: {}", f"server: {{limits: {limits}}}\n{JWT}")
    text = text.replace("auth: none", "auth: session")
    assert found(load_config(text)) == [("CH612", f"/server/limits/{path}")]


@pytest.mark.parametrize(("most", "expected"), [(100, []), (101, ["CH614"])])
def test_subscriptions(load_config: Load, most: int, expected: list[str]) -> None:
    text = BASE.replace("rooms: lobby", f"rooms: {{subscribe: {{allow: [a], max: {most}}}}}")
    assert [code for code, _ in found(load_config(text))] == expected
    unset = text.replace("server: {}", "server: {limits: {rooms_per_connection: '${NONE}'}}")
    assert [code for code, _ in found(load_config(unset))] == ["CH113"]


@pytest.mark.parametrize(
    ("rooms", "expected"),
    [
        ("{join: [a, b]}", ["CH614"]),
        ("{join: ['{claims.a?}', '{claims.b?}']}", []),
        ("{join: ['{claims.a.*}', b]}", []),
    ],
)
def test_more_joined_than_allowed(load_config: Load, rooms: str, expected: list[str]) -> None:
    text = BASE.replace("rooms: lobby", f"rooms: {rooms}\n    limits: {{rooms_per_connection: 1}}")
    assert [code for code, _ in found(load_config(text))] == expected


@pytest.mark.parametrize(
    ("channel", "found"),
    [
        ("auth: none, rooms: {subscribe: {allow: ['t-*']}}", True),
        ("auth: none, rooms: '{params.id}'", True),
        ("auth: {use: s, optional: true}, rooms: '{params.id}'", True),
        ("auth: s, rooms: '{params.id}'", False),
        ("auth: none, rooms: '{params.id}', params: {id: {enum: [a, b]}}", False),
        ("auth: none, rooms: {subscribe: {allow: [a, b]}}", False),
        ("auth: none, rooms: lobby", False),
    ],
)
@pytest.mark.parametrize(("history", "bounded"), [("", False), (", bytes: 16MiB", True)])
def test_histories_that_anonymous_clients_create(
    load_config: Load, channel: str, found: bool, history: str, bounded: bool
) -> None:
    text = f"""channeld: 1
auth: {{s: {{type: tokens, tokens: [{{token: "${{SENSOR_TOKEN}}", user: u}}]}}}}
channels:
  a: {{path: "/a/{{id}}", history: {{size: 5, ttl: 1h{history}}}, events: {{}}, {channel}}}
"""
    codes = [one.code for one in load_config(text).report]
    assert ("CH620" in codes) is (found and not bounded)
