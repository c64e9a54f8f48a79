"""Limits, rates, keep-alive, history and presence: what clients may do, and what they can rely on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from channeld.config.model import Channel, History, Limits, Presence, Rate
from channeld.config.scalars import format_duration, format_rate, format_size
from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison, Use
from channeld.diff.delivered import fields, source
from channeld.diff.severity import Direction
from channeld.pointer import at

_B, _D, _S = Level.BREAKING, Level.DANGEROUS, Level.SAFE
_WORDS: Final[Mapping[str, tuple[str, Level]]] = {
    "message_size": ("the largest message", _B),
    "json_depth": ("how deep a message may nest", _B),
    "rooms_per_connection": ("how many rooms a connection may be in", _B),
    "connections_per_address": ("how many connections an address may have", _B),
    "connections_per_user": ("how many connections a user may have", _B),
    "messages": ("how many messages a connection may send", _B),
    "connections": ("how many connections the server takes", _D),
    "outbox": ("how much may wait for a slow client", _D),
    "errors": ("how many errors a connection may make", _D),
    "auth_timeout": ("the time to authenticate", _D),
    "handshake_timeout": ("the time for the handshake", _D),
}
"""Limit → its description, and the level of lowering it. Clients do not notice the time limit of hooks."""


def server_limits(comparison: Comparison) -> Iterator[Change]:
    """`server.limits` and `server.ping`."""
    was, now = comparison.old.config.server, comparison.new.config.server
    for name in _WORDS:
        pointer = at("/server/limits", name)
        yield from _limit(comparison, name, (was.limits, now.limits), pointer, "")
    for name in ("interval", "timeout"):
        before, after = getattr(was.ping, name), getattr(now.ping, name)
        if after < before:
            words = f"`ping.{name}` is now {format_duration(after)}"
            label = f"{format_duration(before)} before"
            yield comparison.change("D502", _D, words, at("/server/ping", name), label=label)


def server_operation(comparison: Comparison) -> Iterator[Change]:
    """`server.connection_age` and `server.health`."""
    was, now = comparison.old.config.server, comparison.new.config.server
    before, after = was.connection_age, now.connection_age
    if after is not None and (before is None or after.max < before.max):
        words = f"connections now end after {format_duration(after.max)}"
        label = "never before" if before is None else f"{format_duration(before.max)} before"
        pointer = "/server/connection_age/max"
        yield comparison.change("D520", _D, words, pointer, label=label)
    if was.health is not None and now.health != was.health:
        words = f"`{was.health}` no longer answers health checks"
        yield comparison.change("D521", _D, words, "/server/health")


def channel_limits(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """A channel's `limits`, where it has its own on either side."""
    for name in _WORDS:
        if getattr(old.limits, name, None) is None and getattr(new.limits, name, None) is None:
            continue
        pair = (
            comparison.old.config.server.limits.under(old.limits),
            comparison.new.config.server.limits.under(new.limits),
        )
        pointer = at("/channels", new.name, "limits", name)
        yield from _limit(comparison, name, pair, pointer, f" on `{new.name}`")


def _limit(
    comparison: Comparison, name: str, pair: tuple[Limits, Limits], pointer: str, where: str
) -> Iterator[Change]:
    before, after = (getattr(each, name) for each in pair)
    if isinstance(before, Rate) or isinstance(after, Rate):
        yield from rates(comparison, before, after, pointer, "all messages" + where, name)
        return
    if before == after:
        return
    words, level = _WORDS[name]
    lower = before is None or (after is not None and after < before)
    message = f"{words}{where} is now {_number(name, after)}"
    code, level = ("D501", level) if lower else ("D507", _S)
    label = f"{_number(name, before)} before"
    yield comparison.change(code, level, message, pointer, label=label)


def rates(
    comparison: Comparison,
    old: Rate | None,
    new: Rate | None,
    pointer: str,
    what: str,
    name: str = "",
) -> Iterator[Change]:
    """Compares rates; None: no rate."""
    if old == new:
        return
    lower = new is not None and (old is None or new.is_below(old))
    code, level = ("D501", _WORDS[name][1] if name else _B) if lower else ("D507", _S)
    message = f"the rate of {'errors' if name == 'errors' else what} is now {_rate(new)}"
    yield comparison.change(code, level, message, pointer, label=f"{_rate(old)} before")


