"""How one frame reaches many peers: the protocol that a hub uses, and its plain implementation.

The server has a faster one (`server/outbox.py`). It collects a turn's frames for a room and joins them once for all members,
so call `settle()` before you change a room's members.
"""

from collections.abc import Callable, Collection
from typing import Protocol


class Recipient(Protocol):
    """Receives frames: the `Peer` of a session."""

    def send(self, frame: bytes) -> None:
        """Queue one frame, given as its JSON. Never blocks or raises."""


class Fanout(Protocol):
    """Delivers a frame, given as its JSON, to many. Each recipient gets its frames in the order of the calls."""

    def publish(
        self, recipients: Collection[Recipient], frame: bytes, skip: Recipient | None = None
    ) -> None:
        """Send `frame` to all of them but `skip`. The collection must not change before `settle()`."""

    def settle(self) -> None:
        """Queue whatever was published; collections may change afterwards."""

    def begin(self) -> None:
        """Begin a turn: what is published may wait until `end`."""

    def end(self) -> None:
        """End the turn: everything is sent."""

    def at_end(self, call: Callable[[], None]) -> None:
        """Call `call()` when the turn ends, or at once if there is none."""


class DirectFanout:
    """One `send` after the other: for tests and in-memory peers."""

    def publish(
        self, recipients: Collection[Recipient], frame: bytes, skip: Recipient | None = None
    ) -> None:
        """Send `frame` to all of them but `skip`."""
        for recipient in list(recipients):
            if recipient is not skip:
                recipient.send(frame)

    def settle(self) -> None:
        """Do nothing: nothing is ever pending."""

    def begin(self) -> None:
        """Do nothing: everything is sent at once."""

    def end(self) -> None:
        """Do nothing: nothing has waited."""

    def at_end(self, call: Callable[[], None]) -> None:
        """Call it at once: there are no turns."""
        call()
