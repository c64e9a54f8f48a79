from typing import Any

import httpx2
import pytest

from channeld.client import (
    ApiError,
    Channel,
    Connection,
    Member,
    Problem,
    Publish,
    Published,
    RoomCount,
    Unreachable,
    Violation,
)
from channeld.client.requests import TRIES, ClientRequest, pause_before, read, requests, target_of
from tests.client.kit import CHANNEL, CONNECTION, MEMBER, PROBLEM, ROOM


def answer(ask: ClientRequest[Any], body: object, status: int = 200, **headers: str) -> Any:
    return read(ask, httpx2.Response(status, json=body, headers=headers))


def test_published() -> None:
    ask = requests.publish(Publish(channel="x", event={"type": "y"}))
    assert (ask.method, ask.path, ask.is_repeatable) == ("POST", "/v1/publish", False)
    assert answer(ask, {"pos": "p", "nodes": 2}) == Published(pos="p", nodes=2)
    assert answer(ask, {"nodes": 1, "new": True}) == Published()


def test_a_batch_has_results_and_problems() -> None:
    events = [Publish(channel="x", event={"type": "y"}, idempotency_key=key) for key in "ab"]
    ask = requests.batch(events)
    assert ask.is_repeatable
    assert not requests.batch([*events, Publish(channel="x", event={})]).is_repeatable
    one, other = answer(ask, {"results": [{"nodes": 1}, {"problem": PROBLEM}]})
    assert one == Published()
    assert other == Problem(
        status=422,
        title="Unprocessable Content",
        detail="no",
        errors=(Violation(path="/text", message="is too long", keyword="maxLength"),),
    )


def test_what_is_shown_is_typed() -> None:
    (channel,) = answer(requests.channels(), {"channels": [CHANNEL]})
    assert isinstance(channel, Channel)
    assert (channel.messages, channel.events) == (("say",), None)
    assert answer(requests.channel("x"), CHANNEL) == channel
    rooms = answer(requests.rooms("x", 5, None), {"rooms": [ROOM], "next": "a"})
    assert (rooms.rooms, rooms.next) == ((RoomCount(room="a", connections=1),), "a")
    room = answer(requests.room("x", "a", 5, None), {**ROOM, "members": [MEMBER]})
    assert isinstance(room.members[0], Member)
    user = answer(
        requests.user("ann", 5, None),
        {"user": "ann", "online": True, "connections": [CONNECTION]},
    )
    assert isinstance(user.connections[0], Connection)
    assert user.connections[0].rooms == ("a",)
    history = answer(
        requests.history("x", "a", 5, None), {"room": "a", "frames": [{"a": [1]}], "more": False}
    )
    assert history.frames == ({"a": [1]},)
    assert answer(requests.clear("x", "a", None), {"room": "a", "frames": 2}) == 2
    there = {**ROOM, "count": 1, "users": [{"user": "ann", "info": {}, "connections": 1}]}
    assert answer(requests.presence("x", "a", 5, None), there).users[0].user == "ann"


@pytest.mark.parametrize(
    ("room", "path"),
    [
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("%2F", "%252F"),
        ("a b?#", "a%20b%3F%23"),
        ("ü", "%C3%BC"),
    ],
)
def test_names_are_one_segment(room: str, path: str) -> None:
    assert requests.room("x", room, 5, None).path == f"/v1/channels/x/rooms/{path}"


def test_counts() -> None:
    for ask in (
        requests.disconnect({"user": "ann"}, 4410, ""),
        requests.membership("subscribe", {"user": "ann"}, "x", "a"),
    ):
        assert answer(ask, {"connections": 2}) == 2


def test_a_refusal_is_raised_with_its_document() -> None:
    with pytest.raises(ApiError) as caught:
        answer(requests.channels(), PROBLEM, 422)
    assert caught.value.problem.errors[0].path == "/text"
    with pytest.raises(ApiError) as caught:
        answer(requests.channels(), {}, 503, **{"retry-after": "7"})
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b""])
def test_a_refusal_that_is_no_document(content: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read(requests.channels(), httpx2.Response(502, content=content))
    assert caught.value.status == 502


def test_only_what_publishes_once_is_repeated() -> None:
    safe = requests.publish(Publish(channel="x", event={}, idempotency_key="k"))
    unsafe = requests.publish(Publish(channel="x", event={}))
    away = ApiError(Problem(status=503), 2.0)
    assert pause_before(0, away, safe) == 2.0
    assert pause_before(0, away, unsafe) is None
    assert pause_before(0, Unreachable(), requests.channels()) is None
    assert pause_before(0, ApiError(Problem(status=500)), safe) is None
    pauses = [pause_before(attempt, Unreachable(), safe) for attempt in range(TRIES)]
    assert pauses == [0.2, 0.4, 0.8, None]
    assert pause_before(0, ApiError(Problem(status=503), 600), safe) == 5.0


def test_one_target() -> None:
    assert target_of("ann", None) == {"user": "ann"}
    assert target_of(None, "c") == {"connection": "c"}
    for user, connection in ((None, None), ("a", "b")):
        with pytest.raises(ValueError, match="name a user or a connection"):
            target_of(user, connection)
