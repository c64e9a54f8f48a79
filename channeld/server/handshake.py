"""Judges an opening handshake (RFC 6455 section 4.2): a request head becomes a session's request and a 101, or a refusal.

Pure: knows no socket, task or clock. The checks stand in the order in which a client can mend them: the path, the
method, the upgrade, its version, its key, the page it came from, and last what is only a matter of time.
"""

import binascii
import hashlib
import http
import json
import urllib.parse
from collections.abc import Callable, Mapping

import attrs

from channeld.hooks import Request
from channeld.plan.plan import Match, Plan
from channeld.protocol.codes import REFUSALS
from channeld.server.origins import (
    Network,
    OriginCheck,
    address_of,
    is_trusted,
    networks,
    origin_check,
)
from channeld.server.transports.extensions import Deflate, negotiate

__all__ = ["Accept", "Arrival", "Refuse", "RequestHead", "Rules", "decide", "refuse"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SUBPROTOCOL = "channeld"
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
_MOST_QUERY_FIELDS = 100


@attrs.frozen(slots=True)
class RequestHead:
    """A well-formed request head: field names in lower case, repeated ones joined (RFC 9110 section 5.3)."""

    method: bytes
    target: bytes
    version: bytes
    fields: Mapping[bytes, bytes]


@attrs.frozen(slots=True)
class Rules:
    """What a plan says about handshakes, prepared once."""

    match: Callable[[str], Match | None]
    allows_origin: OriginCheck
    trusted: list[Network]
    compression: bool

    @classmethod
    def of(cls, plan: Plan) -> "Rules":
        """Prepare a plan's rules.

        Raises:
            ValueError: `trusted_proxies` names something that is no address or network.
        """
        server = plan.server
        return cls(
            plan.match,
            origin_check(server.allowed_origins),
            networks(server.trusted_proxies),
            server.compression,
        )


@attrs.frozen(slots=True, kw_only=True)
class Arrival:
    """What the server knows of a request beside its bytes.

    `address` is the socket's peer (empty for a Unix socket), `secure` says whether it came over TLS, `is_full` that
    there are as many connections as allowed, and `is_crowded(address)` that this client has as many as allowed.
    """

    address: str
    secure: bool = False
    is_full: bool = False
    is_crowded: Callable[[str], bool] = lambda _address: False


@attrs.frozen(slots=True, kw_only=True)
class Accept:
    """A good handshake: the channel and its params, what hooks see of the request, and the bytes that answer it."""

    match: Match
    request: Request
    response: bytes
    deflate: Deflate | None = None


@attrs.frozen(slots=True, kw_only=True)
class Refuse:
    """A refusal: its status, and the whole HTTP answer, after which the connection is closed."""

    status: int
    response: bytes


def refuse(status: int, detail: str, *fields: str) -> Refuse:
    """Word a refusal as `application/problem+json` (RFC 9457); `fields` are more header lines."""
    phrase = http.HTTPStatus(status).phrase
    title = REFUSALS[status].title if status in REFUSALS else phrase
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(problem).encode()
    lines = (
        f"HTTP/1.1 {status} {phrase}",
        *fields,
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    )
    return Refuse(status=status, response="\r\n".join(lines).encode() + body)


def decide(head: RequestHead, rules: Rules, arrival: Arrival) -> Accept | Refuse:
    """Judge a request head. Never raises, whatever the client sent."""
    path, _, query = _origin_form(head.target).decode("latin-1").partition("?")
    match = rules.match(path)
    if match is None:
        return refuse(404, "No channel has this path")
    fields = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in head.fields.items()
    }
    refusal = _judge_http(head, fields) or _judge_upgrade(fields)
    if refusal is not None:
        return refusal
    address, secure = arrival.address, arrival.secure
    if rules.trusted and is_trusted(address, rules.trusted):
        address = address_of(address, fields.get("x-forwarded-for", ""), rules.trusted)
        secure = _forwarded_secure(fields, secure)
    origin = fields.get("origin")
    if origin is not None and not rules.allows_origin(origin, fields["host"], secure):
        return refuse(403, "Pages of this origin may not connect: see server.allowed_origins")
    refusal = _judge_room(address, arrival)
    if refusal is not None:
        return refusal
    offered = _tokens(fields.get("sec-websocket-protocol", ""))
    request = Request(
        path=path,
        channel=match.channel.name,
        params=match.params,
        query=_read_query(query),
        headers=fields,
        cookies=_read_cookies(fields.get("cookie", "")),
        subprotocols=offered,
        address=address,
    )
    extensions = fields.get("sec-websocket-extensions", "") if rules.compression else ""
    deflate = negotiate(extensions) if extensions else None
    return Accept(
        match=match,
        request=request,
        response=_switching(head.fields[b"sec-websocket-key"], _SUBPROTOCOL in offered, deflate),
        deflate=deflate,
    )


