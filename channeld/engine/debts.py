"""When a connection ends, what it has used up of its limits and of its own rates is charged to its account's next connection.

If nodes share a broker, the debt is kept there, so that the next connection finds it on any node: a new connection asks for the debt of
limits when it begins, without waiting for the answer, and for that of rates before its first message with a rate. What cannot be kept
there stays on this node, in `Budgets`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.budgets import Debt
from channeld.engine.limits import Flood
from channeld.engine.session import Session, State

LIMITS: Final = ("messages", "errors", "flood")


def account_of(session: Session) -> str:
    """The account as text: a user's on a channel or, for an anonymous connection, an address's."""
    channel, user, address = session.account
    return f"{channel}\0u{user}" if user is not None else f"{channel}\0a{address}"


def limits_of(session: Session) -> str:
    """The same for the debt of limits, which is asked for at another time than that of rates."""
    return f"\0{account_of(session)}"


def take_over_debt(session: Session) -> None:
    """Charge a new connection with what its account has used up of its limits."""
    engine = session.engine
    debt = engine.budgets.inherit(session.account, session.opened_at)
    if debt is not None:
        _begin_with(session, debt, session.opened_at)
        if debt.types and session.user_id is not None:
            session.own_aside().own_arrivals = debt.types
        elif debt.types:
            session.type_arrivals = debt.types
    if engine.shared is None:
        return
    with suppress(BrokerUnavailable):
        engine.shared.redeem(limits_of(session), partial(_take_over_from_nodes, session))


def _take_over_from_nodes(session: Session, left: Mapping[str, float]) -> None:
    if not left:
        return
    now = session.engine.runtime.clock.monotonic()
    messages, errors, flood = (now + left.get(limit, 0.0) for limit in LIMITS)
    debt = Debt(messages, errors, flood)
    if session.state is State.CLOSED:
        _leave_limits(session, debt, now)
    else:
        _begin_with(session, debt, now)


def _begin_with(session: Session, debt: Debt, now: float) -> None:
    # Added to what the connection itself has used up before the debt was known.
    session.message_arrival = max(session.message_arrival, now) + max(0.0, debt.messages - now)
    if debt.errors > now:
        aside = session.own_aside()
        aside.error_arrival = max(aside.error_arrival, now) + debt.errors - now
    if debt.flood > now and session.aside.flood is None:
        session.own_aside().flood = Flood(debt.flood)


def leave_debt(session: Session, now: float) -> None:
    """Charge the account with what an ended connection has used up."""
    budgets, types = session.engine.budgets, session.type_arrivals or {}
    if session.user_id is not None and session.type_arrivals is not None:
        budgets.release(session.account, now)
    if session.user_id is not None:
        types = session.aside.own_arrivals or {}
    if _owe(session, account_of, types, now):
        types = {}
    flooding = session.aside.flood
    flood = flooding.repaid_at() if flooding is not None else 0.0
    _leave_limits(
        session, Debt(session.message_arrival, session.aside.error_arrival, flood, types), now
    )


def _leave_limits(session: Session, debt: Debt, now: float) -> None:
    limits = dict(zip(LIMITS, (debt.messages, debt.errors, debt.flood), strict=True))
    if _owe(session, limits_of, limits, now):
        debt = Debt(types=debt.types)
    session.engine.budgets.charge(session.account, debt, now)


def _owe(
    session: Session, account: Callable[[Session], str], arrivals: Mapping[str, float], now: float
) -> bool:
    """Record a debt at the broker; False if there is none, or if the broker could not take it."""
    broker = session.engine.shared
    if broker is None:
        return False
    left = {name: arrival - now for name, arrival in arrivals.items() if arrival > now}
    if not left:
        return False
    try:
        broker.owe(account(session), left)
    except BrokerUnavailable:
        return False
    return True
