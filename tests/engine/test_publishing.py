"""What hooks and the API send: who gets it, and what is refused."""

import pytest

from channeld.engine.publishing import FrameRefused
from tests.engine.conftest import Serve

CHANNELS = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    history: {size: 5, ttl: 60s}
    limits: {connections_per_user: 2}
    events:
      paid: {schema: {type: object, required: [amount], properties: {amount: {type: integer}}}}
  open: {path: /open, auth: none, messages: {say: {schema: true, route: sender}}}
"""


async def test_publish_reaches_room_user_and_channel(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/a", user="ann")
        await app.publish("room", {"type": "paid", "amount": 1}, room="a")
        await app.publish("room", {"type": "paid", "amount": 2}, user="ann")
        await app.publish("room", {"type": "paid", "amount": 3})
        frames = [f for f in await ann.received() if f["type"] == "paid"]
        assert [f["amount"] for f in frames] == [1, 2, 3]
        assert ["pos" in f for f in frames] == [True, False, False]


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": 5},
        {"type": "error"},
        {"type": "undeclared"},
        {"type": "paid"},
        {"type": "paid", "amount": "x"},
        {"type": "paid", "amount": 1, "bad": {1, 2}},
    ],
)
async def test_frame_that_clients_may_not_get_is_refused(
    serve: Serve, frame: dict[str, object]
) -> None:
    async with serve(CHANNELS) as app:
        ann = await app.connect("/rooms/a", user="ann")
        await ann.received()
        with pytest.raises(FrameRefused):
            await app.publish("room", frame, room="a")
        assert await ann.received() == []


async def test_unknown_channel_and_bad_room_are_refused(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        with pytest.raises(FrameRefused, match="no channel"):
            await app.publish("nope", {"type": "x"})
        with pytest.raises(FrameRefused, match="room name"):
            await app.publish("room", {"type": "paid", "amount": 1}, room="\0")


async def test_a_history_of_many_bytes_is_given_in_pages(serve: Serve) -> None:
    limits = "    limits: {outbox: 16KiB, message_size: 1KiB}\n    auth: session\n"
    async with serve(
        CHANNELS.replace("    limits: {connections_per_user: 2}\n", "").replace(
            "    auth: session\n", limits, 1
        )
    ) as app:
        for amount in range(5):
            frame = {"type": "paid", "amount": amount, "text": "x" * 3000}
            await app.publish("room", frame, room="a")
        await app.publish("room", {"type": "paid", "amount": 5, "text": "x" * 9000}, room="b")
        ann = await app.connect("/rooms/a", user="ann")
        pages: list[tuple[list[int], bool]] = []
        before: dict[str, str] = {}
        for _ in range(3):
            await ann.send({"type": "history", "limit": 100, **before})
            page = await ann.receive("history")
            pages.append(([one["amount"] for one in page["frames"]], page["more"]))
            before = {"before": page["frames"][0]["pos"]}
        assert pages == [([3, 4], True), ([1, 2], True), ([0], False)]
        bob = await app.connect("/rooms/b", user="bob")
        await bob.send({"type": "history"})
        page = await bob.receive("history")
        assert ([one["amount"] for one in page["frames"]], page["more"]) == ([5], False)
