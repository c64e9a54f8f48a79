import pytest

from tests.diff.kit import BASE, codes, diff, instead


def server(limits: str) -> str:
    return f"{BASE}server: {{limits: {{{limits}}}}}\n"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("message_size: 16KiB", [("D501", "breaking")]),
        ("message_size: 1MiB", [("D507", "safe")]),
        ("connections: 10", [("D501", "dangerous")]),
        ("connections_per_address: 10", [("D501", "breaking")]),
        ("messages: 10/s", [("D501", "breaking")]),
        ("messages: {limit: 100/s, burst: 300}", [("D507", "safe")]),
        ("errors: 10/m", [("D501", "dangerous")]),
        ("auth_timeout: 5s", [("D501", "dangerous")]),
        ("hook_timeout: 5s", []),
    ],
)
def test_limits_of_the_server(new: str, expected: list[tuple[str, str]]) -> None:
    assert codes(BASE, server(new)) == expected


def channel(limits: str) -> str:
    return instead("auth: none", f"auth: none\n    limits: {{{limits}}}")


def test_a_limit_of_a_channel_is_compared_with_the_server_s() -> None:
    (change,) = diff(BASE, channel("rooms_per_connection: 10"))
    assert (change.code, change.label) == ("D501", "100 before")
    (change,) = diff(channel("rooms_per_connection: 10"), BASE)
    assert (change.code, change.label) == ("D507", "10 before")
    assert diff(BASE, channel("rooms_per_connection: 100")) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("10/s", "600/m", [("D507", "safe")]),
        ("10/s", "{limit: 10/s, burst: 20}", [("D507", "safe")]),
        ("10/s", "{limit: 5/s, burst: 20}", [("D501", "breaking")]),
    ],
)
def test_rates_of_a_message(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    texts = [instead("route: room", f"route: room\n        rate: {rate}") for rate in (old, new)]
    assert codes(*texts) == expected


def with_line(line: str) -> str:
    auth = "auth: {session: {type: hook, hook: 'chat.hooks:who'}}\n"
    return instead("auth: none", f"auth: session\n    {line}") + auth


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("presence: true", "presence: {scope: channel}", [("D505", "breaking")]),
        ("presence: true", "presence: {events: false}", [("D505", "breaking")]),
        ("presence: {events: false}", "presence: true", [("D509", "dangerous")]),
        ("presence: {batch: 1s}", "presence: {batch: 2s}", []),
        ("presence: true", "presence: {state: {type: string}}", [("D509", "dangerous")]),
        ("presence: {state: {type: string}}", "presence: true", [("D505", "breaking")]),
        ("presence: {state: true}", "presence: {state: true, rate: 2/s}", [("D507", "safe")]),
        ("presence: {batch: 1s}", "presence: true", [("D505", "breaking")]),
        ("presence: {info: {a: '{user.id}'}}", "presence: true", [("D603", "breaking")]),
        (
            "history: {size: 9, ttl: 1h}",
            "history: {size: 8, ttl: 2h}",
            [("D504", "breaking"), ("D508", "safe")],
        ),
        ("description: x", "history: {size: 9, ttl: 1h}", [("D508", "safe")]),
    ],
)
def test_presence_and_history(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert codes(with_line(old), with_line(new)) == expected


def test_keep_alive_that_waits_longer_is_no_matter() -> None:
    ping = "server: {ping: {interval: %s}}\n"
    assert codes(BASE + ping % "30s", BASE + ping % "20s") == [("D502", "dangerous")]
    assert codes(BASE + ping % "20s", BASE + ping % "30s") == []


def test_a_presence_state_is_compared_as_what_clients_send_and_receive() -> None:
    state = "presence: {state: {properties: {mood: {type: string, maxLength: %s}}}}"
    narrow, wide = (state.replace("%s", length) for length in ("5", "9"))
    assert "breaking" in {level for _, level in codes(with_line(wide), with_line(narrow))}
    assert codes(with_line(narrow), with_line(wide)) != []
