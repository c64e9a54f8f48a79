"""The API's verbs: publish, disconnect, subscribe, clear, revoke and so on; each handler calls one verb of the cluster."""

import datetime as dt

from channeld.api.control import ApiRequest, Control
from channeld.api.problems import Problem
from channeld.api.publishing import begin, publish_all
from channeld.api.responses import Result, told
from channeld.api.views import paged
from channeld.auth.revocations import Revocation, RevocationsFull
from channeld.config.scalars import BadScalar, parse_duration, parse_moment
from channeld.later import Pending, resolved
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.violations import Violation


async def publish(control: Control, ask: ApiRequest) -> Json:
    """Send an event to a room, a user, or everyone on a channel."""
    return await begin(control, ask.body)


async def batch(control: Control, ask: ApiRequest) -> Json:
    """Publish up to 1,000 events, each with its own result, in order."""
    return {"results": await publish_all(control, ask.body)}


async def disconnect(control: Control, ask: ApiRequest) -> Result:
    """Close a connection, or all connections of a user."""
    asked = {"code": CloseCode.KICKED, "reason": "", **ask.body}
    return told(await control.cluster.disconnect(**asked))


async def subscribe(control: Control, ask: ApiRequest) -> Result:
    """Add a connection, or a user's connections on a channel, to a room."""
    control.channel(ask.body["channel"])
    return told(await control.cluster.subscribe(**ask.body))


async def unsubscribe(control: Control, ask: ApiRequest) -> Result:
    """Remove a connection, or a user's connections on a channel, from a room."""
    control.channel(ask.body["channel"])
    return told(await control.cluster.unsubscribe(**ask.body))


async def clear(control: Control, ask: ApiRequest) -> Json:
    """Remove the stored frames of a room, or the newest one of a key, without telling its members."""
    plan, room = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    if plan.history is None:
        raise Problem(404, f"channel `{plan.name}` keeps no history")
    later = control.engine.clear(plan, room, ask.query.get("key"))
    return {"room": room, "frames": await Pending(resolved(later))}


async def revoke(control: Control, ask: ApiRequest) -> Result:
    """Refuse the JWTs of a user, or a single JWT, from now on, and close their connections."""
    revocation = _read(ask.body, control.engine.runtime.clock.wall())
    try:
        reached = await control.cluster.revoke(revocation)
    except RevocationsFull as error:
        raise Problem(409, str(error)) from None
    # The stricter of two for one user applies, so the one in force may end later than requested.
    in_force = control.engine.revocations.get(revocation.id) or revocation
    return told(reached, id=revocation.id, until=_text(in_force.until))


async def revocations(control: Control, ask: ApiRequest) -> Json:
    """List revocations, by id."""
    by_id = {one.id: one for one in control.engine.revocations}
    return paged("revocations", ask, by_id, lambda _, one: _row(one))


async def restore(control: Control, ask: ApiRequest) -> Json:
    """Withdraw a revocation."""
    id = ask.params["id"]
    if not await control.cluster.restore(id):
        raise Problem(404, "there is no such revocation")
    return {"id": id}


def _read(body: CheckedJson, wall: float) -> Revocation:
    if "token_id" in body:
        return Revocation(token_id=body["token_id"], until=_moment(body, "until", wall))
    before = _moment(body, "before", wall)
    length = parse_duration(body.get("for", "24h"))
    if isinstance(length, BadScalar) or length <= 0:
        raise _bad("for", "must be a duration, such as `24h`")
    return Revocation(user=body["user"], before=before, until=max(before, wall) + length)


def _moment(body: CheckedJson, name: str, default: float) -> float:
    """Unix seconds from a number or an RFC 3339 time."""
    given = body.get(name, default)
    moment = parse_moment(given)
    if isinstance(moment, BadScalar):
        raise _bad(name, f"must be {moment.write}")
    return moment


def _bad(name: str, words: str) -> Problem:
    found = [Violation(f"/{name}", words, "format")]
    return Problem(400, f"the body is not valid: `/{name}` {words}", found)


def _row(one: Revocation) -> Json:
    row: dict[str, Json] = {"id": one.id, "until": _text(one.until)}
    if one.user is not None:
        return {**row, "user": one.user, "before": _text(one.before)}
    return {**row, "token_id": one.token_id}


def _text(moment: float) -> str:
    # The last moment that RFC 3339 can express.
    end = min(moment, 253_402_300_799.0)
    return (
        dt.datetime.fromtimestamp(end, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )
