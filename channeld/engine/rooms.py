"""A connection's rooms: joining (what was missed, who is there), leaving, and presence."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Final

from channeld.broker.broker import BrokerUnavailable, History, Page, Position, Topic
from channeld.engine.errors import refuse_for
from channeld.engine.hook_calls import call_hook
from channeld.engine.session import Origin, Session, State
from channeld.hub.hub import Info, with_position
from channeld.hub.rooms import Catching
from channeld.later import Pending, resolved, start, yield_to_task
from channeld.plan.plan import MISSING, PresencePlan
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.frames import Frame, encode
from channeld.protocol.names import is_plain, is_room_name, room_name

AT_ONCE: Final = 100
"""Rooms that one connection joins or leaves in a turn; with presence they take about a millisecond."""

JOINS_AT_ONCE: Final = 20
"""Rooms that one connection requests from the broker before it waits for the first answer; divides `AT_ONCE`."""

FRAMES_AT_ONCE: Final = 500
"""Frames of a history that are sent in a turn; they take about a millisecond."""

LARGE: Final = 8 * 1024
"""Size of a token or an answer, in bytes, from which it takes 0.1 ms or more to verify, or to encode and send."""

_NOTHING: Final[Info] = {}


def wanted(session: Session) -> list[str] | None:
    """The rooms that `rooms.join` gives a connection now; None if a name is invalid, which closes the connection."""
    rendered = [template(session, {}) for template in session.channel.join]
    most = session.channel.limits.rooms_per_connection
    names: dict[str, None] = {}
    session.home = session.room = None
    if len(rendered) == 1 and isinstance(rendered[0], str):
        session.home = session.room = room_name(rendered[0])
    for room in _named(rendered) if session.home is None else (session.home,):
        names[room] = None
        if len(names) > most:
            break  # a token may list more rooms than there is time for
    for room in names:
        if not is_room_name(room):
            session.refuse(
                ErrorCode.FORBIDDEN, "This is not a valid room name", None, {"room": room[:128]}
            )
            session.end(CloseCode.FORBIDDEN, "forbidden")
            return None
    if len(names) > most:
        session.refuse(ErrorCode.LIMIT_EXCEEDED, "Too many rooms to join", None, {"limit": most})
    return list(names)[:most]


def _named(rendered: list[object]) -> Iterator[str]:
    for room in rendered:
        if isinstance(room, list):
            # Entries of a token's list that are not room names are skipped, so that the valid ones still work. The cheap check
            # comes first, because a token may have thousands.
            plain = filter(is_plain, dict.fromkeys(room))
            yield from filter(is_room_name, map(room_name, plain))
        elif room is not MISSING:
            yield room_name(str(room))


async def put(session: Session, room: str) -> None:
    """Put a connection into a room for a hook or the control API, and send it `subscribed`.

    Raises:
        ValueError: it is not a valid room name.
        BrokerUnavailable: it is not in the room.
    """
    room = room_name(room)
    if not is_room_name(room):
        raise ValueError("a room name has 1 to 128 characters, each of which can be seen")
    if room in session.rooms or session.is_in(State.ENDING, State.CLOSED):
        return
    session.note_origin(room, Origin.PUT)
    await join(session, room, None, asked=True)
    if session.is_in(State.CLOSED):
        # The connection ended while the broker was asked, and nobody else would take it out.
        await leave(session, room)


async def join(
    session: Session,
    room: str,
    since: str | None,
    *,
    asked: bool,
    id: str | int | None = None,
    by_client: bool = False,
) -> None:
    """Put a connection into a room: confirm it if `asked`, then send missed frames and presence.

    Raises:
        BrokerUnavailable: it is not in the room.
    """
    channel, hub = session.channel, session.engine.hub
    topic = hub.shared(Topic("room", channel.name, room))
    is_new, presence = room not in session.rooms, channel.presence
    counts = is_new and presence is not None and presence.scope == "room"
    info = info_of(session, presence) if counts and presence is not None else None
    observer = session.engine.observer if is_new else None
    if observer is not None:
        observer.joining(session, topic)
    catching = None
    try:
        if channel.history is None:
            await hub.join(session, topic, info)
            lost = {"recovered": False} if since is not None else {}
            frame: Frame = {"type": "subscribed", "room": room, **lost}
        else:
            position = Position.parse(since) if since is not None else None
            catching = await hub.join_with_history(session, topic, channel.history, position, info)
            frame = _subscribed(topic, channel.history, catching.page, since)
    finally:
        # The connection may have ended in the meantime.
        if observer is not None and room in session.rooms:
            observer.joined(session, topic)
        elif observer is not None:
            observer.left(session, topic)
    is_in = room in session.rooms
    if asked and (by_client or is_in):
        session.answer(frame, id, by_client=by_client)
    if is_in:
        await _tell(session, topic, catching, shows=info is not None, asked=asked)
    elif by_client:
        # A hook or the control API took it out while the broker was asked: that is the last thing the client is told.
        session.send({"type": "unsubscribed", "room": room})


async def _tell(
    session: Session, topic: Topic, catching: Catching | None, *, shows: bool, asked: bool
) -> None:
    """Send a new member the frames that it missed and, if `shows`, who is present."""
    try:
        if catching is not None:
            await _catch_up(session, topic, catching)
        if shows and topic.name in session.rooms:
            await _show_state(session, topic)
    except BrokerUnavailable:
        await _put_out(session, topic, is_told=asked)
        raise


async def join_all(session: Session, names: Sequence[str], since: Mapping[str, str]) -> None:
    """Put an opening connection into rooms: all are requested at once, and the client is told of one after the other.

    Raises:
        BrokerUnavailable: one of them failed; the connection is not in that room or in those after it.
    """
    asked = session.channel.history is not None
    joining: list[Pending[None]] = []
    try:
        for room in names:
            if session.is_in(State.OPENING):
                rest = start(join(session, room, since.get(room), asked=asked))
                if rest is not None:
                    joining.append(rest)
        while joining:
            await joining.pop(0).inside()
    finally:
        for rest in joining:
            rest.close()


async def _put_out(session: Session, topic: Topic, *, is_told: bool) -> None:
    """Take a connection out of a room because it could not be sent everything that a new member has to get."""
    with suppress(BrokerUnavailable):
        await session.engine.hub.leave(session, topic, session.channel.presence)
    if session.engine.observer is not None:
        session.engine.observer.left(session, topic)
    if is_told:
        session.send({"type": "unsubscribed", "room": topic.name, "reason": "unavailable"})


def _subscribed(topic: Topic, keep: History, page: Page, since: str | None) -> Frame:
    frame: Frame = {"type": "subscribed", "room": topic.name, "pos": str(page.top)}
    if since is not None:
        frame["recovered"] = page.recovered and Position.parse(since) is not None
    if keep.replay and not frame.get("recovered"):
        frame["replayed"] = page.replayed
    return frame


async def _catch_up(session: Session, topic: Topic, catching: Catching) -> None:
    """Send missed frames, page by page, as fast as the client reads."""
    has_more = True
    while has_more:
        for done, kept in enumerate(catching.page.frames):
            await share_turn(session, done, FRAMES_AT_ONCE)
            await resolved(session.peer.ready())
            if catching.is_left:
                return
            session.peer.send(with_position(kept.payload, kept.position))
        await resolved(session.peer.ready())
        has_more = await catching.turn()
        if catching.is_left:
            return
        if has_more and not catching.page.recovered:
            # Frames were dropped from the history before the client had read that far.
            pos = str(catching.page.top)
            lost = {"type": "subscribed", "room": topic.name, "pos": pos, "recovered": False}
            session.send(lost)
    catching.release()


async def enter(session: Session, topic: Topic, plan: PresencePlan) -> None:
    """Count a connection in a topic's presence, and send it who is present."""
    await session.engine.hub.enter_presence(session, topic, info_of(session, plan))
    await _show_state(session, topic)


