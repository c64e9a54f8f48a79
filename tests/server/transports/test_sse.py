"""Server-sent events over a whole server: how a stream begins, what moves the client's place, and how it ends."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from channeld.protocol.places import Places
from channeld.server.exchange import RequestHead
from channeld.server.transports.sse import ENDED, ServerSentEvents
from channeld.server.transports.transport import Terms
from tests.server.kit import Heard
from tests.server.web_kit import CONFIG, Site, site


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


async def test_the_secret_comes_first_then_what_a_socket_would_get(served: Site) -> None:
    async with served.events(f"/rooms/den?token={served.token('ann')}") as events:
        assert events.status == 200
        assert events.fields["content-type"] == "text/event-stream"
        assert events.fields["cache-control"] == "no-store"
        assert events.fields["x-content-type-options"] == "nosniff"
        assert events.fields["referrer-policy"] == "no-referrer"
        first = await events.frame()
        assert first["type"] == "connection"
        assert len(first["id"]) == 22
        kinds = [(await events.frame())["type"] for _ in range(3)]
        assert kinds == ["authenticated", "subscribed", "presence"]


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/rooms/den", 401, "UNAUTHORIZED"),
        ("/rooms/den?token=nonsense", 401, "UNAUTHORIZED"),
        ("/rooms/den?token=GUEST", 403, "FORBIDDEN"),
        ("/nowhere", 404, None),
        ("/sockets", 426, None),
    ],
)
async def test_a_refusal_is_a_status(
    served: Site, target: str, status: int, code: str | None
) -> None:
    target = target.replace("GUEST", served.token("eve", role="guest"))
    answer = await served.ask("GET", target, Accept="text/event-stream")
    assert answer.status == status
    assert answer.fields["content-type"] == "application/problem+json"
    assert answer.json().get("code") == code


async def test_a_connect_hook_refuses_with_403_and_its_own_words(tmp_path: Path) -> None:
    tmp_path.joinpath("sse_gate.py").write_text(
        "from channeld import Reject\n"
        "def refuse(ctx):\n    raise Reject('not you', code='BANNED', close=4950, until=7)\n"
    )
    config = CONFIG + "    hooks: {connect: 'sse_gate:refuse'}\n"
    async with site(tmp_path, config.replace("transports: [websocket]", "transports: [sse]")) as at:
        answer = await at.ask("GET", "/sockets", Accept="text/event-stream")
        assert answer.status == 403
        problem = answer.json()
        assert (problem["code"], problem["detail"], problem["until"]) == ("BANNED", "not you", 7)
        assert problem["close"] == 4950


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Origin": "https://other.example"}, 403),
        ({"Origin": "https://listed.example"}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Last_Event_ID": ENDED}, 204),
        ({"Content_Length": "3"}, 400),
    ],
)
async def test_a_request_is_judged_before_the_stream(
    served: Site, fields: dict[str, str], status: int
) -> None:
    async with served.events("/lobby", **fields) as events:
        assert events.status == status
        listed = fields.get("Origin") == "https://listed.example"
        assert ("access-control-allow-credentials" in events.fields) is listed


async def test_http_1_0_is_refused(served: Site) -> None:
    async with await served.connect() as stream:
        await stream.send_all(b"GET /lobby HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 400 ")


async def test_an_event_of_a_history_says_where_the_client_is(served: Site) -> None:
    async with served.lobby() as (events, secret):
        for room in ("a", "b"):
            await served.post("/lobby", secret, {"type": "subscribe", "room": room})
            await served.post("/lobby", secret, {"type": "say", "room": room, "text": "1"})
        frames = [await events.frame("say") for _ in range(2)]
        place = Places.parse(events.ids[-1])
        assert place is not None
        assert place.rooms == {frame["room"]: frame["pos"] for frame in frames}
        await served.post("/lobby", secret, {"type": "unsubscribe", "room": "a"})
        await served.post("/lobby", secret, {"type": "say", "room": "b", "text": "2"})
        await events.frame("say")
        place = Places.parse(events.ids[-1])
        assert place is not None
        assert set(place.rooms) == {"b"}


async def test_a_kick_is_told_and_ends_the_source_for_good(served: Site) -> None:
    async with served.events(f"/rooms/den?token={served.token('ann')}") as events:
        await events.frame("presence")
        await served.app.hook_server.disconnect(user="ann", reason="out")
        frame = await events.frame("disconnect")
        assert (frame["code"], frame["reconnect"]) == (4410, False)
        assert events.ids[-1] == ENDED
        assert await events.rest() == b""


async def test_a_drain_says_when_to_come_back(served: Site) -> None:
    async with served.lobby() as (events, _):
        served.app.engine.drain(0.01)
        event = await events.event()
        assert event["data"]["code"] == 1012
        assert int(event["retry"]) == round(event["data"]["retry_after"] * 1000)
        assert "id" not in event


async def test_silence_is_broken_by_comments(tmp_path: Path) -> None:
    config = CONFIG.replace("interval: 60s, timeout: 60s", "interval: 100ms, timeout: 100ms")
    async with site(tmp_path, config) as served, served.lobby() as (events, _):
        for _ in range(3):
            assert await events.until(b"\n\n") == b":"
        assert len(served.app.engine.sessions) == 1


async def test_a_hangup_ends_the_session(served: Site) -> None:
    async with served.lobby():
        assert len(served.app.engine.sessions) == 1
    with trio.fail_after(30):
        while served.app.engine.sessions:
            await trio.lowlevel.checkpoint()


def test_a_frame_is_cut_between_events_only() -> None:
    transport = ServerSentEvents()
    data = b"HTTP/1.1 200 OK\r\n\r\n" + b"data: 1\n\n" + b"id: x\ndata: 2\n\n"
    start = data.index(b"data: 1")
    ends = [start, start + 9, len(data)]
    for offset in range(start, len(data) + 1):
        wanted = next(end for end in ends if end >= offset)
        assert transport.boundary(data, start, offset) == wanted


def begun(transport: ServerSentEvents, **fields: str) -> Callable[[bytes], bytes]:
    """What encodes frames for one more client of a transport."""
    agreed = transport.accept(RequestHead("GET", "/x", "1.1", fields), Terms())
    wire = agreed.open(Heard(), Heard(), 1000, b"")
    assert wire.stream is not None
    wire.stream.begin()
    return wire.encode


def in_room(room: str, position: str) -> bytes:
    return (
        json.dumps({"type": "subscribed", "room": room, "pos": position})
        .encode()
        .replace(b" ", b"")
    )


def test_members_share_the_events_of_a_turn() -> None:
    transport = ServerSentEvents()
    one, other, both = begun(transport), begun(transport), begun(transport)
    for encode in (one, other, both):
        encode(in_room("a", "e-0"))
    both(in_room("b", "e-7"))
    frames = [b'{"type":"say","n":%d,"room":"a","pos":"e-%d"}' % (n, n) for n in range(1, 40)]
    frames += [b'{"type":"note","n":%d}' % n for n in range(40)]
    # As the fan-out does it: one member has all frames of the turn before the next has any.
    first = [one(frame) for frame in frames]
    second = [other(frame) for frame in frames]
    assert all(event is shared for event, shared in zip(first, second, strict=True))
    third = [both(frame) for frame in frames]
    placed = Places.parse(third[38].split(b"\n")[0].removeprefix(b"id: ").decode())
    assert placed is not None
    assert placed.rooms == {"a": "e-39", "b": "e-7"}
    assert third[38].endswith(b"data: " + frames[38] + b"\n\n")
    assert third[50] is first[50]


def test_what_is_shared_is_bounded() -> None:
    transport = ServerSentEvents()
    encode = begun(transport)
    frames = [b'{"type":"note","text":"%b%d"}' % (b"x" * 10_000, n) for n in range(50)]
    for frame in frames:
        assert encode(frame) == b"data: " + frame + b"\n\n"
    assert len(transport._shared._events) < 10


def test_a_frame_of_another_content_is_another_event() -> None:
    encode = begun(ServerSentEvents())
    for n in range(300):  # identities come again once a frame is gone
        frame = b'{"type":"note","n":%d,"text":"%b"}' % (n, b"x" * 1000)
        assert encode(frame) == b"data: " + frame + b"\n\n"
