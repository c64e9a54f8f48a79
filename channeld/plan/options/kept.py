"""The options `history`, `key`, `clears` and `conflate`: for each key, the newest frame counts."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from channeld.config.model import Channel, Message
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.options.option import Difference, MessageOption
from channeld.plan.plan import NewestPlan, Template
from channeld.plan.targets.kinds import kind_of
from channeld.plan.template_scope import TemplateScope
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.suggest import did_you_mean


def compile_newest(message: MessageContext) -> tuple[NewestPlan | None, Template | None]:
    """Compile what a message's frames replace, clear and wait for, and the template of the key."""
    declared = message.message
    key: Template | None = None
    if declared.key is not None:
        scope = _scope(message)
        pointer = at(message.pointer, "key")
        checked = message.context.templates.compile_name(declared.key, pointer, scope)
        key = checked.render if checked is not None else None
        if declared.key.isidentifier() and message.shape.lookup((declared.key,)).declared:
            field = "event" if message.section == "events" else "message"
            message.context.templates.warn_of_text(declared.key, pointer, f"{field}.{declared.key}")
    clears = declared.clears
    is_latest = declared.history == "latest"
    if not (is_latest or clears or declared.conflate):
        return None, key
    types = _delivered(message.context.channel)
    return NewestPlan(
        type=declared.delivered_type(message.type),
        is_latest=is_latest,
        clears=tuple(types.get(name, name) for name in clears.types) if clears else (),
        on_leave=clears is not None and clears.on_leave,
        conflate=declared.conflate or 0.0,
        waits=_waits(message.context.channel, clears.types if clears else ()),
    ), key


def _waits(channel: Channel, types: Iterable[str]) -> float:
    """How many seconds frames of any of these types may wait in conflation."""
    declared = [*channel.messages.items()]
    declared += [(name, event.as_message()) for name, event in (channel.events or {}).items()]
    return max((one.conflate or 0.0 for name, one in declared if name in types), default=0.0)


def _scope(message: MessageContext) -> TemplateScope:
    if message.section == "messages":
        return message.scope("key", room=message.context.has_one_room)
    # Clients do not send events, so there is only the event's schema and its targets.
    return TemplateScope(
        place="key",
        message=message.shape,
        message_type=message.type,
        room=True,
        moment=False,
        is_event=True,
    )


def _delivered(channel: Channel) -> Mapping[str, str]:
    messages = {name: one.delivered_type(name) for name, one in channel.messages.items()}
    return {name: name for name in channel.events or {}} | messages


def check_agreement(context: ChannelContext) -> None:
    """CH352: frames of one type have different keys."""
    for name, event in (context.channel.events or {}).items():
        for type, message in context.channel.messages.items():
            if message.delivered_type(type) != name or not _to_room(message):
                continue
            if _kept_as(event.as_message(), _delivered_fields(message)) != _kept_as(message, {}):
                where = at(context.pointer, "events", name)
                finding = f"the event `{name}` and the message `{type}` are kept differently"
                label = "both are frames of one type in the same rooms"
                help = "give both the same `history`, `key`, `clears` and `conflate`"
                context.templates.find("CH352", finding, where, help, label=label, key=True)


def _kept_as(message: Message, fields: Mapping[str, Json]) -> tuple[object, ...]:
    """How frames are kept; `{event.x}` of a key stands for what the message delivers as `x`."""

    def meant(expression: re.Match[str]) -> str:
        field = fields.get(expression[1], expression[0].replace("event.", "message.", 1))
        return field if isinstance(field, str) else json.dumps(field)

    key = re.sub(r"\{event\.([\w-]+)\}", meant, message.key or "")
    # Events have no sender that leaves.
    types = message.clears.types if message.clears else ()
    return message.history, key, types, message.conflate


def _delivered_fields(message: Message) -> Mapping[str, Json]:
    """What a message delivers under each name, other than its own field of that name."""
    return message.stamp or message.emit or {}


class HistoryOption(MessageOption):
    """Whether frames are kept, or only the newest of each key."""

    key = "history"

    def check(self, message: MessageContext) -> None:
        """CH348: there is nothing to keep."""
        context, declared = message.context, message.message
        if declared.history != "latest":
            return
        reached = [*_room_channels(message)]
        if all(channel.history is None for channel in reached):
            label = "the channel has no `history`" if reached else "it is not routed to a room"
            finding = f"the newest `{message.type}` cannot be kept"
            help = "give the channel a `history`, and route the message to a room"
            context.templates.find(
                "CH348", finding, at(message.pointer, "history"), help, label=label
            )

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Covers `latest` only; whether anything is kept is compared with the channel's history."""
        if was.history != now.history and "latest" in (was.history, now.history):
            words = f"the history of `{type}` now keeps {_kept_words(now)}"
            label = f"{_kept_words(was)} before"
            yield Difference(code="D513", level="dangerous", words=words, label=label)

    def shown(self, message: Message) -> Json:
        """The value, unless it is the default."""
        return None if message.history is True else message.history

    def words(self, message: Message) -> str:
        """Says so if frames are not simply kept."""
        return "" if message.history is True else f"The history keeps {_kept_words(message)}."


def _kept_words(message: Message) -> str:
    if message.history == "latest":
        return "the newest frame of each key"
    return "every frame" if message.history else "no frame"


