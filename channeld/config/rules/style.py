"""Rules about channels, messages and workers: names, descriptions, keys that exclude each other."""

import attrs

from channeld.config.model import Config
from channeld.config.rules.evidence import (
    Findings,
    entries,
    finding,
    is_doubtful,
    is_written,
    messages,
)
from channeld.config.source import Sources
from channeld.diagnostics.diagnostic import Related
from channeld.pointer import at
from channeld.protocol.reserved import RESERVED


def emit_and_stamp(config: Config, sources: Sources) -> Findings:
    """CH122: a message with both."""
    for _, name, message, pointer in messages(config):
        if message.emit is not None and message.stamp is not None:
            text, help = (
                f"message `{name}` has both `emit` and `stamp`",
                "move the stamps into `emit`",
            )
            yield finding("CH122", text, sources, at(pointer, "stamp"), help, key=True)


def stamp_reserved(config: Config, sources: Sources) -> Findings:
    """CH123: a stamp over `type` or `id`."""
    for _, _, message, pointer in messages(config):
        for field in {"type", "id"} & set(message.stamp or ()):
            text, help = (
                f"`{field}` cannot be stamped",
                "remove it; `emit` can deliver another type",
            )
            yield finding("CH123", text, sources, at(pointer, "stamp", field), help, key=True)


def channel_silent(config: Config, sources: Sources) -> Findings:
    """CH308: neither messages nor events."""
    for name in config.channels:
        # An empty `events` explicitly says that nothing is sent; a refused one is not an omission.
        events = is_written(sources, at("/channels", name, "events"))
        messages = at("/channels", name, "messages")
        silent = not is_written(sources, messages) or sources.written(messages) == {}
        if silent and not events and not is_doubtful(sources, at("/channels", name)):
            message = f"channel `{name}` declares neither messages nor events"
            help = "add `messages`, or `events` if only the server sends"
            yield finding("CH308", message, sources, at("/channels", name), help, key=True)


def reserved_type(config: Config, sources: Sources) -> Findings:
    """CH313: a type that belongs to the protocol."""
    for channel in entries(sources, "/channels"):
        for section in ("messages", "events"):
            for name in entries(sources, at("/channels", channel, section)):
                if name in RESERVED:
                    message = f"`{name}` is reserved by the protocol"
                    pointer = at("/channels", channel, section, name)
                    help = f"choose another name, such as `{name}_{section[:-1]}`"
                    yield finding("CH313", message, sources, pointer, help, key=True)


def no_description(config: Config, sources: Sources) -> Findings:
    """CH701: a channel without a description."""
    for name, channel in config.channels.items():
        if not (channel.description or is_written(sources, at("/channels", name, "description"))):
            message = f"channel `{name}` has no description"
            help = "add `description:`; exports and the console show it"
            yield finding("CH701", message, sources, at("/channels", name), help, key=True)


def names_alike(config: Config, sources: Sources) -> Findings:
    """CH703: two channels whose names are easily confused."""
    seen: dict[str, str] = {}
    for name in entries(sources, "/channels"):
        folded = name.lower().replace("-", "_").replace(".", "_")
        first = seen.setdefault(folded, name)
        if first != name:
            message = f"channels `{first}` and `{name}` are easily confused"
            place = sources.place(at("/channels", first), key=True)
            related = (Related(place=place, message=f"`{first}` is defined here"),)
            help = "give one of them another name"
            found = finding("CH703", message, sources, at("/channels", name), help, key=True)
            yield attrs.evolve(found, related=related)


def workers_without_broker(config: Config, sources: Sources) -> Findings:
    """CH704: several workers without a broker between them."""
    if config.server.workers > 1 and (sources.written("/broker") or "memory") == "memory":
        message = f"{config.server.workers} processes need a shared broker"
        help = "write `workers: 1`, or use a `broker` other than `memory`"
        yield finding("CH704", message, sources, "/server/workers", help)


def workers_on_a_unix_socket(config: Config, sources: Sources) -> Findings:
    """CH705: a Unix socket, which only one process can listen on."""
    paths = [address for address in config.server.bind if address.startswith("unix:")]
    if config.server.workers > 1 and paths:
        message = f"{config.server.workers} processes cannot share {paths[0]}"
        help = "write `workers: 1`, or an address such as `127.0.0.1:4000`"
        yield finding("CH705", message, sources, "/server/bind", help)
