"""Who may connect: authenticators, what channels require of clients, origins, and rooms to subscribe to."""

from collections.abc import Iterator

import attrs

from channeld.auth.authenticators import authenticator
from channeld.config.model import Auth, Channel
from channeld.diff.change import Change, Level
from channeld.diff.comparison import OBJECT, Comparison, Use
from channeld.diff.severity import Direction
from channeld.plan.options.hook import hook_words, lets_more_in
from channeld.plan.options.require import require_differences
from channeld.pointer import at
from channeld.schema.compare.schema_ref import implied
from channeld.server.origins import origin_check

_B, _D, _S = Level.BREAKING, Level.DANGEROUS, Level.SAFE


def channel_access(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """A channel's `auth`, `require` and `rooms`."""
    yield from _auth(comparison, old, new)
    pointers = at("/channels", new.name, "require"), at("/channels", old.name, "require")
    for found in require_differences(old.require, new.require):
        yield comparison.option(found, pointers, f"clients of `{new.name}`")
    yield from _joins(comparison, old, new)
    yield from _subscriptions(comparison, old, new)
    yield from _transports(comparison, old, new)


def _transports(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    was = old.transports or comparison.old.config.server.transports
    now = new.transports or comparison.new.config.server.transports
    pointer = at("/channels", new.name, "transports") if new.transports else "/server/transports"
    for name in was:
        if name not in now:
            message = f"`{new.name}` is no longer offered over {name}"
            yield comparison.change("D420", _B, message, pointer)
    for name in now:
        if name not in was:
            message = f"`{new.name}` is now offered over {name}"
            yield comparison.change("D421", _S, message, pointer, security=True)


def _auth(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    was, now = old.auth, new.auth
    pointer, who = at("/channels", new.name, "auth"), f"`{new.name}`"
    open_before, open_now = (not auth.names or auth.optional for auth in (was, now))
    if open_before and not open_now:
        label = "anyone could connect before"
        message = f"{who} now asks for a token"
        yield comparison.change("D401", _B, message, pointer, label=label)
    elif open_now and not open_before:
        message = f"{who} now admits anyone"
        yield comparison.change("D404", _S, message, pointer, security=True)
    elif not was.names and now.names:
        message = f"{who} now refuses a bad token"
        label = "tokens were ignored before"
        yield comparison.change("D401", _D, message, pointer, label=label)
    if not was.names or not now.names:
        return
    gone = [name for name in was.names if not _has(comparison, name, now.names, old=True)]
    come = [name for name in now.names if not _has(comparison, name, was.names, old=False)]
    for name in gone:
        message = f"tokens of `{name}` no longer open {who}"
        place = at("/auth", name)
        yield comparison.gone("D402", _B, message, place, near=pointer)
    for name in come:
        message = f"tokens of `{name}` now open {who}"
        yield comparison.change("D404", _S, message, pointer, security=True)
    if not gone and not come and len(was.names) > 1 and was.names != now.names:
        message = f"{who} now tries its authenticators in another order"
        label = f"{', '.join(was.names)} before; the first that finds its token decides"
        yield comparison.change("D411", _D, message, pointer, label=label)


def _has(comparison: Comparison, name: str, names: tuple[str, ...], *, old: bool) -> bool:
    """Whether an authenticator of one side is among those of the other, perhaps under another name."""
    mine, theirs = comparison.old.config.auth, comparison.new.config.auth
    if not old:
        mine, theirs = theirs, mine
    if name in names:
        return True
    return any(other not in mine and theirs.get(other) == mine.get(name) for other in names)


def authenticators(comparison: Comparison) -> Iterator[Change]:
    """The authenticators that both sides have and some channel uses."""
    used = {
        name for channel in comparison.new.config.channels.values() for name in channel.auth.names
    }
    for name, was in comparison.old.config.auth.items():
        now = comparison.new.config.auth.get(name)
        if now is not None and name in used:
            yield from _authenticator(comparison, name, was, now)


def _authenticator(comparison: Comparison, name: str, was: Auth, now: Auth) -> Iterator[Change]:
    pointer = at("/auth", name)
    if type(was) is not type(now):
        message = f"`{name}` is now of another type"
        label = f"{authenticator(was).type} before"
        place = at(pointer, "type")
        yield comparison.change("D402", _B, message, place, label=label, security=True)
        return
    for difference in authenticator(was).compare(name, now):
        place = at(pointer, difference.key)
        # Nothing is known about a value that depends on an unset variable.
        if comparison.old.is_known(place) and comparison.new.is_known(place):
            say = comparison.gone if difference.gone else comparison.change
            change = say(difference.code, Level(difference.level), difference.message, place)
            label, security = difference.label, difference.security
            yield attrs.evolve(change, label=label, security=security)
    yield from _claims(comparison, name, was, now)


def _claims(comparison: Comparison, name: str, was: Auth, now: Auth) -> Iterator[Change]:
    pointer = at("/auth", name, "claims")
    if was.claims is None and now.claims is None:
        return
    if now.claims is None and comparison.new.is_known(pointer):
        message = f"claims of `{name}` are no longer checked"
        near = at("/auth", name)
        yield comparison.gone("D404", _S, message, pointer, near=near, security=True)
        return
    nothing = implied(True, "anything")
    nodes = [
        comparison.node(pointer, OBJECT, old=old) or comparison.implied(nothing, OBJECT, old=old)
        for old in (True, False)
    ]
    use = Use(
        pointer=pointer,
        old=pointer,
        direction=Direction.SENT,
        affects=f"clients with a token of `{name}`",
        about=f"claims of `{name}`",
        codes=("D403", "D404"),
    )
    yield from comparison.differences(use, *nodes)
    if comparison.new.is_known(pointer):
        yield from comparison.unhidden(pointer, pointer)


def origins(comparison: Comparison) -> Iterator[Change]:
    """`server.allowed_origins`."""
    sides = comparison.old, comparison.new
    was, now = (side.config.server.allowed_origins for side in sides)
    pointer = "/server/allowed_origins"
    if was == now or not (comparison.old.is_known(pointer) and comparison.new.is_known(pointer)):
        return
    if now == "any":
        message = "pages of any origin may now connect"
        yield comparison.change("D406", _S, message, pointer, security=True)
        return
    if was == "any":
        yield comparison.change(
            "D405", _B, "only pages of some origins may connect from now on", pointer
        )
        return
    for origin in _apart(was, now):
        message = f"pages of {_origin(origin)} may no longer connect"
        yield comparison.change("D405", _B, message, pointer)
    for origin in _apart(now, was):
        message = f"pages of {_origin(origin)} may now connect"
        yield comparison.change("D406", _S, message, pointer, security=True)


def _origin(origin: str) -> str:
    return "the server's own origin" if origin == "same-origin" else f"`{origin}`"


def _apart(these: str | tuple[str, ...], among: str | tuple[str, ...]) -> Iterator[str]:
    """The origins of one setting that the other does not allow."""
    allows = origin_check(among)
    for origin in (these,) if isinstance(these, str) else these:
        # A wildcard is represented by some name that it matches.
        asked = origin.replace("*.", "any.")
        known = among if isinstance(among, tuple) else (among,)
        if origin not in known and (origin == "same-origin" or not allows(asked, "", False)):
            yield origin


def _joins(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    pointer = at("/channels", new.name, "rooms", "join")
    was, now = old.rooms.join, new.rooms.join
    for room in was:
        if room not in now:
            message = f"clients of `{new.name}` are no longer in the room `{room}` from the start"
            yield comparison.change("D606", _B, message, pointer)
    for room in now:
        if room not in was:
            message = f"clients of `{new.name}` are now in the room `{room}` from the start"
            yield comparison.change("D606", _D, message, pointer, security=True)


def _subscriptions(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    pointer = at("/channels", new.name, "rooms", "subscribe")
    before = at("/channels", old.name, "rooms", "subscribe")
    was, now, who = old.rooms.subscribe, new.rooms.subscribe, f"clients of `{new.name}`"
    if was is None and now is not None:
        message = f"{who} may now subscribe to rooms"
        yield comparison.change("D410", _S, message, pointer, key=True, security=True)
    if was is not None and now is None:
        message = f"{who} may no longer subscribe to rooms"
        near = at("/channels", new.name, "rooms")
        yield comparison.gone("D409", _B, message, before, near=near)
    if was is None or now is None:
        return
    # A hook without patterns decides about any room.
    allowed, allows = was.allow or ("*",), now.allow or ("*",)
    for index, room in enumerate(allowed):
        if room not in allows and not any(_covers(other, room) for other in allows):
            message = f"{who} may no longer subscribe to `{room}`"
            place, near = at(before, "allow", index), at(pointer, "allow")
            yield comparison.gone("D409", _B, message, place, near=near)
    for index, room in enumerate(allows):
        if room not in allowed and not any(_covers(other, room) for other in allowed):
            message = f"{who} may now subscribe to `{room}`"
            yield comparison.change("D410", _S, message, at(pointer, "allow", index), security=True)
    if was.max != now.max:
        lower = was.max is None or (now.max is not None and now.max < was.max)
        message = f"{who} may now subscribe to {now.max or 'any number of'} rooms"
        code, level = ("D501", _B) if lower else ("D507", _S)
        label = f"{was.max or 'any number'} before"
        yield comparison.change(code, level, message, at(pointer, "max"), label=label)
    if was.hook != now.hook:
        message = hook_words(
            f"the hook that decides about subscriptions of {who}", was.hook, now.hook
        )
        label = "its code is not analysed"
        security = lets_more_in(was.hook, now.hook)
        place = at(pointer, "hook")
        yield comparison.change("D701", _D, message, place, label=label, security=security)


def _covers(pattern: str, room: str) -> bool:
    """Whether every room that `room` allows is allowed by a pattern: `*` alone, or a prefix of text without templates."""
    head, star, tail = pattern.partition("*")
    return bool(star) and not tail and "{" not in pattern and room.startswith(head)
