import httpx2
import pytest

from channeld.client import ApiError, Client, Publish, Unreachable
from tests.client.kit import CHANNEL, CONNECTION, KEY, MEMBER, PROBLEM, ROOM, Server

URL = "http://127.0.0.1:4001"


def client_of(server: Server) -> Client:
    return Client(URL, KEY, transport=server.transport, sleep=server.sleep)


def test_the_key_and_the_body_are_sent() -> None:
    server = Server((200, {"nodes": 1}))
    with client_of(server) as client:
        assert client.publish("x", {"type": "y"}, user="ann").nodes == 1
    asked = server.asked[0]
    assert str(asked.url) == f"{URL}/v1/publish"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["content-type"] == "application/json"
    assert server.body() == {"channel": "x", "to": "user", "user": "ann", "event": {"type": "y"}}


def test_every_verb_asks_its_own() -> None:
    server = Server((200, {"connections": 3}))
    with client_of(server) as client:
        assert client.disconnect(user="ann", reason="bye") == 3
        assert server.body() == {"user": "ann", "code": 4410, "reason": "bye"}
        assert client.subscribe("x", "a", connection="c") == 3
        assert (server.path(), server.body()["connection"]) == ("/v1/subscribe", "c")
        assert client.unsubscribe("x", "a", user="ann") == 3
        assert server.path() == "/v1/unsubscribe"
        server.answers = [(200, {"id": "r", "until": "2030-01-01T00:00:00Z", "connections": 1})]
        assert (client.revoke(user="ann", lifetime="7d")).connections == 1
        assert (server.path(), server.body()) == ("/v1/revoke", {"user": "ann", "for": "7d"})
        row = {"id": "r", "until": "2030-01-01T00:00:00Z", "token_id": "t"}
        server.answers = [(200, {"revocations": [row]})]
        assert [one.token_id for one in (client.revocations()).revocations] == ["t"]
        server.answers = [(200, {"id": "r"})]
        client.restore("r")
        assert (server.asked[-1].method, server.path()) == ("DELETE", "/v1/revocations/r")
        server.answers = [(200, {"results": [{"nodes": 1}]})]
        assert len(client.batch([Publish(channel="x", event={"type": "y"})])) == 1


def test_every_view_asks_its_own() -> None:
    server = Server((200, {"channels": [CHANNEL]}))
    with client_of(server) as client:
        assert client.channels()[0].name == "x"
        server.answers = [(200, CHANNEL)]
        assert client.channel("x").path == "/x"
        server.answers = [(200, {"rooms": [ROOM]})]
        assert client.rooms("x", after="a/b").next is None
        assert server.path() == "/v1/channels/x/rooms?limit=100&after=a%2Fb"
        server.answers = [(200, {**ROOM, "members": [MEMBER]})]
        assert client.room("x", "a").members[0].id == "c"
        server.answers = [(200, {**ROOM, "count": 0, "users": []})]
        assert client.presence("x", "a").count == 0
        server.answers = [(200, {"room": "a", "frames": [], "more": False})]
        assert not client.history("x", "..", before="p").more
        assert server.path() == "/v1/channels/x/rooms/%2E%2E/history?limit=50&before=p"
        server.answers = [(200, {"room": "..", "frames": 3})]
        assert client.clear("x", "..", key="a/b") == 3
        assert server.path() == "/v1/channels/x/rooms/%2E%2E/history?key=a%2Fb"
        server.answers = [(200, {"user": "ann", "online": True, "connections": [CONNECTION]})]
        assert client.user("ann").online


def test_a_refusal_is_raised() -> None:
    with client_of(Server((422, PROBLEM))) as client, pytest.raises(ApiError) as caught:
        client.publish("x", {"type": "y"})
    assert caught.value.problem.detail == "no"


def test_with_a_key_it_tries_again() -> None:
    server = Server((503, {}), httpx2.ConnectError("refused"), (200, {"nodes": 1}))
    with client_of(server) as client:
        assert client.publish("x", {"type": "y"}, idempotency_key="k").nodes == 1
    assert server.pauses == [2.0, 0.4]
    assert len({request.content for request in server.asked}) == 1


def test_without_one_it_does_not() -> None:
    server = Server(httpx2.ReadTimeout("slow"))
    with client_of(server) as client, pytest.raises(Unreachable, match="slow"):
        client.publish("x", {"type": "y"})
    assert (len(server.asked), server.pauses) == (1, [])


def test_in_the_end_it_gives_up() -> None:
    server = Server(httpx2.ConnectError("refused"))
    with client_of(server) as client, pytest.raises(Unreachable):
        client.publish("x", {"type": "y"}, idempotency_key="k")
    assert len(server.asked) == 4
