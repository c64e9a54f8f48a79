"""Authentication: asks the authenticators who a client is, refuses without a reason, and confirms with a frame."""

import math

import attrs

from channeld.auth.authenticator import Denied, Grant, accept_user, is_time
from channeld.auth.token_places import find_token
from channeld.broker.broker import BrokerUnavailable
from channeld.engine.errors import HookFailed
from channeld.engine.hook_calls import call_authenticator
from channeld.engine.ports import Surroundings
from channeld.engine.session import Session
from channeld.hooks import Reject, Request, User
from channeld.plan.plan import AuthPlan, ChannelPlan, Hook
from channeld.protocol.codes import CloseCode, ErrorCode
from channeld.protocol.frames import Frame
from channeld.telemetry import log


async def find_user(
    engine: Surroundings, channel: ChannelPlan, request: Request, connection: str
) -> Grant | Denied | None:
    """Ask the channel's authenticators in order; None if none of them found a token. `connection` is its id, for hooks."""
    seconds = channel.limits.hook_timeout
    for auth in channel.auth:
        if auth.hook is not None:
            found = await _ask_hook(engine, auth, auth.hook, seconds, request, connection)
            if found is not None:
                return found
            continue
        verifier = engine.verifiers[auth.name]
        token = find_token(verifier.token_from, request)
        if token is not None:
            return await verifier.verify(token, engine.runtime.clock.wall())
    return None


async def ask(
    session: Session, auth: AuthPlan, request: Request, token: str
) -> Grant | Denied | None:
    """Ask one authenticator about a token, wherever it usually looks for tokens; a hook finds it in the request."""
    engine, seconds = session.engine, session.channel.limits.hook_timeout
    if auth.hook is not None:
        return await _ask_hook(engine, auth, auth.hook, seconds, request, session.connection_id)
    return await engine.verifiers[auth.name].verify(token, engine.runtime.clock.wall())


async def _ask_hook(
    engine: Surroundings,
    auth: AuthPlan,
    hook: Hook,
    seconds: float,
    request: Request,
    connection: str,
) -> Grant | Denied | None:
    try:
        state = engine.state_of(hook.loop)
        asked = attrs.evolve(request, state=state, connection=connection)
        user = await call_authenticator(engine, hook, seconds, asked)
    except Reject as error:
        return Denied(f"hook {hook.name} rejected: {error.message}")
    except (BrokerUnavailable, HookFailed) as error:
        if hook.asks is None:
            raise
        # The backend's failure does not mean that the client is not allowed.
        unknown = isinstance(error, BrokerUnavailable) and error.is_unknown
        return Denied(f"backend {hook.asks.name}: {error}", is_final=False, is_unknown=unknown)
    if user is None:
        return None
    wrong = _wrong_result(user)
    if wrong is not None:
        # A bug of the hook is not the client's fault.
        ref = engine.runtime.random_id()
        log("hook_failed", hook=hook.name, ref=ref, reason=wrong)
        raise HookFailed(ref)
    reason = accept_user(auth.compiled.claims, user) or _end_reason(engine, user)
    return Grant(user, user.expires, 0.0) if reason is None else Denied(reason)


def _wrong_result(user: object) -> str | None:
    """What is wrong with what a hook returned, which is not None."""
    if not isinstance(user, User):
        return f"the result is of type {type(user).__name__}, not a User or None"
    if user.expires is not None and not is_time(user.expires):
        return "the user's expires is not a number of seconds"
    return None


def _end_reason(engine: Surroundings, user: User) -> str | None:
    """Why the expiry that a hook gave its user is refused."""
    if user.expires is None:
        return None
    return "the user has expired" if user.expires <= engine.runtime.clock.wall() else None


async def verify_message_token(session: Session, token: str) -> Grant | Denied:
    """Verify the token of an `authenticate` frame with the authenticators that accept tokens there."""
    outcome: Grant | Denied = Denied("no authenticator takes a token by message")
    for auth in session.channel.auth:
        verifier = session.engine.verifiers.get(auth.name)
        if verifier is not None and "message" in verifier.token_from:
            outcome = await verifier.verify(token, session.engine.runtime.clock.wall())
            if isinstance(outcome, Grant):
                break
    return outcome


def deny(session: Session, reason: str, id: str | int | None = None) -> None:
    """Refuse with UNAUTHORIZED and 4401; only the log has the reason."""
    log("auth_refused", **session.who, reason=reason)
    session.refuse(ErrorCode.UNAUTHORIZED, "Unauthorized", id)
    session.end(CloseCode.UNAUTHORIZED, "unauthorized")


def turn_away(session: Session, denied: Denied, id: str | int | None = None) -> None:
    """Like `deny`, but with UNAVAILABLE and 1013 if it is not the client's fault, so that it reconnects."""
    if denied.is_final:
        return deny(session, denied.reason, id)
    log("auth_unavailable", **session.who, reason=denied.reason)
    session.refuse(ErrorCode.UNAVAILABLE, "Try again later", id, denied.fields)
    return session.end(CloseCode.TRY_AGAIN_LATER, "try again later")


def authenticated(session: Session) -> Frame:
    """The frame that says who the client is, and in how many seconds the token expires."""
    frame: Frame = {"type": "authenticated", "user": session.user_id}
    if session.expires is not None:
        left = session.expires - session.engine.runtime.clock.wall()
        frame["expires"] = max(0, math.ceil(left - 0.001))
    return frame
