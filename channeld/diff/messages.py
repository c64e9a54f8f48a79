"""The types of a channel: messages that clients send, events that they receive, and what messages deliver."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

import attrs

from channeld.config.model import Channel, Config, Message, Route
from channeld.dev.routes_table import rows
from channeld.diagnostics.diagnostic import Related
from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison, Use
from channeld.diff.delivered import Delivered, delivered, fields, is_routed
from channeld.diff.severity import Direction
from channeld.plan.options.deprecated import is_past
from channeld.plan.options.table import OPTIONS
from channeld.plan.targets.kinds import kind_of
from channeld.pointer import at

_B, _D, _S = Level.BREAKING, Level.DANGEROUS, Level.SAFE


def types(comparison: Comparison, old: Channel, new: Channel) -> Iterator[Change]:
    """Everything about the types of a channel that both sides have."""
    pair = _Pair(comparison, old, new)
    yield from pair.messages()
    yield from pair.events()


@attrs.frozen(eq=False)
class _Pair:
    comparison: Comparison
    old: Channel
    new: Channel

    def at(self, *keys: str) -> str:
        """A pointer into the new channel."""
        return at("/channels", self.new.name, *keys)

    def before(self, *keys: str) -> str:
        """A pointer into the old channel."""
        return at("/channels", self.old.name, *keys)

    def messages(self) -> Iterator[Change]:
        """What clients send."""
        olds, news = self.old.messages, self.new.messages
        renamed = self._renamed()
        for name in olds:
            if name in news:
                yield from self._message(name)
            elif name in renamed:
                yield self._rename(name, renamed[name])
            else:
                yield self._message_gone(name)
        for name in news:
            if name not in olds and name not in renamed.values():
                yield self._message_come(name)

    def events(self) -> Iterator[Change]:
        """What only the server sends."""
        olds, news = self.old.events, self.new.events
        pointer = self.at("events")
        if olds is None and news is not None:
            message = f"now only declared types are published to `{self.new.name}`"
            yield self.comparison.change("D205", _S, message, pointer, key=True)
        if olds is not None and news is None:
            message = f"types that are not declared may now be published to `{self.new.name}`"
            gone = self.before("events")
            yield self.comparison.gone("D206", _D, message, gone, near=self.at())
        for name in olds or {}:
            if news is not None and name not in news:
                yield from self._event_gone(name)
        for name in news or {}:
            if olds is not None and name in olds:
                yield from self._event(name)
            elif olds is not None:
                yield from self._event_come(name)

    def _renamed(self) -> Mapping[str, str]:
        """Renamed message types: the schema is the same, and no other type has it."""
        gone = [name for name in self.old.messages if name not in self.new.messages]
        come = [name for name in self.new.messages if name not in self.old.messages]
        olds = {name: self._text(name, old=True) for name in gone}
        news = {name: self._text(name, old=False) for name in come}
        found: dict[str, str] = {}
        for name, text in olds.items():
            same = [other for other, its in news.items() if its == text]
            twins = [other for other, its in olds.items() if its == text]
            if text and len(same) == 1 and len(twins) == 1:
                found[name] = same[0]
        return found

    def _text(self, name: str, *, old: bool) -> str:
        pointer = self.before if old else self.at
        node = self.comparison.node(pointer("messages", name, "schema"), old=old)
        channel = self.old if old else self.new
        message = channel.messages[name]
        text = node.text() if node is not None else ""
        return f"{text}\n{message.route}" if text else ""

    def _rename(self, name: str, now: str) -> Change:
        place = self.comparison.old.place(self.before("messages", name), key=True)
        words, pointer = f"the message `{name}` is now called `{now}`", self.at("messages", now)
        change = self.comparison.change("D203", _B, words, pointer, key=True)
        related = (Related(place=place, message="stood here"),)
        return attrs.evolve(change, affects=(self._senders(name),), related=related)

    def _message_gone(self, name: str) -> Change:
        pointer, near = self.before("messages", name), self.at("messages")
        if name in (self.new.events or {}) and name not in (self.old.events or {}):
            message = f"`{name}` now comes from the server only"
            return self.comparison.gone("D204", _B, message, pointer, near=near)
        deprecated = self.old.messages[name].deprecated
        label = "it was marked as deprecated" if deprecated else ""
        level = _B
        if deprecated is not None and is_past(deprecated, dt.datetime.now(dt.UTC).date()):
            # Clients were told how long they can rely on it.
            level, label = _S, f"its sunset was on {deprecated.sunset}"
        message = f"the message `{name}` is gone"
        change = self.comparison.gone("D201", level, message, pointer, near=near, label=label)
        return attrs.evolve(change, affects=(self._senders(name),))

    def _message_come(self, name: str) -> Change:
        message = self.new.messages[name]
        type_ = self._delivered(self.new, name, old=False).type
        level, label = _S, ""
        if name in (self.old.events or {}) and name not in (self.new.events or {}):
            words = f"`{name}` is now sent by clients, no longer by the server"
            pointer = self.at("messages", name)
            return self.comparison.change("D204", _B, words, pointer, key=True)
        if is_routed(message) and type_ not in self._received(self.old, old=True):
            level = _D
            label = f"existing clients also receive `{type_}`, and may not expect it"
        words, pointer = f"the message `{name}` is new", self.at("messages", name)
        return self.comparison.change("D202", level, words, pointer, key=True, label=label)

    def _event_gone(self, name: str) -> Iterator[Change]:
        if name in self._received(self.new, old=False) or name in self.new.messages:
            return
        pointer, near = self.before("events", name), self.at("events")
        words, who = f"the event `{name}` is gone", self._receivers(name)
        yield self.comparison.gone("D201", _B, words, pointer, near=near, affects=(who,))

    def _event_come(self, name: str) -> Iterator[Change]:
        if name in self._received(self.old, old=True) or name in self.old.messages:
            return
        words, label = f"the event `{name}` is new", "existing clients may not expect it"
        pointer = self.at("events", name)
        yield self.comparison.change("D202", _D, words, pointer, key=True, label=label)

    def _event(self, name: str) -> Iterator[Change]:
        use = Use(
            pointer=self.at("events", name, "schema"),
            old=self.before("events", name, "schema"),
            direction=Direction.RECEIVED,
            affects=self._receivers(name),
            frame_type=name,
            about=f"event `{name}`",
        )
        yield from self.comparison.schemas(use)
        was, now = (self.old.events or {})[name], (self.new.events or {})[name]
        yield from self._options(name, was.as_message(), now.as_message(), "events")
        kept = bool(was.history), bool(now.history)
        yield from self._keeping(name, *kept, self.at("events", name))
        if (was.description, was.examples) != (now.description, now.examples):
            yield from self._words(f"event `{name}`", self.at("events", name))

    def _message(self, name: str) -> Iterator[Change]:
        was, now = self.old.messages[name], self.new.messages[name]
        pointer = self.at("messages", name)
        before = self._delivered(self.old, name, old=True)
        after = self._delivered(self.new, name, old=False)
        passed_on = is_routed(was) and is_routed(now) and not self._is_declared(after.type)
        yield from self.comparison.schemas(
            Use(
                pointer=at(pointer, "schema"),
                old=self.before("messages", name, "schema"),
                direction=Direction.PASSED_ON if passed_on else Direction.SENT,
                affects=self._senders(name),
                receivers=self._receivers(after.type),
                frame_type=name,
                passes=after.passes,
                about=f"message `{name}`",
            )
        )
        yield from self._options(name, was, now)
        yield from self._audience(name, was, now)
        if is_routed(was) and is_routed(now):
            yield from self._delivery(name, before, after)
        yield from self._rest(name, was, now)

    def _options(
        self, name: str, was: Message, now: Message, section: str = "messages"
    ) -> Iterator[Change]:
        for option in OPTIONS:
            pointers = self.at(section, name, option.key), self.before(section, name, option.key)
            for found in option.differences(name, was, now):
                yield self.comparison.option(found, pointers, self._senders(name))

    def _rest(self, name: str, was: Message, now: Message) -> Iterator[Change]:
        pointer = self.at("messages", name)
        if is_routed(now):
            yield from self._keeping(name, bool(was.history), bool(now.history), pointer)
        if (was.description, was.examples) != (now.description, now.examples):
            yield from self._words(f"message `{name}`", pointer)

    def _keeping(self, name: str, was: bool, now: bool, pointer: str) -> Iterator[Change]:
        if was == now or self.old.history is None or self.new.history is None:
            return
        words = f"`{name}` is now kept: clients that come back get it"
        code, level = "D508", _S
        if was:
            words = f"`{name}` is no longer kept: clients that come back don't get it"
            code, level = "D504", _B
        yield self.comparison.change(code, level, words, at(pointer, "history"))

    def _words(self, what: str, pointer: str) -> Iterator[Change]:
        if self.comparison.everything:
            words = f"the description or the examples of the {what} changed"
            yield self.comparison.change("D702", _S, words, pointer, key=True)

    def _audience(self, name: str, was: Message, now: Message) -> Iterator[Change]:
        old, new = _resolved(self.old, was.route), _resolved(self.new, now.route)
        if {*was.route} == {*now.route} or {*old} == {*new}:
            return
        place, opens = self.at("messages", name, "route"), _reaches_more(old, new)
        if _without_membership(old) == _without_membership(new):
            words = (
                f"senders of `{name}` {'need no longer' if opens else 'must now'} be in the room"
            )
            yield self.comparison.change("D601", _D, words, place, security=opens)
            return
        before = _reached(self.comparison.old.config, self.old, name)
        after = _reached(self.comparison.new.config, self.new, name)
        words, label = f"`{name}` now goes to {after}", f"to {before} before"
        change = self.comparison.change("D601", _D, words, place, label=label)
        yield attrs.evolve(change, affects=(self._receivers(name),), security=opens)

    def _delivery(self, name: str, before: Delivered, after: Delivered) -> Iterator[Change]:
        pointer = self.at("messages", name)
        old_pointer = self.before("messages", name)
        if before.type != after.type:
            words = f"what others receive of `{name}` now has the type `{after.type}`"
            place = at(pointer, "emit", "type")
            label = f"`{before.type}` before"
            yield self.comparison.change("D203", _B, words, place, label=label)
        if before.as_sent and after.as_sent:
            # Fields that are delivered as sent are covered by the schema.
            before, after = _apart(before, after), _apart(after, before)
        places = at(pointer, "emit" if not after.as_sent else "stamp")
        olds = at(old_pointer, "emit" if not before.as_sent else "stamp")
        who = f"what others receive of `{name}`"
        yield from fields(self.comparison, before.fields, after.fields, (places, olds), who)

    def _delivered(self, channel: Channel, name: str, *, old: bool) -> Delivered:
        pointer = (self.before if old else self.at)("messages", name, "schema")
        shape = (self.comparison.old if old else self.comparison.new).schemas.shape(pointer)
        declared = {n: shape.lookup((n,)).guaranteed for n in shape.property_names()}
        return delivered(name, channel.messages[name], declared)

    def _received(self, channel: Channel, *, old: bool) -> set[str]:
        """Every declared type that clients of a channel may receive."""
        routed = [name for name, message in channel.messages.items() if is_routed(message)]
        types_ = {self._delivered(channel, name, old=old).type for name in routed}
        return types_ | set(channel.events or {})

    def _is_declared(self, type_: str) -> bool:
        """Whether an event's schema says on both sides what receivers get."""
        return all(
            channel.events is not None
            and type_ in channel.events
            and channel.events[type_].schema is not True
            for channel in (self.old, self.new)
        )

    def _senders(self, name: str) -> str:
        return f"clients of `{self.new.name}` that send `{name}`"

    def _receivers(self, name: str) -> str:
        return f"clients of `{self.new.name}` that receive `{name}`"


