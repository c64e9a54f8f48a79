"""From an accepted message to publications: requirements, the hook, the emitted frame, and its targets.

A message with one target, no hook and no `require` takes `route_one`, without a coroutine or a list. All others take `deliver_message`. All
targets are worked out before the first is published, so if one is refused, nothing is published.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Literal, cast

import attrs

from channeld.broker.broker import BrokerUnavailable, Position
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.engine.context import AnswerOnce
from channeld.engine.errors import Forbidden, HookFailed, Overtaken, check_require, refuse_for
from channeld.engine.hook_calls import call_hook
from channeld.engine.publishing import check_foreign, conflated_by, placed
from channeld.engine.rooms import settled
from channeld.engine.session import Session
from channeld.later import Continuation, Later, Pending, Promise, resolved
from channeld.plan.options.deprecated import deprecation_note
from channeld.plan.plan import MISSING, Hook, MessagePlan, NotInRoom, TargetPlan
from channeld.protocol.frames import CheckedJson, Frame, encode, is_finite
from channeld.protocol.names import Topic
from channeld.telemetry import log


class BadEmit(Exception):
    """The frame that a message emits violates its event's schema: a mistake in a hook or in the configuration."""


# Not frozen, as `PublishOptions`.
@attrs.define(eq=False)
class _Publication:
    topic: Topic | None  # None: to the sender itself
    payload: bytes
    options: PublishOptions = NO_OPTIONS
    conflated: Conflated | None = None


def route_one(
    session: Session, message: MessagePlan, target: TargetPlan, frame: Frame
) -> Later[Position | None]:
    """Publish a message to its one target.

    Raises:
        Forbidden, BrokerUnavailable: it was not published.
    """
    session.room = session.home
    if target.is_direct:
        session.peer.send(emitted(session, message, frame, None))
        return None
    publication = _work_out(session, message, target, frame)
    if publication is None or publication.topic is None:
        return None
    return session.engine.hub.publish(publication.topic, publication.payload, publication.options)


def finish_later(
    session: Session, message: MessagePlan, later: Awaitable[object], id: str | int | None
) -> Pending[None] | Continuation:
    """Finish a message when the broker, which did not answer at once, does."""
    if hasattr(later, "then"):
        return Continuation(cast("Promise", later), partial(_finish, session, message, id))
    return Pending(_wait_and_finish(session, message, later, id))


def _finish(
    session: Session, message: MessagePlan, id: str | int | None, error: Exception | None
) -> None:
    if error is None:
        accepted(session, message, id)
    else:
        refuse_for(session, error, id, message.counted(session.transport))


async def _wait_and_finish(
    session: Session, message: MessagePlan, later: Awaitable[object], id: str | int | None
) -> None:
    try:
        await later
    except Exception as error:  # answered with its error frame
        _finish(session, message, id, error)
    else:
        _finish(session, message, id, None)


def accepted(session: Session, message: MessagePlan, id: str | int | None) -> None:
    """Count a message that was routed, and acknowledge it if it has an `id`."""
    message.counted(session.transport).accepted += 1
    note = _deprecation(session, message) if message.deprecated is not None else None
    if id is not None:
        session.answer({"type": "ack"} if note is None else {"type": "ack", **note}, id)


def acknowledge(
    session: Session,
    message: MessagePlan,
    id: str | int | None,
    fate: Literal["held", "repeated"],
) -> None:
    """Count a message that was not routed, and tell its sender why if it has an `id`."""
    if fate == "held":
        message.counted(session.transport).held += 1
    else:
        message.counted(session.transport).repeated += 1
    if id is not None:
        session.answer({"type": "ack", fate: True}, id)


def _deprecation(session: Session, message: MessagePlan) -> Frame | None:
    """The deprecation notice for a type, once per connection."""
    if message.deprecated is None:
        return None
    aside = session.own_aside()
    told = aside.told = aside.told or set()
    if message.type in told:
        return None
    told.add(message.type)
    log(
        "deprecated_message",
        channel=session.channel.name,
        message=message.type,
        connection=session.connection_id,
        user=session.user_id,
    )
    return {"deprecated": deprecation_note(message.deprecated)}


