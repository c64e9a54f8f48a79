"""One node's part of each cluster verb: a function from the verb's arguments to rows of JSON."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import attrs

from channeld.auth.revocations import Revocation, RevocationsFull
from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.cluster.plans import OtherPlans
from channeld.cluster.wire import pack_samples
from channeld.engine.engine import Engine
from channeld.engine.errors import HookFailed
from channeld.engine.publishing import FrameRefused
from channeld.engine.session import Session, State
from channeld.hooks import Reject
from channeld.later import yield_to_task
from channeld.protocol.codes import may_come_back
from channeld.protocol.frames import CheckedJson, Json
from channeld.protocol.names import is_room_name
from channeld.telemetry import Sample

# Of a connection in more rooms, only this many are named.
MOST_ROOMS: Final = 1_000

# Checked against the schemas of `wire`.
Arguments: TypeAlias = Mapping[str, CheckedJson]


Post: TypeAlias = Callable[[str, str, str | None, list[bytes]], Awaitable[list[bytes] | int]]
"""Gives a stream of this node the messages that its client posted to another node; returns the answers, or an HTTP status."""


Published: TypeAlias = Callable[[str, str], Awaitable[tuple[str, str | None] | None]]
"""Looks up a channel's idempotency key on this node; returns the request's fingerprint and the position it was published at."""


@attrs.define(eq=False)
class ThisNode:
    """What this node answers from: its engine, the group of processes it was started with, and what the server adds.

    `is_ready`: whether this node accepts clients.
    """

    engine: Engine
    group: str
    samples: Callable[[], Iterable[Sample]] = tuple
    is_ready: Callable[[], bool] = lambda: True
    post: Post | None = None
    published: Published | None = None
    plans: OtherPlans = attrs.field(init=False)

    @plans.default
    def _make_plans(self) -> OtherPlans:
        return OtherPlans(lambda: self.engine.plan)


Verb: TypeAlias = Callable[[ThisNode, Arguments], Coroutine[object, object, Sequence[Json]]]


@attrs.frozen(slots=True, kw_only=True)
class ConnectionInfo:
    """A connection on any node. `since` is Unix time; `rooms` names at most a thousand."""

    id: str
    channel: str
    user: str | None
    address: str
    since: float
    rooms: tuple[str, ...]
    node: str


def connection_of(node: str, row: CheckedJson) -> ConnectionInfo:
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


async def _ping(_node: ThisNode, _arguments: Arguments) -> Sequence[Json]:
    return [True]


async def _connections(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    engine = node.engine
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
            list[Json](session.rooms)[:MOST_ROOMS],
        ]
        for channel in _channels(engine, arguments["channel"])
        for session in _found(engine, channel, user, room)
        if (user is None or session.user_id == user) and (room is None or room in session.rooms)
    ]


def _channels(engine: Engine, channel: str | None) -> list[str]:
    if channel is None:
        return list(engine.plan.channels)
    return [channel]


def _found(engine: Engine, channel: str, user: str | None, room: str | None) -> Iterator[Session]:
    """The sessions in the smallest index that fits."""
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


def _those(engine: Engine, arguments: Arguments) -> list[Session]:
    """The sessions of a user, or the one connection; only those on `channel`, if it is given."""
    connection, channel = arguments["connection"], arguments.get("channel")
    if connection is None:
        channels = _channels(engine, channel)
        user = arguments["user"]
        return [session for name in channels for session in _found(engine, name, user, None)]
    session = engine.sessions.get(connection)
    if session is None or channel not in (None, session.channel.name):
        return []
    return [session]


async def _rooms(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    hub = node.engine.hub
    return [
        [channel, room, connections]
        for channel in _channels(node.engine, arguments["channel"])
        for room, connections in hub.topics(channel)
    ]


async def _counts(node: ThisNode, _arguments: Arguments) -> Sequence[Json]:
    hub = node.engine.hub
    return [
        [channel, hub.size(Topic("channel", channel, ""))] for channel in node.engine.plan.channels
    ]


async def _disconnect(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    code, reason = arguments["code"], arguments["reason"]
    user, channel = arguments["user"], arguments.get("channel")
    reads = [
        read
        for read in node.engine.reads
        if user is not None and read.user_id == user and channel in (None, read.channel.name)
    ]
    connections = (*_those(node.engine, arguments), *reads)
    for one in connections:
        one.disconnect(code, reason, reconnect=may_come_back(code))
    return [len(connections)]


async def _subscribe(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    room, count = arguments["room"], 0
    if not is_room_name(room):
        return [0]
    for session in _those(node.engine, arguments):
        if session.is_in(State.OPEN):
            try:
                await node.engine.join(session.connection_id, room)
            except BrokerUnavailable:
                break
            count += 1
    return [count]


async def _unsubscribe(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    room, count = arguments["room"], 0
    for session in _those(node.engine, arguments):
        if room in session.rooms:
            count += 1
            # On this node it has left, even if the hook fails or the broker is unreachable.
            with suppress(Reject, HookFailed, BrokerUnavailable):
                await node.engine.leave(session.connection_id, room, arguments["reason"])
    return [count]


async def _plan(node: ThisNode, _arguments: Arguments) -> Sequence[Json]:
    return node.plans.rows()


async def _online(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    return [node.engine.hub.online(arguments["channel"], arguments["user"])]


async def _show(node: ThisNode, arguments: Arguments) -> list[bool]:
    try:
        return [
            await node.engine.show(arguments["connection"], arguments["room"], arguments["state"])
        ]
    except (FrameRefused, BrokerUnavailable):
        # This node has another configuration, or the broker is unreachable.
        return [False]


async def _revoke(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    try:
        return [node.engine.revoke(Revocation(**arguments))]
    except RevocationsFull:
        return [0]


async def _restore(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    return [node.engine.revocations.remove(arguments["id"])]


async def _samples(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    return pack_samples(node.samples()) if arguments["group"] == node.group else []


async def _post(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    if node.post is None:
        return []
    texts = [text.encode() for text in arguments["texts"]]
    # A posted message may have to wait.
    await yield_to_task()
    found = await node.post(arguments["stream"], arguments["channel"], arguments["user"], texts)
    if isinstance(found, int):
        return [] if found == 404 else [found]
    return [[answer.decode() for answer in found]]


async def _published(node: ThisNode, arguments: Arguments) -> Sequence[Json]:
    if node.published is None:
        return []
    # The publication may not be finished yet.
    await yield_to_task()
    found = await node.published(arguments["channel"], arguments["key"])
    return [] if found is None else [[*found]]


VERBS: Final[Mapping[str, Verb]] = {
    "ping": _ping,
    "connections": _connections,
    "rooms": _rooms,
    "counts": _counts,
    "disconnect": _disconnect,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "plan": _plan,
    "online": _online,
    "show": _show,
    "revoke": _revoke,
    "restore": _restore,
    "post": _post,
    "published": _published,
    "samples": _samples,
}
