"""Rules about limits, history and presence: numbers that contradict each other."""

import re
from collections.abc import Iterator

from channeld.config.language import names_place
from channeld.config.model import Channel, Config, Rate
from channeld.config.rules.evidence import (
    Findings,
    finding,
    has_rooms,
    is_unknown,
    is_written,
    messages,
    with_tokens,
)
from channeld.config.scalars import format_duration, format_size
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Diagnostic
from channeld.pointer import at

_GIB = 1024**3
_MESSAGE_SIZE = "/server/limits/message_size"
_UNDIVIDED, _UNDIVIDED_S = 1024 * 1024, 0.1
"""The largest size in bytes that is not reported, and the seconds that the costliest such message (small objects) takes."""
_PARAM = re.compile(r"\{params\.([^}?]+)\??\}")


def ping_timeout_long(config: Config, sources: Sources) -> Findings:
    """CH603: the next ping would be due before the last one times out."""
    ping = config.server.ping
    if ping.timeout <= ping.interval:
        return
    key = "timeout" if is_written(sources, "/server/ping/timeout") else "interval"
    message = (
        f"`timeout` ({format_duration(ping.timeout)}) is longer than "
        f"`interval` ({format_duration(ping.interval)})"
    )
    help = f"write a `timeout` of at most {format_duration(ping.interval)}"
    yield finding("CH603", message, sources, at("/server", "ping", key), help)


def health_hidden(config: Config, sources: Sources) -> Findings:
    """CH615: a channel has the path of the health check."""
    for channel in config.channels.values():
        if channel.path == config.server.health:
            message = f"`{channel.name}` has the path of the health check, which is not answered"
            help = "give `server.health` another path, or write `health: none`"
            pointer = at("/channels", channel.name, "path")
            yield finding("CH615", message, sources, pointer, help)


def history_without_rooms(config: Config, sources: Sources) -> Findings:
    """CH606: a history on a channel without rooms."""
    for channel in config.channels.values():
        if channel.history is not None and not has_rooms(config, sources, channel):
            message = f"channel `{channel.name}` has no rooms to keep a history for"
            help = "add `rooms`, or remove `history`"
            pointer = at("/channels", channel.name, "history")
            yield finding("CH606", message, sources, pointer, help, key=True)


def history_memory(config: Config, sources: Sources) -> Findings:
    """CH608: a single room's history could take over 1 GiB."""
    for channel in config.channels.values():
        if channel.history is None:
            continue
        size = config.server.limits.under(channel.limits).message_size
        if channel.history.size * size > _GIB:
            message = (
                f"{channel.history.size} frames of up to {format_size(size)} are "
                f"{channel.history.size * size / _GIB:.1f} GiB for each room"
            )
            help = "keep fewer frames, or lower `limits.message_size` of this channel"
            pointer = at("/channels", channel.name, "history", "size")
            yield finding("CH608", message, sources, pointer, help)


def history_of_any_room(config: Config, sources: Sources) -> Findings:
    """CH620: histories of rooms whose names anonymous clients choose freely."""
    if config.broker != "memory":
        return
    for channel in config.channels.values():
        pointer = at("/channels", channel.name, "history")
        bounded = any(is_written(sources, at(pointer, key)) for key in ("rooms", "bytes"))
        anonymous = not channel.auth.names or channel.auth.optional
        if channel.history is None or bounded or not anonymous or not _free_names(channel):
            continue
        message = f"anonymous clients of channel `{channel.name}` can create any number of rooms"
        help = "say what their histories may take (`rooms: 1000, bytes: 16MiB`), or ask for a token"
        yield finding("CH620", message, sources, pointer, help, key=True)


def _free_names(channel: Channel) -> bool:
    """Whether clients choose room names freely: by `subscribe`, or by a param without an enum."""
    subscribe = channel.rooms.subscribe
    if subscribe is not None and any("*" in pattern for pattern in subscribe.allow):
        return True
    joined = {name for text in channel.rooms.join for name in _PARAM.findall(text)}
    schemas = (channel.params.get(name) for name in joined)
    return any(not (isinstance(one, dict) and one.keys() & {"enum", "const"}) for one in schemas)


def outbox_small(config: Config, sources: Sources) -> Findings:
    """CH609: an outbox that cannot hold one message."""
    limits = config.server.limits
    if limits.outbox < limits.message_size:
        yield _outbox(sources, limits.outbox, limits.message_size, at("/server", "limits"))
    for channel in config.channels.values():
        own = limits.under(channel.limits)
        is_said = channel.limits.outbox is not None or channel.limits.message_size is not None
        if is_said and own.outbox < own.message_size:
            pointer = at("/channels", channel.name, "limits")
            yield _outbox(sources, own.outbox, own.message_size, pointer)


def _outbox(sources: Sources, outbox: int, size: int, limits: str) -> Diagnostic:
    key = "outbox" if is_written(sources, f"{limits}/outbox") else "message_size"
    message = f"an outbox of {format_size(outbox)} cannot hold a message of {format_size(size)}"
    help = "make `outbox` several times as large as `message_size`"
    return finding("CH609", message, sources, f"{limits}/{key}", help)


