"""A session's admission, the watch over its token, and its close.

After everything that may wait, the state is checked again, because the connection may have ended.
"""

import contextlib
import math
from collections.abc import Awaitable, Callable, Coroutine

from channeld.auth.authenticator import Denied, Grant
from channeld.broker.broker import BrokerUnavailable, Topic
from channeld.engine import rooms, showing, steps
from channeld.engine.authenticate import authenticated, deny, turn_away, verify_message_token
from channeld.engine.debts import leave_debt, take_over_debt
from channeld.engine.errors import HookFailed, refuse_for
from channeld.engine.hook_calls import call_hook
from channeld.engine.session import Session, State
from channeld.hooks import Reject
from channeld.later import Later, resolved, yield_to_task
from channeld.plan.plan import Hook
from channeld.plan.requires import unmet
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.places import since_of
from channeld.telemetry import log

EXPIRING = 60.0
"""Seconds before a token's expiry at which its holder is told."""


async def contained(
    session: Session, coroutine: Coroutine[object, object, None], id: str | int | None
) -> None:
    """Run a session's coroutine; a failure in it becomes an error frame, never an exception."""
    try:
        await coroutine
    except Exception as error:  # answered with its error frame
        refuse_for(session, error, id)
        if session.is_in(State.OPENING, State.ENDING):
            away = isinstance(error, BrokerUnavailable)
            code = CloseCode.TRY_AGAIN_LATER if away else CloseCode.INTERNAL_ERROR
            session.end(code, "try again later" if away else "internal error")


# ------------------------------------------------------------------------------------------------------ letting in


async def open_session(session: Session, now: float) -> None:
    """Find out who the client is, or wait for its first frame to say it."""
    channel, request = session.channel, session.request
    if not channel.auth:
        return await _admit(session, None, None)
    assert request is not None  # noqa: S101 - kept until the session is open
    found = await session.engine.find_user(session.engine, channel, request, session.connection_id)
    if isinstance(found, Denied):
        return turn_away(session, found)
    if found is None and not channel.auth_optional:
        if _takes_message(session):
            return _wait_for_token(session, now)
        return deny(session, "no token")
    return await _admit(session, found, None)


def _takes_message(session: Session) -> bool:
    if session.request is not None and session.request.transport != "websocket":
        return False  # such a client can send only after it was admitted
    verifiers = session.engine.verifiers
    return any(
        (verifier := verifiers.get(auth.name)) is not None and "message" in verifier.token_from
        for auth in session.channel.auth
    )


def _wait_for_token(session: Session, now: float) -> None:
    session.state = State.AUTHENTICATING
    deadline = now + session.engine.plan.limits.auth_timeout
    session.timer = session.engine.runtime.timers.at(deadline, session)


async def authenticate_first(
    session: Session, token: str, id: str | int | None, now: float
) -> None:
    """Authenticate with the token that the first frame brought."""
    if session.timer is not None:
        session.timer.cancel()
    found = await verify_message_token(session, token)
    await rooms.rest_after(session, len(token))
    if isinstance(found, Denied):
        return turn_away(session, found, id)
    return await _admit(session, found, id)


async def _admit(session: Session, grant: Grant | None, id: str | int | None) -> None:
    if not session.is_in(State.OPENING):
        return
    engine, channel = session.engine, session.channel
    if grant is not None:
        take_grant(session, grant)
        session.answer(authenticated(session), id)
    if not meets_require(session, id, "You may not use this channel"):
        return
    wanted = rooms.wanted(session)
    if wanted is None:
        return
    heard = await _attach(session)
    session.connect_called = True
    afterwards: list[Callable[[], Awaitable[None]]] = []
    if channel.connect is not None and not await call_connect(session, channel.connect, afterwards):
        return
    if engine.observer is not None and session.is_in(State.OPENING):
        engine.observer.connected(session)
    await _join_rooms(session, wanted, heard)
    for publish in afterwards:
        await publish()
    if session.is_in(State.OPENING):
        session.state = State.OPEN
        session.request = None
        session.fold_claims(None if grant is None else grant.payload)
        log("connection_opened", **session.who)
    elif session.is_in(State.CLOSED):
        await engine.hub.drop(session, channel.name, channel.presence)
    return


async def _attach(session: Session) -> list[Later[None]]:
    """Attach the session to the hub; returns what to wait for until it hears other nodes."""
    engine, channel, user = session.engine, session.channel, session.user_id
    take_over_debt(session)
    most = channel.limits.connections_per_user
    if most is not None and user is not None:
        engine.replace_oldest(channel.name, user, most)
    heard = await engine.hub.attach(session, channel.name)
    if session.transport != "websocket":
        engine.over_http.add(session)
    if most is not None and user is not None:
        # Only now that the session itself can be found: if two connect at once on two nodes, each then sees the other.
        engine.cluster.replace_oldest(channel.name, user, most)
    return heard


