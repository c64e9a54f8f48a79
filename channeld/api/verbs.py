"""What the API does: publish, disconnect, subscribe, unsubscribe, clear; each handler is one verb of the engine's cluster."""

from channeld.api.control import ApiRequest, Control
from channeld.api.pending import Result, told
from channeld.api.problems import Problem
from channeld.api.publishing import begin, publish_all
from channeld.later import Pending, resolved
from channeld.protocol.codes import CloseCode
from channeld.protocol.frames import Json

__all__ = ["batch", "clear", "disconnect", "publish", "subscribe", "unsubscribe"]


async def publish(control: Control, ask: ApiRequest) -> Json:
    """Publish one event."""
    return await begin(control, ask.body)


async def batch(control: Control, ask: ApiRequest) -> Json:
    """Publish many, each with its own result."""
    return {"results": await publish_all(control, ask.body)}


async def disconnect(control: Control, ask: ApiRequest) -> Result:
    """Close a user's connections, or one."""
    reached = await control.cluster.disconnect(
        user=ask.body.get("user"),
        connection=ask.body.get("connection"),
        code=ask.body.get("code", CloseCode.KICKED),
        reason=ask.body.get("reason", ""),
    )
    return told(reached)


async def subscribe(control: Control, ask: ApiRequest) -> Result:
    """Put a user's connections on a channel, or one, into a room."""
    reached = await control.cluster.subscribe(
        user=ask.body.get("user"),
        connection=ask.body.get("connection"),
        channel=control.channel(ask.body["channel"]).name,
        room=ask.body["room"],
    )
    return told(reached)


async def unsubscribe(control: Control, ask: ApiRequest) -> Result:
    """Take them out of it."""
    reached = await control.cluster.unsubscribe(
        user=ask.body.get("user"),
        connection=ask.body.get("connection"),
        channel=control.channel(ask.body["channel"]).name,
        room=ask.body["room"],
    )
    return told(reached)


async def clear(control: Control, ask: ApiRequest) -> Json:
    """Take the kept frames of a room away, or the newest of one key."""
    plan, room = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    if plan.history is None:
        raise Problem(404, f"channel `{plan.name}` keeps no history")
    later = control.engine.clear(plan, room, ask.query.get("key"))
    return {"room": room, "frames": await Pending(resolved(later))}
