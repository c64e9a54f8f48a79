"""Frames from hooks and the control API: checked, published, and read back from a room's history.

This is one of the three places that let a frame out. Frames of hooks and the API are checked here, a client's message by its own schema
(`receive.py`), and the frame that a message emits by its event's schema (`routing.py`).
"""

import math
from collections.abc import Awaitable, Mapping

import attrs

from channeld.broker.broker import Position, Topic
from channeld.broker.once import Once
from channeld.broker.publish_options import Conflated, Placing, PublishOptions
from channeld.hub.hub import Hub, with_position
from channeld.later import Later, resolved
from channeld.plan.plan import MISSING, ChannelPlan, EventPlan, MessagePlan, NewestPlan, Plan
from channeld.protocol.frames import Frame, Json, encode, is_finite
from channeld.protocol.names import EVERYONE, is_room_name, room_name
from channeld.protocol.reserved import RESERVED
from channeld.schema.violations import Violation


class FrameRefused(ValueError):
    """A frame from a hook or the API may not reach a client; `violations` says why, if a schema refused it."""

    def __init__(self, message: str, violations: list[Violation] | None = None) -> None:
        super().__init__(message)
        self.violations = violations or []


@attrs.frozen(slots=True)
class HistoryPage:
    """Frames of a room as JSON with their `pos`, oldest first, and whether there are earlier ones."""

    payloads: list[bytes]
    more: bool


@attrs.frozen(slots=True)
class Audience:
    """Who gets an event: the members of a room, a user, or (with neither) everyone, always without the connection `skip`.

    With `once`, nobody gets it if that key is taken.
    """

    room: str | None = None
    user: str | None = None
    skip: str | None = None
    once: Once | None = None


def publish(
    plan: Plan, hub: Hub, channel: str, frame: Mapping[str, object], audience: Audience
) -> Later[Position | None]:
    """Publish an event on a channel (`*`: to everyone on all).

    Returns:
        Its position in a room that keeps history.

    Raises:
        FrameRefused: the channel is unknown, or the frame is not one that the channel's clients may get.
        BrokerUnavailable: it was not published.
        AlreadyTaken: the key `once` is taken; this or the awaitable raises it.
    """
    room = None if audience.room is None else room_name(audience.room)
    own, checked = check_publication(plan, channel, frame, room)
    if own is not None and room is not None:
        return _publish_to_room(own, hub, room, checked, audience)
    options = PublishOptions(None, audience.skip, audience.once)
    if own is None:
        return hub.publish(EVERYONE, encoded(checked), options)
    kind = "channel" if audience.user is None else "user"
    return hub.publish(Topic(kind, channel, audience.user or ""), encoded(checked), options)


def check_publication(
    plan: Plan, channel: str, frame: object, room: str | None
) -> tuple[ChannelPlan | None, Frame]:
    """Check a publication as far as possible before it is made.

    Returns:
        Its channel (None for `*`), and the frame as it will be sent.

    Raises:
        FrameRefused: as `publish` does.
    """
    if channel == "*":
        return None, _check_everywhere(plan, frame)
    own = plan.channels.get(channel)
    if own is None:
        raise FrameRefused(f"there is no channel `{channel}`")
    checked = check_event(own, frame)
    if room is not None and not is_room_name(room):
        raise FrameRefused("a room name has 1 to 128 characters, each of which can be seen")
    return own, checked


def _publish_to_room(
    plan: ChannelPlan, hub: Hub, room: str, frame: Frame, audience: Audience
) -> Later[Position | None]:
    topic = Topic("room", plan.name, room)
    if hub.is_numbered(topic, plan.history):
        frame["room"] = room
        frame.pop("pos", None)
    payload = encoded(frame)
    event = (plan.events or {}).get(frame["type"])
    skip, once = audience.skip, audience.once
    if event is None or event.newest is None:
        keep = plan.history if event is None or event.kept else None
        return hub.publish(topic, payload, PublishOptions(keep, skip, once))
    found = "" if event.key is None else event.key(_Nobody(room), frame)
    key = "" if found is MISSING else str(found)
    placing = placed(hub, event.newest, topic, key, None)
    keep = plan.history if event.kept or placing.clears else None
    options = PublishOptions(keep, skip, once, placing)
    # With `once`, the caller wants to know that the frame was published, so the frame cannot wait.
    conflated = conflated_by(event.newest, key, at_once=once is not None)
    if conflated is None:
        return hub.publish(topic, payload, options)
    later = hub.publish_newest(topic, payload, conflated, options)
    return _no_position(later) if isinstance(later, Awaitable) else None


async def _no_position(later: Awaitable[object]) -> None:
    # A frame that may wait has no position yet.
    await later


def kept_under(plan: Plan, key: str) -> list[str]:
    """The keys of histories for a key of frames: one for each type whose newest frame is kept.

    A type without `key` has one newest frame, whose key is the type.
    """
    kept: dict[str, None] = {}
    for channel in plan.channels.values():
        declared: list[MessagePlan | EventPlan] = [*channel.messages.values()]
        for one in [*declared, *(channel.events or {}).values()]:
            if one.newest is None or not one.newest.is_latest:
                continue
            if one.key is not None:
                kept[one.newest.named(key)] = None
            elif one.newest.type == key:
                kept[one.newest.named("")] = None
    return list(kept)


