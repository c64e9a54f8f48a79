"""The contract with clients: every type of every channel, in both directions, as whole frames.

These are the values; `describe.py` creates them. A frame's schema refers to the contract's definitions (`#/$defs/NAME`),
which include the frames themselves.
"""

from collections.abc import Mapping

import attrs

from channeld.config.model import Auth, Channel
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Json
from channeld.schema.definitions import Schema


@attrs.frozen(slots=True, kw_only=True)
class ParamContract:
    """One param of a path. `rest`: it takes the rest of the path."""

    name: str
    schema: Json
    rest: bool = False


@attrs.frozen(slots=True, kw_only=True)
class FrameType:
    """One type of a channel. `name` is its definition's, `schema` the whole frame's; examples are whole frames.

    `declared`: the configuration declares it; otherwise it is one of channeld's own. `options` are the message's options
    for machines, `notes` for people.
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
    """One type that clients receive. `origins` describes who makes such frames."""

    origins: tuple[str, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class ChannelContract:
    """One channel.

    `send_name` and `receive_name` are the names of the unions of all frames in one direction.
    """

    name: str
    declared: Channel
    params: tuple[ParamContract, ...]
    query: tuple[ParamContract, ...]
    auth: tuple[tuple[str, Auth], ...]
    sent: tuple[SentType, ...]
    received: tuple[ReceivedType, ...]
    errors: tuple[ErrorCode, ...]
    send_name: str
    receive_name: str

    @property
    def is_open(self) -> bool:
        """Whether hooks and the API may send undeclared types."""
        return self.declared.events is None


@attrs.frozen(slots=True, kw_only=True)
class Contract:
    """A whole configuration from the client's perspective. `addresses` are base URLs without a path."""

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
