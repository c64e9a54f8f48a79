import attrs
import pytest

from channeld.api.access import (
    MOST_ADDRESSES,
    MOST_LINES,
    WINDOW,
    Refusals,
    has_key,
    is_own_origin,
    is_private_host,
)

KEYS = ["first-key", "second-key-ü"]


@pytest.mark.parametrize(
    "header", [b"Bearer first-key", b"bearer first-key", "Bearer second-key-ü".encode()]
)
def test_any_of_the_keys_opens(header: bytes) -> None:
    assert has_key(header, KEYS)


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"first-key",
        b"Basic first-key",
        b"Bearer first-ke",
        b"Bearer first-key2",
        b"Bearer first-key, second",
        b"Bearer \xff\xfe\x00",
        "Bearer second-key-ü".encode("latin-1"),
    ],
)
def test_nothing_else_does(header: bytes | None) -> None:
    assert not has_key(header, KEYS)


@pytest.mark.parametrize("keys", [[], [""]])
def test_a_key_that_was_not_set_opens_nothing(keys: list[str]) -> None:
    assert not has_key(b"Bearer ", keys)
    assert not has_key(None, keys)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:4001", "127.0.0.1:4001"),
        ("http://LocalHost:4001", "localhost:4001"),
        ("https://admin.example", "admin.example"),
        ("https://admin.example", "admin.example:443"),
        ("http://[::1]:4001", "[::1]:4001"),
    ],
)
def test_the_console_is_at_home(origin: str, host: str) -> None:
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "localhost:4001"),
        ("", "localhost:4001"),
        ("http://localhost:4000", "localhost:4001"),
        ("http://localhost", "localhost:4001"),
        ("https://evil.example", "localhost:4001"),
        ("file://localhost:4001", "localhost:4001"),
        ("http://localhost:4001", None),
        ("http://localhost:x", "localhost:x"),
        ("http://localhost:4001.evil.example", "localhost:4001"),
        ("http://[::1", "[::1"),
        ("http://localhost:4001", "[localhost:4001"),
    ],
)
def test_other_pages_are_not(origin: str, host: str | None) -> None:
    assert not is_own_origin(origin, host)


@pytest.mark.parametrize(
    "host",
    [
        None, "127.0.0.1:4001", "[::1]:4001", "10.1.2.3", "localhost:4001", "channeld:4001",
        "channeld.monitoring.svc:4001", "metrics.internal", "a.localhost.",
    ],
)  # fmt: skip
def test_names_that_no_site_can_point_here_are_private(host: str | None) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host", ["evil.com", "127.0.0.1.evil.com:4001", "evil.com.", "[::1", "a.b.c"]
)
def test_public_names_are_not(host: str) -> None:
    assert not is_private_host(host)


@attrs.define
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_of_a_minute_is_told(clock: Clock) -> None:
    refusals = Refusals(clock)
    assert [refusals.is_news("a", "key") for _ in range(3)] == [True, False, False]
    assert refusals.is_news("b", "key")
    assert refusals.is_news("a", "origin")
    clock.now += WINDOW - 0.1
    assert not refusals.is_news("a", "key")
    clock.now += 0.1
    assert refusals.is_news("a", "key")


def test_whatever_addresses_come_it_is_bounded(clock: Clock) -> None:
    refusals = Refusals(clock)
    told = sum(refusals.is_news(f"2001:db8::{number:x}", "key") for number in range(20_000))
    assert len(refusals) == MOST_ADDRESSES
    assert told == MOST_LINES
    clock.now += WINDOW
    assert refusals.is_news("2001:db8::0", "key")
    assert len(refusals) == 1


def test_the_address_whose_minute_began_first_gives_way(clock: Clock) -> None:
    refusals = Refusals(clock, most=2)
    assert [refusals.is_news(name, "key") for name in "abacba"] == [
        True, True, False, True, False, True
    ]  # fmt: skip
