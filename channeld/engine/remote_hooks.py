"""Hooks that a backend answers over HTTP: what it is asked, and what its answer means.

`channeld.engine.ports.Backends` sends the requests. An answer is parsed here, in the terms of the hooks API: it is an object with the keys
of `_ANSWERS` for its kind of hook. Any other answer counts as a failure: it is logged with a `ref`, the backend and the field, and nothing
of it is done.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs
import orjson

from channeld.auth.authenticator import is_time
from channeld.broker.broker import BrokerUnavailable
from channeld.engine import publishing
from channeld.engine.context import AnswerOnce, AsyncContext
from channeld.engine.errors import HookFailed
from channeld.engine.ports import BackendAnswer, BackendUnavailable, Surroundings
from channeld.engine.publishing import FrameRefused
from channeld.engine.session import Session
from channeld.hooks import Reject, Request, User
from channeld.plan.plan import Hook, RemoteHook
from channeld.protocol.frames import CheckedJson, Frame, encode, integers_fit
from channeld.telemetry import log

# Kind of hook → the keys that its answer may have.
_ANSWERS: Final[Mapping[str, frozenset[str]]] = {
    "message": frozenset({"message", "reply", "publish", "reject"}),
    "connect": frozenset({"publish", "reject"}),
    "subscribe": frozenset({"publish", "reject"}),
    "unsubscribe": frozenset({"publish"}),
    "close": frozenset({"publish"}),
    "authenticate": frozenset({"user", "reject"}),
}
_ACCEPTING: Final = frozenset({"message", "subscribe"})
_TOLD: Final = frozenset({"close", "unsubscribe"})
_USER: Final = frozenset({"id", "claims", "expires"})
_MOST_LOGGED: Final = 300
"""Characters of a reason: an answer may hold a megabyte, and names its own keys."""
_AT_ONCE: Final = 50
"""Publications that are made before other tasks get a turn."""


class _BadAnswer(Exception):
    """A malformed answer; the message names the field."""


@attrs.frozen(slots=True)
class _Published:
    to: str
    event: Mapping[str, CheckedJson]
    name: str | None
    channel: str | None


async def ask_about_session(
    session: Session,
    hook: Hook,
    remote: RemoteHook,
    answer: AnswerOnce | None,
    args: Sequence[object],
    problem_of: Callable[[object], str | None] | None,
) -> tuple[Any, Callable[[], Awaitable[None]]]:
    """Ask a backend about a connection. `problem_of` says why a message cannot be routed.

    Returns:
        The message to route instead (or None), and a function that publishes what the backend wants published.

    Raises:
        Reject: the backend's own.
        BrokerUnavailable: it could not be asked, or did not answer in time.
        HookFailed: its answer was malformed; that is logged.
    """
    engine, seconds = session.engine, session.channel.limits.hook_timeout
    body = encode(_about(session, remote, args))
    try:
        said = _read(await engine.backends.ask(remote, body, seconds), remote)
        context = AsyncContext(session, answer)
        changed = _message(said, problem_of)
        publications = _publications(said, session)
        await _reply(context, said)
    except BrokerUnavailable as error:
        if remote.kind in _TOLD:
            # Such a hook cannot refuse anything, and there is no client to tell.
            _failed(engine, hook, remote, str(error), session)
        elif not _is_accepted(remote):
            unknown = error.is_unknown
            raise BackendUnavailable(str(error), error.retry_after, is_unknown=unknown) from error
        return None, _nothing
    except _BadAnswer as error:
        engine.backends.note_bad(hook.name, str(error))
        failed = _failed(engine, hook, remote, str(error), session)
        if _is_accepted(remote):
            return None, _nothing
        raise failed from error

    publish = partial(_publish_all, session, context, hook, remote, publications)
    return changed, publish


async def ask_about_request(
    engine: Surroundings, hook: Hook, remote: RemoteHook, seconds: float, request: Request
) -> User | None:
    """Ask a backend who a client is, for at most that many seconds; raises as `ask_about_session` does."""
    asked: Frame = {
        "hook": remote.kind,
        "channel": request.channel,
        **({"connection": request.connection} if request.connection else {}),
        "user": None,
        "params": dict(request.params),
        "rooms": [],
        "request": _request(request, remote),
    }
    answer = await engine.backends.ask(remote, encode(asked), seconds)
    if answer.status == 401:
        return None
    try:
        said = _read(answer, remote)
        user = _mapping(said, "user")
        return None if user is None else _user(user)
    except _BadAnswer as error:
        engine.backends.note_bad(hook.name, str(error))
        raise _failed(engine, hook, remote, str(error), None) from error


async def _nothing() -> None:
    return None


async def _publish_all(
    session: Session,
    context: AsyncContext,
    hook: Hook,
    remote: RemoteHook,
    listed: Sequence[_Published],
) -> None:
    engine = session.engine
    for index, one in enumerate(listed):
        if index and not index % _AT_ONCE:
            await engine.runtime.give_way()
        try:
            await _publish(context, one)
        except (FrameRefused, BrokerUnavailable, TypeError) as error:
            engine.backends.note_bad(hook.name, f"`publish[{index}]`: {error}")
            _failed(engine, hook, remote, f"`publish[{index}]`: {error}", session)


def _is_accepted(remote: RemoteHook) -> bool:
    return remote.kind in _ACCEPTING and remote.backend.on_failure == "accept"


# ------------------------------------------------------------------------------------------------- what is asked


def _about(session: Session, remote: RemoteHook, args: Sequence[object]) -> Frame:
    user = None if session.user_id is None else {"id": session.user_id, "claims": session.claims}
    asked: Frame = {
        "hook": remote.kind,
        "channel": session.channel.name,
        "connection": session.connection_id,
        "user": user,
        "params": dict(session.params),
        "rooms": sorted(session.rooms),
    }
    match remote.kind:
        case "message":
            asked["message"] = args[0]
            if session.room is not None:
                asked["room"] = session.room
        case "close":
            asked["code"], asked["reason"] = args
        case "subscribe" | "unsubscribe":
            asked["room"] = args[0]
        case _ if session.request is not None:
            asked["request"] = _request(session.request, remote, _token_names(session))
    return asked


def _token_names(session: Session) -> set[str]:
    """The names of query parameters that may hold a token."""
    names = {"token"}
    for auth in session.channel.auth:
        verifier = session.engine.verifiers.get(auth.name)
        for place in verifier.token_from if verifier is not None else ():
            kind, _, name = place.partition(":")
            if kind == "query" and name:
                names.add(name)
    return names


def _request(request: Request, remote: RemoteHook, hidden: Collection[str] = ()) -> Frame:
    """The handshake: the headers named in the backend's `headers`, and the query without the hidden names."""
    asked: Frame = {
        "path": request.path,
        "query": {name: value for name, value in request.query.items() if name not in hidden},
        "headers": {
            name: request.headers[name]
            for name in remote.backend.headers
            if name in request.headers
        },
        "address": request.address,
    }
    if request.token is not None and not hidden:
        asked["token"] = request.token
    return asked


