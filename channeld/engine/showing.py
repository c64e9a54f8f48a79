"""A user's presence state: set at once, or held until the channel's rate lets it; of what is held the newest counts."""

from collections.abc import Mapping
from functools import partial

from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.engine.limits import REFUSED, take
from channeld.engine.session import HeldStates, Session
from channeld.later import start
from channeld.plan.plan import PresencePlan
from channeld.protocol.frames import Json

__all__ = ["drop_held", "show"]


async def show(
    session: Session, topic: Topic, plan: PresencePlan, state: Mapping[str, Json] | None
) -> bool:
    """Show a user's state to the others in a topic; None takes it away.

    Returns:
        Whether it was told at once; else it is held.

    Raises:
        BrokerUnavailable: it was not told.
    """
    held = session.held_state
    if held is None:
        held = session.held_state = HeldStates()
    now = session.engine.runtime.clock.monotonic()
    arrival = take(held.arrival, now, plan.rate)
    if arrival != REFUSED:
        held.arrival = arrival
        held.states.pop(topic, None)
        await session.engine.hub.presence.show(topic, session, state)
        return True
    held.states[topic] = state
    if held.timer is None:
        wait = held.arrival - plan.rate.slack
        held.timer = session.engine.runtime.timers.at(wait, partial(_tell, session, held, plan))
    return False


def _tell(session: Session, held: HeldStates, plan: PresencePlan, now: float) -> None:
    held.timer = None
    states, held.states = held.states, {}
    held.arrival = max(now, held.arrival) + plan.rate.interval
    for topic, state in states.items():
        rest = start(_contained(session, topic, state))
        if rest is not None:
            session.engine.runtime.spawn(rest)


async def _contained(session: Session, topic: Topic, state: Mapping[str, Json] | None) -> None:
    try:
        await session.engine.hub.presence.show(topic, session, state)
    except BrokerUnavailable:
        return  # nobody waits for an answer, and the next one will say what is so then


def drop_held(session: Session) -> None:
    """The connection has ended: what it held is told to nobody."""
    if session.held_state is not None and session.held_state.timer is not None:
        session.held_state.timer.cancel()
