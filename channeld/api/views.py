"""The API's views: channels, rooms and their connections, presence, history, users, health and metrics."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs
import orjson
from starlette.responses import Response

from channeld.api.control import ApiRequest, Control
from channeld.api.problems import Problem
from channeld.broker.broker import Position
from channeld.cluster.cluster import ConnectionInfo
from channeld.hub.shown import Shown
from channeld.later import Pending, resolved
from channeld.plan.plan import ChannelPlan
from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.violations import Violation
from channeld.telemetry import CONTENT_TYPE, Sample, exposition

T = TypeVar("T")


# --------------------------------------------------------------------------------------------------- channels


async def channels(control: Control, _ask: ApiRequest) -> Json:
    """List the declared channels, with their numbers of connections and rooms."""
    counts = await control.cluster.counts()
    plans = list(control.engine.plan.channels.values())
    return {"channels": [_channel(control, plan, counts) for plan in plans]}


async def channel(control: Control, ask: ApiRequest) -> Json:
    """Show one channel."""
    plan = control.channel(ask.params["channel"])
    return _channel(control, plan, await control.cluster.counts())


def _channel(control: Control, plan: ChannelPlan, counts: dict[str, tuple[int, int]]) -> Json:
    connections, rooms_ = counts.get(plan.name, (0, 0))
    declared = control.engine.plan.config.channels[plan.name]
    kept = plan.history
    return {
        "name": plan.name,
        "path": plan.path,
        "description": declared.description,
        "auth": [auth.name for auth in plan.auth],
        "messages": list(plan.messages),
        "events": None if plan.events is None else list(plan.events),
        "presence": plan.presence is not None,
        "history": None if kept is None else {"size": kept.size, "ttl": kept.ttl},
        "connections": connections,
        "rooms": rooms_,
    }


async def rooms(control: Control, ask: ApiRequest) -> Json:
    """List the rooms that have members, by name."""
    plan = control.channel(ask.params["channel"])
    found = await control.cluster.rooms(plan.name)
    return paged("rooms", ask, found, lambda name, count: {"room": name, "connections": count})


async def room(control: Control, ask: ApiRequest) -> Json:
    """List the connections in a room; an empty room has none."""
    plan, name = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    found = await control.cluster.connections(channel=plan.name, room=name)
    by_id = {one.id: one for one in found}
    page = paged("members", ask, by_id, lambda _, one: row_of(one, "channel", "rooms"))
    return {"room": name, "connections": len(found), **page}


async def presence(control: Control, ask: ApiRequest) -> Json:
    """List the users in a room, as its members see them.

    Where presence is the channel's, they are all of its users.
    """
    plan, name = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    if plan.presence is None:
        raise Problem(404, f"channel `{plan.name}` has no presence")
    topic = plan.presence_topic(name)
    broker = control.engine.hub.broker
    users = await Pending(resolved(broker.present(topic)))
    count = await Pending(resolved(broker.count(topic)))
    page = paged(
        "users",
        ask,
        {one.user: one for one in users},
        lambda user, one: {
            "user": user,
            **Shown.unpack(one.info).fields(),
            "connections": one.connections,
        },
    )
    return {"room": name, "count": len(users), "connections": count.connections, **page}


async def history(control: Control, ask: ApiRequest) -> Json:
    """Read the latest frames of a room, oldest first."""
    plan, name = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    if plan.history is None:
        raise Problem(404, f"channel `{plan.name}` keeps no history")
    before = None
    if "before" in ask.query:
        before = Position.parse(ask.query["before"])
        if before is None:
            told = "must be a `pos` that the server gave"
            raise Problem(400, f"`before` {told}", [Violation("/before", told, "format")])
    page = await Pending(control.engine.history(plan, name, ask.query["limit"], before))
    frames: CheckedJson = [orjson.Fragment(payload) for payload in page.payloads]
    return {"room": name, "frames": frames, "more": page.more}


async def user(control: Control, ask: ApiRequest) -> Json:
    """Show whether a user is online, and through which connections."""
    name = ask.params["user"]
    if not 1 <= len(name) <= 128:
        raise Problem(404, "no such user: an id has 1 to 128 characters")
    found = await control.cluster.connections(user=name)
    by_id = {one.id: one for one in found}
    page = paged("connections", ask, by_id, lambda _, one: row_of(one, "user"))
    return {"user": name, "online": bool(found), **page}


def row_of(one: ConnectionInfo, *without: str) -> dict[str, Json]:
    """A connection's fields, without those that the request implies."""
    fields = {**attrs.asdict(one), "since": moment(one.since)}
    return {name: value for name, value in fields.items() if name not in without}


def moment(seconds: float) -> str:
    """Unix time in RFC 3339 format, with milliseconds."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def paged(
    name: str, ask: ApiRequest, rows: Mapping[str, T], show: Callable[[str, T], Json]
) -> dict[str, Json]:
    """One page of rows in the order of their keys, and `next` if there are more."""
    limit, after = ask.query["limit"], ask.query.get("after")
    keys = sorted(key for key in rows if after is None or key > after)
    more: dict[str, Json] = {"next": keys[limit - 1]} if len(keys) > limit else {}
    return {name: [show(key, rows[key]) for key in keys[:limit]], **more}


# ----------------------------------------------------------------------------------------------------- health


async def live(_control: Control, _ask: ApiRequest) -> Json:
    """Whether the process is alive."""
    return {"status": "live"}


async def ready(control: Control, _ask: ApiRequest) -> Json:
    """Whether the server accepts clients: not while draining, nor while the broker is unreachable."""
    if control.is_draining():
        raise Problem(503, "draining", headers={"retry-after": "10"})
    if not control.is_broker_up():
        raise Problem(503, "the broker is unreachable", headers={"retry-after": "1"})
    shards: Json = {name: "up" if is_up else "away" for name, is_up in control.shards().items()}
    plans = control.cluster.plans
    others: Json = {node: list(some) for node, some in plans.differing.items()}
    versions: Json = [*sorted(plans.versions)]
    told = {"shards": shards, "other_plans": others, "other_versions": versions}
    return {"status": "ready", **{name: found for name, found in told.items() if found}}


async def metrics(control: Control, _ask: ApiRequest) -> Response:
    """Metrics for Prometheus."""
    samples = await control.cluster.samples()
    plans = control.cluster.plans
    others = (
        Sample("channeld_nodes_with_another_plan", len(plans.differing)),
        Sample("channeld_other_versions", len(plans.versions)),
    )
    text = exposition([*samples, *control.samples(), *others])
    return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})
