"""Everything that changed for clients between two configurations."""

from collections.abc import Iterator

import attrs

from channeld.config.model import Channel
from channeld.diagnostics.diagnostic import Related
from channeld.diff.access import authenticators, channel_access, origins
from channeld.diff.change import Change, Level, merged
from channeld.diff.comparison import Comparison
from channeld.diff.limits import (
    channel_limits,
    histories,
    presences,
    server_limits,
    server_operation,
)
from channeld.diff.messages import types
from channeld.diff.param_names import with_params_of
from channeld.diff.paths import path_changes, queries, renamed, taken_over
from channeld.diff.server import backends, tls, trusted_proxies
from channeld.diff.side import Side
from channeld.plan.options.hook import hook_words, lets_more_in
from channeld.pointer import at


def changes(old: Side, new: Side, *, everything: bool = False) -> list[Change]:
    """The changes in the order of the new files; with `everything` those of descriptions and examples as well."""
    return list(merged(_all(Comparison(old, new, everything))))


def _all(comparison: Comparison) -> Iterator[Change]:
    yield from origins(comparison)
    yield from tls(comparison)
    yield from trusted_proxies(comparison)
    yield from server_limits(comparison)
    yield from server_operation(comparison)
    yield from authenticators(comparison)
    yield from backends(comparison)
    olds, news = comparison.old.config.channels, comparison.new.config.channels
    names = renamed(comparison)
    pairs = {name: name for name in olds if name in news} | dict(names)
    for name, old in olds.items():
        if name in pairs:
            yield from _channel(comparison, old, news[pairs[name]])
        else:
            message = f"the channel `{name}` is gone"
            label = f"clients can no longer connect to `{old.path}`"
            pointer = at("/channels", name)
            yield comparison.gone("D101", Level.BREAKING, message, pointer, label=label)
    for name, new in news.items():
        if name not in pairs.values():
            message = f"the channel `{name}` is new"
            pointer = at("/channels", name)
            yield comparison.change("D103", Level.SAFE, message, pointer, key=True, label=new.path)
        if name not in olds or olds[name].path != new.path:
            yield from taken_over(comparison, new, pairs)


def _channel(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    pointer = at("/channels", new.name)
    if old.name != new.name:
        place = comparison.old.place(at("/channels", old.name), key=True)
        message = f"the channel `{old.name}` is now called `{new.name}`"
        note = "clients do not see the name, but publishers that use the control API do"
        change = comparison.change("D108", Level.DANGEROUS, message, pointer, key=True, note=note)
        yield attrs.evolve(change, related=(Related(place=place, message="stood here"),))
    yield from path_changes(comparison, old, new)
    yield from queries(comparison, old, new)
    old = with_params_of(old, new)
    yield from channel_access(comparison, old, new)
    yield from histories(comparison, old, new)
    yield from presences(comparison, old, new)
    yield from channel_limits(comparison, old, new)
    yield from _hooks(comparison, old, new)
    yield from types(comparison, old, new)
    if comparison.everything and old.description != new.description:
        message = f"the description of the channel `{new.name}` changed"
        yield comparison.change("D702", Level.SAFE, message, at(pointer, "description"))


def _hooks(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    for name in ("connect", "close", "subscribe", "unsubscribe"):
        was, now = getattr(old.hooks, name), getattr(new.hooks, name)
        if was != now:
            before = was.call if was is not None else "none"
            message = hook_words(f"the `{name}` hook of `{new.name}`", was, now)
            label = f"{before} before; its code is not analysed"
            pointer = at("/channels", new.name, "hooks", name)
            opens = name in ("connect", "subscribe") and lets_more_in(was, now)
            change = comparison.change("D701", Level.DANGEROUS, message, pointer, label=label)
            yield attrs.evolve(change, security=opens)
