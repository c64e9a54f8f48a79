"""Makes the contract from declarations: what each message becomes, and on which channels it arrives."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import attrs

from channeld.config.model import Channel, Config, Message
from channeld.config.reachable import reachable
from channeld.export.contract import (
    ChannelContract,
    Contract,
    ParamContract,
    ReceivedType,
    SentType,
)
from channeld.export.features import error_codes, features
from channeld.export.frame_schemas import frame_around, frame_of, one_of, position, reserved_frame
from channeld.export.identifiers import Identifiers
from channeld.plan.identity import Identity
from channeld.plan.options.once import FIELD as ONCE
from channeld.plan.options.table import OPTIONS
from channeld.plan.path_syntax import parse_path
from channeld.plan.query import query_types
from channeld.plan.rendered import Claims, Scene
from channeld.plan.sensitive import SensitiveFrames, sensitive_frames
from channeld.plan.targets.kinds import kind_of
from channeld.plan.template_scope import TemplateScope
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.protocol.reserved import FRAMES, ID, Features, Field, ReservedFrame
from channeld.schema.definitions import PREFIX, Definitions, Schema
from channeld.schema.schemas import Schemas

_ONCE_KEY: Json = {
    "description": "The same key with the same message is routed once.",
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
}
_ANY_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 128}
_ANY_FRAME: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"type": "string"}},
}


def describe(config: Config, schemas: Schemas) -> Contract:
    """The contract of a valid configuration and its compiled schemas."""
    definitions = Definitions(Identifiers().give)
    unions = {
        name: (definitions.name(f"{name} Send"), definitions.name(f"{name} Receive"))
        for name in config.channels
    }
    describer = _Describer(
        config=config,
        schemas=schemas,
        definitions=definitions,
        unions=unions,
        sensitive=sensitive_frames(config, schemas),
    )
    channels = tuple(describer.channel(channel) for channel in config.channels.values())
    return Contract(
        addresses=tuple(_addresses(config)),
        channels=channels,
        definitions=definitions.all(),
    )


def _addresses(config: Config) -> Iterator[str]:
    scheme = "wss" if config.server.tls is not None else "ws"
    for address in config.server.bind:
        if not address.startswith("unix:") and address != "systemd":
            yield f"{scheme}://{reachable(address)}"


@attrs.frozen(slots=True, kw_only=True)
class _Source:
    """A message, and the channel that declares it."""

    channel: Channel
    type: str
    message: Message

    @property
    def pointer(self) -> str:
        return at("/channels", self.channel.name, "messages", self.type)

    @property
    def delivered_type(self) -> str:
        return self.message.delivered_type(self.type)

    def words_on(self, target: Channel) -> str:
        """Describes the frames to users of the target."""
        elsewhere = f" of channel `{self.channel.name}`" if self.channel is not target else ""
        return f"message `{self.type}`{elsewhere}"

    def position_on(self, target: Channel) -> dict[str, Field] | None:
        """The position fields of its frames on a channel; None if it does not arrive there."""
        routes = [
            route
            for route in self.message.route
            if kind_of(route).arrives(route, self.channel.name, target.name)
        ]
        if not routes:
            return None
        to_rooms = [kind_of(route).in_room for route in routes]
        if target.history is None or not any(to_rooms):
            return {}
        return position(room=all(to_rooms), pos=all(to_rooms) if self.message.history else None)


@attrs.frozen(slots=True, kw_only=True, eq=False)
class _Describer:
    config: Config
    schemas: Schemas
    definitions: Definitions
    unions: Mapping[str, tuple[str, str]]
    sensitive: SensitiveFrames

    def channel(self, channel: Channel) -> ChannelContract:
        """The contract of one channel."""
        declared = [*self._received(channel)]
        received = [*declared, *self._reserved_received(channel, declared)]
        send_name, receive_name = self.unions[channel.name]
        return ChannelContract(
            name=channel.name,
            declared=channel,
            params=tuple(self._params(channel)),
            query=tuple(self._query(channel)),
            auth=tuple((name, self.config.auth[name]) for name in channel.auth.names),
            sent=(*self._sent(channel), *self._reserved_sent(channel)),
            received=tuple(received),
            errors=tuple(error_codes(channel, self.config)),
            send_name=send_name,
            receive_name=receive_name,
        )

    # ------------------------------------------------------------------------------------------------ what is sent

    def _sent(self, channel: Channel) -> Iterator[SentType]:
        for type, message in channel.messages.items():
            hint = f"{channel.name} Send {type}"
            root = self._resolved(at("/channels", channel.name, "messages", type, "schema"))
            id = {"id": Field(ID, required=False)}
            if message.once is not None:
                id[ONCE] = Field(_ONCE_KEY, required=False)
            schema = _described(
                frame_around(self.definitions, root, type, id, hint), message.description
            )
            if message.deprecated:
                schema["deprecated"] = True
            yield SentType(
                type=type,
                name=self.definitions.add(hint, schema),
                schema=schema,
                description=message.description,
                examples=tuple(self._example(type, example) for example in message.examples),
                options=_options(message),
                notes=_notes(message),
                replies=message.hook is not None,
            )

    def _example(self, type: str, example: Json) -> Schema:
        """The whole frame, with values that its schema marks as sensitive left out."""
        return self.sensitive.masked(
            {"type": type, **(example if isinstance(example, dict) else {})}
        )

    def _reserved_sent(self, channel: Channel) -> Iterator[SentType]:
        for frame, schema in self._reserved(
            channel, "client", features(channel, self.config, state=self._presence_state(channel))
        ):
            yield SentType(
                type=frame.type,
                name=self.definitions.add(_own_name(frame, channel, "request"), schema),
                schema=schema,
                description=frame.words,
                declared=False,
                answer=frame.answer,
            )

    def _reserved(
        self, channel: Channel, side: Literal["client", "server"], offered: Features
    ) -> Iterator[tuple[ReservedFrame, Schema]]:
        for frame in FRAMES:
            if frame.side == side and frame.when(offered):
                yield frame, _described(reserved_frame(frame, offered), frame.words)

    # -------------------------------------------------------------------------------------------- what is received

    def _received(self, channel: Channel) -> Iterator[ReceivedType]:
        events = channel.events or {}
        origins: dict[str, list[str]] = {}
        kinds: dict[str, list[Schema]] = {}
        for source, where in self._arriving(channel):
            type = source.delivered_type
            origins.setdefault(type, []).append(source.words_on(channel))
            if not self._event_covers(source, channel):
                kinds.setdefault(type, []).append(self._delivered(source, where))
        for type in events:
            origins.setdefault(type, []).append("event")
            kinds.setdefault(type, []).append(self._event(channel, type))
        for type, schemas in kinds.items():
            description = events[type].description if type in events else ""
            if not description and type in channel.messages:
                description = channel.messages[type].description
            schema = _described(one_of(schemas), description)
            examples = events[type].examples if type in events else ()
            said = events[type].as_message() if type in events else None
            if said is not None and said.deprecated:
                schema["deprecated"] = True
            yield ReceivedType(
                type=type,
                name=self.definitions.add(f"{channel.name} Receive {type}", schema),
                schema=schema,
                description=description,
                examples=tuple(self._example(type, each) for each in examples),
                origins=tuple(dict.fromkeys(origins[type])),
                options=_options(said) if said is not None else {},
                notes=_notes(said) if said is not None else (),
            )

    def _arriving(self, target: Channel) -> Iterator[tuple[_Source, dict[str, Field]]]:
        for channel in self.config.channels.values():
            for type, message in channel.messages.items():
                source = _Source(channel=channel, type=type, message=message)
                where = source.position_on(target)
                if where is not None:
                    yield source, where

    def _event_covers(self, source: _Source, target: Channel) -> bool:
        """Whether the server checks that the frames satisfy the target's own event schema."""
        if source.channel.name != target.name:
            return target.events is not None
        return self._is_checked(source)

    def _is_checked(self, source: _Source) -> bool:
        event = (source.channel.events or {}).get(source.delivered_type)
        return source.message.emit is not None and event is not None and event.schema is not True

    def _delivered(self, source: _Source, where: Mapping[str, Field]) -> Schema:
        message, type = source.message, source.delivered_type
        hint = f"{source.channel.name} {source.type}"
        if self._is_checked(source):
            root = self._resolved(at("/channels", source.channel.name, "events", type, "schema"))
            return frame_around(self.definitions, root, type, where, hint)
        root = self._resolved(at(source.pointer, "schema"))
        scene = self._message_scene(source, root, hint)
        templates = message.stamp if message.emit is None else message.emit
        rendered = {
            name: scene.render(value) for name, value in (templates or {}).items() if name != "type"
        }
        if message.emit is not None:
            return frame_of(type, {**rendered, **where})
        return frame_around(self.definitions, root, type, {**rendered, **where}, hint)

    def _event(self, channel: Channel, type: str) -> Schema:
        root = self._resolved(at("/channels", channel.name, "events", type, "schema"))
        # A hook or the API may publish it to a room, where it gets a position, or to a user.
        where = position(room=False, pos=False) if channel.history is not None else {}
        return frame_around(self.definitions, root, type, where, f"{channel.name} {type}")

    def _reserved_received(
        self, channel: Channel, declared: list[ReceivedType]
    ) -> Iterator[ReceivedType]:
        routed: list[Schema] = [{"$ref": PREFIX + received.name} for received in declared]
        if channel.events is None or not routed:
            routed.append(_ANY_FRAME)
        info = self._presence_info(channel)
        state = self._presence_state(channel)
        offered = features(channel, self.config, info, one_of(routed), state)
        for frame, schema in self._reserved(channel, "server", offered):
            yield ReceivedType(
                type=frame.type,
                name=self.definitions.add(_own_name(frame, channel, "frame"), schema),
                schema=schema,
                description=frame.words,
                declared=False,
                origins=("channeld",),
            )

    def _presence_state(self, channel: Channel) -> Json:
        if channel.presence is None or channel.presence.state is None:
            return None
        pointer = at("/channels", channel.name, "presence", "state")
        return self._copied(pointer, f"{channel.name} state")

    def _presence_info(self, channel: Channel) -> Json:
        if channel.presence is None:
            return True
        scope = attrs.evolve(
            self._scope(channel, "presence.info"),
            identity=attrs.evolve(
                Identity.of(channel.auth, self.config, self.schemas), optional=False
            ),
            room=True if channel.presence.scope == "room" else None,
        )
        scene = self._scene(channel, scope, f"{channel.name} info")
        return scene.render(dict(channel.presence.info)).schema

    # ------------------------------------------------------------------------------------------ what templates name

    def _message_scene(self, source: _Source, root: Json, hint: str) -> Scene:
        channel, routes = source.channel, source.message.route
        joins = channel.rooms.join
        one_room = len(joins) == 1 and "?}" not in joins[0] and ".*}" not in joins[0]
        everywhere_a_room = all(kind.in_room for kind in map(kind_of, routes) if kind.delivers)
        scope = attrs.evolve(
            self._scope(channel, "emit"),
            message=self.schemas.shape(at(source.pointer, "schema")),
            message_type=source.type,
            room=one_room or everywhere_a_room,
        )
        return attrs.evolve(self._scene(channel, scope, hint), message=root)

    def _scope(self, channel: Channel, place: str) -> TemplateScope:
        return TemplateScope(
            place=place,
            params=self._param_types(channel),
            query=query_types(channel, self.schemas),
            identity=Identity.of(channel.auth, self.config, self.schemas),
        )

    def _scene(self, channel: Channel, scope: TemplateScope, hint: str) -> Scene:
        return Scene(
            definitions=self.definitions,
            scope=scope,
            params=self._param_schemas(channel),
            claims=Claims.of(channel.auth.names, self.config, self.schemas),
            hint=hint,
        )

    # -------------------------------------------------------------------------------------------------- small parts

    def _params(self, channel: Channel) -> Iterator[ParamContract]:
        for name, schema in self._param_schemas(channel).items():
            yield ParamContract(name=name, schema=schema, rest=f"{{{name}...}}" in channel.path)

    def _query(self, channel: Channel) -> Iterator[ParamContract]:
        for name in channel.query:
            pointer = at("/channels", channel.name, "query", name)
            yield ParamContract(name=name, schema=self._copied(pointer, f"{channel.name} {name}"))

    def _param_schemas(self, channel: Channel) -> dict[str, Json]:
        found: dict[str, Json] = dict.fromkeys(_params_of(channel), _ANY_NAME)
        for name in filter(channel.params.__contains__, found):
            pointer = at("/channels", channel.name, "params", name)
            found[name] = self._copied(pointer, f"{channel.name} {name}")
        return found

    def _param_types(self, channel: Channel) -> dict[str, frozenset[str]]:
        types = dict.fromkeys(_params_of(channel), frozenset({"string"}))
        for name in filter(channel.params.__contains__, types):
            pointer = at("/channels", channel.name, "params", name)
            types[name] = self.schemas.shape(pointer).lookup(()).types or types[name]
        return types

    def _copied(self, pointer: str, hint: str) -> Json:
        return self.definitions.copy_whole(self._resolved(pointer), hint)

    def _resolved(self, pointer: str) -> Json:
        found = self.schemas.resolved(pointer)
        return True if found is None else found


def _params_of(channel: Channel) -> Iterable[str]:
    pattern = parse_path(channel.path, [])
    return pattern.params if pattern is not None else ()


def _options(message: Message) -> dict[str, Json]:
    shown = {option.key: option.shown(message) for option in OPTIONS}
    return {key: value for key, value in shown.items() if value is not None}


def _notes(message: Message) -> tuple[str, ...]:
    return tuple(words for option in OPTIONS if (words := option.words(message)))


def _own_name(frame: ReservedFrame, channel: Channel, word: str) -> str:
    # Some frames depend on the channel; the others are the same everywhere.
    return f"{channel.name} {frame.type} {word}" if frame.own else f"{frame.type} {word}"


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description} if description else dict(schema)
