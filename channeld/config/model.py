"""The configuration language as frozen values: a valid `channels.yaml`, with all defaults filled in.

Durations are float seconds, sizes int bytes. `Json` values (schemas, templates, examples) are kept as they were read.
Every class here mirrors one table of the language; `structure.py` fills them, and nothing changes them afterwards.
Mappings keep the file's order. For the location of a value, ask `Sources` with its JSON pointer.
"""

from collections.abc import Mapping
from typing import Final, Literal

import attrs

from channeld.protocol.frames import Json

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(slots=True, kw_only=True)
class Rate:
    """A token bucket: `limit` tokens a `period` (seconds), at most `burst` at once.

    `interval` and `slack` are the same in terms of the generic cell rate algorithm (ITU-T I.371): seconds between tokens,
    and how far ahead of that pace a client may be.
    """

    limit: int
    period: float
    burst: int
    interval: float = attrs.field(init=False, repr=False, eq=False)
    slack: float = attrs.field(init=False, repr=False, eq=False)

    def is_below(self, other: "Rate") -> bool:
        """Whether it allows less in the long run, or less at once."""
        return self.limit * other.period < other.limit * self.period or self.burst < other.burst

    @interval.default
    def _interval(self) -> float:
        return self.period / self.limit if self.limit else float("inf")

    @slack.default
    def _slack(self) -> float:
        return self.interval * (self.burst - 1) if self.limit else 0.0


@attrs.frozen(slots=True, kw_only=True)
class MessageRate(Rate):
    """A message type's `rate`: whose bucket it is, and what happens to a message that finds it empty.

    `per` is None by default: per user, or per connection for anonymous clients.
    """

    per: Literal["user", "connection", "address", "room"] | None = None
    over: Literal["refuse", "drop", "latest"] = "refuse"


@attrs.frozen(slots=True, kw_only=True)
class Secret:
    """A secret, which is never shown; `inline`: it is in the file itself."""

    text: str = attrs.field(repr=False)
    inline: bool = False


@attrs.frozen(slots=True, kw_only=True)
class HookRef:
    """`module:function`, how it runs, and what its failure means (of a connect hook).

    One over HTTP has the name of its `backend` and a `path`; its `call` is the two together, `app/say`.
    `loop` is the event loop of an async hook (None: `hooks.loop`), `thread` runs a sync one in a worker thread.
    """

    call: str
    thread: bool = False
    on_failure: Literal["refuse", "accept"] = "refuse"
    loop: Literal["trio", "asyncio"] | None = None
    backend: str | None = None
    path: str = ""


@attrs.frozen(slots=True, kw_only=True)
class Tls:
    """Paths of a PEM certificate chain and its key, resolved relative to the file that names them."""

    certificate: str
    key: str


@attrs.frozen(slots=True, kw_only=True)
class Ping:
    """Keep-alive: a ping after `interval` seconds of silence, the end `timeout` seconds later."""

    interval: float = 25.0
    timeout: float = 20.0


@attrs.frozen(slots=True, kw_only=True)
class Limits:
    """`server.limits`, or a channel's after merging in its own (only these have `connections_per_user`)."""

    message_size: int = 64 * KIB
    json_depth: int = 64
    connections: int = 10_000
    connections_per_address: int | None = None
    handshake_timeout: float = 10.0
    auth_timeout: float = 10.0
    hook_timeout: float = 10.0
    outbox: int = MIB
    rooms_per_connection: int = 100
    messages: Rate = Rate(limit=100, period=1.0, burst=200)
    errors: Rate = Rate(limit=30, period=60.0, burst=30)
    connections_per_user: int | None = None

    def under(self, own: "ChannelLimits") -> "Limits":
        """These limits, overridden by a channel's own."""
        given = {field.name: getattr(own, field.name) for field in attrs.fields(ChannelLimits)}
        return attrs.evolve(self, **{k: v for k, v in given.items() if v is not None})


@attrs.frozen(slots=True, kw_only=True)
class ChannelLimits:
    """A channel's `limits`; None: the server's applies."""

    message_size: int | None = None
    json_depth: int | None = None
    hook_timeout: float | None = None
    outbox: int | None = None
    rooms_per_connection: int | None = None
    messages: Rate | None = None
    errors: Rate | None = None
    connections_per_user: int | None = None


@attrs.frozen(slots=True, kw_only=True)
class Drain:
    """`server.drain`: health checks fail for `delay` seconds, then connections are closed over `over` seconds."""

    over: float = 10.0
    delay: float = 0.0


@attrs.frozen(slots=True, kw_only=True)
class ConnectionAge:
    """`server.connection_age`: the maximum age in seconds, and the fraction of it that may be subtracted at random."""

    max: float
    jitter: float = 0.2


