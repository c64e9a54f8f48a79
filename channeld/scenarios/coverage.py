"""Coverage of a configuration by its scenarios: types, routes, refusals, codes, hooks.

A point is something that a configuration declares and a client can reach. Points of the server itself (such as text that is
not JSON) are listed once, under `server`; all others under their channel. What no scenario in memory can reach (an
unreachable broker, a slow socket) is not a point.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import attrs

from channeld.auth.authenticators import authenticator
from channeld.config.model import Channel, Config, Message
from channeld.diagnostics.diagnostic import Place
from channeld.plan.options.table import OPTIONS
from channeld.plan.targets.kinds import kind_of
from channeld.pointer import at
from channeld.protocol.codes import CloseCode, ErrorCode

SERVER: Final = "server"


@attrs.frozen(slots=True, order=True)
class Point:
    """One thing to reach: the channel (or `server`), its kind, and its name."""

    channel: str
    kind: str
    name: str


@attrs.frozen(slots=True)
class Missed:
    """A point that no scenario reached, and where it is declared."""

    point: Point
    place: Place


@attrs.define(eq=False)
class Exercised:
    """What one file's scenarios reached in one configuration, and all points; can be pickled."""

    config: str
    declared: dict[Point, Place] = attrs.field(factory=dict)
    met: set[Point] = attrs.field(factory=set)

    def add(self, channel: str, kind: str, name: object) -> None:
        """Record something reached; whether it is a declared point is decided when counting."""
        self.met.add(Point(channel, kind, str(name)))


@attrs.frozen(kw_only=True)
class Coverage:
    """The coverage of one configuration. `channels` has reached and declared points by channel."""

    config: str
    reached: int
    total: int
    channels: Mapping[str, tuple[int, int]]
    missed: tuple[Missed, ...]

    @property
    def percent(self) -> float:
        """How much of it, in percent."""
        return percent(self.reached, self.total)


def percent(reached: int, total: int) -> float:
    """A share in percent, rounded down to a tenth, so that 100 means all."""
    return 100.0 if reached >= total else int(1000 * reached / total) / 10


def cover(files: Iterable[Exercised]) -> list[Coverage]:
    """The coverage of each configuration over all files that used it."""
    by_config: dict[str, Exercised] = {}
    for one in files:
        whole = by_config.setdefault(one.config, Exercised(one.config))
        whole.declared.update(one.declared)
        whole.met |= one.met
    return [_count(whole) for _, whole in sorted(by_config.items())]


def _count(whole: Exercised) -> Coverage:
    met = whole.met & whole.declared.keys()
    # The server's own refusals can be reached on any channel.
    generic = {(point.kind, point.name) for point in whole.met}
    met |= {p for p in whole.declared if p.channel == SERVER and (p.kind, p.name) in generic}
    channels: dict[str, tuple[int, int]] = {}
    for point in whole.declared:
        reached, total = channels.get(point.channel, (0, 0))
        channels[point.channel] = (reached + (point in met), total + 1)
    missed = tuple(Missed(p, place) for p, place in whole.declared.items() if p not in met)
    return Coverage(
        config=whole.config,
        reached=len(met),
        total=len(whole.declared),
        channels=channels,
        missed=missed,
    )


# -------------------------------------------------------------------------------------------------- what there is

FindPlace: TypeAlias = Callable[[str], Place]
"""`(JSON pointer) → place` in the configuration."""
_Named: TypeAlias = Iterator[tuple[str, str, str]]  # kind, name, pointer


def points(config: Config, place: FindPlace) -> dict[Point, Place]:
    """Every point of a configuration, in the order of the file."""
    found: dict[Point, Place] = {}
    for name, channel in config.channels.items():
        pointer = at("/channels", name)
        for kind, what, below in _channel(config, channel, pointer):
            found[Point(name, kind, what)] = place(below)
    for kind, what in _server(config):
        found[Point(SERVER, kind, what)] = place("/server")
    for ref in config.hooks.lifespan:
        found[Point(SERVER, "hook", ref.call)] = place("/hooks/lifespan")
    return found


def _server(config: Config) -> Iterator[tuple[str, str]]:
    yield "status", "404"
    if config.server.allowed_origins != "any":
        yield "status", "403"
    if any(channel.messages for channel in config.channels.values()):
        yield "error", ErrorCode.INVALID_JSON
        yield "error", ErrorCode.UNKNOWN_TYPE
        yield "error", ErrorCode.TOO_LARGE
        yield "close", str(int(CloseCode.MESSAGE_TOO_BIG))


def _channel(config: Config, channel: Channel, pointer: str) -> _Named:
    yield "channel", "connected", pointer
    yield from _access(config, channel, pointer)
    for type_, message in channel.messages.items():
        yield from _message(type_, message, at(at(pointer, "messages"), type_))
    for type_ in channel.events or {}:
        yield "event", type_, at(at(pointer, "events"), type_)
    hooks = channel.hooks
    for role in ("connect", "close", "subscribe", "unsubscribe"):
        ref = getattr(hooks, role)
        if ref is not None:
            yield "hook", ref.call, f"{pointer}/hooks/{role}"
    subscribe = channel.rooms.subscribe
    if subscribe is not None:
        below = f"{pointer}/rooms/subscribe"
        yield "refusal", "subscribe (FORBIDDEN)", below
        if subscribe.max is not None:
            yield "error", ErrorCode.LIMIT_EXCEEDED, below
        if subscribe.hook is not None:
            yield "hook", subscribe.hook.call, f"{below}/hook"
    if channel.limits.connections_per_user is not None:
        below = f"{pointer}/limits/connections_per_user"
        yield "close", str(int(CloseCode.REPLACED)), below


def _access(config: Config, channel: Channel, pointer: str) -> _Named:
    auths = [authenticator(config.auth[n]) for n in channel.auth.names if n in config.auth]
    if auths:
        yield "error", ErrorCode.UNAUTHORIZED, f"{pointer}/auth"
        yield "close", str(int(CloseCode.UNAUTHORIZED)), f"{pointer}/auth"
    if any(auth.ends_connections() and auth.hook() is None for auth in auths):
        yield "error", ErrorCode.TOKEN_EXPIRED, f"{pointer}/auth"
    for auth in auths:
        hook = auth.hook()
        if hook is not None:
            yield "hook", hook.call, f"{pointer}/auth"
    if channel.require:
        yield "close", str(int(CloseCode.FORBIDDEN)), f"{pointer}/require"


def _message(type_: str, message: Message, pointer: str) -> _Named:
    yield "message", type_, pointer
    if any(kind_of(route).delivers for route in message.route):
        yield "route", type_, f"{pointer}/route"
    if message.schema is not True and message.schema != {}:
        yield "refusal", f"{type_} (INVALID_MESSAGE)", f"{pointer}/schema"
    for option in OPTIONS:
        for outcome in option.outcomes(type_, message):
            yield outcome.kind, outcome.name, f"{pointer}/{option.key}"