def message_size_costly(config: Config, sources: Sources) -> Findings:
    """CH617: messages so large that a single one holds up all other clients."""
    server = config.server.limits
    found = [(server, at("/server", "limits"))] if is_written(sources, _MESSAGE_SIZE) else []
    for channel in config.channels.values():
        if channel.limits.message_size is not None:
            own = server.under(channel.limits)
            found.append((own, at("/channels", channel.name, "limits")))
    for own, limits in found:
        size = own.message_size
        if _UNDIVIDED < size <= own.outbox:
            took = format_duration(round(size / _UNDIVIDED * _UNDIVIDED_S, 2))
            message = (
                f"one message of {format_size(size)} can keep all other clients waiting for {took}"
            )
            help = "send large content over HTTP and its URL here, or lower `message_size`"
            yield finding("CH617", message, sources, f"{limits}/message_size", help)


def _rates(config: Config) -> Iterator[tuple[Rate, str]]:
    yield config.server.limits.messages, at("/server", "limits", "messages")
    yield config.server.limits.errors, at("/server", "limits", "errors")
    for channel in config.channels.values():
        limits = at("/channels", channel.name, "limits")
        for rate, key in ((channel.limits.messages, "messages"), (channel.limits.errors, "errors")):
            if rate is not None:
                yield rate, f"{limits}/{key}"
        for name, message in channel.messages.items():
            if message.rate is not None:
                yield message.rate, at("/channels", channel.name, "messages", name, "rate")


def burst_below_rate(config: Config, sources: Sources) -> Findings:
    """CH610: a burst smaller than one second of the rate."""
    for rate, pointer in _rates(config):
        if rate.burst < rate.limit / rate.period:
            message = f"a burst of {rate.burst} is less than one second of {names_place(pointer)}"
            help = f"write a burst of at least {rate.limit}, or leave it out"
            yield finding("CH610", message, sources, f"{pointer}/burst", help)


def rate_never_reached(config: Config, sources: Sources) -> Findings:
    """CH611: a message rate that the limit on all messages makes unreachable."""
    for channel, name, message, pointer in messages(config):
        every = config.server.limits.under(channel.limits).messages
        rate = message.rate
        if rate is not None and rate.limit / rate.period > every.limit / every.period:
            text = f"`limits.messages` stops a client before `{name}` reaches this rate"
            help = "lower the rate, or raise `limits.messages`"
            yield finding("CH611", text, sources, at(pointer, "rate"), help)


def auth_timeout_short(config: Config, sources: Sources) -> Findings:
    """CH612: less time for the `authenticate` frame than for the handshake before it."""
    limits = config.server.limits
    awaited = any("message" in token_from for _, token_from in with_tokens(config))
    if awaited and limits.auth_timeout < limits.handshake_timeout:
        key = "auth_timeout"
        if not is_written(sources, at("/server", "limits", key)):
            key = "handshake_timeout"
        message = (
            f"a client on a slow connection may take {format_duration(limits.handshake_timeout)} for its "
            f"handshake, but only {format_duration(limits.auth_timeout)} for its token"
        )
        help = f"write `auth_timeout: {format_duration(limits.handshake_timeout)}` or more"
        yield finding("CH612", message, sources, at("/server", "limits", key), help)


def batch_without_events(config: Config, sources: Sources) -> Findings:
    """CH613: a batch interval for presence events that are not sent."""
    for channel in config.channels.values():
        presence = channel.presence
        if presence is not None and presence.batch and not presence.events:
            message = "`batch` combines presence events, but `events: false` sends none"
            pointer = at("/channels", channel.name, "presence", "batch")
            yield finding("CH613", message, sources, pointer, "remove one of them")


def subscriptions_over_limit(config: Config, sources: Sources) -> Findings:
    """CH614: more subscriptions allowed, or more rooms joined, than a connection may be in."""
    for channel in config.channels.values():
        rooms = config.server.limits.under(channel.limits).rooms_per_connection
        own = at("/channels", channel.name, "limits", "rooms_per_connection")
        server = "/server/limits/rooms_per_connection"
        if is_unknown(sources, server) and not is_written(sources, own):
            continue
        join = at("/channels", channel.name, "rooms", "join")
        # An optional claim may name no room.
        joined = [one for one in channel.rooms.join if "?}" not in one and ".*}" not in one]
        if len(joined) > rooms and is_written(sources, join):
            message = (
                f"`rooms_per_connection` stops a client at {rooms} room{'s' if rooms != 1 else ''}"
            )
            help = f"join at most {rooms}, or raise `limits.rooms_per_connection`"
            yield finding("CH614", message, sources, join, help)
        subscribe = channel.rooms.subscribe
        if subscribe is not None and subscribe.max is not None and subscribe.max > rooms:
            message = f"`rooms_per_connection` stops a client at {rooms} rooms"
            help = f"write at most {rooms}, or raise `limits.rooms_per_connection`"
            pointer = at("/channels", channel.name, "rooms", "subscribe", "max")
            yield finding("CH614", message, sources, pointer, help)
