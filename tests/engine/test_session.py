"""What a session says of itself: answers, errors and their budget, the goodbye; and the verbs it keeps in order."""

import pytest
import trio

from channeld.engine.session import State
from channeld.later import yield_to_task
from channeld.testing.client import Refused
from tests.engine.conftest import Serve

ECHO = """
  echo: {path: /echo, auth: none, messages: {say: {schema: true, route: sender}}}
"""


async def test_an_error_frame_keeps_its_own_fields(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        client.session.refuse("OWN", "no", 7, {"type": "ack", "hint": 1})
        assert await client.receive() == {
            "type": "error", "code": "OWN", "message": "no", "hint": 1, "id": 7,
        }  # fmt: skip


async def test_errors_of_the_server_s_own_cost_a_client_nothing(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        for _ in range(100):
            client.session.fail(None, "ref")
        assert client.closed is None


async def test_the_goodbye_is_said_once(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        client.session.disconnect(1012, "bye", reconnect=True, retry_after=2.0)
        client.session.disconnect(4410, "again", reconnect=False)
        client.session.refuse("LATE", "nobody hears it")
        assert await client.received() == [
            {"type": "disconnect", "code": 1012, "reason": "bye", "reconnect": True, "retry_after": 2.0}
        ]  # fmt: skip
        assert client.session.is_in(State.CLOSED)


async def test_verbs_that_must_wait_keep_their_order(serve: Serve) -> None:
    async with serve(ECHO) as app:
        client = await app.connect("/echo")
        session, gate = client.session, trio.Event()
        done: list[str] = []

        async def verb(name: str) -> None:
            if name == "slow":
                await yield_to_task()
                await gate.wait()
            done.append(name)

        for name in ("first", "slow", "third"):
            session.perform(verb(name))
        await app.rest()
        assert done == ["first"]
        gate.set()
        await app.rest()
        assert done == ["first", "slow", "third"]


async def test_templates_reach_what_the_query_says(serve: Serve) -> None:
    channel = """
  c:
    path: /c
    auth: none
    query: {view: {type: string, default: map}, zoom: {type: integer}}
    rooms: "{query.view}"
    messages:
      say: {schema: true, route: sender, stamp: {zoom: "{query.zoom?}", view: "{query.view}"}}
"""
    async with serve(channel) as app:
        client = await app.connect("/c?view=list&zoom=3")
        await client.send({"type": "say"})
        assert await client.receive() == {"type": "say", "zoom": 3, "view": "list"}
        assert [session.home for session in app.engine.sessions.values()] == ["list"]
        bare = await app.connect("/c")
        await bare.send({"type": "say", "zoom": 9})
        assert await bare.receive() == {"type": "say", "view": "map"}
        with pytest.raises(Refused):
            await app.connect("/c?zoom=far")


async def test_what_one_session_puts_aside_is_not_another_s(serve: Serve) -> None:
    async with serve(ECHO) as app:
        one, other = await app.connect("/echo"), await app.connect("/echo")
        assert one.session is not None
        assert other.session is not None
        assert one.session.aside is other.session.aside
        one.session.refuse("OWN", "no")
        assert [code for _, code in one.session.aside.refusals] == ["OWN"]
        assert other.session.aside.refusals == ()
        assert one.session.own_aside() is one.session.aside


async def test_params_are_those_of_the_path_in_its_order(serve: Serve) -> None:
    channel = "\n  c: {path: '/c/{b}/{a}', auth: none}\n"
    async with serve(channel) as app:
        client = await app.connect("/c/1/2")
        assert client.session is not None
        assert list(client.session.params.items()) == [("b", "1"), ("a", "2")]
