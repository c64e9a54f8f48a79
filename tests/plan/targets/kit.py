"""A sender for targets: what a session is to them."""

from types import SimpleNamespace
from typing import Any

from channeld.config.model import Channel, ChannelAuth, Message, Rooms
from channeld.protocol.names import Topic

CHANNEL = Channel(name="c", path="/c", auth=ChannelAuth(), rooms=Rooms(join=("{params.x}",)))
MESSAGE = Message(schema=True)


def sender(*rooms: str, home: str | None = None) -> Any:
    """A connection to channel `c` that is in these rooms."""
    return SimpleNamespace(
        channel=SimpleNamespace(name="c"),
        rooms={room: Topic("room", "c", room) for room in rooms},
        home=home,
        room=None,
    )
