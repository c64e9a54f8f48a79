"""How a frame is published, besides its topic and its JSON: what the engine, the hub and every broker pass on as one value."""

from typing import Final

import attrs

from channeld.broker.once import Once
from channeld.config.model import History


@attrs.frozen(slots=True)
class Conflated:
    """How a frame waits: of a topic's `slot`, at most one frame goes out in `seconds`.

    `age` is for how many seconds its node has held it, since among several nodes' frames the latest counts. `at_once`: it
    goes out in any case.
    """

    slot: str
    seconds: float
    age: float = 0.0
    at_once: bool = False


@attrs.frozen(slots=True)
class Placing:
    """How a kept frame relates to others of its topic; without one, it is simply the next.

    `key`: it replaces the kept frame of this key. `clears`: keys whose kept frames are removed, along with what waits, for at most
    `waits` seconds, in the slots of these names. `is_replayed`: whether it is also for newcomers, not for recovery only.
    `owner`: the user with whom it goes when that user leaves the topic's presence.
    """

    key: str | None = None
    clears: tuple[str, ...] = ()
    waits: float = 0.0
    is_replayed: bool = True
    owner: str | None = None


# Not frozen, since messages make one each and a frozen one takes 0.25 µs more; nothing changes one that is made.
@attrs.define
class PublishOptions:
    """What applies to one publication.

    `keep`: the history that takes the frame first, as its topic's next one or else by its `placing`. `skip`: the connection that
    does not get it. `once`: a key that is taken in the same step; either both happen or neither.
    """

    keep: History | None = None
    skip: str | None = None
    once: Once | None = None
    placing: Placing | None = None


NO_OPTIONS: Final = PublishOptions()
"""A frame for everybody who is there now."""
