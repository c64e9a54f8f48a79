"""Serves the console: its page and files, and the few requests that it makes besides the API.

The files are public, since they contain no data; everything that they show is requested with the key.
"""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from channeld import __version__
from channeld.api.control import ApiRequest, Control
from channeld.api.problems import Problem, listed
from channeld.api.tails import Tail
from channeld.broker.broker import Topic
from channeld.config.reachable import is_every_interface
from channeld.plan.sensitive import SensitiveFrames
from channeld.protocol.frames import Json, encode
from channeld.protocol.reserved import RESERVED_CLIENT
from channeld.telemetry import Sample, summed, totals

_FOLDER: Final = Path(__file__).parent / "console"
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Each takes processor time, which clients need more.
_ONE_TRACE: Final = trio.CapacityLimiter(1)
# A proxy may drop a connection that is silent for a minute.
_QUIET: Final = 15.0
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


# ------------------------------------------------------------------------------------------------------- files


async def page(control: Control, ask: ApiRequest) -> Response:
    """The console's page."""
    answer = _answer(ask, "index.html")
    sockets = " ".join(_urls(control, ask))
    answer.headers["content-security-policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return answer


async def follow(control: Control, ask: ApiRequest) -> Response:
    """A short link of `channeld run --dev`."""
    url = next(iter(_urls(control, ask)), "")
    target = control.console.opens(control.engine.plan, ask.params["code"], url)
    if target is None:
        return _stale(ask)
    headers = {"location": target, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(status_code=303, headers=headers)


def _stale(ask: ApiRequest) -> Response:
    if "text/html" not in ask.request.headers.get("accept", ""):
        raise Problem(404, "this link belongs to another run of `channeld run --dev`")
    answer = _answer(ask, "stale.html")
    answer.status_code = 404
    answer.headers["cache-control"] = "no-store"
    answer.headers["content-security-policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return answer


async def chat(control: Control, ask: ApiRequest) -> Response:
    """The example's chat page, which brings its own policy."""
    body = control.console.page()
    if body is None:
        raise Problem(404, "there is no such file")
    return _file(ask, "chat.html", body)


async def file(_control: Control, ask: ApiRequest) -> Response:
    """One of its files."""
    return _answer(ask, ask.params["file"])


def _answer(ask: ApiRequest, name: str) -> Response:
    if name not in _names():
        raise Problem(404, "there is no such file")
    return _file(ask, name, (_FOLDER / name).read_bytes())


def _file(ask: ApiRequest, name: str, body: bytes) -> Response:
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {
        "cache-control": "no-cache",
        "etag": tag,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "content-type": _TYPES[Path(name).suffix],
    }
    known = ask.request.headers.get("if-none-match", "")
    if tag in known or known.strip() == "*":  # RFC 9110 section 13.1.2: a list, compared weakly
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)


@cache
def _names() -> frozenset[str]:
    """The file names that may be requested; nothing else is ever opened."""
    return frozenset(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES)


# ----------------------------------------------------------------------------------------------------- answers


async def setup(control: Control, ask: ApiRequest) -> Json:
    """What is served, and where."""
    plan, console = control.engine.plan, control.console
    return {
        "version": __version__,
        "urls": list(_urls(control, ask)),
        "mints": console.mint is not None,
        "traces": console.trace is not None,
        "channels": list(console.describe(plan)),
        "reserved": list[Json](sorted(RESERVED_CLIENT)),
    }


def _urls(control: Control, ask: ApiRequest) -> list[str]:
    """The server's URLs; if it listens on every interface, the host is the one that the page came from."""
    found: list[str] = []
    host = ask.request.headers.get("host", "")
    seen = urlsplit(f"//{host}").hostname if _HOST.fullmatch(host) else None
    for url in control.console.urls():
        parts = urlsplit(url)
        name = parts.hostname
        if name is not None and is_every_interface(name) and seen is not None:
            name = seen
        if name is not None:
            name = f"[{name}]" if ":" in name else name
            found.append(f"{parts.scheme}://{name}:{parts.port}")
    return found


async def pulse(control: Control, _ask: ApiRequest) -> Json:
    """The current numbers; the console computes rates from two of them."""
    counts = await control.cluster.counts()
    samples = list(await control.cluster.samples())
    return {
        "at": time.time(),
        "nodes": 1 + control.cluster.statistics().nodes,
        "draining": control.is_draining(),
        "broker": control.is_broker_up(),
        "channels": {
            name: {"connections": connections, "rooms": rooms}
            for name, (connections, rooms) in counts.items()
        },
        "totals": dict[str, Json](totals(samples, _short_name)),
        "refused": dict[str, Json](totals(samples, partial(_label, "channeld_messages_total", -1))),
        "shadow": None if control.shadow_since is None else _shadow(samples, control.shadow_since),
    }


def _short_name(sample: Sample) -> str:
    return sample.metric.removeprefix("channeld_").removesuffix("_total")


def _label(metric: str, index: int, sample: Sample) -> str | None:
    return sample.labels[index] if sample.metric == metric else None


def _shadow(samples: list[Sample], since: float) -> Json:
    """What another configuration would have refused (`run --shadow`) on all processes, the most frequent first."""
    asked = totals(samples, partial(_label, "channeld_shadow_asked_total", 0))
    ours = (one for one in samples if one.metric == "channeld_shadow_refused_total")
    refused = [
        (value, labels) for _, value, labels in summed(ours) if isinstance(value, int | float)
    ]
    most = sorted(refused, key=lambda pair: (-pair[0], pair[1]))
    return {
        "since": since,
        "messages": asked.get("message", 0),
        "handshakes": asked.get("handshake", 0),
        "refused": [
            {"channel": channel, "type": type_, "reason": reason, "count": count}
            for count, (channel, type_, reason) in most
        ],
    }


async def check(control: Control, ask: ApiRequest) -> Json:
    """What the schema of a message type says of a message."""
    plan = control.channel(ask.body["channel"])
    message = plan.messages.get(ask.body["type"])
    if message is None:
        raise Problem(404, "this channel declares no such message type")
    asked = ask.body["message"]
    fields = {name: field for name, field in asked.items() if name not in ("type", "id")}
    return {"errors": listed([] if message.accepts(fields) else message.validator.explain(fields))}


async def trace(control: Control, ask: ApiRequest) -> Json:
    """What becomes of a message, step by step, in an engine of its own: the server's clients notice nothing."""
    follow = control.console.trace
    if follow is None:
        raise Problem(404, "this server cannot follow a message: ask `channeld trace`")
    body = ask.body
    arguments = (body["path"], body.get("frame"), body.get("token"))
    return await trio.to_thread.run_sync(follow, *arguments, limiter=_ONE_TRACE)


async def token(control: Control, ask: ApiRequest) -> Json:
    """A token with which the playground connects."""
    mint = control.console.mint
    if mint is None:
        raise Problem(404, "tokens are made by `channeld run --dev` only; paste one")
    channel = control.channel(ask.body["channel"])
    try:
        return {"token": mint(control.engine.plan, channel.name, ask.body["user"])}
    except LookupError as error:
        raise Problem(422, str(error.args[0])) from None


# -------------------------------------------------------------------------------------------------------- tail


async def tail(control: Control, ask: ApiRequest) -> Response:
    """A room's frames as server-sent events: one for each frame, `missed` for those that came too fast."""
    plan, room = control.channel(ask.params["channel"]), control.room(ask.params["room"])
    control.tails.demand_place()
    return _Tail(control, Topic("room", plan.name, room))


class _Tail(Response):
    """Runs until the client leaves."""

    def __init__(self, control: Control, topic: Topic) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(headers=headers, media_type="text/event-stream")
        del self.headers["content-length"]
        self._control = control
        self._topic = topic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with (
            self._control.tails.open(self._topic) as watching,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await _say(send, b": watching\n\n")
            while True:
                await _say(send, await _next_events(watching, self._control.engine.plan.sensitive))


async def _say(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _next_events(watching: Tail, sensitive: SensitiveFrames) -> bytes:
    frames, missed = await watching.take(_QUIET)
    if sensitive.by_type:
        frames = [encode(sensitive.masked(json.loads(frame))) for frame in frames]
    events = [b"event: missed\ndata: %d\n\n" % missed] if missed else []
    # Encoded JSON has no line break in it.
    events += [b"data: %b\n\n" % frame for frame in frames]
    return b"".join(events) or b": still here\n\n"