async def call_connect(
    session: Session,
    hook: Hook,
    afterwards: list[Callable[[], Awaitable[None]]] | None = None,
) -> bool:
    """Call the connect hook; True if the client is admitted, otherwise it has been told why and closed."""
    try:
        await call_hook(session, hook, afterwards=afterwards)
    except BrokerUnavailable as error:
        if not hook.accepts_on_failure:
            refuse_for(session, error, None)
            session.end(CloseCode.TRY_AGAIN_LATER, "try again later")
            return False
    except Reject as error:
        session.refuse(error.code, error.message, None, error.fields)
        session.end(error.close or CloseCode.FORBIDDEN, error.message)
        return False
    except HookFailed as error:
        session.fail(None, error.ref)
        if not hook.accepts_on_failure:
            session.end(CloseCode.INTERNAL_ERROR, "internal error")
            return False
    return True


async def _join_rooms(session: Session, wanted: list[str], heard: list[Later[None]]) -> None:
    channel = session.channel
    text = session.request.query.get("since") if session.request is not None else None
    since = since_of(text, wanted)
    for done in range(0, len(wanted), rooms.JOINS_AT_ONCE):
        await rooms.share_turn(session, done)
        await rooms.join_all(session, wanted[done : done + rooms.JOINS_AT_ONCE], since)
    presence = channel.presence
    if presence is not None and presence.scope == "channel" and session.is_in(State.OPENING):
        await rooms.enter(session, Topic("channel", channel.name, ""), presence)
    # Requested before the rooms, so it rarely takes longer than these.
    for later in heard:
        await resolved(later)


# --------------------------------------------------------------------------------------------------- token's end


def meets_require(session: Session, id: str | int | None, words: str) -> bool:
    """Whether the claims satisfy the channel's `require`; if not, the client is told `words` and the session is closed."""
    claim = unmet(session.channel.require, session)
    if claim is None:
        return True
    log("require_unmet", **session.who, claim=claim)
    session.refuse(ErrorCode.FORBIDDEN, words, id)
    session.end(CloseCode.FORBIDDEN, "forbidden")
    return False


def take_grant(session: Session, grant: Grant) -> None:
    """Set who the client is, and until when."""
    session.user_id = grant.user.id
    session.claims = grant.user.claims
    session.expires, session.leeway = grant.expires, grant.leeway
    _watch_token(session)


def _watch_token(session: Session) -> None:
    """Set the session's timer to the next event of its token: the warning, or the expiry."""
    if session.timer is not None:
        session.timer.cancel()
        session.timer = None
    if session.ends is not None:
        clock = session.engine.runtime.clock
        wait = max(0.0, session.ends - EXPIRING - clock.wall())
        _set_timer(session, clock.monotonic() + wait)


def _set_timer(session: Session, deadline: float) -> None:
    session.timer = session.engine.runtime.timers.at(deadline, session)


def on_timer(session: Session, now: float) -> None:
    """Authentication took too long, or a token expires soon or now."""
    session.timer = None
    if session.state is State.AUTHENTICATING:
        return deny(session, "no authenticate frame in time")
    if session.ends is None:
        return None
    left = session.ends - session.engine.runtime.clock.wall()
    if left > 0.001:
        session.send({"type": "token_expiring", "in": math.ceil(left - 0.001)})
        return _set_timer(session, now + left)
    log("token_expired", **session.who)
    session.refuse(ErrorCode.TOKEN_EXPIRED, "The token has expired")
    return session.end(CloseCode.UNAUTHORIZED, "token expired")


# ----------------------------------------------------------------------------------------------------- letting go


async def close_session(session: Session, code: int, reason: str, now: float) -> None:
    """Forget the connection everywhere, then call the close hook."""
    engine = session.engine
    engine.forget(session.connection_id)
    engine.over_http.discard(session)
    if session.connect_called:
        leave_debt(session, now)
    engine.leaving += 1
    try:
        await _close(session, code, reason, now)
    finally:
        engine.leaving -= 1


async def _close(session: Session, code: int, reason: str, now: float) -> None:
    engine, channel = session.engine, session.channel
    if session.in_flight:
        await yield_to_task()
        await session.in_flight.idle()
    await steps.flush(session)
    await showing.flush(session)
    await rooms.leave_most(session)
    inside = list(session.rooms.values())
    with contextlib.suppress(BrokerUnavailable):
        # This node has forgotten the session; the broker corrects the rest when it is reachable again.
        await engine.hub.drop(session, channel.name, channel.presence, session.away)
    if engine.observer is not None:
        for room in inside:
            engine.observer.left(session, room)
        engine.observer.disconnected(session, int(code), reason)
    seconds = round(now - session.opened_at, 3)
    log("connection_closed", **session.who, code=int(code), reason=reason, seconds=seconds)
    if session.connect_called and channel.close is not None:
        # A failure was logged where it happened, and there is no client left to tell.
        with contextlib.suppress(Reject, HookFailed):
            await call_hook(session, channel.close, int(code), reason)