async def deliver_message(
    session: Session,
    message: MessagePlan,
    frame: Frame,
    id: str | int | None,
    once: Once | None = None,
) -> None:
    """Check what the message requires, call its hook, publish to every target, acknowledge.

    A `once` key is taken with the first publication. If it is taken already, nothing is published.
    """
    answer = AnswerOnce(id)
    try:
        message = await planned_now(session, message, frame)
        check_require(session, message, frame)
        _set_room(session, message, frame)
        afterwards: list[Callable[[], Awaitable[None]]] = []
        if message.hook is not None:
            called = _call_message_hook(session, message, message.hook, frame, answer, afterwards)
            frame = await called
            if session.channel.messages.get(message.type) is not message:
                message = await planned_now(session, message, frame)
                check_require(session, message, frame)
                _set_room(session, message, frame)
        held = await _publish_all(session, message, frame, once)
        for publish in afterwards:
            await publish()
    except AlreadyTaken:
        acknowledge(session, message, answer.take(), "repeated")
    except Exception as error:  # answered with its error frame
        refuse_for(session, error, answer.take(), message.counted(session.transport))
    else:
        if held:
            acknowledge(session, message, answer.take(), "held")
        else:
            accepted(session, message, answer.take())


async def planned_now(session: Session, message: MessagePlan, frame: Frame) -> MessagePlan:
    """The current plan of a message that may have waited; after a reload, the connection moves into its new rooms first.

    Raises:
        Overtaken: a reload removed the type, or its new schema refuses the message.
    """
    if session.channel.messages.get(message.type) is message:
        return message
    await settled(session)
    now = session.channel.messages.get(message.type)
    if now is None:
        raise Overtaken([])
    if not now.accepts(frame):
        raise Overtaken(now.validator.explain(frame))
    return now


async def _call_message_hook(
    session: Session,
    message: MessagePlan,
    hook: Hook,
    frame: Frame,
    answer: AnswerOnce,
    afterwards: list[Callable[[], Awaitable[None]]],
) -> Frame:
    # The hook gets a copy: only what it returns is routed, after a check by the schema.
    shown = {"type": message.type, **_copy(frame)}
    problem_of = partial(_reason_against, message)
    result = await call_hook(
        session, hook, shown, answer=answer, afterwards=afterwards, problem_of=problem_of
    )
    if result is None:
        return frame
    reason = None if hook.asks is not None else problem_of(result)
    if reason is None:
        return _payload_of(result)
    ref = session.engine.runtime.random_id()
    log(
        "hook_failed",
        hook=hook.name,
        connection=session.connection_id,
        channel=session.channel.name,
        type=message.type,
        ref=ref,
        reason=reason,
    )
    raise HookFailed(ref)


def _reason_against(message: MessagePlan, result: object) -> str | None:
    """Why a hook's result cannot replace the message, worded for the hook's author; None if it can."""
    if not isinstance(result, Mapping):
        return f"the result is of type {type(result).__name__}, not a mapping or None"
    kind = result.get("type", message.type)
    if kind != message.type:
        return f"the result's type is {kind!r}, and must be {message.type!r}"
    return _violation_of(message, _payload_of(result))


def _payload_of(result: Mapping[str, object]) -> Frame:
    return {key: result[key] for key in result if key not in ("type", "id")}


def _violation_of(message: MessagePlan, changed: Frame) -> str | None:
    try:
        encode(changed)
        if not message.accepts(changed):
            # Where, and which keyword; not the value, which may be a secret.
            violation = next(iter(message.validator.explain(changed)), None)
            where = "" if violation is None else f" at {violation.path or '/'}: {violation.keyword}"
            return f"the schema refuses the result{where}"
    except (TypeError, ValueError) as error:  # it names the type, not the value
        return f"the result is not JSON: {error}"
    return None if is_finite(changed) else "a number in the result is not finite"


def _copy(value: CheckedJson) -> CheckedJson:
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_copy(child) for child in value]
    return value


def room_of(session: Session, message: MessagePlan, frame: Frame) -> Topic | None:
    """The topic of the first room that a message goes to; None if it goes to none.

    Raises:
        Forbidden: its sender may not send there.
    """
    for target in message.targets:
        if target.in_room:
            return _topic(session, target, frame)
    return None


def _set_room(session: Session, message: MessagePlan, frame: Frame) -> None:
    # For `ctx.room` and `{room}`: the room that the route names, or the channel's one `join` room.
    session.room = session.home
    for target in message.targets:
        if target.take_room(session, frame):
            return


