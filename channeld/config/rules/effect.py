"""Settings that another setting leaves without effect; those of a message's route are in `channeld.plan.routes`."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from channeld.config.language import joined
from channeld.config.model import Channel, Config, HookRef
from channeld.config.rules.evidence import (
    Findings,
    entries,
    finding,
    has_rooms,
    is_unknown,
    is_written,
    texts,
)
from channeld.config.source import Sources
from channeld.diagnostics.catalogue import CATALOGUE
from channeld.pointer import at, tokens

_Idle: TypeAlias = Iterator[tuple[Sequence[str], str, str]]
"""Pointers of keys or list entries, each with why it has no effect and what to do."""

_OF_ROOMS: Final = ("joined", "left", "room_occupied", "room_vacated")


def without_effect(config: Config, sources: Sources) -> Findings:
    """CH616: a key that has no effect, because another key is there or is missing."""
    found = [*_of_server(config, sources), *_of_backends(config), *_of_webhooks(config, sources)]
    found += [*_of_repeats(config, sources), *_of_diff(config)]
    for channel in config.channels.values():
        where = at("/channels", channel.name)
        for pointers, why, help in _of_channel(config, channel, sources):
            found.append(([where + pointer for pointer in pointers], why, help))
    for pointers, why, help in found:
        there = [pointer for pointer in pointers if _is_there(sources, pointer)]
        if there:
            name = joined([f"`{_name(sources, pointer)}`" for pointer in there], "and")
            message = f"{name} {'has' if len(there) == 1 else 'have'} no effect: {why}"
            is_key = is_written(sources, there[0])
            yield finding("CH616", message, sources, there[0], help, key=is_key)


def _is_there(sources: Sources, pointer: str) -> bool:
    return is_written(sources, pointer) or isinstance(sources.written(pointer), str)


def _name(sources: Sources, pointer: str) -> str:
    value = sources.written(pointer)
    return tokens(pointer)[-1] if is_written(sources, pointer) else str(value)


def _of_server(config: Config, sources: Sources) -> _Idle:
    server, limits = config.server, config.server.limits
    if is_unknown(sources, "/server/transports", "/server/limits/connections"):
        return
    offered = [one.transports or server.transports for one in config.channels.values()]
    if server.compression and offered and not any("websocket" in names for names in offered):
        yield ["/server/compression"], "no channel is offered over WebSocket", "remove it"
    most = limits.connections_per_address
    if most is not None and most > limits.connections:
        why = f"`connections` stops clients at {limits.connections}"
        yield ["/server/limits/connections_per_address"], why, "lower it, or raise `connections`"


def _of_backends(config: Config) -> _Idle:
    for name, backend in config.backends.items():
        asked = [hook for one in config.channels.values() for hook in _hooks_that_judge(one)]
        if backend.on_failure == "accept" and not any(hook.backend == name for hook in asked):
            why = "it only affects hooks of messages and subscriptions, and none of them uses this backend"
            yield [at("/backends", name, "on_failure")], why, "remove it"


def _hooks_that_judge(channel: Channel) -> Iterator[HookRef]:
    subscribe = channel.rooms.subscribe
    found = [message.hook for message in channel.messages.values()]
    found += [channel.hooks.subscribe, subscribe.hook if subscribe is not None else None]
    return (hook for hook in found if hook is not None)


def _of_webhooks(config: Config, sources: Sources) -> _Idle:
    for index, webhook in enumerate(config.webhooks):
        names = webhook.channels or tuple(entries(sources, "/channels"))
        told = [config.channels.get(name) for name in names]
        if any(channel is None or has_rooms(config, sources, channel) for channel in told):
            continue
        events = sources.written(at("/webhooks", index, "events"))
        of_presence = any(one and one.presence and one.presence.scope == "channel" for one in told)
        idle = _OF_ROOMS[2:] if of_presence else _OF_ROOMS
        places = [
            at("/webhooks", index, "events", place)
            for place, event in enumerate(events if isinstance(events, list) else ())
            if event in idle
        ]
        why = "none of this webhook's channels has rooms"
        yield places, why, "remove it, or give a channel `rooms`"


def _of_repeats(config: Config, sources: Sources) -> _Idle:
    for pointer in _sets(config):
        seen: set[str] = set()
        for text, place in texts(sources, pointer):
            if text in seen:
                yield [place], "it is in the list already", "remove it"
            seen.add(text)


def _sets(config: Config) -> Iterator[str]:
    """The lists in which a repeated entry has no effect and is not reported by another rule."""
    yield "/include"
    yield from (at("/server", key) for key in ("allowed_origins", "trusted_proxies", "transports"))
    for name in config.auth:
        yield from (at("/auth", name, key) for key in ("token_from", "algorithms", "audience"))
    for name in config.channels:
        channel = at("/channels", name)
        yield from (at(channel, key) for key in ("rooms", "subprotocols", "transports"))
        yield from (at(channel, "rooms", "join"), at(channel, "rooms", "subscribe", "allow"))
    for index in range(len(config.webhooks)):
        yield from (at("/webhooks", index, key) for key in ("events", "channels"))
    yield from (at("/backends", name, "headers") for name in config.backends)


def _of_diff(config: Config) -> _Idle:
    for index, accepted in enumerate(config.diff.accept):
        if accepted.code not in CATALOGUE:
            why = f"no change has the code `{accepted.code}`"
            help = "write a code that `channeld diff` shows, or remove the entry"
            yield [at("/diff/accept", index, "code")], why, help


def _of_channel(config: Config, channel: Channel, sources: Sources) -> _Idle:
    presence, is_anonymous = channel.presence, not channel.auth.names
    if presence is not None and presence.state is None:
        yield (
            ["/presence/rate"],
            "it limits presence states, and `state` is not set",
            "add `state`",
        )
    if is_anonymous:
        why, help = "the channel has no users", "write `server.limits.connections_per_address`"
        yield ["/limits/connections_per_user"], why, help
    elif channel.auth.optional and channel.require:
        why = "`require` refuses clients without claims"
        yield ["/auth/optional"], why, "remove it, or move `require` to the messages"
    if channel.rooms.subscribe is None and is_written(sources, at("/channels", channel.name)):
        why = "clients may not subscribe to rooms"
        yield ["/hooks/subscribe"], why, "add `rooms: {subscribe: …}`"
    if not has_rooms(config, sources, channel):
        yield from _of_no_rooms(channel, is_anonymous=is_anonymous)
    offered = channel.transports or config.server.transports
    if "websocket" not in offered and not is_unknown(sources, "/server/transports"):
        why = "the channel is not offered over WebSocket"
        yield ["/subprotocols"], why, "remove it, or add `websocket` to `transports`"
    if config.broker != "memory":
        why, help = "only `broker: memory` is bounded by them", "remove them"
        yield ["/history/rooms", "/history/bytes"], why, help
    hooks = [*_hooks_that_judge(channel), channel.hooks.connect, channel.hooks.close]
    if not any(hooks) and not _is_of_hooks(config, channel):
        yield ["/limits/hook_timeout"], "the channel has no hooks", "remove it"


def _is_of_hooks(config: Config, channel: Channel) -> bool:
    known = (config.auth.get(name) for name in channel.auth.names)
    is_identified = any(one is None or getattr(one, "hook", None) is not None for one in known)
    return is_identified or channel.hooks.unsubscribe is not None


def _of_no_rooms(channel: Channel, *, is_anonymous: bool) -> _Idle:
    why, help = "the channel has no rooms", "add `rooms`, or remove it"
    for pointer in ("/limits/rooms_per_connection", "/hooks/unsubscribe"):
        yield [pointer], why, help
    for name in channel.events or ():
        yield [at("/events", name, "conflate")], why, help
    if channel.presence is not None and channel.presence.scope == "room" and not is_anonymous:
        yield ["/presence"], why, "add `rooms`, or write `presence: {scope: channel}`"
