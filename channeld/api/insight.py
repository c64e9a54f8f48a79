"""The console's views of the past, of busy rooms and connections, and of one connection. These routes may change."""

import heapq
from collections.abc import Mapping
from typing import Final

from channeld.api.control import ApiRequest, Control
from channeld.api.past import EVERY, KEPT
from channeld.api.problems import Problem
from channeld.api.views import moment, row_of
from channeld.config.model import Rate
from channeld.engine.session import Session
from channeld.protocol.frames import Json

_LISTED: Final = 20


async def past(control: Control, _ask: ApiRequest) -> Json:
    """The last minutes, oldest first."""
    return {"every": EVERY, "kept": KEPT, "moments": control.past.moments()}


async def busy(control: Control, _ask: ApiRequest) -> Json:
    """The largest rooms of all nodes, and this process's connections with the most bytes waiting."""
    sizes: list[tuple[int, str, str]] = []
    for channel in control.engine.plan.channels:
        found = await control.cluster.rooms(channel)
        sizes += heapq.nsmallest(
            _LISTED, ((-count, channel, room) for room, count in found.items())
        )
    waiting = (
        (queued, one.connection_id, one)
        for one in control.engine.sessions.values()
        if (queued := _queued(one)) > 0
    )
    slow = heapq.nlargest(_LISTED, waiting)
    return {
        "rooms": [
            {"channel": channel, "room": room, "connections": -less}
            for less, channel, room in heapq.nsmallest(_LISTED, sizes)
        ],
        "slow": [
            {"id": id, "user": one.user_id, "channel": one.channel.name, "bytes": queued}
            for queued, id, one in slow
        ],
    }


def _queued(session: Session) -> int:
    queued = getattr(session.peer, "queued", 0)
    return queued if isinstance(queued, int) else 0


async def connection(control: Control, ask: ApiRequest) -> Json:
    """One connection: who, since when, where; if it is this process's, also its allowances and recent refusals."""
    id = ask.params["connection"]
    session = control.engine.sessions.get(id)
    if session is not None:
        return {**_about(control, session), **_details(control, session)}
    for channel in control.engine.plan.channels:
        for one in await control.cluster.connections(channel=channel):
            if one.id == id:
                return row_of(one)
    raise Problem(404, "there is no such connection")


def _about(control: Control, session: Session) -> dict[str, Json]:
    clock = control.engine.runtime.clock
    return {
        "id": session.connection_id,
        "user": session.user_id,
        "channel": session.channel.name,
        "rooms": list[Json](session.rooms),
        "since": moment(clock.wall() - (clock.monotonic() - session.opened_at)),
        "address": session.address,
        "node": None,
    }


def _details(control: Control, session: Session) -> Mapping[str, Json]:
    now, limits = control.engine.runtime.clock.monotonic(), session.channel.limits
    return {
        "waiting_bytes": _queued(session),
        "most_waiting_bytes": limits.outbox,
        "allowances": [
            _allowance("messages", session.message_arrival, now, limits.messages),
            _allowance("errors", session.aside.error_arrival, now, limits.errors),
        ],
        "refusals": [{"at": moment(at), "code": code} for at, code in session.aside.refusals],
    }


def _allowance(name: str, arrival: float, now: float, rate: Rate) -> Json:
    """How many more messages may be sent at once."""
    used = max(0.0, arrival - now) / rate.interval
    return {"name": name, "left": max(0, int(rate.burst - used + 1e-6)), "burst": rate.burst}
