"""Re-checking the rights of a live connection, because of a new token or a reload.

The connection leaves rooms that `rooms.join` and `rooms.subscribe` no longer allow, and joins those that `rooms.join` now gives; the client
gets `unsubscribed` and `subscribed`. Rooms that a hook or the control API put it into stay. If a reload turned `history` on or off, the
client gets `subscribed` again, with or without a `pos`; if it turned `presence` off, the last `state` is empty.
"""

from channeld.auth.authenticator import Denied, Grant
from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.engine import authenticate, rooms
from channeld.engine.hook_calls import call_hook
from channeld.engine.lifecycle import meets_require, take_grant
from channeld.engine.rooms import turn
from channeld.engine.session import Origin, Session, State
from channeld.hooks import Reject, Request
from channeld.hub.hub import Info
from channeld.hub.presence import nobody_in
from channeld.plan.plan import ChannelPlan, PresencePlan
from channeld.protocol.codes import CloseCode
from channeld.telemetry import log


def may_subscribe(session: Session, room: str) -> bool:
    """Whether `rooms.subscribe.allow` permits the room; its hook is not asked."""
    subscribe = session.channel.subscribe
    return subscribe is not None and subscribe.allows(session, room)


async def renew(session: Session, token: str, id: str | int | None) -> None:
    """Accept a new token for a live connection; a token of another user ends the connection."""
    found = await verify_renewal(session, token)
    await rooms.rest_after(session, len(token))
    if not session.is_in(State.OPEN):
        return None
    if isinstance(found, Denied):
        return authenticate.turn_away(session, found, id)
    if found.user.id != session.user_id:
        return authenticate.deny(session, "renewal for another user", id)
    presence = session.channel.presence
    shown = None if presence is None else rooms.info_of(session, presence)
    take_grant(session, found)
    if not meets_require(session, id, "You may not use this channel any more"):
        return None
    session.answer(authenticate.authenticated(session), id)
    try:
        await _revise(session, session.channel, "renewed", asks_hook=True, shown=shown)
    except BrokerUnavailable:
        # The frame has been answered, but the connection may still be in a room that its new claims do not allow.
        session.disconnect(CloseCode.TRY_AGAIN_LATER, "try again later", reconnect=True)
    return None


async def verify_renewal(session: Session, token: str) -> Grant | Denied:
    """Verify a token with every authenticator of the channel, wherever it looks for tokens in handshakes."""
    channel = session.channel
    outcome = Denied("no authenticator takes this token")
    request = Request(
        path=channel.path,
        channel=channel.name,
        params=session.params,
        address=session.address,
        token=token,
    )
    for auth in channel.auth:
        found = await authenticate.ask(session, auth, request, token)
        if isinstance(found, Grant):
            return found
        if found is not None and outcome.is_final:
            outcome = found
    return outcome


async def revise(session: Session, before: ChannelPlan) -> None:
    """Apply a reload to a connection whose channel's plan was `before`; its frames wait meanwhile. Never raises.

    It is started for all connections before anything else is handled. As long as the broker answers at once, no connection misses what
    another one sends from its new room.
    """
    async with turn(session):
        if not session.is_in(State.OPEN):
            return
        try:
            await _revise(session, before, "reloaded", asks_hook=False)
        except Exception as error:  # the client has to reconnect
            if not isinstance(error, BrokerUnavailable):
                log("task_failed", task="revise", exception=error)
            session.disconnect(CloseCode.SERVICE_RESTART, "the channel has changed", reconnect=True)


async def _revise(
    session: Session,
    before: ChannelPlan,
    reason: str,
    *,
    asks_hook: bool,
    shown: Info | None = None,
) -> None:
    names = rooms.wanted(session)
    if names is None:
        return
    given = set(names)
    for done, room in enumerate(list(session.rooms)):
        await rooms.share_turn(session, done)
        if room not in given and not await _may_stay(session, room, asks_hook=asks_hook):
            await rooms.leave(session, room, reason)
    stayed = list(session.rooms.values())
    news = [room for room in names if room not in session.rooms]
    if (before.history is None) is not (session.channel.history is None):
        news += session.rooms
    for done, room in enumerate(news):
        await rooms.share_turn(session, done)
        if session.is_in(State.OPEN):
            await rooms.join(session, room, None, asked=True)
    await _revise_presence(session, before.presence, stayed, shown)


async def _may_stay(session: Session, room: str, *, asks_hook: bool) -> bool:
    origin = (session.aside.origins or {}).get(room)
    if origin is not Origin.SUBSCRIBED:
        return origin is Origin.PUT
    if not may_subscribe(session, room):
        return False
    subscribe = session.channel.subscribe
    if asks_hook and subscribe is not None and subscribe.hook is not None:
        try:
            await call_hook(session, subscribe.hook, room)
        except Reject:
            return False
    return True


async def _revise_presence(
    session: Session, before: PresencePlan | None, stayed: list[Topic], shown: Info | None
) -> None:
    """Update presence from the old plan to the new one; `stayed` are the rooms that the connection did not just join.

    If they already show of it what they should (`shown`), the broker is not asked.
    """
    now, hub = session.channel.presence, session.engine.hub
    everyone = Topic("channel", session.channel.name, "")
    if before is not None and (now is None or now.scope != before.scope):
        for done, topic in enumerate(stayed if before.scope == "room" else [everyone]):
            await rooms.share_turn(session, done)
            await hub.presence.leave(topic, None, session)
            session.send(nobody_in(topic))
    if now is None or not session.is_in(State.OPEN):
        return
    info = rooms.info_of(session, now)
    if info == shown:
        return
    for done, topic in enumerate(stayed if now.scope == "room" else [everyone]):
        await rooms.share_turn(session, done)
        if before is None or before.scope != now.scope:
            await rooms.enter(session, topic, now)
        else:
            await hub.enter_presence(session, topic, info)
