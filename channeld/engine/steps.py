"""Handles messages of types with `once`, or with a rate that needs the room, the key or the broker; `receive.py` handles all others.

The order is that of the language: rate, `once`, schema, `require`, hook, route. A rate that counts by room or holds the newest message
needs the room and the key, so it comes after the schema; a message that it refuses has taken no `once` key.
"""

from channeld.broker.once import Once
from channeld.engine import rates
from channeld.engine.errors import check_require, refuse_for
from channeld.engine.holding import Holding
from channeld.engine.routing import acknowledge, deliver_message, key_of, planned_now, room_of
from channeld.engine.session import Session
from channeld.later import resolved
from channeld.plan.options.once import FIELD
from channeld.plan.plan import MessagePlan
from channeld.protocol.frames import Frame
from channeld.schema.violations import Violation


async def take_message(
    session: Session, message: MessagePlan, frame: Frame, id: str | int | None, now: float
) -> None:
    """Handle one message of a type with options; it has been decoded, and counted against `limits.messages`."""
    if message.rate is not None and not message.rate_looks_inside:
        wait = await rates.admit(session, message, None, now)
        if wait:
            return rates.refuse(session, message, id, wait)
    try:
        await _take(session, message, frame, id, now)
    except Exception as error:  # answered with its error frame
        refuse_for(session, error, id, message.counted(session.transport))
    return None


async def flush(session: Session) -> None:
    """Handle the messages that a session still holds: it has ended, or its plan is about to change."""
    held = session.aside.held
    if held is not None:
        await held.flush()
    session.engine.hub.conflation.flush(session.connection_id)


async def _take(
    session: Session, message: MessagePlan, frame: Frame, id: str | int | None, now: float
) -> None:
    once: Once | None = None
    if message.once is not None and FIELD in frame:
        key = frame.pop(FIELD)
        if type(key) is not str or not 1 <= len(key) <= 64:
            text = "must be a string of 1 to 64 characters"
            message.counted(session.transport).invalid += 1
            return session.refuse_message([Violation(f"/{FIELD}", text, "type")], id)
        once = Once(_owner(session), f"{message.type}\0{key}", message.once)
        if await resolved(session.engine.hub.broker.is_taken(once)):
            return acknowledge(session, message, id, "repeated")
    message = await planned_now(session, message, frame)
    if not message.accepts(frame):
        message.counted(session.transport).invalid += 1
        return session.refuse_message(message.validator.explain(frame), id)
    if message.rate_looks_inside and not await _admits(session, message, frame, id, now, once):
        return None
    return await deliver_message(session, message, frame, id, once)


def _owner(session: Session) -> str:
    # An anonymous client cannot be recognised when it reconnects.
    who = f"u{session.user_id}" if session.user_id is not None else f"c{session.connection_id}"
    return f"{session.channel.name}\0{who}"


async def _admits(
    session: Session,
    message: MessagePlan,
    frame: Frame,
    id: str | int | None,
    now: float,
    once: Once | None,
) -> bool:
    """Whether the rate allows a message now; if not, the message is held or answered."""
    check_require(session, message, frame)
    room = room_of(session, message, frame)
    if message.rate is None or message.rate.over != "latest":
        wait = await rates.admit(session, message, room, now)
        if wait:
            rates.refuse(session, message, id, wait)
        return not wait
    slot = (message.type, room, key_of(session, message, frame))
    held = session.aside.held
    if held is not None and await held.replace(slot, (message, frame, once)):
        acknowledge(session, message, id, "held")
        return False
    wait = await rates.admit(session, message, room, now)
    if not wait:
        return True
    held = session.aside.held
    if held is None:
        held = session.own_aside().held = Holding(session, _deliver_held)
    if held.hold(slot, (message, frame, once), now + wait):
        acknowledge(session, message, id, "held")
    else:
        rates.refuse(session, message, id, wait)
    return False


async def _deliver_held(
    session: Session, message: MessagePlan, frame: Frame, once: Once | None
) -> None:
    try:
        repeated = once is not None and await resolved(session.engine.hub.broker.is_taken(once))
    except Exception as error:  # answered with its error frame
        return refuse_for(session, error, None, message.counted(session.transport))
    if repeated:  # it was sent again on another connection and routed there
        return acknowledge(session, message, None, "repeated")
    return await deliver_message(session, message, frame, None, once)
