"""What the protocol's own frames do: authenticate, subscribe, unsubscribe, presence, history.

Their schemas come from the table in `channeld.protocol.reserved` and are checked like those of declared messages. (`ping` is answered
in `receive.py`.)
"""

from collections.abc import Awaitable, Callable, Mapping

import attrs
import orjson

from channeld.broker.broker import Position, Topic
from channeld.engine import publishing, rooms
from channeld.engine.errors import Forbidden
from channeld.engine.hook_calls import call_hook
from channeld.engine.renewal import may_subscribe, renew
from channeld.engine.rooms import turn
from channeld.engine.session import Origin, Session, State
from channeld.engine.showing import show
from channeld.later import resolved
from channeld.plan.plan import SubscribePlan
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Frame, with_id
from channeld.protocol.names import is_room_name, room_name
from channeld.protocol.reserved import EVERYTHING, FRAMES
from channeld.schema.compiled import compiled
from channeld.schema.violations import Validator, Violation

SCHEMAS: Mapping[str, Validator] = {
    frame.type: compiled(schema)
    for frame in FRAMES
    if frame.side == "client"
    for schema in frame.schemas(EVERYTHING)
}

DEFAULT_HISTORY_LIMIT = 50

CHANGING = frozenset({"authenticate", "subscribe", "unsubscribe"})
"""The frames that change the rooms of their connection."""


async def receive(
    session: Session, kind: str, frame: Frame, id: str | int | None, now: float
) -> None:
    """Answer a reserved frame of an accepted client."""
    validator = SCHEMAS[kind]
    if not validator.accepts(frame):
        return session.refuse_message(validator.explain(frame), id)
    if "room" in frame:
        frame["room"] = room_name(frame["room"])
    if kind not in CHANGING:
        return await VERBS[kind](session, frame, id)
    async with turn(session):
        return await VERBS[kind](session, frame, id)


# --------------------------------------------------------------------------------------------------------- verbs


async def _authenticate(session: Session, frame: Frame, id: str | int | None) -> None:
    if not session.channel.auth:
        raise Forbidden("This channel takes no token")
    await renew(session, frame["token"], id)


async def _subscribe(session: Session, frame: Frame, id: str | int | None) -> None:
    channel, room = session.channel, frame["room"]
    if not is_room_name(room):
        text = "must be a room name: only characters that can be seen"
        return session.refuse_message([Violation("/room", text, "format")], id)
    if channel.subscribe is None or not may_subscribe(session, room):
        raise Forbidden("You may not join this room", room)
    publications: list[Callable[[], Awaitable[None]]] = []
    if room not in session.rooms:
        full = _full(session, channel.subscribe)
        if full is not None:
            text, limit = full
            return session.refuse(ErrorCode.LIMIT_EXCEEDED, text, id, {"limit": limit})
        await _ask_hooks(session, channel.subscribe, room, publications)
        if not session.is_in(State.OPEN):
            return None  # it was closed in the meantime: nobody must be told that it joined
        if session.channel is not channel and not may_subscribe(session, room):
            # There was a reload, or the token was renewed.
            raise Forbidden("You may not join this room", room)
        session.note_origin(room, Origin.SUBSCRIBED)
    try:
        since = frame.get("since")
        await rooms.join(session, room, since, asked=True, id=id, by_client=True)
    finally:
        if room not in session.rooms:
            session.forget_origin(room)
    for publish in publications:
        await publish()
    return None


async def _ask_hooks(
    session: Session,
    subscribe: SubscribePlan,
    room: str,
    afterwards: list[Callable[[], Awaitable[None]]],
) -> None:
    """Ask the hooks whether a client may be in a room; it is in it before what a backend publishes `afterwards`."""
    for hook in (subscribe.hook, session.channel.on_subscribe):
        if hook is not None:
            await call_hook(session, hook, room, afterwards=afterwards)


def _full(session: Session, subscribe: SubscribePlan) -> tuple[str, int] | None:
    """Why a connection may not be in another room, and the limit; None if it may."""
    most, inside = session.channel.limits.rooms_per_connection, len(session.rooms)
    if inside >= most:
        return f"A connection may be in {most} rooms", most
    # With fewer rooms in all, those it subscribed to need not be counted.
    max = subscribe.max
    if max is not None and inside >= max and session.rooms_of(Origin.SUBSCRIBED) >= max:
        return f"A connection may subscribe to {max} rooms", max
    return None


async def _unsubscribe(session: Session, frame: Frame, id: str | int | None) -> None:
    if frame["room"] not in session.rooms:
        raise Forbidden("You are not in this room", frame["room"])
    await rooms.leave(session, frame["room"], id=id, by_client=True)


async def _presence(session: Session, frame: Frame, id: str | int | None) -> None:
    topic = _presence_topic(session, frame)
    if "set" in frame:
        return await _show(session, topic, frame, id)
    presence = session.engine.hub.presence
    await resolved(session.peer.ready())
    if frame.get("only") == "count":
        session.answer(await presence.count(topic), id)
    else:
        state = await presence.state(topic)
        session.give(with_id(state, id))
        await rooms.rest_after(session, len(state))
    return None


async def _show(session: Session, topic: Topic, frame: Frame, id: str | int | None) -> None:
    plan, state = session.channel.presence, frame["set"]
    if plan is None or plan.state is None or session.user_id is None:
        raise Forbidden("You cannot set a state here", frame.get("room"))
    if "only" in frame:
        return session.refuse_message(
            [Violation("/only", "must not be used together with `set`", "not")], id
        )
    if state is not None and type(state) is not dict:
        return session.refuse_message([Violation("/set", "must be an object", "type")], id)
    if state is not None and not plan.state.accepts(state):
        violations = [
            attrs.evolve(one, path=f"/set{one.path}") for one in plan.state.explain(state)
        ]
        return session.refuse_message(violations, id)
    was_told = await show(session, topic, plan, state)
    if id is not None:
        session.answer({"type": "ack"} if was_told else {"type": "ack", "held": True}, id)
    return None


def _presence_topic(session: Session, frame: Frame) -> Topic:
    plan = session.channel.presence
    if plan is None:
        raise Forbidden("This channel has no presence", frame.get("room"))
    if plan.scope == "channel":
        return Topic("channel", session.channel.name, "")
    return _own_room(session, frame)


def _own_room(session: Session, frame: Frame) -> Topic:
    room = frame.get("room", session.home)
    topic = session.rooms.get(room) if room is not None else None
    if topic is None:
        raise Forbidden("You are not in this room", room)
    return topic


async def _history(session: Session, frame: Frame, id: str | int | None) -> None:
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
    await resolved(session.peer.ready())
    most = channel.limits.outbox // 2
    page = await publishing.history(session.engine.hub, channel, room, limit, before, most)
    frames = [orjson.Fragment(payload) for payload in page.payloads]
    session.answer({"type": "history", "room": room, "frames": frames, "more": page.more}, id)
    await rooms.rest_after(session, sum(map(len, page.payloads)))
    return None


VERBS = {
    "authenticate": _authenticate,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "presence": _presence,
    "history": _history,
}