def placed(hub: Hub, newest: NewestPlan, topic: Topic, key: str, user: str | None) -> Placing:
    """How a frame about `key` relates to others. Frames that it clears no longer wait."""
    cleared = tuple(f"{type}\0{key}" for type in newest.clears)
    hub.clear(topic, cleared)
    return Placing(
        key=newest.named(key) if newest.is_latest else None,
        clears=cleared,
        waits=newest.waits,
        is_replayed=not cleared,
        owner=user if newest.on_leave else None,
    )


def conflated_by(newest: NewestPlan, key: str, *, at_once: bool = False) -> Conflated | None:
    """How a frame about `key` waits; None if frames of its type do not wait."""
    if not newest.conflate:
        return None
    return Conflated(newest.named(key), newest.conflate, at_once=at_once)


class _Nobody:
    """The scope in which an event's key is rendered: there is a room, but no sender."""

    query: Mapping[str, Json] = {}
    params: Mapping[str, Json] = {}
    claims: Mapping[str, Json] = {}
    user_id: str | None = None
    connection_id = ""

    def __init__(self, room: str) -> None:
        self.room: str | None = room

    def now_ms(self) -> int:
        """Never called: a key cannot contain the time."""
        raise NotImplementedError

    def uuid(self) -> str:
        """Never called: a key cannot be random."""
        raise NotImplementedError


def check_event(plan: ChannelPlan, frame: object) -> Frame:
    """A frame from a hook or the API, as it will be sent.

    Raises:
        FrameRefused: no string `type`, a reserved one, one that `events` does not declare, or a bad schema.
    """
    if not isinstance(frame, Mapping) or type(kind := frame.get("type")) is not str:
        wrong = Violation("/type", "must be a string", "type")
        raise FrameRefused("a frame is a mapping with a string `type`", [wrong])
    if kind in RESERVED:
        wrong = Violation("/type", "must not be one of the protocol's own", "not")
        raise FrameRefused(f"`{kind}` is a reserved type", [wrong])
    fields = {key: value for key, value in frame.items() if key != "type"}
    if plan.events is not None:
        event = plan.events.get(kind)
        if event is None:
            wrong = Violation("/type", "must be one of the channel's events", "enum")
            raise FrameRefused(f"channel `{plan.name}` declares no event `{kind}`", [wrong])
        if not event.validator.accepts(fields):
            violations = event.validator.explain(fields)
            raise FrameRefused(f"`{kind}` is refused by its schema", violations)
    return {"type": kind, **fields}


def check_foreign(plan: Plan, own: ChannelPlan, channel: str, frame: Frame) -> None:
    """Check a message that is routed to other channels against their declarations.

    Raises:
        FrameRefused: one of those channels does not declare the frame, or refuses it.
    """
    for name, other in plan.channels.items():
        if other is not own and channel in (name, "*"):
            check_event(other, frame)


def _check_everywhere(plan: Plan, frame: object) -> Frame:
    checked: Frame = {}
    for channel in plan.channels.values():
        checked = check_event(channel, frame)
    return checked


def encoded(frame: Frame) -> bytes:
    """A hook's frame as JSON.

    Raises:
        FrameRefused: JSON cannot express it; NaN, for one, would arrive as `null`.
    """
    try:
        payload = encode(frame)
    except TypeError as error:
        raise FrameRefused(f"not JSON: {error}") from error
    if b"null" in payload and not is_finite(frame):
        raise FrameRefused("not JSON: a number is not finite")
    return payload


async def history(
    hub: Hub,
    plan: ChannelPlan,
    room: str,
    limit: int,
    before: Position | None = None,
    most: float = math.inf,
) -> HistoryPage:
    """The latest frames of a room, or the latest before a position; empty if the channel has no history.

    Args:
        hub: has the broker that keeps the frames.
        plan: the plan of the room's channel.
        room: the room's name.
        limit: maximum number of frames.
        before: return only frames before this position.
        most: maximum size in bytes; there is always at least one frame.
    """
    if plan.history is None:
        return HistoryPage([], more=False)
    topic = Topic("room", plan.name, room_name(room))
    limit = min(limit, plan.history.size)
    keep = hub.kept(topic, plan.history) or plan.history
    payloads, size, more = list[bytes](), 0, True  # the latest first
    while more:
        page = await resolved(hub.broker.before(topic, before, limit - len(payloads), keep))
        for kept in reversed(page.frames):
            # Adding the position copies a frame, so stop at the size limit.
            payload = with_position(kept.payload, kept.position)
            size += len(payload)
            if payloads and size > most:
                return HistoryPage(payloads[::-1], more=True)
            payloads.append(payload)
        if len(payloads) >= limit:
            return HistoryPage(payloads[::-1], page.more)
        more = page.more and bool(page.frames)
        before = page.frames[0].position if more else None
    return HistoryPage(payloads[::-1], more=False)