def histories(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """Compares what a reconnecting client can recover."""
    was, now = old.history, new.history
    pointer = at("/channels", new.name, "history")
    if was is not None and now is None:
        message = f"`{new.name}` no longer keeps a history: clients cannot recover"
        gone = at("/channels", old.name, "history")
        yield comparison.gone("D504", _B, message, gone, near=at("/channels", new.name))
    elif was is None and now is not None:
        message = f"`{new.name}` now keeps a history: frames carry `room` and `pos`"
        yield comparison.change("D508", _S, message, pointer, key=True)
    elif was is not None and now is not None:
        yield from _kept(comparison, was, now, pointer)


def _kept(comparison: Comparison, was: History, now: History, pointer: str) -> Iterator[Change]:
    every = "the channel's histories now take at most"
    kept: tuple[tuple[str, float, float, Callable[[float], str], str], ...] = (
        ("size", was.size, now.size, "{:g} frames".format, "a room's history now keeps"),
        ("ttl", was.ttl, now.ttl, format_duration, "a room's history now keeps"),
        ("rooms", was.rooms, now.rooms, "{:g} rooms".format, every),
        ("bytes", was.bytes, now.bytes, lambda size: format_size(int(size)), every),
    )
    for name, before, after, words, what in kept:
        if before != after:
            code, level = ("D504", _B) if after < before else ("D508", _S)
            message = f"{what} {words(after)}"
            label = f"{words(before)} before"
            yield comparison.change(code, level, message, at(pointer, name), label=label)
    if was.replay != now.replay:
        message = f"a joining client now gets {_replayed(now)}"
        label = f"{_replayed(was)} before"
        place = at(pointer, "replay")
        opens = now.most_replayed > was.most_replayed
        yield comparison.change("D513", _D, message, place, label=label, security=opens)


def _replayed(history: History) -> str:
    return "every kept frame" if history.replay == "all" else f"{history.replay} kept frames"


def presences(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """Compares what clients are told about each other."""
    was, now = old.presence, new.presence
    pointer, before = (at("/channels", name, "presence") for name in (new.name, old.name))
    if was is not None and now is None:
        message = f"`{new.name}` no longer has presence"
        near = at("/channels", new.name)
        yield comparison.gone("D505", _B, message, before, near=near)
    elif was is None and now is not None:
        message = f"`{new.name}` now has presence"
        label = "existing clients receive `presence` frames and may not expect them"
        said = {"label": label, "security": True}
        yield comparison.change("D509", _D, message, pointer, key=True, **said)
    elif was is not None and now is not None:
        yield from _presence(comparison, was, now, pointer)
        infos = [{k: source(v) for k, v in each.info.items()} for each in (was, now)]
        places = (at(pointer, "info"), at(before, "info"))
        yield from fields(comparison, infos[0], infos[1], places, f"the presence of `{new.name}`")
        yield from _states(comparison, was, now, (pointer, before))


def _presence(
    comparison: Comparison, was: Presence, now: Presence, pointer: str
) -> Iterator[Change]:
    if was.scope != now.scope:
        message = f"presence is now counted per {now.scope}"
        label = f"per {was.scope} before"
        place, opens = at(pointer, "scope"), now.scope == "channel"
        yield comparison.change("D505", _B, message, place, label=label, security=opens)
    if was.events and not now.events:
        message = "presence changes are no longer announced"
        yield comparison.change("D505", _B, message, at(pointer, "events"))
    if now.events and not was.events:
        message = "presence changes are now announced"
        yield comparison.change("D509", _D, message, at(pointer, "events"), security=True)
    if bool(was.batch) != bool(now.batch) and was.events and now.events:
        form = "`changes` frames" if now.batch else "`join` and `leave` frames"
        message = f"presence changes are now announced in {form}"
        yield comparison.change("D505", _B, message, at(pointer, "batch"))


def _states(
    comparison: Comparison, was: Presence, now: Presence, pointers: tuple[str, str]
) -> Iterator[Change]:
    pointer, before = (at(one, "state") for one in pointers)
    if was.state is not None and now.state is None:
        message = "users can no longer set a state"
        yield comparison.gone("D505", _B, message, before, near=pointers[0])
    elif was.state is None and now.state is not None:
        message, label = "users can now set a state", "existing clients may not expect it"
        yield comparison.change("D509", _D, message, pointer, key=True, label=label)
    elif was.state is not None:
        use = Use(
            pointer=pointer,
            old=before,
            direction=Direction.PASSED_ON,
            affects="clients that set their state",
            receivers="clients that see it",
            about="presence state",
        )
        yield from comparison.schemas(use)
        yield from rates(comparison, was.rate, now.rate, at(pointers[0], "rate"), "states")


def _rate(rate: Rate | None) -> str:
    return "unlimited" if rate is None else format_rate(rate)


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "unlimited"
    if name in ("message_size", "outbox"):
        text = format_size(int(value))
        return f"{text} bytes" if text.isdecimal() else text
    return format_duration(value) if name.endswith("timeout") else f"{value:g}"
