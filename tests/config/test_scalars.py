import pytest
from hypothesis import given
from hypothesis import strategies as st

from channeld.config import scalars
from channeld.config.model import Rate
from channeld.config.scalars import BadScalar, TcpAddress, UnixAddress
from channeld.protocol.frames import Json


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("5m", 300), ("1h", 3600), ("7d", 604800), ("0s", 0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert scalars.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("written", "write"),
    [
        ("15 sec", "15s"),
        ("10", "10s"),
        (30, "30s"),
        (0.5, "500ms"),
        ("1.5s", "1500ms"),
        ("1h30m", "90m"),
        ("2 minutes", "2m"),
        ("1 hour, 5 min", "65m"),
        ("10S", "10s"),
        ("soon", "250ms, 10s, 5m, 1h or 7d"),
        ("3 fortnights", "250ms, 10s, 5m, 1h or 7d"),
        (True, "250ms, 10s, 5m, 1h or 7d"),
        (["10s"], "250ms, 10s, 5m, 1h or 7d"),
        ("١s", "250ms, 10s, 5m, 1h or 7d"),
    ],
)
def test_a_bad_duration_says_what_to_write(written: Json, write: str) -> None:
    assert scalars.parse_duration(written) == BadScalar("is not a valid duration", write)


@given(st.integers(-(10**11), 10**11))
def test_a_duration_survives_its_text(milliseconds: int) -> None:
    text = scalars.format_duration(milliseconds / 1000)
    assert scalars.parse_duration(text) == milliseconds / 1000


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (65536, 65536),
        ("64KiB", 65536),
        ("1MiB", 2**20),
        ("2GiB", 2**31),
        ("64kB", 64000),
        ("3MB", 3_000_000),
        ("1GB", 10**9),
        ("12B", 12),
    ],
)
def test_sizes_are_bytes(written: Json, size: int) -> None:
    assert scalars.parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "write"),
    [
        ("64kb", "64KiB"),
        ("64 KiB", "64KiB"),
        ("1M", "1MiB"),
        ("1.5MiB", "1572864"),
        ("4096", "4096"),
        ("10 bytes", "10B"),
        ("big", "64KiB, 1MiB or a number of bytes"),
        (1.5, "64KiB, 1MiB or a number of bytes"),
        (True, "64KiB, 1MiB or a number of bytes"),
    ],
)
def test_a_bad_size_says_what_to_write(written: Json, write: str) -> None:
    assert scalars.parse_size(written) == BadScalar("is not a valid size", write)


@given(st.integers(0, 10**15))
def test_a_size_survives_its_text(size: int) -> None:
    text = scalars.format_size(size)
    assert scalars.parse_size(int(text) if text.isdigit() else text) == size


def test_a_rate_has_its_count_as_burst() -> None:
    assert scalars.parse_rate("100/m") == Rate(limit=100, period=60.0, burst=100)
    assert scalars.parse_rate("10/s", burst=30) == Rate(limit=10, period=1.0, burst=30)


@pytest.mark.parametrize(
    ("written", "write"),
    [
        ("10/sec", "10/s"),
        ("10 per second", "10/s"),
        ("5 / min", "5/m"),
        ("1000/hour", "1000/h"),
        ("10", "10/s"),
        (10, "10/s"),
        ("10/d", "10/s, 100/m or 1000/h"),
        ("often", "10/s, 100/m or 1000/h"),
        (["10/s"], "10/s, 100/m or 1000/h"),
    ],
)
def test_a_bad_rate_says_what_to_write(written: Json, write: str) -> None:
    assert scalars.parse_rate(written) == BadScalar("is not a valid rate", write)


@given(
    st.integers(1, 10**9 - 1), st.sampled_from([1.0, 60.0, 3600.0]), st.none() | st.integers(1, 500)
)
def test_a_rate_survives_its_text(limit: int, period: float, burst: int | None) -> None:
    rate = Rate(limit=limit, period=period, burst=limit if burst is None else burst)
    written, _, more = scalars.format_rate(rate).partition(" ")
    assert scalars.parse_rate(written, burst) == rate
    assert more == (f"(burst {burst})" if burst not in (None, limit) else "")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:4000", TcpAddress("127.0.0.1", 4000)),
        ("[::1]:4000", TcpAddress("::1", 4000)),
        (":4000", TcpAddress("", 4000)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("unix:run/channeld.sock", UnixAddress("run/channeld.sock")),
    ],
)
def test_addresses_go_both_ways(text: str, address: TcpAddress | UnixAddress) -> None:
    assert scalars.parse_address(text) == address
    assert scalars.format_address(address) == text


@pytest.mark.parametrize(
    ("written", "write"),
    [
        (4000, "127.0.0.1:4000"),
        ("4000", "127.0.0.1:4000"),
        ("*:4000", "0.0.0.0:4000"),
        ("::1:4000", "[::1]:4000"),
        ("ws://127.0.0.1:4000/", "127.0.0.1:4000"),
        ("0.0.0.0", "0.0.0.0:4000"),
        ("127.0.0.1:70000", "127.0.0.1:4000, [::1]:4000, :4000 or unix:channeld.sock"),
        ("[::zz]:4000", "127.0.0.1:4000, [::1]:4000, :4000 or unix:channeld.sock"),
        ("unix:", "127.0.0.1:4000, [::1]:4000, :4000 or unix:channeld.sock"),
        (None, "127.0.0.1:4000, [::1]:4000, :4000 or unix:channeld.sock"),
    ],
)
def test_a_bad_address_says_what_to_write(written: Json, write: str) -> None:
    assert scalars.parse_address(written) == BadScalar("is not a valid address to listen on", write)


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_hosts(host: str) -> None:
    assert scalars.is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "example.com", "localhost.example.com"])
def test_hosts_that_others_can_reach(host: str) -> None:
    assert not scalars.is_loopback(host)


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_nothing_written_makes_a_parser_raise(written: Json) -> None:
    for parse in (scalars.parse_duration, scalars.parse_size, scalars.parse_address):
        parse(written)
    scalars.parse_rate(written)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://a", "a:6379"),
        ("rediss://ann:p%40ss@A:7/2?ssl_cert_reqs=none", "a:7"),
        ("redis://[::1]", "[::1]:6379"),
        ("unix:///run/s?db=1", "/run/s"),
        ("redis+sentinel://b:1,a/main/3?sentinel_password=x", "a:26379,b:1/main"),
        ("valkey+cluster://b,a:1", "a:1,b:6379"),
    ],
)
def test_the_server_of_a_url(url: str, server: str) -> None:
    assert scalars.server_of(url) == server
