"""What a configuration promises its clients: every type of every channel, both ways, as whole frames.

These are the values; `describe.py` makes them. A frame's schema refers to the contract's definitions
(`#/$defs/NAME`), of which the frames themselves are some.
"""

from collections.abc import Mapping

import attrs

from channeld.config.model import Auth, ChannelLimits, History, Presence, Rooms
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Json
from channeld.schema.definitions import Schema


@attrs.frozen(slots=True, kw_only=True)
class ParamContract:
    """One param of a path. `rest` is true where it takes all that is left of the path."""

    name: str
    schema: Json
    rest: bool = False


@attrs.frozen(slots=True, kw_only=True)
class FrameType:
    """One type of a channel. `name` is its definition's, `schema` the whole frame's; examples are whole frames.

    `declared` tells what a configuration declares from what channeld always understands. `options` are the message's
    options for machines, `notes` for people.
    """

    type: str
    name: str
    schema: Schema
    description: str = ""
    examples: tuple[Schema, ...] = ()
    declared: bool = True
    options: Mapping[str, Json] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class SentType(FrameType):
    """One type that clients send."""

    replies: bool = False
    answer: str = "ack"


@attrs.frozen(slots=True, kw_only=True)
class ReceivedType(FrameType):
    """One type that clients receive. `origins` says in words who makes such frames."""

    origins: tuple[str, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class ChannelContract:
    """One channel. `open` is true where hooks and the API may send types that nobody declared.

    `send_name` and `receive_name` are what targets call the union of all frames one way.
    """

    name: str
    path: str
    description: str
    params: tuple[ParamContract, ...]
    query: tuple[ParamContract, ...]
    subprotocols: tuple[str, ...]
    auth: tuple[tuple[str, Auth], ...]
    auth_optional: bool
    require: tuple[Mapping[str, Json], ...]
    rooms: Rooms
    presence: Presence | None
    history: History | None
    limits: ChannelLimits
    open: bool
    sent: tuple[SentType, ...]
    received: tuple[ReceivedType, ...]
    errors: tuple[ErrorCode, ...]
    send_name: str
    receive_name: str


@attrs.frozen(slots=True, kw_only=True)
class Contract:
    """A whole configuration, from its clients' side. `addresses` are base URLs without a path."""

    addresses: tuple[str, ...]
    channels: tuple[ChannelContract, ...]
    definitions: Mapping[str, Json]

    def frame_names(self) -> list[str]:
        """The definitions that are frames, each once."""
        names: dict[str, None] = {}
        for channel in self.channels:
            names.update((sent.name, None) for sent in channel.sent)
            names.update((received.name, None) for received in channel.received)
        return [*names]
