"""Answers requests for which no session is opened: POSTs for a stream's connection, reads of rooms, preflights."""

import http
import json
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from channeld.auth.authenticator import Denied
from channeld.broker.broker import BrokerUnavailable
from channeld.engine.engine import Engine
from channeld.engine.errors import HookFailed
from channeld.later import Pending
from channeld.protocol.codes import CloseCode
from channeld.server.exchange import answer
from channeld.server.ports import StreamClient
from channeld.server.reads import Refused, Waits, read
from channeld.server.transports.call import Call, Post, Preflight
from channeld.server.transports.transport import Respond
from channeld.server.transports.web import problem_of

MOST_FRAMES: Final = 100
_METHODS: Final = (
    "Access-Control-Allow-Methods: GET, HEAD, POST",
    "Access-Control-Allow-Headers: Authorization, Content-Type, Channeld-Connection, If-None-Match, Last-Event-ID",
    "Access-Control-Max-Age: 600",
)


Forward = Callable[[str, str, str | None, list[bytes]], Awaitable[list[bytes] | int]]
"""Asks the other nodes for a stream: its secret, its channel, who posts, and what; the answers, or an HTTP status."""


_CODES: Final = {
    401: CloseCode.UNAUTHORIZED,
    403: CloseCode.FORBIDDEN,
    500: CloseCode.INTERNAL_ERROR,
    503: CloseCode.TRY_AGAIN_LATER,
}


@attrs.define(eq=False)
class Calls:
    """One per server. `streams` are this node's connections that read events, by their secrets; `waits` its long-polls."""

    engine: Engine
    streams: dict[str, StreamClient] = attrs.field(factory=dict)
    forward: Forward | None = None
    waits: Waits = attrs.field(factory=Waits)

    async def answer(self, call: Call, body: bytes, respond: Respond) -> None:
        """Answer a call whose body is complete. Never raises, whatever the client sent."""
        fields = call.agreement.fields
        try:
            if isinstance(call.transport, Preflight):
                respond(answer(204, b"", "", *fields, *_METHODS))
            elif isinstance(call.transport, Post):
                frames = await self._post(call, body)
                respond(
                    answer(200, b'{"frames":[%b]}' % b",".join(frames), "application/json", *fields)
                )
            else:
                await self._read(call, respond)
        except Refused as refused:
            respond(_problem(call, refused.status, refused.detail, **refused.more))
        except BrokerUnavailable as error:
            more = {"outcome": "unknown"} if error.is_unknown else {}
            respond(_problem(call, 503, "The broker is unreachable; try again", **more))

    async def _read(self, call: Call, respond: Respond) -> None:
        why = await read(self.engine, self.waits, call, respond)
        if why is not None:
            code, reason, error = why
            data = problem_of(code, reason, error, *call.agreement.fields)[1]
            respond(_without_body(call, data))

    async def take(
        self, secret: str, channel: str, user: str | None, texts: list[bytes]
    ) -> list[bytes] | int:
        """Hand posted frames to a stream of this node; returns its answers, or an HTTP status.

        A POST to another channel finds no stream, because it was judged by that channel's tokens and limits.
        """
        stream = self.streams.get(secret)
        owner = None if stream is None else stream.owner
        if stream is None or owner is None:
            return 404
        if owner.user != user:
            return 403
        return await stream.post(texts) if owner.channel == channel else 404

    async def _post(self, call: Call, body: bytes) -> list[bytes]:
        texts = _split(body)
        channel = call.match.channel
        largest = channel.limits.message_size
        if any(len(text) > largest for text in texts):
            raise Refused(413, f"A frame may have {largest} bytes")
        user = await self._caller(call)
        secret = call.request.headers["channeld-connection"]
        taken = await self.take(secret, channel.name, user, texts)
        if taken == 404 and self.forward is not None and self.engine.cluster.is_shared:
            taken = await self.forward(secret, channel.name, user, texts)
        if taken == 504:
            raise Refused(503, "The connection's node did not answer", outcome="unknown")
        if isinstance(taken, int):
            words = {404: "There is no such connection", 403: "The connection is another user's"}
            raise Refused(taken, words.get(taken, "The frames were not accepted"))
        return taken

    async def _caller(self, call: Call) -> str | None:
        channel = call.match.channel
        if not channel.auth:
            return None
        try:
            found = await Pending(self.engine.find_user(self.engine, channel, call.request, ""))
        except HookFailed as error:
            raise Refused(500, "Something went wrong on the server", ref=error.ref) from error
        if isinstance(found, Denied) and not found.is_final:
            raise Refused(503, "Try again later", **found.fields)
        if isinstance(found, Denied) or (found is None and not channel.auth_optional):
            raise Refused(401, "Unauthorized")
        return None if found is None else found.user.id


def _problem(call: Call, status: int, detail: str, **more: object) -> bytes:
    lines, code = call.agreement.fields, _CODES.get(status)
    if code is None:
        title = http.HTTPStatus(status).phrase
        problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        problem |= more
        data = answer(status, json.dumps(problem).encode(), "application/problem+json", *lines)
    else:
        data = problem_of(code, detail, more, *lines)[1]
    return _without_body(call, data)


def _without_body(call: Call, data: bytes) -> bytes:
    if call.agreement.method != "HEAD":
        return data
    head, end, _ = data.partition(b"\r\n\r\n")
    return head + end


def _split(body: bytes) -> list[bytes]:
    """Split a body into frames (one object, or an array of them), each as the text that was sent.

    Raises:
        Refused: 400: not UTF-8, or neither one frame nor an array of at most 100.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Refused(400, "The body is not UTF-8") from None
    if not text.lstrip(" \t\r\n").startswith("["):
        return [body]
    return [one.encode() for one in _elements(text)]


def _elements(text: str) -> list[str]:
    # The texts themselves, not what they mean: each frame is decoded by the strict rules of its own.
    decode = json.JSONDecoder().raw_decode
    found: list[str] = []
    at = _skip(text, text.index("[") + 1)
    try:
        while text[at] != "]" or found:
            _, end = decode(text, at)
            found.append(text[at:end])
            at = _skip(text, end)
            if text[at] == "]" or len(found) > MOST_FRAMES:
                break
            if text[at] != ",":
                raise Refused(400, "The body is not JSON")
            at = _skip(text, at + 1)
    except (IndexError, ValueError, RecursionError):
        raise Refused(400, "The body is not JSON") from None
    if len(found) > MOST_FRAMES:
        raise Refused(400, f"An array may have {MOST_FRAMES} frames")
    if text[at + 1 :].strip(" \t\r\n"):
        raise Refused(400, "The body is not JSON")
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
