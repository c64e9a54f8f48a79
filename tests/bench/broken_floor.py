"""A room server that spoils one delivery on purpose, so that the load client can be seen to notice; it may have two ports."""

import select
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "floors"))

from floor import Floor  # type: ignore[import-not-found]

SPOILT = 5


class BrokenFloor(Floor):  # type: ignore[misc]
    """Broadcasts as the floor does, but for the fifth message to the first member; paths are all one to it."""

    def __init__(self, port: int, harm: str, second: int = 0) -> None:
        super().__init__(port, joined=False)
        self.second = socket.create_server(("127.0.0.1", second))
        self.second.setblocking(False)
        self.poll.register(self.second.fileno(), select.EPOLLIN)
        self.harm = harm
        self.count = 0
        self.held = b""

    def read(self, fd: int) -> None:
        if fd == self.second.fileno():
            self.accept(self.second)
        else:
            super().read(fd)

    def broadcast(self, data: bytes) -> None:
        self.count += 1
        for number, member in enumerate(self.members.values()):
            if number == 0:
                self.send_first(member, data)
            else:
                member.send(data)

    def send_first(self, member: socket.socket, data: bytes) -> None:
        spoilt = self.count == SPOILT
        if spoilt and self.harm == "doubled":
            data *= 2
        elif spoilt and self.harm == "altered":
            data = data.replace(b"fox", b"cat")
        elif spoilt and self.harm == "lost":
            return
        elif spoilt and self.harm == "swapped":
            self.held = data
            return
        member.send(data + self.held)
        self.held = b""


if __name__ == "__main__":
    BrokenFloor(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])).serve()
