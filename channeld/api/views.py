"""What the API shows: channels, rooms and who is in them, presence, history, users, health and metrics."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import orjson
from starlette.responses import Response

from channeld.api.control import ApiRequest, Control
from channeld.api.metrics import exposition
from channeld.api.problems import Problem
from channeld.broker.broker import Position, Topic
from channeld.cluster.cluster import ConnectionInfo
from channeld.hub.shown import Shown
from channeld.later import Pending, resolved
from channeld.plan.plan import ChannelPlan
from channeld.protocol.frames import Json
from channeld.schema.violations import Violation
from channeld.telemetry import CONTENT_TYPE, Sample

__all__ = [
    "channel",
    "channels",
    "history",
    "live",
    "metrics",
    "moment",
    "paged",
    "presence",
    "ready",
    "room",
    "rooms",
    "user",
]

T = TypeVar("T")


# --------------------------------------------------------------------------------------------------- channels


async def channels(control: Control, _ask: ApiRequest) -> Json:
    """Every declared channel, and how many connections and rooms it has."""
    counts = await control.cluster.counts()
    plans = list(control.engine.plan.channels.values())
    return {"channels": [_channel(control, plan, counts) for plan in plans]}


async def channel(control: Control, ask: ApiRequest) -> Json:
    """One of them."""
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
    """The rooms of a channel that somebody is in, by name."""
    plan = control.channel(ask.params["channel"])
    found = await control.cluster.rooms(plan.name)
    return paged("rooms", ask, found.items(), lambda row: row[0], _room_row)


def _room_row(row: tuple[str, int]) -> Json:
    return {"room": row[0], "connections": row[1]}


async def room(control: Control, ask: ApiRequest) -> Json:
    """The connections that are in a room."""
    plan, name = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    found = await control.cluster.connections(channel=plan.name, room=name)
    page = paged("members", ask, found, lambda one: one.id, _member)
    return {"room": name, "connections": len(found), **page}


async def presence(control: Control, ask: ApiRequest) -> Json:
    """Who is in a room (or on the channel, where presence is the channel's), by user."""
    plan, name = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    if plan.presence is None:
        raise Problem(404, f"channel `{plan.name}` has no presence")
    is_wide = plan.presence.scope == "channel"
    topic = Topic("channel", plan.name, "") if is_wide else Topic("room", plan.name, name)
    broker = control.engine.hub.broker
    users = await Pending(resolved(broker.present(topic)))
    count = await Pending(resolved(broker.count(topic)))
    page = paged(
        "users",
        ask,
        users,
        lambda one: one.user,
        lambda one: {
            "user": one.user,
            **Shown.unpack(one.info).fields(),
            "connections": one.connections,
        },
    )
    return {"room": name, "count": len(users), "connections": count.connections, **page}


async def history(control: Control, ask: ApiRequest) -> Json:
    """The latest frames of a room, or those before a position; oldest first."""
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
    frames: Any = [orjson.Fragment(payload) for payload in page.payloads]
    return {"room": name, "frames": frames, "more": page.more}


async def user(control: Control, ask: ApiRequest) -> Json:
    """Whether a user is online, and through which connections."""
    name = ask.params["user"]
    if not 1 <= len(name) <= 128:
        raise Problem(404, "no such user: an id has 1 to 128 characters")
    found = await control.cluster.connections(user=name)
    page = paged("connections", ask, found, lambda one: one.id, _connection)
    return {"user": name, "online": bool(found), **page}


def _member(one: ConnectionInfo) -> Json:
    return {
        "id": one.id,
        "user": one.user,
        "since": moment(one.since),
        "address": one.address,
        "node": one.node,
    }


def _connection(one: ConnectionInfo) -> Json:
    return {
        "id": one.id,
        "channel": one.channel,
        "rooms": list(one.rooms),
        "since": moment(one.since),
        "address": one.address,
        "node": one.node,
    }


def moment(seconds: float) -> str:
    """Unix time as RFC 3339 writes it, with milliseconds."""
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def paged(
    name: str,
    ask: ApiRequest,
    rows: Iterable[T],
    key: Callable[[T], str],
    show: Callable[[T], Json],
) -> dict[str, Json]:
    """One page of rows in the order of their keys, and `next` where there are more."""
    limit, after = ask.query["limit"], ask.query.get("after")
    waiting: Sequence[T] = sorted(
        (row for row in rows if after is None or key(row) > after), key=key
    )
    more: dict[str, Json] = {"next": key(waiting[limit - 1])} if len(waiting) > limit else {}
    return {name: [show(row) for row in waiting[:limit]], **more}


# ----------------------------------------------------------------------------------------------------- health


async def live(_control: Control, _ask: ApiRequest) -> Json:
    """The process answers."""
    return {"status": "live"}


async def ready(control: Control, _ask: ApiRequest) -> Json:
    """Clients can be sent here."""
    if control.is_draining():
        raise Problem(503, "draining", headers={"retry-after": "10"})
    if not control.is_broker_up():
        raise Problem(503, "the broker is away", headers={"retry-after": "1"})
    shards: Json = {name: "up" if is_up else "away" for name, is_up in control.shards().items()}
    others: Json = {node: list(some) for node, some in control.cluster.plans.differing.items()}
    more = {name: found for name, found in (("shards", shards), ("other_plans", others)) if found}
    return {"status": "ready", **more}


async def metrics(control: Control, _ask: ApiRequest) -> Response:
    """Prometheus."""
    samples = await control.cluster.samples()
    others = Sample("channeld_nodes_with_another_plan", len(control.cluster.plans.differing))
    text = exposition([*samples, *control.samples(), others])
    return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})
