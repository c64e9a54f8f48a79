"""The frames that every channel understands: authenticate, subscribe, unsubscribe, presence, history.

(`ping` is answered in `session.py`.) Their shapes are checked by schemas, like a declared message's.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from channeld.broker.broker import BrokerUnavailable, Position, Topic
from channeld.engine import identity
from channeld.engine.errors import Forbidden
from channeld.engine.hook_calls import call_hook
from channeld.hub.hub import with_position
from channeld.plan.plan import PresencePlan
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Frame, Json, encode
from channeld.protocol.names import is_room_name
from channeld.schema.schemas import validator_of
from channeld.schema.violations import Validator, Violation

if TYPE_CHECKING:
    from channeld.engine.session import Session

__all__ = ["enter", "join", "leave", "receive"]

ROOM: Json = {"type": "string", "minLength": 1, "maxLength": 128}
POSITION: Json = {"type": "string", "maxLength": 128}


def _schema(required: list[Json], **properties: Json) -> Validator:
    return validator_of(
        {
            "type": "object",
            "required": required,
            "properties": properties,
            "additionalProperties": False,
        }
    )


SCHEMAS: Mapping[str, Validator] = {
    "authenticate": _schema(["token"], token={"type": "string"}),
    "subscribe": _schema(["room"], room=ROOM, since=POSITION),
    "unsubscribe": _schema(["room"], room=ROOM),
    "presence": _schema([], room=ROOM, only={"const": "count"}),
    "history": _schema(
        [], room=ROOM, limit={"type": "integer", "minimum": 1, "maximum": 1000}, before=POSITION
    ),
}

DEFAULT_HISTORY_LIMIT = 50


async def receive(
    session: "Session", kind: str, frame: Frame, id: str | int | None, now: float
) -> None:
    """Answer one of the reserved frames of a client that has been let in."""
    validator = SCHEMAS[kind]
    if not validator.accepts(frame):
        return session.refuse_message(validator.explain(frame), id)
    return await VERBS[kind](session, frame, id)


# --------------------------------------------------------------------------------------------------------- verbs


async def _authenticate(session: "Session", frame: Frame, id: str | int | None) -> None:
    if not session.channel.auth:
        raise Forbidden("This channel takes no token")
    await identity.renew(session, frame["token"], id)


async def _subscribe(session: "Session", frame: Frame, id: str | int | None) -> None:
    channel, room = session.channel, frame["room"]
    if not is_room_name(room):
        text = "must be a room name: NFC, no control characters"
        return session.refuse_message([Violation("/room", text, "format")], id)
    if channel.subscribe is None or not channel.subscribe.allows(session, room):
        raise Forbidden("You may not join this room", room)
    if room not in session.rooms:
        most = channel.limits.rooms_per_connection
        if channel.subscribe.max is not None:
            most = min(most, channel.subscribe.max)
        if len(session.rooms) >= most:
            text = f"A connection may be in {most} rooms"
            return session.refuse(ErrorCode.LIMIT_EXCEEDED, text, id, limit=most)
        for hook in (channel.subscribe.hook, channel.on_subscribe):
            if hook is not None:
                await call_hook(session, hook, room)
    return await join(session, room, frame.get("since"), asked=True, id=id)


async def _unsubscribe(session: "Session", frame: Frame, id: str | int | None) -> None:
    if frame["room"] not in session.rooms:
        raise Forbidden("You are not in this room", frame["room"])
    await leave(session, frame["room"], id)


async def _presence(session: "Session", frame: Frame, id: str | int | None) -> None:
    topic = _presence_topic(session, frame)
    presence = session.engine.hub.presence
    count = frame.get("only") == "count"
    session.answer(await (presence.count(topic) if count else presence.state(topic)), id)


def _presence_topic(session: "Session", frame: Frame) -> Topic:
    plan = session.channel.presence
    if plan is None:
        raise Forbidden("This channel has no presence", frame.get("room"))
    if plan.scope == "channel":
        return Topic("channel", session.channel.name, "")
    return _own_room(session, frame)


def _own_room(session: "Session", frame: Frame) -> Topic:
    room = frame.get("room", session.home)
    topic = session.rooms.get(room) if room is not None else None
    if topic is None:
        raise Forbidden("You are not in this room", room)
    return topic


async def _history(session: "Session", frame: Frame, id: str | int | None) -> None:
    channel = session.channel
    if channel.history is None:
        raise Forbidden("This channel keeps no history", frame.get("room"))
    room = _own_room(session, frame).name
    before = None
    if "before" in frame:
        before = Position.parse(frame["before"])
        if before is None:
            text = "must be a `pos` that the server gave"
            return session.refuse_message([Violation("/before", text, "format")], id)
    limit = int(frame.get("limit", DEFAULT_HISTORY_LIMIT))
    page = await session.engine.history(channel, room, limit, before)
    frames = [orjson.Fragment(payload) for payload in page.payloads]
    return session.answer(
        {"type": "history", "room": room, "frames": frames, "more": page.more}, id
    )


VERBS = {
    "authenticate": _authenticate,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "presence": _presence,
    "history": _history,
}


# --------------------------------------------------------------------------------------------------------- rooms


async def join(
    session: "Session",
    room: str,
    since: str | None,
    *,
    asked: bool,
    id: str | int | None = None,
) -> None:
    """Put a connection into a room: say so when `asked`, send what it missed, and who is there.

    Raises:
        BrokerUnavailable: it is not in the room.
    """
    channel, hub = session.channel, session.engine.hub
    topic = hub.shared(Topic("room", channel.name, room))
    is_new = room not in session.rooms
    if channel.history is None:
        await hub.join(session, topic)
        if asked:
            lost = {"recovered": False} if since is not None else {}
            session.answer({"type": "subscribed", "room": room, **lost}, id)
    else:
        await _join_with_history(session, topic, since, asked, id)
    observer = session.engine.observer
    if is_new and observer is not None:
        observer.joined(session, topic)
    if is_new and channel.presence is not None and channel.presence.scope == "room":
        try:
            await enter(session, topic, channel.presence)
        except Exception:
            # It may have been counted in or not; that it leaves is right in either case.
            with suppress(BrokerUnavailable):
                await hub.leave(session, topic, channel.presence)
            if observer is not None:
                observer.left(session, topic)
            if asked:
                session.send({"type": "unsubscribed", "room": room, "reason": "unavailable"})
            raise


async def _join_with_history(
    session: "Session", topic: Topic, since: str | None, asked: bool, id: str | int | None
) -> None:
    keep = session.channel.history
    assert keep is not None  # noqa: S101 - the caller has looked
    position = Position.parse(since) if since is not None else None
    catching = await session.engine.hub.join_with_history(session, topic, keep, position)
    page = catching.page
    if asked:
        frame: Frame = {"type": "subscribed", "room": topic.name, "pos": str(page.top)}
        if since is not None:
            frame["recovered"] = page.recovered and position is not None
        session.answer(frame, id)
    for kept in page.frames:
        session.peer.send(with_position(kept.payload, kept.position))
    catching.release()


async def enter(session: "Session", topic: Topic, plan: PresencePlan) -> None:
    """Count a connection in a topic's presence and tell it who is there."""
    hub = session.engine.hub
    info = plan.info(session, {}) if session.user_id is not None else {}
    # Whoever can't be shown must not be counted: everybody's list would fail with it.
    encode(dict(info))
    await hub.enter_presence(session, topic, plan, info)
    session.send(await hub.presence.state(topic))


async def leave(
    session: "Session", room: str, id: str | int | None, reason: str | None = None
) -> None:
    """Take a connection out of a room and tell it so; nothing if it is not in it."""
    topic = session.rooms.get(room)
    if topic is None:
        return
    channel, engine = session.channel, session.engine
    try:
        await engine.hub.leave(session, topic, channel.presence)
    finally:
        if engine.observer is not None:
            engine.observer.left(session, topic)
    frame: Frame = {"type": "unsubscribed", "room": room}
    if reason is not None:
        frame["reason"] = reason
    session.answer(frame, id)
    if channel.on_unsubscribe is not None:
        await call_hook(session, channel.on_unsubscribe, room)