async def _publish_all(
    session: Session, message: MessagePlan, frame: Frame, once: Once | None
) -> bool:
    """Publish to every target; True if a frame waits because of `conflate`."""
    publications = [
        publication
        for target in message.targets
        if (publication := _work_out(session, message, target, frame)) is not None
    ]
    is_routed = is_held = False
    for publication in publications:
        if publication.topic is None:
            session.peer.send(publication.payload)
        else:
            try:
                is_held |= await _publish(session, publication.topic, publication, once)
                once = None
            except BrokerUnavailable as error:
                # If some targets have been reached, sending the message again may deliver it twice.
                unknown = is_routed or error.is_unknown
                raise BrokerUnavailable(error.retry_after, is_unknown=unknown) from None
        is_routed = True
    if once is not None and not await resolved(session.engine.hub.broker.take(once)):
        raise AlreadyTaken
    return is_held


async def _publish(
    session: Session, topic: Topic, publication: _Publication, once: Once | None
) -> bool:
    """Publish to one topic; True if the frame waits. It then goes out by itself."""
    hub, payload, options = session.engine.hub, publication.payload, publication.options
    conflated = publication.conflated
    if once is not None:
        options = attrs.evolve(options, once=once)
    if conflated is None:
        await resolved(hub.publish(topic, payload, options))
        return False
    sender = session.connection_id
    return await resolved(hub.publish_newest(topic, payload, conflated, options, sender))


def key_of(session: Session, message: MessagePlan, frame: Frame) -> str:
    """What a message is about, according to its `key`; empty without one."""
    if message.key is None:
        return ""
    value = message.key(session, frame)
    return "" if value is MISSING else str(value)


def _work_out(
    session: Session, message: MessagePlan, target: TargetPlan, frame: Frame
) -> _Publication | None:
    if target.is_direct:
        return _Publication(None, emitted(session, message, frame, None))
    topic = _topic(session, target, frame)
    if topic is None:
        return None
    skip = session.connection_id if target.except_sender else None
    if not target.in_room:
        payload = emitted(session, message, frame, None, target.channel)
        return _Publication(topic, payload, PublishOptions(None, skip))
    channel = session.channel
    if topic.channel != channel.name:
        channel = session.engine.plan.channels[topic.channel]
    history = channel.history
    named = topic.name if session.engine.hub.is_numbered(topic, history) else None
    payload = emitted(session, message, frame, named, target.channel)
    newest = message.newest
    if newest is None:
        options = PublishOptions(history if message.kept else None, skip)
        return _Publication(topic, payload, options)
    key = key_of(session, message, frame)
    placing = placed(session.engine.hub, newest, topic, key, session.user_id)
    keep = history if message.kept or placing.clears else None
    options = PublishOptions(keep, skip, None, placing)
    return _Publication(topic, payload, options, conflated_by(newest, key))


def _topic(session: Session, target: TargetPlan, frame: Frame) -> Topic | None:
    try:
        return target.topic(session, frame)
    except NotInRoom as error:
        raise Forbidden("You are not in this room", error.room) from None


def emitted(
    session: Session,
    message: MessagePlan,
    frame: Frame,
    room: str | None,
    channel: str | None = None,
) -> bytes:
    """The frame as it is delivered: in a `room` that keeps history, or to another `channel`.

    Raises:
        Exception: its event's schema, or the other channel, refuses it.
    """
    emit = message.emit
    if emit is not None:
        out: Frame = emit(session, frame)
    else:
        out = {"type": message.type, **frame}
        for field, template in message.stamps:
            value = template(session, frame)
            if value is MISSING:
                out.pop(field, None)  # a client cannot forge a stamp
            else:
                out[field] = value
    if message.out is not None:
        fields = {key: value for key, value in out.items() if key != "type"}
        if not message.out.accepts(fields):
            raise BadEmit(f"{message.type} delivers what its event's schema refuses")
    if channel is not None:
        check_foreign(session.engine.plan, session.channel, channel, out)
    if room is not None:
        out["room"] = room
    if session.channel.history is not None or room is not None:
        # Clients take `pos` for the position in the room's history, which the broker adds.
        out.pop("pos", None)
    return encode(out)