def _judge_http(head: RequestHead, fields: Mapping[str, str]) -> Refuse | None:
    if head.method != b"GET":
        return refuse(405, "A channel is reached with GET", "Allow: GET")
    if head.version != b"1.1" or "host" not in fields:
        return refuse(400, "A WebSocket handshake is HTTP/1.1 with one Host field")
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        return refuse(400, "A WebSocket handshake has no body")
    return None


def _judge_upgrade(fields: Mapping[str, str]) -> Refuse | None:
    if "websocket" not in _tokens(fields.get("upgrade", "").lower()):
        return refuse(426, "Connect with a WebSocket", "Upgrade: websocket")
    if "upgrade" not in _tokens(fields.get("connection", "").lower()):
        return refuse(400, "The Connection field must name Upgrade")
    if fields.get("sec-websocket-version") != "13":
        wanted = "Sec-WebSocket-Version: 13"
        return refuse(
            426, "Only version 13 of the protocol is spoken", "Upgrade: websocket", wanted
        )
    if not _is_key(fields.get("sec-websocket-key", "")):
        return refuse(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    return None


def _judge_room(address: str, arrival: Arrival) -> Refuse | None:
    if arrival.is_full:
        return refuse(503, "The server has as many connections as it takes", "Retry-After: 5")
    if arrival.is_crowded(address):
        return refuse(429, "Close one of your connections first", "Retry-After: 5")
    return None


def _switching(key: bytes, names_subprotocol: bool, deflate: Deflate | None) -> bytes:
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    answer = _SWITCHING + binascii.b2a_base64(digest, newline=False) + b"\r\n"
    if names_subprotocol:
        # A bearer token may stand in the offer too: only this one name is ever echoed.
        answer += b"Sec-WebSocket-Protocol: channeld\r\n"
    if deflate is not None:
        answer += b"Sec-WebSocket-Extensions: " + deflate.field().encode() + b"\r\n"
    return answer + b"\r\n"


def _origin_form(target: bytes) -> bytes:
    # RFC 9112 section 3.2.2: servers accept the absolute form as well.
    if target[:1] == b"/" or b"://" not in target:
        return target
    _, slash, path = target.partition(b"://")[2].partition(b"/")
    return slash + path if slash else b"/"


def _is_key(key: str) -> bool:
    if len(key) != 24:
        return False
    try:
        return len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:  # binascii.Error is one, and so is a character that is not ASCII
        return False


def _forwarded_secure(fields: Mapping[str, str], secure: bool) -> bool:
    scheme = fields.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    return scheme in ("https", "wss") if scheme else secure


def _tokens(field: str) -> list[str]:
    return (
        [token for token in (part.strip() for part in field.split(",")) if token] if field else []
    )


def _read_query(query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in query.split("&", _MOST_QUERY_FIELDS)[:_MOST_QUERY_FIELDS] if query else ():
        name, _, value = pair.replace("+", " ").partition("=")
        values.setdefault(urllib.parse.unquote(name), urllib.parse.unquote(value))
    return values


def _read_cookies(field: str) -> dict[str, str]:
    cookies: dict[str, str] = {}
    for pair in field.split(";") if field else ():
        name, found, value = pair.strip().partition("=")
        if found:
            value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
            cookies.setdefault(name, value)
    return cookies
