"""Judges an opening handshake: a request head becomes a session's request and a transport's agreement, or a refusal.

Pure: knows no socket, task or clock. Checks come in the order in which a client can fix them: the path, the transport's
requirements, the page's origin, and last what only time can fix.
"""

import urllib.parse
from collections.abc import Callable, Mapping, Sequence

import attrs

from channeld.config.model import Server
from channeld.hooks import Request
from channeld.plan.path_syntax import decode
from channeld.plan.plan import Match, Plan
from channeld.protocol.frames import Json
from channeld.server.exchange import Answer, Refuse, RequestHead, refuse, say, tokens
from channeld.server.origins import (
    Network,
    OriginCheck,
    address_of,
    is_trusted,
    named_origin,
    networks,
    origin_check,
    unmapped,
)
from channeld.server.transports.call import Post, Preflight
from channeld.server.transports.transport import Agreement, Terms, Transport
from channeld.server.transports.web import cors_fields

_MOST_QUERY_FIELDS = 100
# What `transports` may name; any other row is always offered.
_OFFERED = frozenset(Server().transports)
_BESIDE_STREAMS = (Post, Preflight)


@attrs.frozen(slots=True)
class Rules:
    """What a plan says about handshakes, prepared once."""

    match: Callable[[str], Match | None]
    allows_origin: OriginCheck
    trusted: list[Network]
    terms: Terms
    transports: Sequence[Transport]
    health: str | None

    @classmethod
    def of(cls, plan: Plan, transports: Sequence[Transport]) -> "Rules":
        """Prepare a plan's rules. A request that asks for no transport is judged by the first one.

        Raises:
            ValueError: an entry of `trusted_proxies` is not an address or network.
        """
        server = plan.server
        return cls(
            plan.match,
            origin_check(server.allowed_origins),
            networks(server.trusted_proxies),
            Terms(server.compression, server.allowed_origins != "any"),
            transports,
            server.health,
        )


@attrs.frozen(slots=True, kw_only=True)
class Condition:
    """The server's state, for health checks; with a sharded broker, which shards answer."""

    is_draining: bool = False
    is_broker_up: bool = True
    shards: tuple[bool, ...] = ()


def _is_well() -> Condition:
    return Condition()


@attrs.frozen(slots=True, kw_only=True)
class Arrival:
    """What the server knows about a request besides its bytes.

    `address` is the socket's peer (empty for a Unix socket), `secure` says whether it came over TLS, `lacks(seat)` gives
    the answer if there is no room for a seat, and `condition()` the server's state.
    """

    address: str
    secure: bool = False
    lacks: "Callable[[Seat], Refuse | None]" = lambda _seat: None
    condition: Callable[[], Condition] = _is_well


@attrs.frozen(slots=True)
class Seat:
    """A place among those that `limits.connections` and `connections_per_address` allow.

    `is_call`: a POST or a preflight. These are counted apart from clients: otherwise a client whose stream took the last
    place could not send.
    """

    address: str
    is_call: bool = False


@attrs.frozen(slots=True, kw_only=True)
class Accept:
    """An accepted handshake: the channel and its params, what hooks see of the request, and the transport's agreement.

    `seat` is what it counts as while it lasts.
    """

    match: Match
    request: Request
    transport: Transport
    agreement: Agreement
    seat: Seat


def decide(head: RequestHead, rules: Rules, arrival: Arrival) -> Accept | Answer:
    """Judge a request head. Never raises, whatever the client sent."""
    path, _, query = _origin_form(head.target).partition("?")
    fields = head.fields
    address, secure = unmapped(arrival.address), arrival.secure
    if rules.trusted and is_trusted(address, rules.trusted):
        address = address_of(address, fields.get("x-forwarded-for", ""), rules.trusted)
        secure = _forwarded_secure(fields, secure)
    if (address, secure) != (arrival.address, arrival.secure):
        arrival = attrs.evolve(arrival, address=address, secure=secure)
    verdict = _judge(head, path, query, arrival, rules)
    if isinstance(verdict, Refuse):
        origin = named_origin(fields["origin"]) if "origin" in fields else None
        # An unknown path may be anything, even a token in the wrong place.
        known = path if rules.match(path) is not None else None
        verdict = attrs.evolve(verdict, path=known, origin=origin, address=address)
        if "origin" in fields and rules.allows_origin(
            fields["origin"], fields.get("host", ""), secure
        ):
            lines = cors_fields(fields, is_listed=rules.terms.lists_origins)
            verdict = verdict.with_lines(lines)
    if isinstance(verdict, Answer) and head.method == "HEAD":
        return verdict.without_body()
    return verdict


