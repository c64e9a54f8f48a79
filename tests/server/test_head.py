"""Request heads: what the pattern takes, h11 reads the same; what neither takes is refused in words."""

import gc
import random
import re

import h11
import pytest

from channeld.server.exchange import RequestHead
from channeld.server.head import LARGEST_HEAD, MOST_FIELDS, Malformed, find_end, read_head
from tests.server.kit import request_bytes

LINES = [
    b"GET /rooms/general?token=abc HTTP/1.1",
    b"Host: 127.0.0.1:4000",
    b"Upgrade: websocket",
    b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
    b"Origin: http://127.0.0.1:4000",
    b"Cookie: a=b; c=d",
]
BITS = (
    b" ,\t,:,\r,\n,\x00,\x7f,\xff,\x0b,\x0c,;,A,1,\r\n,\r\n ,\r\n\t, :,: ,%,Host: x\r\n,Content-Length: 5\r\n,"
    b"Transfer-Encoding: chunked\r\n,Content-Length: x\r\n,HTTP/1.0,\x80,\xa0,(,@,/"
).split(b",")


BAD_HOST = Malformed(400, "The Host field is not a host and perhaps a port")


def by_h11(data: bytes) -> RequestHead | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    fields: dict[str, str] = {}
    for name, value in event.headers:
        key, text = name.decode(), value.decode("latin-1")
        between = "; " if key == "cookie" else ", "
        fields[key] = fields[key] + between + text if key in fields else text
    version = event.http_version.decode()
    return RequestHead(event.method.decode(), event.target.decode(), version, fields)


def mutate(rng: random.Random) -> bytes:
    lines = [line for line in LINES if rng.random() > 0.06]
    if rng.random() < 0.2:
        lines.append(rng.choice(LINES))
    data = b"\r\n".join(lines) + b"\r\n\r\n"
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at, kind = rng.randrange(len(data)), rng.random()
        insert = b"" if kind > 0.9 else rng.choice(BITS)
        data = data[:at] + insert + data[at + (kind < 0.5 or kind > 0.9) :]
    end = data.find(b"\r\n\r\n")
    return data[: end + 4] if end >= 0 else data + b"\r\n\r\n"


def test_fields_have_lower_case_names_and_trimmed_values() -> None:
    head = read_head(b"GET /a HTTP/1.1\r\nHost: x\r\nX-A: \t one \r\nx-a:two\r\n\r\n")
    assert head == RequestHead("GET", "/a", "1.1", {"host": "x", "x-a": "one, two"})


def is_unclear(data: bytes) -> bool:
    """Whether a head says something that h11 takes and proxies have read in more than one way."""
    lengths = re.findall(rb"(?i)\ncontent-length:([^\n]*)", data)
    is_twice = len(lengths) > 1 or any(b"," in length for length in lengths)
    return is_twice or any(bad in data.replace(b"\r\n", b"\r") for bad in (b"\r ", b"\r\t", b"\n"))


def test_mutated_heads_are_read_as_h11_reads_them() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        data = mutate(rng)
        found, expected = read_head(data), by_h11(data.removeprefix(b"\r\n"))
        host = "" if expected is None else expected.fields.get("host", "")
        if is_unclear(data):
            assert isinstance(found, Malformed), data
        elif set(host) & set(" \t/@\x7f\x80\xa0\xff"):
            # h11 takes any text for a host.
            assert found == BAD_HOST, data
        elif found != BAD_HOST:
            assert (None if isinstance(found, Malformed) else found) == expected, data


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_at_every_place_is_survived(byte: int) -> None:
    usual = request_bytes()
    for at in range(len(usual) - 4):
        head = read_head(usual[:at] + bytes((byte,)) + usual[at + 1 :])
        assert isinstance(head, RequestHead) or head.status == 400


def test_an_empty_line_before_the_request_line_is_ignored() -> None:
    data = b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert find_end(data[:2]) == find_end(data[:-1]) == 0
    assert find_end(data) == len(data)
    assert read_head(data) == read_head(data[2:])
    assert isinstance(read_head(b"\r\n" + data), Malformed)


@pytest.mark.parametrize(
    "host", ["a b", "a/b", "a@b", "a:x", "a:123456", "[::1", "\xe9", "[::g]", "a%zz"]
)
def test_what_cannot_be_a_host_is_refused(host: str) -> None:
    assert read_head(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")) == BAD_HOST


@pytest.mark.parametrize(
    "host",
    ["", "a", "a-b.c_d:80", "127.0.0.1:", "[::1]:4000", "[fe80::1%eth0]", "xn--a", "a%C3%BC"],
)
def test_what_can_be_a_host_is_taken(host: str) -> None:
    assert isinstance(read_head(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()), RequestHead)


@pytest.mark.parametrize("odd", [b"", b"Content-Length: 0\r\n"])
def test_two_cookie_fields_are_one_list_of_cookies(odd: bytes) -> None:
    head = read_head(
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: a=1\r\n%bCookie: b=2; c=3\r\n\r\n" % odd
    )
    assert isinstance(head, RequestHead)
    assert head.fields["cookie"] == "a=1; b=2; c=3"


def test_two_hosts_are_refused() -> None:
    head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert isinstance(head, Malformed)
    assert head.status == 400


def test_a_body_is_seen_by_h11() -> None:
    head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    assert isinstance(head, RequestHead)
    assert head.fields["content-length"] == "5"


def test_as_many_fields_as_allowed_and_one_more() -> None:
    lines = [b"X-%d: 1\r\n" % i for i in range(MOST_FIELDS)]
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n"
    assert isinstance(read_head(whole % b"".join(lines[:-1])), RequestHead)
    assert read_head(whole % b"".join(lines)) == Malformed(431, "More than 100 header fields")


def test_not_http_is_400() -> None:
    head = read_head(b"")
    assert head == Malformed(400, "Not an HTTP/1.1 request")


def test_a_head_of_spaces_takes_no_quadratic_time() -> None:
    # It would be a minute.
    line = b"X: a" + b" " * (LARGEST_HEAD - 100) + b"\x00b\r\n"
    assert isinstance(read_head(b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n"), Malformed)


def test_the_end_is_found_only_within_the_limit() -> None:
    usual = request_bytes()
    padded = usual[:-2] + b"X: " + b"y" * (LARGEST_HEAD - len(usual) - 5) + b"\r\n\r\n"
    assert find_end(usual + b"more") == len(usual)
    assert find_end(usual[:-1]) == 0
    assert (len(padded), find_end(padded)) == (LARGEST_HEAD, LARGEST_HEAD)
    assert find_end(b"y" * LARGEST_HEAD) == -1
    assert find_end(padded.replace(b"yy", b"yyy", 1)) == -1


def test_what_h11_refuses_leaves_nothing_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        assert isinstance(read_head(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), Malformed)
        assert [one for one in gc.get_objects() if isinstance(one, h11.RemoteProtocolError)] == []
    finally:
        gc.enable()
