"""What others see of a user: info and, where the channel has one, the user's state; and both as one value for the broker.

Info comes from the channel's templates, state from the user. A state belongs to the connection that set it last and disappears
with that connection. The broker keeps one opaque mapping per user: the info itself or, while there is a state, a mapping that
holds both under a key that no template can produce.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from channeld.protocol.frames import CheckedJson, Frame, Json

_BOTH: Final = "\0"


@attrs.frozen(slots=True)
class Shown:
    """A user's info and state. `by` is the connection that set the state; None without a state."""

    info: Mapping[str, Json]
    state: Json = None
    by: str | None = None

    @classmethod
    def unpack(cls, value: Mapping[str, CheckedJson]) -> "Shown":
        """The inverse of `packed`."""
        return cls(**value[_BOTH]) if _BOTH in value else cls(value)

    def packed(self) -> Mapping[str, Json]:
        """The value that the broker keeps. `by` comes last, because Redis cuts it off when that connection's node has died."""
        if self.by is None:
            return self.info
        return {_BOTH: {"info": dict(self.info), "state": self.state, "by": self.by}}

    @classmethod
    def fields_of(cls, value: Mapping[str, CheckedJson]) -> Frame:
        """The fields of a `presence` frame, from a `packed` value."""
        return cls.unpack(value).fields() if _BOTH in value else {"info": value}

    def fields(self) -> Frame:
        """Its fields in a `presence` frame."""
        if self.by is None:
            return {"info": self.info}
        return {"info": self.info, "state": self.state}
