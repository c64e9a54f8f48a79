"""A channel during compilation: its declaration, and what the checks of its messages need to know."""

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from channeld.config.model import Channel, Config, Message
from channeld.config.source import Sources
from channeld.plan.identity import Identity
from channeld.plan.room_patterns import Tokens
from channeld.plan.template_scope import Resolved, TemplateScope
from channeld.plan.templates import CheckedTemplate, TemplateCompiler
from channeld.pointer import at
from channeld.schema.guarantees import Shape
from channeld.schema.schemas import Schemas


@attrs.frozen(slots=True, kw_only=True, eq=False)
class ChannelContext:
    """One channel under compilation. `joins` and `allowed` are its rooms, those that passed their checks."""

    config: Config
    channel: Channel
    templates: TemplateCompiler
    schemas: Schemas
    params: Mapping[str, frozenset[str]]
    identity: Identity
    query: Mapping[str, Resolved] = attrs.field(factory=dict)
    joins: Sequence[CheckedTemplate] = ()
    allowed: Sequence[Tokens] = ()

    @property
    def pointer(self) -> str:
        """The channel's JSON pointer."""
        return at("/channels", self.channel.name)

    @property
    def sources(self) -> Sources:
        """Locations in the configuration's files."""
        return self.templates.sources

    @property
    def has_one_room(self) -> bool:
        """Whether every connection is in exactly one room that the channel names."""
        return len(self.channel.rooms.join) == 1 and not any(join.maybe for join in self.joins)

    @property
    def has_hooks(self) -> bool:
        """Whether some hook of the channel could put a connection into a room."""
        hooks = self.channel.hooks
        declared = [message.hook for message in self.channel.messages.values()]
        return any((hooks.connect, hooks.subscribe, hooks.close, hooks.unsubscribe, *declared))

    def scope(self, place: str, *, room: bool | None = None) -> TemplateScope:
        """What templates outside of messages may refer to."""
        return TemplateScope(
            place=place,
            params=self.params,
            query=self.query,
            identity=self.identity,
            room=room,
        )


@attrs.frozen(slots=True, kw_only=True, eq=False)
class MessageContext:
    """One message type under compilation, or an event type as one (`Event.as_message`)."""

    context: ChannelContext
    type: str
    message: Message
    shape: Shape
    section: Literal["messages", "events"] = "messages"

    @property
    def pointer(self) -> str:
        """The message type's JSON pointer."""
        return at(self.context.pointer, self.section, self.type)

    def scope(self, place: str, *, room: bool | None = None) -> TemplateScope:
        """What the message's templates may refer to."""
        scope = self.context.scope(place, room=room)
        return attrs.evolve(scope, message=self.shape, message_type=self.type)