@attrs.frozen(slots=True, kw_only=True)
class Server:
    """`server`."""

    bind: tuple[str, ...] = ("127.0.0.1:4000",)
    tls: Tls | None = None
    # `localhost` (and pages opened from a file) is allowed by `run --dev` only; no file can set it.
    allowed_origins: Literal["same-origin", "any", "localhost"] | tuple[str, ...] = "same-origin"
    trusted_proxies: tuple[str, ...] = ()
    workers: int = 1
    compression: bool = False
    transports: tuple[str, ...] = ("websocket", "sse", "streams")
    ping: Ping = Ping()
    drain: Drain = Drain()
    connection_age: ConnectionAge | None = None
    health: str | None = "/health"
    limits: Limits = Limits()


DEFAULT_TOKEN_FROM = ("query", "header", "subprotocol", "message")


@attrs.frozen(slots=True, kw_only=True)
class Jwks:
    """The location of a key set: an https URL or a file."""

    url: str | None = None
    file: str | None = None


@attrs.frozen(slots=True, kw_only=True)
class JwtAuth:
    """An authenticator of `type: jwt`."""

    algorithms: tuple[str, ...]
    token_from: tuple[str, ...] = DEFAULT_TOKEN_FROM
    secrets: tuple[Secret, ...] = ()
    public_key: str | None = attrs.field(default=None, repr=False)
    jwks: Jwks | None = None
    issuer: str | None = None
    audience: tuple[str, ...] = ()
    leeway: float = 30.0
    expiry: Literal["required", "optional"] = "required"
    on_expiry: Literal["close", "ignore"] = "close"
    user: str = "{claims.sub}"
    claims: Json = None


@attrs.frozen(slots=True, kw_only=True)
class TokenEntry:
    """One of `tokens`: the token itself, or its SHA-256 as 64 hex digits (exactly one is set)."""

    user: str
    token: Secret | None = None
    sha256: str | None = None
    claims: Mapping[str, Json] = attrs.field(factory=dict)


@attrs.frozen(slots=True, kw_only=True)
class TokensAuth:
    """An authenticator of `type: tokens`."""

    tokens: tuple[TokenEntry, ...]
    token_from: tuple[str, ...] = DEFAULT_TOKEN_FROM
    claims: Json = None


@attrs.frozen(slots=True, kw_only=True)
class HookAuth:
    """An authenticator of `type: hook`."""

    hook: HookRef
    claims: Json = None


Auth = JwtAuth | TokensAuth | HookAuth


@attrs.frozen(slots=True, kw_only=True)
class ChannelAuth:
    """A channel's `auth`: names of authenticators in order; empty for `auth: none`."""

    names: tuple[str, ...] = ()
    optional: bool = False


@attrs.frozen(slots=True, kw_only=True)
class Subscribe:
    """`rooms.subscribe`."""

    allow: tuple[str, ...] = ()
    hook: HookRef | None = None
    max: int | None = None


@attrs.frozen(slots=True, kw_only=True)
class Rooms:
    """`rooms`: templates of the rooms joined on connect, and what clients may subscribe to."""

    join: tuple[str, ...] = ()
    subscribe: Subscribe | None = None


ONCE_A_SECOND: Final = Rate(limit=1, period=1.0, burst=1)


@attrs.frozen(slots=True, kw_only=True)
class Presence:
    """`presence`, if enabled."""

    scope: Literal["room", "channel"] = "room"
    info: Mapping[str, Json] = attrs.field(factory=dict)
    grace: float = 5.0
    events: bool = True
    batch: float = 0.0
    state: Json = None
    rate: Rate = ONCE_A_SECOND


@attrs.frozen(slots=True, kw_only=True)
class History:
    """`history`: at most `size` frames a room, each for at most `ttl` seconds.

    `rooms` and `bytes` limit what one node keeps in memory for all rooms of the channel.
    """

    size: int
    ttl: float
    rooms: int = 100_000
    bytes: int = 256 * 1024**2
    replay: Literal["all"] | int = 0

    @property
    def most_replayed(self) -> int:
        """How many kept frames a client gets when it joins without a position; with `all` also the newest of each key."""
        return 2 * self.size if self.replay == "all" else self.replay


@attrs.frozen(slots=True, kw_only=True)
class Clears:
    """A message's `clears`: types whose kept frame with the same key is removed; `on_leave`: its own, on leaving."""

    types: tuple[str, ...] = ()
    on_leave: bool = False


@attrs.frozen(slots=True, kw_only=True)
class Route:
    """One target of a message's `route`; `room`, `user` are templates."""

    to: Literal["room", "user", "global", "sender", "none"]
    room: str | None = None
    user: str | None = None
    channel: str | None = None
    except_sender: bool = False
    members_only: bool = True


@attrs.frozen(slots=True, kw_only=True)
class Deprecation:
    """A type's `deprecated`. `since` and `sunset` are dates (RFC 3339), `use` is the type to send instead."""

    since: str | None = None
    sunset: str | None = None
    use: str | None = None
    note: str = ""


