"""Decides when to send to Redis: at the end of the turn that asks, subscriptions first, then one batch of the queue at a time.

Entries that arrive while a batch is under way form the next one. So a single publication leaves at once, and under load many go together.
"""

from collections.abc import Callable

import attrs

from channeld.broker.redis.encoding import fresh_letters
from channeld.broker.redis.queue import Outgoing, commands, plain_runs
from channeld.broker.redis.session import Session

# How long a topic's top outlives its frames, so that a client at the top recovers.
TOPS_OUTLIVE = 86_400


@attrs.define(eq=False)
class Outlet:
    """Sends the queue's entries while there is a session; `state` is the key that all topics share."""

    outgoing: Outgoing
    _state: str
    _when_turn_ends: Callable[[Callable[[], None]], None]
    session: Session | None = attrs.field(default=None, init=False)
    _is_sending: bool = attrs.field(default=False, init=False)
    _is_stirred: bool = attrs.field(default=False, init=False)
    # Channels to subscribe to (True) or unsubscribe from when the turn ends.
    _asked: list[tuple[bool, list[bytes]]] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.outgoing.on_filled = self.stir

    def begin(self, session: Session) -> None:
        """A session begins; requests to the previous one are dropped."""
        self.session, self._asked = session, []

    def open(self) -> None:
        """The session has been sent all subscriptions: now send what waits."""
        self._is_sending = False
        self._send()

    def end(self) -> None:
        """The session is over."""
        if self.session is not None:
            self.session.give_up()
        self.session = None

    def ask(self, channel: bytes, *, is_wanted: bool) -> None:
        """Subscribe to a channel or unsubscribe from it; does nothing without a session."""
        if self.session is None:
            return
        if self._asked and self._asked[-1][0] is is_wanted:
            self._asked[-1][1].append(channel)
        else:
            self._asked.append((is_wanted, [channel]))
            self.stir()

    def stir(self) -> None:
        """Send at the end of the turn, together with all that the turn brings."""
        if not self._is_stirred:
            self._is_stirred = True
            self._when_turn_ends(self._turn_ended)

    def _turn_ended(self) -> None:
        self._is_stirred = False
        if self._asked:
            self._subscribe()
        self._send()

    def _subscribe(self) -> None:
        asked, self._asked = self._asked, []
        for is_wanted, channels in asked:
            if self.session is not None and is_wanted:
                self.session.subscribe(channels)
            elif self.session is not None:
                self.session.unsubscribe(channels)

    def _send(self) -> None:
        session = self.session
        if session is None:
            return
        if self._is_sending or not session.is_open or not self.outgoing:
            session.flush()
            return
        self._is_sending = True
        batch = self.outgoing.take()
        runs = plain_runs(batch) if session.dialect.publishes else None
        if runs is not None:
            session.publish(runs, self._sent)
        else:
            opening = (fresh_letters(), TOPS_OUTLIVE * 1000)
            session.perform(commands(batch, self._state, opening), self._sent)

    def _sent(self) -> None:
        self._is_sending = False
        if self.outgoing:
            self.stir()
