"""What a node does of a cluster's verb by itself: one function for each verb, from its arguments to rows of JSON."""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.cluster.wire import pack_samples
from channeld.engine.errors import HookFailed
from channeld.engine.states import State
from channeld.hooks import Reject
from channeld.protocol.codes import may_come_back

if TYPE_CHECKING:
    from channeld.cluster.cluster import Cluster
    from channeld.engine.engine import Engine
    from channeld.engine.session import Session

__all__ = ["VERBS", "ConnectionInfo", "connection_of"]

# Whoever asks wants an idea of where a connection is; one that is in more rooms is told in part.
MOST_ROOMS: Final = 1_000

# What the schemas of `wire` let through, and rows that they will let through.
Arguments: TypeAlias = Mapping[str, Any]
Verb: TypeAlias = Callable[["Cluster", Arguments], Coroutine[Any, Any, Sequence[Any]]]


@attrs.frozen(slots=True, kw_only=True)
class ConnectionInfo:
    """A connection, wherever it is. `since` is Unix time; `rooms` are at most a thousand; `node` is where it is."""

    id: str
    channel: str
    user: str | None
    address: str
    since: float
    rooms: tuple[str, ...]
    node: str


def connection_of(node: str, row: Any) -> ConnectionInfo:
    """A row of the answer to `connections`."""
    id, channel, user, address, since, rooms = row
    return ConnectionInfo(
        id=id,
        channel=channel,
        user=user,
        address=address,
        since=since,
        rooms=tuple(rooms),
        node=node,
    )


async def _ping(_cluster: "Cluster", _arguments: Arguments) -> Sequence[Any]:
    return [True]


async def _connections(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    engine = cluster.engine
    clock = engine.runtime.clock
    offset = clock.wall() - clock.monotonic()
    user, room = arguments["user"], arguments["room"]
    return [
        [
            session.connection_id,
            session.channel.name,
            session.user_id,
            session.address,
            round(offset + session.opened_at, 3),
            list(session.rooms)[:MOST_ROOMS],
        ]
        for channel in _channels(engine, arguments["channel"])
        for session in _found(engine, channel, user, room)
        if (user is None or session.user_id == user) and (room is None or room in session.rooms)
    ]


def _channels(engine: "Engine", channel: str | None) -> list[str]:
    if channel is None:
        return list(engine.plan.channels)
    return [channel]


def _found(
    engine: "Engine", channel: str, user: str | None, room: str | None
) -> Iterator["Session"]:
    """By the smallest index that there is."""
    if user is not None:
        topic = Topic("user", channel, user)
    elif room is not None:
        topic = Topic("room", channel, room)
    else:
        topic = Topic("channel", channel, "")
    for member in engine.hub.members(topic):
        session = engine.sessions.get(member.connection_id)
        if session is not None:
            yield session


def _those(engine: "Engine", arguments: Arguments) -> list["Session"]:
    """The sessions of a user, or the one connection; on one channel where that is said."""
    connection, channel = arguments["connection"], arguments.get("channel")
    if connection is None:
        channels = _channels(engine, channel)
        user = arguments["user"]
        return [session for name in channels for session in _found(engine, name, user, None)]
    session = engine.sessions.get(connection)
    if session is None or channel not in (None, session.channel.name):
        return []
    return [session]


async def _rooms(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    hub = cluster.engine.hub
    return [
        [channel, room, connections]
        for channel in _channels(cluster.engine, arguments["channel"])
        for room, connections in hub.topics(channel)
    ]


async def _counts(cluster: "Cluster", _arguments: Arguments) -> Sequence[Any]:
    hub = cluster.engine.hub
    return [
        [channel, hub.size(Topic("channel", channel, ""))]
        for channel in cluster.engine.plan.channels
    ]


async def _disconnect(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    code, reason = arguments["code"], arguments["reason"]
    sessions = _those(cluster.engine, arguments)
    for session in sessions:
        session.disconnect(code, reason, reconnect=may_come_back(code))
    return [len(sessions)]


async def _subscribe(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    room, count = arguments["room"], 0
    if not cluster.engine.is_room_name(room):
        return [0]
    for session in _those(cluster.engine, arguments):
        if session.is_in(State.OPEN):
            try:
                await session.join(room)
            except BrokerUnavailable:
                break
            count += 1
    return [count]


async def _unsubscribe(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    room, count = arguments["room"], 0
    for session in _those(cluster.engine, arguments):
        if room in session.rooms:
            count += 1
            # It has left here, whatever the hook says and whether or not the broker could be told.
            with suppress(Reject, HookFailed, BrokerUnavailable):
                await session.leave(room, arguments["reason"])
    return [count]


async def _online(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    return [cluster.engine.hub.online(arguments["channel"], arguments["user"])]


async def _samples(cluster: "Cluster", arguments: Arguments) -> Sequence[Any]:
    return pack_samples(cluster.samples_here()) if arguments["group"] == cluster.group else []


VERBS: Final[Mapping[str, Verb]] = {
    "ping": _ping,
    "connections": _connections,
    "rooms": _rooms,
    "counts": _counts,
    "disconnect": _disconnect,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "online": _online,
    "samples": _samples,
}
