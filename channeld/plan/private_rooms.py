"""Checks private rooms: whether another user can name a room that is meant for one user.

A template that contains `{user.id}` or a claim reserves its room for that user. A template that clients fill freely (a
param, `*` in `allow`, a field of a message that may be sent from outside the room) must not be able to produce such a name.
"""

from collections.abc import Iterator, Sequence

import attrs

from channeld.diagnostics.diagnostic import Related
from channeld.plan.context import ChannelContext
from channeld.plan.expressions import Expression, parse
from channeld.plan.room_patterns import STAR, Tokens, may_meet, tokens
from channeld.pointer import at

# Sample user ids: a param that accepts none of them after the reserved name's text counts as disjoint from it.
USERS = ("ann", "1", "Ann_7", "7f3c2a9e", "ann@example.com", "0b8f6c1e-4a7d-4f5e-9c3b-2d1a0e9f8b7c")


@attrs.frozen(slots=True)
class _Named:
    """One template that names rooms, and its location; `guarded`: a hook or a claim also decides."""

    tokens: Tokens
    pointer: str
    guarded: bool = False

    @property
    def roots(self) -> set[str]:
        """The roots of its expressions."""
        return {token.root for token in self.tokens if isinstance(token, Expression)}

    @property
    def is_private(self) -> bool:
        """Whether it reserves each of its rooms for one user."""
        return bool(self.roots & {"user", "claims"})

    @property
    def is_free(self) -> bool:
        """Whether clients fill it freely."""
        chosen = bool(self.roots & {"params", "query", "message"}) or STAR in self.tokens
        return chosen and not self.is_private and not self.guarded


def check_private_rooms(context: ChannelContext) -> None:
    """CH354: a client can name a room that is reserved for another user."""
    named = [*_joined(context), *_allowed(context)]
    private = [one for one in named if one.is_private]
    for free in (*named, *_sent(context)):
        promised = next(
            (one for one in private if free.is_free and _spells(context, free, one)), None
        )
        if promised is None:
            continue
        finding = "a client can name a room that is promised to another user"
        label = "this can spell the name of such a room"
        help = "give one of them a prefix that the other cannot have, or the param a `pattern`"
        place = context.sources.place(promised.pointer)
        there = (Related(place=place, message="promised to one user here"),)
        context.templates.find("CH354", finding, free.pointer, help, label=label, related=there)


def _joined(context: ChannelContext) -> Iterator[_Named]:
    rooms = at(context.pointer, "rooms")
    written = context.sources.written(rooms)
    join = at(rooms, "join") if isinstance(written, dict) else rooms
    guarded = context.channel.hooks.connect is not None
    yield from _each(context, context.channel.rooms.join, join, guarded, stars=False)


def _allowed(context: ChannelContext) -> Iterator[_Named]:
    subscribe = context.channel.rooms.subscribe
    if subscribe is not None:
        pointer = at(context.pointer, "rooms", "subscribe", "allow")
        guarded = subscribe.hook is not None or context.channel.hooks.subscribe is not None
        yield from _each(context, subscribe.allow, pointer, guarded, stars=True)


def _each(
    context: ChannelContext, texts: Sequence[str], pointer: str, guarded: bool, *, stars: bool
) -> Iterator[_Named]:
    for text, place in context.templates.each(texts, pointer):
        yield _Named(tokens(parse(text, place, []), stars=stars), place, guarded)


def _sent(context: ChannelContext) -> Iterator[_Named]:
    """The rooms of messages that may be sent from outside of the room."""
    for type, message in context.channel.messages.items():
        guarded = bool(message.require) or message.hook is not None
        pointer = at(context.pointer, "messages", type, "route")
        for route, place in context.templates.each(message.route, pointer):
            own = route.channel in (None, context.channel.name)
            if route.room is not None and not route.members_only and own:
                found = tokens(parse(route.room, place, []), stars=False)
                yield _Named(found, at(place, "room"), guarded)


def _spells(context: ChannelContext, free: _Named, promised: _Named) -> bool:
    if not may_meet(free.tokens, promised.tokens):
        return False
    expressions = [token for token in free.tokens if isinstance(token, Expression)]
    if len(expressions) != 1 or STAR in free.tokens or expressions[0].root != "params":
        return True
    (param,) = expressions
    name = param.path[0] if param.path else ""
    validator = None
    if name in context.channel.params:
        validator = context.schemas.validator(at(context.pointer, "params", name))
    if validator is None:
        return True
    where = free.tokens.index(param)
    before, after = (
        "".join(map(str, part)) for part in (free.tokens[:where], free.tokens[where + 1 :])
    )
    for user in USERS:
        room = "".join(user if isinstance(t, Expression) else str(t) for t in promised.tokens)
        inside = room.startswith(before) and room.endswith(after)
        if inside and validator.accepts(room[len(before) : len(room) - len(after)]):
            return True
    return False
