"""A user's presence state: set at once, or held until the channel's rate allows it. Only the newest held state counts."""

from collections.abc import Mapping
from functools import partial
from typing import cast

from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.engine.limits import REFUSED, take
from channeld.engine.publishing import FrameRefused, encoded
from channeld.engine.session import HeldStates, Session, State
from channeld.later import launch
from channeld.plan.plan import ChannelPlan, PresencePlan
from channeld.protocol.frames import Json


async def show(
    session: Session, topic: Topic, plan: PresencePlan, state: Mapping[str, Json] | None
) -> bool:
    """Set a user's state in a topic's presence, or remove it (None).

    Returns:
        Whether it was set at once; otherwise it is held.

    Raises:
        BrokerUnavailable: it was not set.
    """
    held = session.aside.held_state
    if held is None:
        held = session.own_aside().held_state = HeldStates()
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


def check_state(plan: ChannelPlan, room: str | None, state: object) -> Topic:
    """Check a state that a hook wants to set; returns the topic of the presence.

    Raises:
        FrameRefused: the channel has no presence state, or its schema refuses it.
    """
    presence = plan.presence
    if presence is None or presence.state is None:
        raise FrameRefused(f"channel `{plan.name}` has no presence state")
    if state is not None:
        if not isinstance(state, Mapping):
            raise FrameRefused("a presence state is a mapping, or None for none")
        encoded({"type": "presence", "set": state})
        if not presence.state.accepts(dict(state)):
            violations = presence.state.explain(dict(state))
            raise FrameRefused("the presence state is refused by its schema", violations)
    if room is None and presence.scope == "room":
        raise FrameRefused(f"a presence state on channel `{plan.name}` is one in a room")
    return plan.presence_topic(room or "")


async def show_for(session: Session, room: str | None, state: object) -> bool:
    """Set a user's state for a hook: at once, and instead of a held one. Returns whether the user is present.

    Raises:
        FrameRefused: the channel has no such state.
        BrokerUnavailable: nobody was told.
    """
    topic = check_state(session.channel, room, state)
    is_inside = topic.kind == "channel" or topic.name in session.rooms
    if session.user_id is None or not session.is_in(State.OPEN) or not is_inside:
        return False
    held = session.aside.held_state
    if held is not None:
        held.states.pop(topic, None)
    shown = cast("Mapping[str, Json] | None", state)
    await session.engine.hub.presence.show(topic, session, shown, tells_member=True)
    return True


def _tell(session: Session, held: HeldStates, plan: PresencePlan, now: float) -> None:
    held.timer = None
    states, held.states = held.states, {}
    held.arrival = max(now, held.arrival) + plan.rate.interval
    for topic, state in states.items():
        if _is_shown(session, topic, state):
            launch(_contained(session, topic, state), session.engine.runtime.spawn)


def _is_shown(session: Session, topic: Topic, state: Mapping[str, Json] | None) -> bool:
    """Whether a held state may still be set: there may have been a reload."""
    try:
        return check_state(session.channel, topic.name or None, state) == topic
    except FrameRefused:
        return False


async def _contained(session: Session, topic: Topic, state: Mapping[str, Json] | None) -> None:
    try:
        await session.engine.hub.presence.show(topic, session, state)
    except BrokerUnavailable:
        return  # nobody waits for an answer, and the next state replaces this one


async def flush(session: Session) -> None:
    """The connection has ended: set its held states now, because they survive a return within the grace period."""
    held = session.aside.held_state
    if held is None:
        return
    if held.timer is not None:
        held.timer.cancel()
    states, held.states = held.states, {}
    for topic, state in states.items():
        if _is_shown(session, topic, state):
            await _contained(session, topic, state)
