from tests.api.conftest import Start


async def test_a_user_is_kicked_everywhere(api: Start) -> None:
    async with api() as it:
        ann, feed = await it.enter("a", "ann"), await it.app.connect("/feed", user="ann")
        bob = await it.enter("a", "bob")
        answer = await it.post("/v1/disconnect", {"user": "ann", "reason": "behave"})
        assert answer == {"connections": 2}
        assert await ann.wait_closed() == await feed.wait_closed() == (4410, "behave")
        assert bob.closed is None


async def test_one_connection_is_closed_with_a_code(api: Start) -> None:
    async with api() as it:
        one, other = await it.member(), await it.member()
        assert one.session is not None
        asked = {"connection": one.session.connection_id, "code": 4950}
        assert await it.post("/v1/disconnect", asked) == {"connections": 1}
        assert (await one.wait_closed())[0] == 4950
        assert other.closed is None


async def test_nobody_to_disconnect(api: Start) -> None:
    async with api() as it:
        assert await it.post("/v1/disconnect", {"user": "nobody"}) == {"connections": 0}


async def test_into_a_room_and_out_of_it(api: Start) -> None:
    async with api() as it:
        ann = await it.app.connect("/feed", user="ann")
        asked = {"user": "ann", "channel": "feed", "room": "r"}
        assert await it.post("/v1/subscribe", asked) == {"connections": 1}
        assert (await ann.receive("subscribed"))["room"] == "r"
        await it.publish(channel="feed", to="room", room="r", event={"type": "x"})
        assert (await ann.receive())["type"] == "x"
        assert await it.post("/v1/unsubscribe", asked) == {"connections": 1}
        assert (await ann.receive("unsubscribed"))["room"] == "r"
        assert await it.post("/v1/unsubscribe", asked) == {"connections": 0}


async def test_membership_of_an_unknown_channel(api: Start) -> None:
    async with api() as it:
        asked = {"user": "ann", "channel": "nowhere", "room": "r"}
        await it.post("/v1/subscribe", asked, 404)
        await it.post("/v1/unsubscribe", asked, 404)
        await it.post("/v1/subscribe", {**asked, "room": "a\tb"}, 400)