# --------------------------------------------------------------------------------------------- what it means


def _read(answer: BackendAnswer, remote: RemoteHook) -> Frame:
    if answer.body is None:
        raise _BadAnswer(f"the answer {answer.problem}")
    if answer.status == 204:
        return {}
    if answer.status != 200:
        raise _BadAnswer(f"the answer is HTTP {answer.status}")
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise _BadAnswer(f"the answer is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise _BadAnswer("the answer is not an object")
    if not integers_fit(answer.body):
        raise _BadAnswer("the answer has an integer that does not fit into 64 bits")
    unknown = said.keys() - _ANSWERS[remote.kind]
    if unknown:
        raise _BadAnswer(f"`{min(unknown)}` does not answer hooks of the kind `{remote.kind}`")
    rejection = _mapping(said, "reject")
    if rejection is not None:
        raise _rejected(rejection)
    return said


def _mapping(said: Frame, key: str) -> Frame | None:
    value = said.get(key)
    if value is not None and not isinstance(value, dict):
        raise _BadAnswer(f"`{key}` is not an object")
    return value


def _rejected(fields: Mapping[str, CheckedJson]) -> Reject:
    rest = {key: value for key, value in fields.items() if key not in ("message", "code", "close")}
    try:
        return Reject(
            fields["message"], fields.get("code", "REJECTED"), fields.get("close"), **rest
        )
    except KeyError as error:
        raise _BadAnswer("`reject` has no `message`") from error
    except (TypeError, ValueError) as error:
        raise _BadAnswer(f"`reject`: {error}") from error


def _user(fields: Mapping[str, CheckedJson]) -> User:
    _refuse_others(fields, _USER, "user")
    id, claims, expires = fields.get("id"), fields.get("claims"), fields.get("expires")
    if not isinstance(id, str) or not 1 <= len(id) <= 128:
        raise _BadAnswer("`user.id` is not a string of 1 to 128 characters")
    if claims is not None and not isinstance(claims, dict):
        raise _BadAnswer("`user.claims` is not an object")
    if expires is not None and not is_time(expires):
        raise _BadAnswer("`user.expires` is not Unix seconds")
    return User(id, claims or {}, expires=expires)


def _publications(said: Mapping[str, CheckedJson], session: Session) -> list[_Published]:
    listed = said.get("publish")
    if listed is not None and not isinstance(listed, list):
        raise _BadAnswer("`publish` is not a list")
    found = [_publication(one, f"publish[{index}]") for index, one in enumerate(listed or ())]
    for index, one in enumerate(found):
        channel = one.channel or session.channel.name
        room = one.name if one.to == "room" else None
        try:
            checked = publishing.check_publication(session.engine.plan, channel, one.event, room)
            publishing.encoded(checked[1])
        except FrameRefused as error:
            raise _BadAnswer(f"`publish[{index}]`: {error}") from error
    return found


def _publication(one: object, where: str) -> _Published:
    if not isinstance(one, dict):
        raise _BadAnswer(f"`{where}` is not an object")
    to, event, channel = one.get("to"), one.get("event"), one.get("channel")
    if to not in ("room", "user", "global"):
        raise _BadAnswer(f"`{where}.to` is not `room`, `user` or `global`")
    if not isinstance(event, dict):
        raise _BadAnswer(f"`{where}.event` is not an object")
    if channel is not None and not isinstance(channel, str):
        raise _BadAnswer(f"`{where}.channel` is not a string")
    name = None if to == "global" else one.get(to)
    if to != "global" and not isinstance(name, str):
        raise _BadAnswer(f"`{where}.{to}` is not a string")
    if to == "user" and not 1 <= len(str(name)) <= 128:
        raise _BadAnswer(f"`{where}.user` is not a string of 1 to 128 characters")
    _refuse_others(one, {"to", "event", "channel", to}, where)
    return _Published(to, event, name, channel)


def _refuse_others(fields: Mapping[str, CheckedJson], known: Collection[str], where: str) -> None:
    """Refuse unknown keys: they are misspelt, or belong elsewhere."""
    for key, value in fields.items():
        if key not in known and value is not None:
            raise _BadAnswer(f"`{where}.{key}` means nothing here")


def _message(said: Frame, problem_of: Callable[[object], str | None] | None) -> Frame | None:
    message = _mapping(said, "message")
    reason = None if message is None or problem_of is None else problem_of(message)
    if reason is not None:
        raise _BadAnswer(f"`message`: {reason}")
    return message


async def _reply(context: AsyncContext, said: Frame) -> None:
    fields = _mapping(said, "reply")
    try:
        if fields is not None:
            await context.reply(fields)
    except FrameRefused as error:
        raise _BadAnswer(f"`reply`: {error}") from error


async def _publish(context: AsyncContext, one: _Published) -> None:
    if one.name is None:
        await context.to_all(one.event, channel=one.channel)
    else:
        verbs = {"room": context.to_room, "user": context.to_user}
        await verbs[one.to](one.name, one.event, channel=one.channel)


def _failed(
    engine: Surroundings, hook: Hook, remote: RemoteHook, reason: str, session: Session | None
) -> HookFailed:
    ref = engine.runtime.random_id()
    where = {"connection": session.connection_id} if session is not None else {}
    reason = reason if len(reason) <= _MOST_LOGGED else f"{reason[:_MOST_LOGGED]}…"
    log("hook_failed", hook=hook.name, ref=ref, backend=remote.name, reason=reason, **where)
    return HookFailed(ref)
