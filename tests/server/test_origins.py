"""Which pages may connect, and which proxies are believed."""

import pytest

from channeld.server.origins import (
    address_of,
    is_trusted,
    named_origin,
    networks,
    origin_check,
    unmapped,
)

SAME = origin_check("same-origin")
LISTED = origin_check(["https://a.com", "https://*.example.com", "http://[2001:db8::1]:8080"])
TRUSTED = networks(["10.0.0.0/8", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://a.com", "a.com", False),
        ("http://A.com", "a.COM", False),
        ("http://a.com", "a.com:80", False),
        ("http://a.com:4000", "a.com:4000", False),
        ("https://a.com", "a.com", True),
        ("https://a.com:443", "a.com", True),
        ("http://[::1]:4000", "[::1]:4000", False),
    ],
)
def test_the_same_origin_passes(origin: str, host: str, secure: bool) -> None:
    assert SAME(origin, host, secure)


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://evil.com", "a.com", False),
        ("https://a.com", "a.com", False),
        ("http://a.com", "a.com", True),
        ("http://a.com:4001", "a.com:4000", False),
        ("http://a.com.evil.com", "a.com", False),
        ("http://evil-a.com", "a.com", False),
        ("null", "a.com", False),
        ("", "", False),
        ("http://a.com, http://a.com", "a.com", False),
        ("http://a.com@evil.com", "evil.com", False),
        ("http://a.com/", "a.com", False),
        ("file://", "", False),
        ("http://a.com\n", "a.com", False),
    ],
)
def test_another_origin_does_not(origin: str, host: str, secure: bool) -> None:
    assert not SAME(origin, host, secure)


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.com",
        "https://A.COM:443",
        "https://x.example.com",
        "https://x.y.example.com",
        "http://[2001:db8::1]:8080",
    ],
)
def test_a_listed_origin_passes_whatever_the_host(origin: str) -> None:
    assert LISTED(origin, "elsewhere", False)


@pytest.mark.parametrize(
    "origin",
    [
        "http://a.com",
        "https://a.com:444",
        "https://a.com.evil.com",
        "https://evila.com",
        "https://example.com",
        "https://evilexample.com",
        "https://.example.com",
        "https://*.example.com",
        "http://x.example.com",
        "https://x.example.com:8443",
        "https://x.example.com.evil.com",
        "null",
    ],
)
def test_an_unlisted_origin_does_not(origin: str) -> None:
    assert not LISTED(origin, "a.com", True)


@pytest.mark.parametrize("origin", ["capacitor://localhost", "chrome-extension://abcdef"])
def test_origins_of_apps_pass_where_they_are_listed(origin: str) -> None:
    allows = origin_check([origin])
    assert allows(origin, "a.example", True)
    assert not allows(f"{origin}x", "a.example", True)
    assert not allows("https://localhost", "a.example", True)


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        ("https://evil.example", "https://evil.example"),
        ("https://evil.example:8443/secret", "https://evil.example:8443"),
        ("https://evil.example?token=secret", "https://evil.example"),
        ("secret", "malformed"),
        ("null", "null"),
    ],
)
def test_the_log_names_nothing_of_an_origin_but_where_it_is(origin: str, named: str) -> None:
    assert named_origin(origin) == named


def test_any_is_any() -> None:
    assert origin_check("any")("null", "a.com", False)


LOCAL = origin_check("localhost")


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"]
)
def test_for_development_pages_of_this_machine_pass(origin: str) -> None:
    assert LOCAL(origin, "127.0.0.1:4000", False)


@pytest.mark.parametrize(
    "origin",
    ["http://localhost.evil.com", "http://evil.com", "http://127.0.0.1.evil.com", "", "null"],
)
def test_for_development_other_pages_do_not(origin: str) -> None:
    assert not LOCAL(origin, "127.0.0.1:4000", False)


def test_a_malformed_entry_allows_nothing() -> None:
    assert not origin_check(["example.com"])("http://example.com", "example.com", False)


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.7, 10.9.9.9", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.7:5678", "192.0.2.7"),
        ("10.0.0.1", "[2001:db9::1]:5678", "2001:db9::1"),
        ("10.0.0.1", "2001:db9::1", "2001:db9::1"),
        ("10.0.0.1", "6.6.6.6, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.1", "6.6.6.6", "192.0.2.1"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("2001:db8::5%eth0", "192.0.2.7", "192.0.2.7"),
        ("", "192.0.2.7", "192.0.2.7"),
    ],
)
def test_the_address_is_the_rightmost_that_is_not_trusted(
    peer: str, forwarded: str, seen: str
) -> None:
    assert address_of(peer, forwarded, TRUSTED) == seen


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("::1", "::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:nonsense", "::ffff:nonsense"),
        ("", ""),
    ],
)
def test_an_ipv4_peer_of_an_ipv6_socket_is_written_as_ipv4(address: str, plain: str) -> None:
    assert unmapped(address) == plain


def test_a_forwarded_address_is_written_as_ipv4() -> None:
    assert address_of("10.0.0.1", "::ffff:192.0.2.1", networks(["10.0.0.0/8"])) == "192.0.2.1"


def test_nobody_is_trusted_by_default() -> None:
    assert not is_trusted("", [])
    assert not is_trusted("127.0.0.1", [])
    assert not is_trusted("not an address", TRUSTED)


def test_host_bits_may_be_set() -> None:
    assert is_trusted("10.1.2.3", networks(["10.1.2.3/8"]))


def test_what_is_no_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        networks(["nonsense"])
