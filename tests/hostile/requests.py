"""Attacks over plain HTTP: event streams, long polls, POSTs; each returns what it was answered."""

from collections import Counter

from tests.hostile.floods import all_answers
from tests.hostile.ground import API_KEY, Ground
from tests.hostile.wire import GOODBYE, Answers, Raw, say

STREAM = b"GET /hall/0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_POST = (
    b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Channeld-Connection: nobody\r\n"
)

AUTHORIZATION = b"Authorization: Bearer %b\r\n" % API_KEY.encode()
_PUBLICATION = (
    b"POST /v1/publish HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\n" + AUTHORIZATION
)


def pulse(fields: bytes = b"") -> bytes:
    """Two requests to the control API, of which one needs the key."""
    return b"".join(
        b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (path, fields)
        for path in (b"/health/live", b"/v1/channels")
    )


def event_streams(ground: Ground, count: int) -> Answers:
    """Begun and reset, over and over."""
    answers: Answers = Counter()
    for _ in range(count):
        client = ground.raw()
        client.pour([STREAM])
        answers += client.read_until("HTTP").answers
        client.reset()
    return answers


def long_polls(ground: Ground, count: int) -> Answers:
    """All of them wait for the next frame of one room, which then comes."""
    asked = (
        f"GET /archive/{ground.pid}-polled?offset=now&live=long-poll HTTP/1.1\r\n"
        "Host: localhost\r\nConnection: close\r\n\r\n"
    ).encode()
    clients = [ground.raw() for _ in range(count)]
    for client in clients:
        client.pour([asked])
    ground.read_settled()
    with ground.raw().open(f"/archive/{ground.pid}-polled") as speaker:
        speaker.pour([say("say", text="wake up"), GOODBYE])
        answers = speaker.read_out().answers
    return answers + all_answers(clients)


def dribbled_bodies(ground: Ground, count: int) -> Answers:
    """POSTs whose bodies come a byte at a time, and never to their ends."""
    clients = [ground.raw() for _ in range(count)]
    for client in clients:
        client.pour([_POST + b"Content-Length: 5000\r\n\r\n"])
    while not all(client.ended for client in clients):
        for client in clients:
            if not client.ended:
                client.pour([b"["])
    answers = all_answers(clients)
    # A byte that is on its way when the server closes turns the end into a reset (RFC 9293 section 3.6.1).
    answers["end"] += answers.pop("reset", 0)
    return answers


def control_api(ground: Ground, count: int) -> Answers:
    """Requests ahead of their answers, over connections that are kept, and beside them bodies that stop half-way."""
    half = [Raw(ground.api_port, ground.source) for _ in range(min(200, count // 10))]
    for client in half:
        client.pour([_PUBLICATION + b"Content-Length: 5000\r\n\r\n[1, 2"])
    answers: Answers = Counter()
    for _ in range(0, count, 200):
        with Raw(ground.api_port, ground.source) as client:
            client.pour([pulse() * 100])
            answers += client.read_until("HTTP", count=200).answers
    for client in half:
        # After 20 s it would be told 408: `tests/server/test_http.py`.
        client.reset()
    return answers


def _smuggled(*fields: bytes) -> bytes:
    return (
        _POST
        + b"\r\n".join(fields)
        + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        + b"GET /nowhere HTTP/1.1\r\n"
    )


SMUGGLED = (
    _smuggled(b"Content-Length: 20", b"Transfer-Encoding: chunked"),
    _smuggled(b"Transfer-Encoding: chunked", b"Content-Length: 4"),
    _smuggled(b"Transfer-Encoding: xchunked"),
    _smuggled(b"Transfer-Encoding : chunked"),
    _smuggled(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    _smuggled(b"Transfer-Encoding:\x0bchunked"),
    _smuggled(b"Content-Length: 4", b"Content-Length: 20"),
    _smuggled(b"Content-Length: 4, 20"),
    _smuggled(b"Content-Length: +4"),
    _smuggled(b"Content-Length: 0x4"),
    _smuggled(b"Content-Length: -4"),
    _smuggled(b"Content-Length: 99999999999999999999"),
    _smuggled(b"X: y", b" Content-Length: 4"),
    _smuggled(b"Content-Length: 4\nTransfer-Encoding: chunked"),
    _smuggled(b"Content\x00-Length: 4"),
)
"""Heads that two readers could understand in two ways."""


def smuggled_heads(ground: Ground, count: int) -> Answers:
    """Each is refused as a whole; what stands behind it is not taken for another request."""
    answers: Answers = Counter()
    for number in range(count):
        with ground.raw() as client:
            client.pour([SMUGGLED[number % len(SMUGGLED)]])
            client.read_out()
            assert client.counted("HTTP") == 1, SMUGGLED[number % len(SMUGGLED)]
            answers += client.answers
    return answers


def unanswered_closes(ground: Ground, count: int) -> Answers:
    """Half of them say goodbye and stay, half are sent away for a binary message and do not answer; all go on sending."""
    clients: list[Raw] = [ground.raw().open("/echo") for _ in range(count)]
    for number, client in enumerate(clients):
        client.pour([GOODBYE if number % 2 else b"\x82\x80\0\0\0\0"])
    while not all(client.ended for client in clients):
        for client in clients:
            if not client.ended:
                client.pour([say("echo")])
                client.read_until("close", "end", "reset")
    return all_answers(clients)
