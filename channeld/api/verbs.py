"""The API's verbs: publish, disconnect, subscribe, unsubscribe, clear; each handler calls one verb of the cluster."""

from channeld.api.control import ApiRequest, Control
from channeld.api.problems import Problem
from channeld.api.publishing import begin, publish_all
from channeld.api.responses import Result, told
from channeld.later import Pending, resolved
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import Json


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
