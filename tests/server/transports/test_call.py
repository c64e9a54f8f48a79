"""Requests that are answered as a whole: which are, and how their bodies are read."""

from collections.abc import Awaitable

import pytest

from channeld.protocol.reader import Stop
from channeld.server.exchange import RequestHead
from channeld.server.transports.call import BodyReader, Post, Preflight, Read


def head(method: str, target: str = "/x", **fields: str) -> RequestHead:
    return RequestHead(method, target, "1.1", {"host": "x", **fields})


@pytest.mark.parametrize(
    ("request_head", "asked"),
    [
        (head("POST"), Post),
        (head("OPTIONS"), Preflight),
        (head("HEAD"), Read),
        (head("GET", "/x?offset=-1"), Read),
        (head("GET", "/x?live=sse", accept="text/event-stream"), Read),
        (head("GET"), None),
        (head("PUT"), None),
    ],
)
def test_which_call_is_asked(request_head: RequestHead, asked: type | None) -> None:
    calls = (Post(), Preflight(), Read())
    assert [type(call) for call in calls if call.is_asked(request_head)] == (
        [asked] if asked else []
    )


async def done() -> None:
    return None


@pytest.mark.parametrize("cut", range(6))
def test_a_body_is_read_whole_and_nothing_behind_it(cut: int) -> None:
    bodies = []

    def run(body: bytes) -> Awaitable[None]:
        bodies.append(body)
        return done()

    reader = BodyReader(5, b"12345678"[:cut], run)
    stop = reader.feed(b"", 0.0, 1)
    if cut < 5:
        assert stop is Stop.MORE
        stop = reader.feed(b"12345678"[cut:], 0.0, 1)
    assert stop is Stop.PENDING
    assert bodies == [b"12345"]
    assert reader.feed(b"", 0.0, 1) is Stop.VIOLATION
    assert reader.close is None
    assert reader.pending is not None
    reader.pending.close()  # type: ignore[attr-defined]
