import select
import socket
import sys

import pytest

from channeld.server.drivers.crowds import Crowds

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")


def test_crowds_have_their_turns_one_after_the_other_and_none_twice() -> None:
    parent = select.epoll()
    crowds: Crowds[str] = Crowds(parent)
    places = {address: crowds.join(address) for address in ("a", "b")}
    for name in ("first", "second"):
        crowds.resume(places["a"], name)
    crowds.resume(places["b"], "other")
    taken = []
    while (crowd := crowds.next(10)) is not None:
        taken.append((crowd.address, crowd.resumed.popleft()))
    assert taken == [("a", "first"), ("b", "other"), ("a", "second")]
    crowds.close()
    parent.close()


def test_a_crowd_is_asked_for_so_many_events_each_time_it_is_reported() -> None:
    parent = select.epoll()
    crowds: Crowds[str] = Crowds(parent)
    place = crowds.join("a")
    pairs = [socket.socketpair() for _ in range(5)]
    for near, far in pairs:
        near.send(b"x")
        place.register(far.fileno(), select.EPOLLIN)
    (fd, _events), *rest = parent.poll(0)
    assert rest == []
    crowds.readable(fd)
    crowds.readable(fd)
    served = []
    while (crowd := crowds.next(3)) is not None:
        served.append(crowd.ready.popleft())
    assert len(served) == 3
    # The kernel reports it again, as long as there are others.
    assert [fd for fd, _ in parent.poll(0)] == [fd]
    crowds.close()
    parent.close()
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_a_crowd_is_closed_with_its_last_member_and_forgets_what_was_left() -> None:
    parent = select.epoll()
    crowds: Crowds[str] = Crowds(parent)
    place = crowds.join("a")
    assert crowds.join("a") is place
    crowds.resume(place, "left")
    crowds.leave(place)
    assert len(crowds) == 1
    crowds.leave(place)
    assert place.closed
    assert len(crowds) == 0
    assert crowds.next(10) is None
    parent.close()


def test_what_is_not_a_crowds_is_nobodys() -> None:
    parent = select.epoll()
    crowds: Crowds[str] = Crowds(parent)
    crowds.readable(sys.maxsize)
    assert crowds.next(10) is None
    parent.close()