def info_of(session: Session, plan: PresencePlan) -> Info:
    """What presence shows of a user, from the current plan and claims."""
    info = plan.info(session, {}) if session.user_id is not None else _NOTHING
    if not info:
        # Most channels show no info; all their users share one mapping.
        return _NOTHING
    # Info that is not JSON must not be counted: everybody's list would fail.
    encode(dict(info))
    return info


async def _show_state(session: Session, topic: Topic) -> None:
    await resolved(session.peer.ready())
    state = await session.engine.hub.presence.state(topic)
    if topic.is_room and topic.name not in session.rooms:
        return
    session.peer.send(state)
    await rest_after(session, len(state))


async def share_turn(session: Session, done: int, at_once: int = AT_ONCE) -> None:
    """Give other tasks a turn whenever this connection has `done` as many things, such as joins, as a turn allows."""
    if done and not done % at_once:
        await yield_to_task()
        await session.engine.runtime.give_way()


async def rest_after(session: Session, size: int) -> None:
    """Give other tasks a turn after a large token or answer, of `size` bytes."""
    if size > LARGE:
        await yield_to_task()
        await session.engine.runtime.give_way()


async def leave_most(session: Session) -> None:
    """Take an ended connection out of its rooms, except for the last few, which can be left in one turn."""
    channel, engine = session.channel, session.engine
    while len(session.rooms) > AT_ONCE:
        for topic in list(islice(session.rooms.values(), AT_ONCE)):
            with suppress(BrokerUnavailable):
                await engine.hub.leave(session, topic, channel.presence, session.away)
            if engine.observer is not None:
                engine.observer.left(session, topic)
        await yield_to_task()
        await engine.runtime.give_way()


async def leave(
    session: Session,
    room: str,
    reason: str | None = None,
    *,
    id: str | int | None = None,
    by_client: bool = False,
) -> None:
    """Take a connection out of a room and tell its client. Does nothing if it is not in the room."""
    topic = session.rooms.get(room)
    if topic is None:
        return
    channel, engine = session.channel, session.engine
    session.forget_origin(room)
    try:
        await engine.hub.leave(session, topic, channel.presence)
    finally:
        if engine.observer is not None:
            engine.observer.left(session, topic)
    frame: Frame = {"type": "unsubscribed", "room": room}
    if reason is not None:
        frame["reason"] = reason
    session.answer(frame, id, by_client=by_client)
    if channel.on_unsubscribe is not None:
        try:
            await call_hook(session, channel.on_unsubscribe, room)
        except (
            Exception
        ) as error:  # the hook cannot refuse, and the client's frame has been answered
            refuse_for(session, error, None)


@asynccontextmanager
async def turn(session: Session) -> AsyncIterator[None]:
    """Wait for earlier callers; later ones wait until the block ends."""
    mine = session.engine.runtime.make_event()
    queue = session.turns = session.turns or []
    queue.append(mine)
    try:
        if queue[0] is not mine:
            await yield_to_task()
            await mine.wait()
        yield
    finally:
        queue.remove(mine)
        if queue:
            queue[0].set()
        else:
            session.turns = None


async def settled(session: Session) -> None:
    """Wait until no change of the rooms is under way."""
    async with turn(session):
        pass
