"""Addresses with many connections: under load, each is served like one socket, by an epoll nested in the lane's."""

import collections
import select
from typing import Generic, TypeVar

FEW = 8
"""An address with more connections than this can be a crowd; a crowd with at most this many ready connections is calm."""

_IN = 1  # select.EPOLLIN: the module has it on Linux only

Socket = TypeVar("Socket")


class Crowd(Generic[Socket]):
    """Connections of one address that wait in an epoll of their own.

    Attributes:
        ready: file descriptors with their events.
        resumed: connections that may continue after a pause.
        is_readable: whether the epoll may have more events.
        is_calm: few connections had events at the last poll, so they may return to the lane's epoll.
    """

    __slots__ = (
        "address", "epoll", "is_asked", "is_calm", "is_readable", "members", "ready", "resumed",
    )  # fmt: skip

    def __init__(self, address: str) -> None:
        self.address = address
        self.epoll = select.epoll()
        self.ready: collections.deque[tuple[int, int]] = collections.deque()
        self.resumed: collections.deque[Socket] = collections.deque()
        self.members = 0
        self.is_readable = self.is_asked = self.is_calm = False

    def has_work(self, most: int) -> bool:
        """Whether there is something to do; polls the epoll once for at most that many events."""
        if self.is_readable and not self.ready:
            self.is_readable = False
            self.ready.extend(self.epoll.poll(0, most))
            self.is_calm = len(self.ready) <= FEW and not self.resumed
        return bool(self.ready or self.resumed)

    def close(self) -> None:
        """Stop watching."""
        self.ready.clear()
        self.resumed.clear()
        self.is_readable = False
        self.epoll.close()


class Crowds(Generic[Socket]):
    """All crowds of a lane.

    Attributes:
        asked: crowds that may have something to do, in the order of their turns.
    """

    def __init__(self, parent: select.epoll) -> None:
        self._parent = parent
        self._by_address: dict[str, Crowd[Socket]] = {}
        self._by_fd: dict[int, Crowd[Socket]] = {}
        self.asked: collections.deque[Crowd[Socket]] = collections.deque()

    def __len__(self) -> int:
        """The number of crowds."""
        return len(self._by_fd)

    def join(self, address: str) -> select.epoll:
        """The epoll in which another connection of this address waits, until `leave`.

        Raises:
            OSError: there is no file descriptor for it.
        """
        crowd = self._by_address.get(address)
        if crowd is None:
            crowd = self._by_address[address] = Crowd(address)
            self._by_fd[crowd.epoll.fileno()] = crowd
            self._parent.register(crowd.epoll.fileno(), _IN)
        crowd.members += 1
        return crowd.epoll

    def leave(self, epoll: select.epoll) -> None:
        """A connection of that epoll has ended or gone elsewhere."""
        crowd = self._by_fd[epoll.fileno()]
        crowd.members -= 1
        if not crowd.members:
            self._parent.unregister(epoll.fileno())
            del self._by_fd[epoll.fileno()], self._by_address[crowd.address]
            crowd.close()

    def readable(self, fd: int) -> None:
        """The lane's epoll reports this file descriptor, which may be a crowd's."""
        crowd = self._by_fd.get(fd)
        if crowd is not None:
            crowd.is_readable = True
            self._ask(crowd)

    def resume(self, epoll: select.epoll, sock: Socket) -> None:
        """A connection of that epoll may continue after a pause."""
        crowd = self._by_fd[epoll.fileno()]
        crowd.resumed.append(sock)
        self._ask(crowd)

    def _ask(self, crowd: Crowd[Socket]) -> None:
        if not crowd.is_asked:
            crowd.is_asked = True
            self.asked.append(crowd)

    def next(self, most: int) -> Crowd[Socket] | None:
        """The next crowd that has something to do; it then comes after the others."""
        while self.asked:
            crowd = self.asked.popleft()
            if crowd.has_work(most):
                self.asked.append(crowd)
                return crowd
            crowd.is_asked = False
        return None

    def close(self) -> None:
        """Stop watching."""
        for crowd in self._by_fd.values():
            crowd.close()
