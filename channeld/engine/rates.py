"""A message type's rate: whose allowance it takes from, and what is said to a message that finds none left.

A user's and a connection's are with the session, and outlive it in `Budgets`; an address's and a room's are in the
engine's `Allowances`.
"""

from channeld.config.model import MessageRate
from channeld.engine.limits import REFUSED, retry_after, take
from channeld.engine.session import Session
from channeld.plan.plan import MessagePlan
from channeld.protocol.codes import ErrorCode
from channeld.protocol.names import Topic

__all__ = ["may_send", "refuse", "take_allowance"]


def take_allowance(session: Session, message: MessagePlan, room: Topic | None, now: float) -> float:
    """Take one of a type's allowance.

    Returns:
        0 if there was one, else the seconds until there is.
    """
    rate = message.rate
    assert rate is not None  # noqa: S101 - the caller has looked
    if rate.per in ("address", "room"):
        shared = session.address if rate.per == "address" else room.name if room else ""
        key = (rate.per, session.channel.name, message.type, shared)
        return session.engine.allowances.take(key, now, rate)
    arrivals = _arrivals(session, rate)
    before = arrivals.get(message.type, 0.0)
    arrival = take(before, now, rate)
    if arrival == REFUSED:
        return retry_after(before, now, rate)
    arrivals[message.type] = arrival
    return 0.0


def may_send(session: Session, message: MessagePlan, id: str | int | None, now: float) -> bool:
    """Whether a type that refuses or drops what is over its rate may be sent; if not, it has been answered."""
    wait = take_allowance(session, message, None, now)
    if not wait:
        return True
    refuse(session, message, id, wait)
    return False


def refuse(session: Session, message: MessagePlan, id: str | int | None, wait: float) -> None:
    """Answer a message that is over its rate, and is not held."""
    assert message.rate is not None  # noqa: S101 - the caller has looked
    if message.rate.over == "drop":
        message.counted(session.transport).dropped += 1
        if id is not None:
            session.answer({"type": "ack", "dropped": True}, id)
        return
    message.counted(session.transport).rate_limited += 1
    text = f"Too many messages of type `{message.type}`"
    session.refuse(ErrorCode.RATE_LIMITED, text, id, retry_after=wait)


def _arrivals(session: Session, rate: MessageRate) -> dict[str, float]:
    """A user's own and its connections', or an anonymous connection's; kept beyond their end by `Budgets`."""
    if session.user_id is not None and rate.per == "connection":
        if session.own_arrivals is None:
            session.own_arrivals = {}
        return session.own_arrivals
    if session.type_arrivals is None:
        session.type_arrivals = (
            {} if session.user_id is None else session.engine.budgets.rates_of(session.account)
        )
    return session.type_arrivals