def _judge(
    head: RequestHead, path: str, asked: str, client: Arrival, rules: Rules
) -> Accept | Answer:
    fields, match = head.fields, rules.match(path)
    if path == rules.health and (match is None or match.channel.path != rules.health):
        return _tell_health(head, asked, client.condition())
    if match is None:
        return refuse(404, "No channel has this path")
    transport = next((one for one in rules.transports if one.is_asked(head)), rules.transports[0])
    refusal = _judge_transport(transport, match, head, asked)
    if refusal is not None:
        return refusal
    origin, host = fields.get("origin"), fields.get("host", "")
    if origin is not None and not rules.allows_origin(origin, host, client.secure):
        return refuse(403, "Pages of this origin may not connect: see server.allowed_origins")
    query = _read_query(asked)
    seat = Seat(client.address, isinstance(transport, _BESIDE_STREAMS))
    refusal = judge_channel(match, transport.name, query, fields) or client.lacks(seat)
    if refusal is not None:
        return refusal
    terms = rules.terms
    if match.channel.subprotocols:
        terms = attrs.evolve(terms, subprotocols=match.channel.subprotocols)
    agreement = transport.accept(head, terms)
    # Over plain HTTP, browsers send cookies with any page's requests.
    reads_cookies = transport.name == "websocket" or origin is None or rules.terms.lists_origins
    if agreement.since is not None:
        query["since"] = agreement.since
    request = Request(
        path=path,
        channel=match.channel.name,
        params=match.params,
        query=query,
        headers=fields,
        cookies=read_cookies(fields.get("cookie", "")) if reads_cookies else {},
        subprotocols=tokens(fields.get("sec-websocket-protocol", "")),
        address=client.address,
        transport=transport.name,
    )
    return Accept(match=match, request=request, transport=transport, agreement=agreement, seat=seat)


def _judge_transport(
    transport: Transport, match: Match, head: RequestHead, query: str
) -> Refuse | None:
    refusal = transport.judge(head)
    if refusal is None and decode(query) is None:
        return refuse(400, "The query is not percent-encoded UTF-8")
    is_good = refusal is None or refusal.status == 204
    return (judge_offer(match, transport.name) or refusal) if is_good else refusal


def judge_offer(match: Match, transport: str) -> Refuse | None:
    """The refusal if a channel is not offered over a transport, else None."""
    if transport not in _OFFERED or transport in match.channel.transports:
        return None
    words = f"This channel is not offered over {transport}"
    return refuse(426, words, "Upgrade: websocket")


def _tell_health(head: RequestHead, query: str, condition: Condition) -> Answer:
    if head.method not in ("GET", "HEAD"):
        return refuse(405, "Use GET or HEAD for the health check", "Allow: GET, HEAD")
    if condition.is_draining:
        return say(503, {"draining": True})
    told: dict[str, Json] = {}
    if condition.shards:
        # Without their names, because this is the public address.
        states: list[Json] = ["up" if is_up else "away" for is_up in condition.shards]
        told["shards"] = states
    if not condition.is_broker_up:
        status = 503 if "ready" in _read_query(query) else 200
        return say(status, {"broker": "away", **told})
    return say(200, told)


def judge_channel(
    match: Match, transport: str, query: Mapping[str, str], fields: Mapping[str, str]
) -> Refuse | None:
    """The refusal if a channel does not accept the query or the offered subprotocols, else None."""
    channel = match.channel
    bad = channel.read_query(query) if channel.read_query is not None else None
    if isinstance(bad, str):
        return refuse(400, f"The query parameter {bad} does not satisfy its schema")
    if channel.subprotocols and transport == "websocket":
        offered = tokens(fields.get("sec-websocket-protocol", ""))
        if not any(name in channel.subprotocols for name in offered):
            return refuse(400, f"Offer a subprotocol: {', '.join(channel.subprotocols)}")
    return None


def judge_room(*, is_full: bool, is_crowded: bool) -> Refuse | None:
    """The refusal if there are as many connections as allowed, in all or from one address, else None."""
    if is_full:
        return refuse(
            503, "The server has reached its maximum number of connections", "Retry-After: 5"
        )
    if is_crowded:
        return refuse(429, "Close one of your connections first", "Retry-After: 5")
    return None


def _origin_form(target: str) -> str:
    # RFC 9112 section 3.2.2: servers accept the absolute form as well.
    if target[:1] == "/" or "://" not in target:
        return target
    _, slash, path = target.partition("://")[2].partition("/")
    return slash + path if slash else "/"


def _forwarded_secure(fields: Mapping[str, str], secure: bool) -> bool:
    scheme = fields.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    return scheme in ("https", "wss") if scheme else secure


def _read_query(query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in query.split("&", _MOST_QUERY_FIELDS)[:_MOST_QUERY_FIELDS] if query else ():
        name, _, value = pair.replace("+", " ").partition("=")
        values.setdefault(urllib.parse.unquote(name), urllib.parse.unquote(value))
    return values


def read_cookies(field: str) -> dict[str, str]:
    """The cookies of a `Cookie` field (RFC 6265 section 5.4); the first wins if a name is repeated."""
    cookies: dict[str, str] = {}
    for pair in field.split(";") if field else ():
        name, found, value = pair.strip().partition("=")
        if found:
            value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
            cookies.setdefault(name, value)
    return cookies
