"""The watch over a peer that takes no more: progress of any kind begins it again."""

import attrs

from channeld.server.flow import Flow
from channeld.server.stall import LOOK_S, STALLED_S, Stall
from channeld.timers import Timers


@attrs.define(eq=False)
class Peer:
    """A connection whose outbox is blocked."""

    is_stuck: bool = True
    moved: bool = True
    taken: int = 0
    ends: int = 0

    def flow(self) -> Flow:
        return Flow(1, self.taken)

    def overflowed(self) -> None:
        self.ends += 1


def watched() -> tuple[Peer, Timers, Stall]:
    peer, timers = Peer(), Timers()
    return peer, timers, Stall(peer, timers, 0.0)


def pass_until(timers: Timers, end: float) -> None:
    now = 0.0
    while now < end:
        now += 1
        timers.run(now)


def test_who_takes_nothing_is_too_slow_and_only_once() -> None:
    peer, timers, stall = watched()
    pass_until(timers, STALLED_S - 1)
    assert (peer.ends, stall.is_over) == (0, False)
    pass_until(timers, STALLED_S + 99)
    assert (peer.ends, stall.is_over) == (1, True)


def test_what_the_kernel_says_and_what_was_written_both_count() -> None:
    peer, timers, _ = watched()
    for now in range(1, 200):
        if now % 20 == 0:
            peer.taken += 1
        elif now % 20 == 10:
            peer.moved = True
        timers.run(float(now))
    assert peer.ends == 0


def test_who_has_caught_up_is_watched_no_more() -> None:
    peer, timers, stall = watched()
    peer.is_stuck = False
    pass_until(timers, LOOK_S)
    assert stall.is_over
    assert timers.next_deadline() is None


def test_a_cancelled_watch_looks_no_more() -> None:
    peer, timers, stall = watched()
    stall.cancel()
    pass_until(timers, STALLED_S + LOOK_S)
    assert (peer.ends, stall.is_over) == (0, True)
