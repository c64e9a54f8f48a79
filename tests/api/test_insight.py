from tests.api.conftest import Start


class SlowPeer:
    """A connection as the server has it, for which bytes wait."""

    queued = 5000

    def send(self, frame: bytes) -> None: ...
    def ready(self) -> None: ...
    def close(self, code: int, reason: str = "") -> None: ...


async def test_the_past_is_told(api: Start) -> None:
    async with api() as it:
        for at in (100.0, 105.0):
            it.control.past.take(at, await it.control.cluster.samples())
        answer = await it.get("/console/past")
        assert (answer["every"], answer["kept"], len(answer["moments"])) == (5.0, 120, 1)
        assert set(answer["moments"][0]["channels"]) == {"lobby"}


async def test_the_largest_rooms_and_the_slowest_clients(api: Start) -> None:
    async with api() as it:
        await it.enter("b", "ann")
        slow = await it.enter("b", "bob")
        await it.enter("a", "eve")
        answer = await it.get("/console/busy")
        sizes = [(one["room"], one["connections"]) for one in answer["rooms"]]
        assert sizes == [("b", 2), ("a", 1)]
        assert answer["slow"] == []
        session = next(one for one in it.app.engine.sessions.values() if one.user_id == "bob")
        peer, session.peer = session.peer, SlowPeer()
        [found] = (await it.get("/console/busy"))["slow"]
        session.peer = peer
        assert (found["user"], found["channel"], found["bytes"]) == ("bob", "room", 5000)
        assert slow.closed is None


async def test_a_connection_with_what_it_may_send_and_what_was_refused(api: Start) -> None:
    async with api() as it:
        client = await it.member("x")
        for _ in range(7):
            await client.send({"type": "say", "text": "far too long"})
        await client.received()
        [id] = it.app.engine.sessions
        answer = await it.get(f"/console/connections/{id}")
        assert (answer["channel"], answer["user"], answer["rooms"]) == ("lobby", None, ["x"])
        messages, errors = answer["allowances"]
        assert (messages["name"], errors["name"]) == ("messages", "errors")
        assert messages["left"] == messages["burst"] - 8
        assert errors["left"] == errors["burst"] - 7
        assert [one["code"] for one in answer["refusals"]] == ["INVALID_MESSAGE"] * 5
        assert "far too long" not in str(answer)


async def test_one_that_is_gone_is_404(api: Start) -> None:
    async with api() as it:
        assert (await it.get("/console/connections/nobody", 404))["status"] == 404


async def test_all_of_it_needs_the_key(api: Start) -> None:
    async with api() as it:
        del it.http.headers["authorization"]
        for path in ("past", "busy", "connections/x"):
            await it.get(f"/console/{path}", 401)
