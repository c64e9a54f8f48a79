"""How one frame reaches many peers: the protocol that a hub speaks, and the plain way to keep it.

The server has a faster way (`server/outbox.py`): it joins the frames that one turn brings to one room, once for all
members. So anyone who changes a room's members says `settle()` first.
"""

from collections.abc import Callable, Collection
from typing import Protocol

__all__ = ["DirectFanout", "Fanout", "Recipient"]


class Recipient(Protocol):
    """What a frame is delivered to: the `Peer` of a session."""

    def send(self, frame: bytes) -> None:
        """Queue one frame, given as its JSON. Never blocks or raises."""


class Fanout(Protocol):
    """Deliver one frame, given as its JSON, to many. Every recipient gets what it is sent in the order of the calls."""

    def publish(
        self, recipients: Collection[Recipient], frame: bytes, skip: Recipient | None = None
    ) -> None:
        """Send `frame` to all of them but `skip`. The collection must not change before `settle()`."""

    def settle(self) -> None:
        """Whatever was published has been queued; collections may change now."""

    def begin(self) -> None:
        """A turn begins: what is published may wait until `end`."""

    def end(self) -> None:
        """The turn is over: everything leaves."""

    def at_end(self, call: Callable[[], None]) -> None:
        """Call `call()` when the turn ends; at once where none is under way."""


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
        """Nothing is ever pending."""

    def begin(self) -> None:
        """Nothing waits for the end."""

    def end(self) -> None:
        """Nothing has waited."""

    def at_end(self, call: Callable[[], None]) -> None:
        """At once: there are no turns."""
        call()
