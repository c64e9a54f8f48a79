import inspect

import httpx2
import pytest

from channeld.client import ApiError, AsyncClient, Client, Publish, Unreachable
from tests.client.kit import CHANNEL, CONNECTION, KEY, MEMBER, PROBLEM, ROOM, Server

URL = "http://127.0.0.1:4001"


def client_of(server: Server) -> AsyncClient:
    return AsyncClient(URL, KEY, transport=server.transport, sleep=server.sleep_async)


async def test_the_key_and_the_body_are_sent() -> None:
    server = Server((200, {"pos": "p", "nodes": 1}))
    async with client_of(server) as client:
        assert (await client.publish("x", {"type": "y"}, room="a")).pos == "p"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.body() == {"channel": "x", "to": "room", "room": "a", "event": {"type": "y"}}


async def test_every_verb_asks_its_own() -> None:
    server = Server((200, {"connections": 3}))
    async with client_of(server) as client:
        assert await client.disconnect(connection="c", code=4950) == 3
        assert server.body() == {"connection": "c", "code": 4950, "reason": ""}
        assert await client.subscribe("x", "a", user="ann") == 3
        assert server.path() == "/v1/subscribe"
        assert await client.unsubscribe("x", "a", user="ann") == 3
        assert server.path() == "/v1/unsubscribe"
        server.answers = [(200, {"results": [{"problem": PROBLEM}]})]
        assert len(await client.batch([Publish(channel="x", event={"type": "y"})])) == 1


async def test_every_view_asks_its_own() -> None:
    server = Server((200, {"channels": [CHANNEL]}))
    async with client_of(server) as client:
        assert (await client.channels())[0].name == "x"
        server.answers = [(200, CHANNEL)]
        assert (await client.channel("x")).path == "/x"
        server.answers = [(200, {"rooms": [ROOM]})]
        assert (await client.rooms("x")).rooms[0].room == "a"
        server.answers = [(200, {**ROOM, "members": [MEMBER]})]
        assert (await client.room("x", "a", limit=1)).members[0].id == "c"
        server.answers = [(200, {**ROOM, "count": 0, "users": []})]
        assert (await client.presence("x", "a")).count == 0
        server.answers = [(200, {"room": "a", "frames": [], "more": False})]
        assert not (await client.history("x", "a")).more
        server.answers = [(200, {"room": "a", "frames": 3})]
        assert await client.clear("x", "a", key="k") == 3
        server.answers = [(200, {"user": "ann", "online": True, "connections": [CONNECTION]})]
        assert (await client.user("ann")).online


async def test_with_a_key_it_tries_again() -> None:
    server = Server((503, {}), httpx2.ConnectError("refused"), (200, {"nodes": 1}))
    async with client_of(server) as client:
        await client.publish("x", {"type": "y"}, idempotency_key="k")
    assert server.pauses == [2.0, 0.4]


@pytest.mark.parametrize(
    ("answer", "error"), [((422, PROBLEM), ApiError), (httpx2.ReadError("lost"), Unreachable)]
)
async def test_errors(answer: tuple[int, object] | Exception, error: type[Exception]) -> None:
    async with client_of(Server(answer)) as client:
        with pytest.raises(error):
            await client.publish("x", {"type": "y"})


def test_both_clients_have_the_same_verbs() -> None:
    def verbs(of: type) -> dict[str, str]:
        return {
            name: str(inspect.signature(member).parameters)
            for name, member in vars(of).items()
            if inspect.isfunction(member) and not name.startswith("_") and "close" not in name
        }

    assert verbs(Client) == verbs(AsyncClient)