@attrs.frozen(slots=True, kw_only=True)
class Message:
    """A client → server message type. `schema` is the schema itself, or `PATH[#/pointer]`."""

    schema: Json
    route: tuple[Route, ...] = (Route(to="none"),)
    emit: Mapping[str, Json] | None = None
    stamp: Mapping[str, Json] | None = None
    hook: HookRef | None = None
    require: tuple[Mapping[str, Json], ...] = ()
    rate: MessageRate | None = None
    history: Literal["latest"] | bool = True
    key: str | None = None
    clears: Clears | None = None
    conflate: float | None = None
    description: str = ""
    examples: tuple[Json, ...] = ()
    deprecated: Deprecation | None = None
    once: float | None = None

    def delivered_type(self, own: str) -> str:
        """The type of the frames that it delivers, by default its `own`."""
        emitted = (self.emit or {}).get("type", own)
        return emitted if isinstance(emitted, str) else own


@attrs.frozen(slots=True, kw_only=True)
class Event:
    """A server → client event type. No schema: any fields."""

    schema: Json = True
    history: Literal["latest"] | bool = True
    key: str | None = None
    clears: Clears | None = None
    conflate: float | None = None
    description: str = ""
    examples: tuple[Json, ...] = ()
    deprecated: Deprecation | None = None

    def as_message(self) -> Message:
        """The event as a message from the server to a room, for code that only looks at options."""
        return Message(route=(Route(to="room"),), **attrs.asdict(self, recurse=False))


@attrs.frozen(slots=True, kw_only=True)
class ChannelHooks:
    """A channel's `hooks`."""

    connect: HookRef | None = None
    close: HookRef | None = None
    subscribe: HookRef | None = None
    unsubscribe: HookRef | None = None


@attrs.frozen(slots=True, kw_only=True)
class Channel:
    """One of `channels`. `events` is None if undeclared types are allowed."""

    name: str
    path: str
    auth: ChannelAuth
    description: str = ""
    params: Mapping[str, Json] = attrs.field(factory=dict)
    query: Mapping[str, Json] = attrs.field(factory=dict)
    subprotocols: tuple[str, ...] = ()
    require: tuple[Mapping[str, Json], ...] = ()
    rooms: Rooms = Rooms()
    presence: Presence | None = None
    history: History | None = None
    messages: Mapping[str, Message] = attrs.field(factory=dict)
    events: Mapping[str, Event] | None = None
    hooks: ChannelHooks = ChannelHooks()
    transports: tuple[str, ...] | None = None
    limits: ChannelLimits = ChannelLimits()


@attrs.frozen(slots=True, kw_only=True)
class RedisBroker:
    """`broker: {redis: …}`. `urls` are the servers (one for `url`); `shards` is for a cluster."""

    urls: tuple[str, ...] = attrs.field(repr=False)
    prefix: str = "channeld"
    shards: int = 64


@attrs.frozen(slots=True, kw_only=True)
class Api:
    """`api`: the control API and console."""

    bind: str = "127.0.0.1:4001"
    keys: tuple[Secret, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class Backend:
    """One of `backends`: an HTTP endpoint that answers hooks. `timeout` is in seconds; header names are lower case."""

    url: str
    secrets: tuple[Secret, ...]
    timeout: float = 2.0
    concurrency: int = 64
    on_failure: Literal["refuse", "accept"] = "refuse"
    headers: tuple[str, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class Webhook:
    """One of `webhooks`."""

    url: str
    secret: Secret
    events: tuple[str, ...]
    channels: tuple[str, ...] = ()
    batch: float = 0.0


@attrs.frozen(slots=True, kw_only=True)
class Hooks:
    """Top-level `hooks`. `path` is the folder added to `sys.path`; at most one lifespan per loop."""

    lifespan: tuple[HookRef, ...] = ()
    loop: Literal["trio", "asyncio"] = "trio"
    path: str = "."


@attrs.frozen(slots=True, kw_only=True)
class Log:
    """`log`."""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


@attrs.frozen(slots=True, kw_only=True)
class Accepted:
    """One of `diff.accept`: an intended breaking change. `until` is a date, `path` a JSON pointer or empty."""

    code: str
    reason: str
    path: str = ""
    until: str | None = None


@attrs.frozen(slots=True, kw_only=True)
class Diff:
    """`diff`: changes that `channeld diff` accepts."""

    accept: tuple[Accepted, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class Config:
    """A whole configuration, includes merged in."""

    server: Server = Server()
    auth: Mapping[str, Auth] = attrs.field(factory=dict)
    channels: Mapping[str, Channel] = attrs.field(factory=dict)
    schemas: Mapping[str, Json] = attrs.field(factory=dict)
    broker: Literal["memory", "valkey"] | RedisBroker = "memory"
    api: Api | None = None
    backends: Mapping[str, Backend] = attrs.field(factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    hooks: Hooks = Hooks()
    log: Log = Log()
    diff: Diff = Diff()
