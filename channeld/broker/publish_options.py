"""How a frame is published: everything besides its topic and JSON, as one value for the engine, the hub and every broker."""

from typing import Final

import attrs

from channeld.broker.once import Once
from channeld.config.model import History


@attrs.frozen(slots=True)
class Conflated:
    """A frame that is conflated: each `slot` of a topic publishes at most one frame per `seconds`, the latest.

    `age`: for how many seconds its node has held the frame; with it, frames of several nodes are ordered. `at_once`: publish it
    now in any case.
    """

    slot: str
    seconds: float
    age: float = 0.0
    at_once: bool = False


@attrs.frozen(slots=True)
class Placing:
    """How a kept frame relates to others of its topic; without a placing it is simply the next one.

    `key`: it replaces the kept frame of this key. `clears`: the kept frames of these keys are removed, and so is what waits (for
    at most `waits` seconds) in the slots of these names. `is_replayed`: newcomers get it too; otherwise it is for recovery only.
    `owner`: it is removed when this user leaves the topic's presence.
    """

    key: str | None = None
    clears: tuple[str, ...] = ()
    waits: float = 0.0
    is_replayed: bool = True
    owner: str | None = None


# Not frozen, because each message makes one and a frozen one takes 0.25 µs more. Nothing changes one after it is made.
@attrs.define
class PublishOptions:
    """What applies to one publication.

    `keep`: the history that keeps the frame before it is published, as its topic's next one or according to `placing`. `skip`: the
    connection that does not get it. `once`: a key that is taken in the same step; both happen or neither.
    """

    keep: History | None = None
    skip: str | None = None
    once: Once | None = None
    placing: Placing | None = None


NO_OPTIONS: Final = PublishOptions()
"""For a frame to all current subscribers, which is not kept."""