class KeyOption(MessageOption):
    """The key of a frame."""

    key = "key"

    def check(self, message: MessageContext) -> None:
        """CH349: a key that nothing uses."""
        declared = message.message
        if declared.key is None or declared.history == "latest" or declared.clears:
            return
        if declared.conflate or (declared.rate is not None and declared.rate.over == "latest"):
            return
        where = at(message.pointer, "key")
        finding = f"nothing uses the key of `{message.type}`"
        help = "remove it, or add `history: latest`, `clears`, `conflate` or `rate: {over: latest}`"
        message.context.templates.find("CH349", finding, where, help, key=True)

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """With another key, other frames are replaced."""
        if was.key != now.key:
            words = f"frames of `{type}` are now identified by {_key_words(now)}"
            label = f"by {_key_words(was)} before"
            yield Difference(code="D513", level="dangerous", words=words, label=label)

    def shown(self, message: Message) -> Json:
        """The template."""
        return message.key

    def words(self, message: Message) -> str:
        """The template."""
        return "" if message.key is None else f"Its key is `{message.key}`."


def _key_words(message: Message) -> str:
    return "their type alone" if message.key is None else f"`{message.key}`"


class ClearsOption(MessageOption):
    """Which kept frames are removed."""

    key = "clears"

    def check(self, message: MessageContext) -> None:
        """CH350: frames that are not kept by key, or are never removed."""
        context, clears = message.context, message.message.clears
        if clears is None:
            return
        pointer = at(message.pointer, "clears")
        events = {n: e.as_message() for n, e in (context.channel.events or {}).items()}
        declared = events | {**context.channel.messages}
        kept = {name for name, one in declared.items() if one.history == "latest"}
        for name in clears.types:
            if name not in kept:
                known = f"write one of {', '.join(map('`{}`'.format, sorted(kept)))}"
                help = did_you_mean(name, kept, known if kept else "give a type `history: latest`")
                label = f"the newest frame of `{name}` is not kept"
                self._refuse(message, pointer, label, help)
        if clears.on_leave and message.type not in kept:
            label = "only `history: latest` stores who sent a frame"
            self._refuse(message, pointer, label, "add `history: latest`")
        presence = context.channel.presence
        if clears.on_leave and (presence is None or presence.scope != "room"):
            label = "without the room's presence, nobody leaves"
            self._refuse(message, pointer, label, "add `presence: true` to the channel")

    def _refuse(self, message: MessageContext, pointer: str, label: str, help: str) -> None:
        finding = f"`{message.type}` clears nothing"
        message.context.templates.find("CH350", finding, pointer, help, label=label)

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Other frames are removed."""
        if was.clears != now.clears:
            words = f"`{type}` now clears other frames"
            yield Difference(code="D513", level="dangerous", words=words)

    def shown(self, message: Message) -> Json:
        """The declared value."""
        clears = message.clears
        if clears is None:
            return None
        return {"on": "leave"} if clears.on_leave else [*clears.types]

    def words(self, message: Message) -> str:
        """What is removed, and when."""
        clears = message.clears
        if clears is None:
            return ""
        if clears.on_leave:
            return "The kept frame is removed when its sender leaves the room."
        types = ", ".join(f"`{name}`" for name in clears.types)
        return f"It removes the kept frame of {types} with the same key."


class ConflateOption(MessageOption):
    """How often frames of one key are delivered."""

    key = "conflate"

    def check(self, message: MessageContext) -> None:
        """CH348: no target is a room; CH349: a replay of frames that were skipped."""
        declared, channel = message.message, message.context.channel
        if declared.conflate is None:
            return
        where = at(message.pointer, "conflate")
        if not _to_room(declared):
            finding = f"`{message.type}` cannot be conflated"
            label, help = "it is not routed to a room", "route the message to a room"
            message.context.templates.find("CH348", finding, where, help, label=label)
        elif declared.history is True and channel.history is not None and channel.history.replay:
            finding = f"a replay shows `{message.type}` with gaps"
            label = "only the frames that were delivered are kept"
            help = "write `history: latest`, so that the replay shows the newest of each key"
            message.context.templates.find("CH349", finding, where, help, label=label)

    def differences(self, type: str, was: Message, now: Message) -> Iterator[Difference]:
        """Other frames are skipped."""
        if was.conflate != now.conflate:
            after, before = _pace_words(now.conflate), _pace_words(was.conflate)
            words = f"`{type}` now delivers {after}"
            yield Difference(code="D513", level="dangerous", words=words, label=f"{before} before")

    def shown(self, message: Message) -> Json:
        """The interval in seconds."""
        return message.conflate

    def words(self, message: Message) -> str:
        """The interval, and that the last frame is always delivered."""
        if message.conflate is None:
            return ""
        return f"At most one frame per key is delivered in {message.conflate:g} s, and always the last."


def _to_room(message: Message) -> bool:
    return any(kind_of(route).in_room for route in message.route)


def _room_channels(message: MessageContext) -> Iterator[Channel]:
    """The channels whose rooms a message is routed to; unknown names are reported elsewhere."""
    own, others = message.context.channel, message.context.config.channels
    for route in message.message.route:
        if kind_of(route).in_room:
            yield own if route.channel is None else others.get(route.channel, own)


def _pace_words(interval: float | None) -> str:
    return f"one frame per key in {interval:g} s" if interval else "every frame"