def _resolved(channel: Channel, routes: Sequence[Route]) -> list[Route]:
    """Routes with the room that they mean if they name none, and without the channel if it is their own."""
    only = channel.rooms.join[0] if len(channel.rooms.join) == 1 else None
    return [
        attrs.evolve(
            route,
            room=(route.room or only) if kind_of(route).in_room else route.room,
            channel=None if route.channel == channel.name else route.channel,
        )
        for route in routes
    ]


def _without_membership(routes: Sequence[Route]) -> set[Route]:
    return {attrs.evolve(route, members_only=True) for route in routes}


def _reaches_more(was: Sequence[Route], now: Sequence[Route]) -> bool:
    """Whether somebody gets the message who did not before, or may send it from outside of the room."""
    return any(
        kind_of(route).delivers
        and kind_of(route).to_others
        and not any(_covers(one, route) for one in was)
        for route in now
    )


def _covers(one: Route, other: Route) -> bool:
    """Whether a route reaches all that another one does."""
    if kind_of(one).everywhere:
        return one.channel in ("*", other.channel)
    same = [attrs.evolve(route, members_only=True, except_sender=False) for route in (one, other)]
    return same[0] == same[1] and one.members_only <= other.members_only


def _reached(config: Config, channel: Channel, name: str) -> str:
    alone = attrs.evolve(config, channels={channel.name: channel})
    found = [row for row in rows(alone) if row.type == name and row.direction == "in"]
    return "; ".join(found[0].receivers) if found else "nobody"


def _apart(one: Delivered, other: Delivered) -> Delivered:
    """A delivered message without the fields that the sender provides on both sides."""
    kept = {
        name: each
        for name, each in one.fields.items()
        if not each.as_sent or (name in other.fields and not other.fields[name].as_sent)
    }
    return attrs.evolve(one, fields=kept)
