"""Who a client is: asking the authenticators, saying no without a reason, and the frame that says yes."""

import math
from typing import TYPE_CHECKING

from channeld.engine.auth import Denied, Grant, accept_user, find_token, meets
from channeld.engine.hook_calls import call_authenticator
from channeld.engine.states import State
from channeld.hooks import Reject, Request, User
from channeld.plan.plan import AuthPlan, Hook
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.frames import Frame
from channeld.telemetry import log

if TYPE_CHECKING:
    from channeld.engine.session import Session

__all__ = ["authenticated", "deny", "find_user", "renew", "verify_message_token"]


async def find_user(session: "Session", request: Request) -> Grant | Denied | None:
    """Ask the channel's authenticators in order; None when none of them found its token."""
    engine = session.engine
    for auth in session.channel.auth:
        if auth.hook is not None:
            found = await _ask_hook(session, auth, auth.hook, request)
            if found is not None:
                return found
            continue
        verifier = engine.verifiers[auth.name]
        token = find_token(verifier.token_from, request)
        if token is not None:
            return await verifier.verify(token, engine.runtime.clock.wall())
    return None


async def _ask_hook(
    session: "Session", auth: AuthPlan, hook: Hook, request: Request
) -> Grant | Denied | None:
    seconds = session.channel.limits.hook_timeout
    try:
        user = await call_authenticator(session.engine, hook, seconds, request)
    except Reject as error:
        return Denied(f"hook {hook.name} rejected: {error.message}")
    if user is None:
        return None
    if not isinstance(user, User):
        return Denied(f"hook {hook.name} returned no User")
    reason = accept_user(auth, user)
    return Grant(user) if reason is None else Denied(reason)


async def verify_message_token(session: "Session", token: str) -> Grant | Denied:
    """Verify a token out of an `authenticate` frame with the authenticators that take one there."""
    outcome: Grant | Denied = Denied("no authenticator takes a token by message")
    for auth in session.channel.auth:
        verifier = session.engine.verifiers.get(auth.name)
        if verifier is not None and "message" in verifier.token_from:
            outcome = await verifier.verify(token, session.engine.runtime.clock.wall())
            if isinstance(outcome, Grant):
                break
    return outcome


def deny(session: "Session", reason: str, id: str | int | None = None) -> None:
    """UNAUTHORIZED and 4401; the reason goes to the log only."""
    log(
        "auth_refused",
        connection=session.connection_id,
        channel=session.channel.name,
        address=session.address,
        reason=reason,
    )
    session.refuse(ErrorCode.UNAUTHORIZED, "Unauthorized", id)
    session.end(CloseCode.UNAUTHORIZED, "unauthorized")


def authenticated(session: "Session") -> Frame:
    """The frame that says who the client is, and in how many seconds the token expires."""
    frame: Frame = {"type": "authenticated", "user": session.user_id}
    if session.expires is not None:
        left = session.expires - session.engine.runtime.clock.wall()
        frame["expires"] = max(0, math.ceil(left - 0.001))
    return frame


async def renew(session: "Session", token: str, id: str | int | None) -> None:
    """A live connection brought a new token: the same user's, or the connection ends."""
    found = await verify_message_token(session, token)
    if not session.is_in(State.OPEN):
        return None
    if isinstance(found, Denied):
        return deny(session, found.reason, id)
    if found.user.id != session.user_id:
        return deny(session, "renewal for another user", id)
    session.grant(found)
    if not meets(session.channel.require, session):
        session.refuse(ErrorCode.FORBIDDEN, "This channel is not for you any more", id)
        return session.end(CloseCode.FORBIDDEN, "forbidden")
    return session.answer(authenticated(session), id)
