"""A message type's rate: which allowance a message takes from, and the answer if none is left.

On one node, allowances of users and connections belong to the session and survive it in `Budgets`; those of addresses and rooms are in
the engine's `Allowances`. Allowances that nodes share are counted by the broker, which is asked before anything else is done with a
message. Once it has refused, this node refuses by itself until the time that the broker named, so a flood does not reach the broker.
While the broker is unreachable, each node counts alone. What a connection has used up of its own rates is charged to the account's next
connection (`debts.py`).
"""

from contextlib import suppress

from channeld.broker.broker import BrokerUnavailable, Bucket, Networked
from channeld.config.model import MessageRate
from channeld.engine.debts import account_of
from channeld.engine.limits import REFUSED, retry_after, take
from channeld.engine.session import Session
from channeld.later import resolved
from channeld.plan.plan import MessagePlan
from channeld.protocol.codes import ErrorCode
from channeld.protocol.names import Topic


def take_allowance(session: Session, message: MessagePlan, room: Topic | None, now: float) -> float:
    """Take a token of a type's allowance.

    Returns:
        0 if there was one, or the type has no rate; else the seconds until there is one.
    """
    rate = message.rate
    if rate is None:
        return 0.0
    if rate.per in ("address", "room"):
        key = _key_of(session, message, rate, room)
        return session.engine.allowances.take(key, now, rate)
    arrivals = _arrivals(session, rate)
    before = arrivals.get(message.type, 0.0)
    arrival = take(before, now, rate)
    if arrival == REFUSED:
        return retry_after(before, now, rate)
    arrivals[message.type] = arrival
    return 0.0


def is_shared(session: Session, message: MessagePlan) -> bool:
    """Whether the nodes share the allowance."""
    rate, engine = message.rate, session.engine
    if rate is None or engine.shared is None or not message.is_rate_asked:
        return False
    return rate.per in ("address", "room") or (
        rate.per != "connection" and session.user_id is not None
    )


async def admit(session: Session, message: MessagePlan, room: Topic | None, now: float) -> float:
    """Take a token of a type's allowance, from the broker if nodes share it.

    Returns:
        0 if there was one, else the seconds until there is one.
    """
    rate, broker = message.rate, session.engine.shared
    if rate is None or broker is None or not message.is_rate_asked:
        return take_allowance(session, message, room, now)
    if not is_shared(session, message):
        await _take_over(session, rate, broker, now)
        return take_allowance(session, message, room, now)
    key = _key_of(session, message, rate, room)
    wait = session.engine.spent.left(key, now)
    if wait:
        return wait
    try:
        bucket = Bucket("\0".join(key), rate.interval, rate.slack)
        wait = await resolved(broker.spend(bucket))
    except BrokerUnavailable:
        return take_allowance(session, message, room, now)
    if wait:
        session.engine.spent.close(key, now, now + wait)
    return wait


async def _take_over(session: Session, rate: MessageRate, broker: Networked, now: float) -> None:
    """Charge the connection, once, with what earlier ones of the account have used up on any node."""
    is_own = session.user_id is not None and rate.per == "connection"
    if (session.aside.own_arrivals if is_own else session.type_arrivals) is not None:
        return
    arrivals = _arrivals(session, rate)
    with suppress(BrokerUnavailable):
        debt = await resolved(broker.redeem(account_of(session)))
        arrivals.update({type: now + left for type, left in debt.items()})


def _key_of(
    session: Session, message: MessagePlan, rate: MessageRate, room: Topic | None
) -> tuple[str, ...]:
    per, whose = rate.per or "user", session.user_id or ""
    if per == "address":
        whose = session.address
    elif per == "room":
        whose = room.name if room is not None else ""
    return per, session.channel.name, message.type, whose


def may_send(session: Session, message: MessagePlan, id: str | int | None, now: float) -> bool:
    """Whether a message is within its type's rate; if not, it has been answered."""
    wait = take_allowance(session, message, None, now)
    if not wait:
        return True
    refuse(session, message, id, wait)
    return False


def refuse(session: Session, message: MessagePlan, id: str | int | None, wait: float) -> None:
    """Answer a message that exceeds its rate and is not held."""
    if message.rate is not None and message.rate.over == "drop":
        message.counted(session.transport).dropped += 1
        if id is not None:
            session.answer({"type": "ack", "dropped": True}, id)
        return
    message.counted(session.transport).rate_limited += 1
    text = f"Too many messages of type `{message.type}`"
    session.refuse(ErrorCode.RATE_LIMITED, text, id, {"retry_after": wait})


def _arrivals(session: Session, rate: MessageRate) -> dict[str, float]:
    """Arrival times by type: of an anonymous connection or, with `per: connection`, a user's connection; else of all the user's connections."""
    if session.user_id is not None and rate.per == "connection":
        arrivals = session.aside.own_arrivals
        if arrivals is None:
            arrivals = session.own_aside().own_arrivals = {}
        return arrivals
    if session.type_arrivals is None:
        session.type_arrivals = (
            {} if session.user_id is None else session.engine.budgets.rates_of(session.account)
        )
    return session.type_arrivals
