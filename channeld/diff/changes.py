"""Everything that changed for clients between two configurations."""

from collections.abc import Iterator

from channeld.config.model import Channel
from channeld.diagnostics.diagnostic import Related
from channeld.diff.access import authenticators, channel_access, origins
from channeld.diff.change import Change, Level, merged
from channeld.diff.comparison import Desk
from channeld.diff.limits import channel_limits, histories, presences, server_limits
from channeld.diff.messages import types
from channeld.diff.names import with_params_of
from channeld.diff.paths import path_changes, renamed, taken_over
from channeld.diff.side import Side
from channeld.pointer import at

__all__ = ["changes"]


def changes(old: Side, new: Side, *, everything: bool = False) -> list[Change]:
    """The changes in the order of the new files; with `everything` those of descriptions and examples, too."""
    return list(merged(_all(Desk(old, new, everything))))


def _all(desk: Desk) -> Iterator[Change]:
    yield from origins(desk)
    yield from server_limits(desk)
    yield from authenticators(desk)
    olds, news = desk.old.config.channels, desk.new.config.channels
    names = renamed(desk)
    pairs = {name: name for name in olds if name in news} | dict(names)
    for name, old in olds.items():
        if name in pairs:
            yield from _channel(desk, old, news[pairs[name]])
        else:
            message = f"the channel `{name}` is gone"
            label = f"clients can't connect to `{old.path}` any more"
            pointer = at("/channels", name)
            yield desk.gone("D101", Level.BREAKING, message, pointer, label=label)
    for name, new in news.items():
        if name not in pairs.values():
            message = f"the channel `{name}` is new"
            pointer = at("/channels", name)
            yield desk.change("D103", Level.SAFE, message, pointer, key=True, label=new.path)
        if name not in olds or olds[name].path != new.path:
            yield from taken_over(desk, new, pairs)


def _channel(desk: Desk, old: Channel, new: Channel) -> Iterator[Change]:
    pointer = at("/channels", new.name)
    if old.name != new.name:
        there = Related(
            place=desk.old.place(at("/channels", old.name), key=True), message="stood here"
        )
        message = f"the channel `{old.name}` is called `{new.name}` now"
        note = "no client sees the name, but who publishes through the control API has to use it"
        yield desk.change(
            "D108", Level.DANGEROUS, message, pointer, key=True, related=(there,), note=note
        )
    yield from path_changes(desk, old, new)
    old = with_params_of(old, new)
    yield from channel_access(desk, old, new)
    yield from histories(desk, old, new)
    yield from presences(desk, old, new)
    yield from channel_limits(desk, old, new)
    yield from _hooks(desk, old, new)
    yield from types(desk, old, new)
    if desk.everything and old.description != new.description:
        message = f"the description of the channel `{new.name}` changed"
        yield desk.change("D702", Level.SAFE, message, at(pointer, "description"))


def _hooks(desk: Desk, old: Channel, new: Channel) -> Iterator[Change]:
    for name in ("connect", "close", "subscribe", "unsubscribe"):
        was, now = getattr(old.hooks, name), getattr(new.hooks, name)
        if was != now:
            before, after = (hook.call if hook is not None else "none" for hook in (was, now))
            message = f"the `{name}` hook of `{new.name}` is {after} now"
            label = f"{before} before; what it does is not judged"
            pointer = at("/channels", new.name, "hooks", name)
            yield desk.change("D701", Level.DANGEROUS, message, pointer, label=label)
