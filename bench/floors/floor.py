"""The floor in CPython: what epoll, recv and send cost a Python server that does nothing else (see floor.c)."""

import select
import socket
import sys

ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
READ_SIZE = 65536
CLOSE = 8


class Floor:
    """One listener and its connections; `joined` writes once per member and turn."""

    def __init__(self, port: int, *, joined: bool) -> None:
        self.joined = joined
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.poll = select.epoll()
        self.poll.register(self.listener.fileno(), select.EPOLLIN)
        self.sockets: dict[int, socket.socket] = {}
        self.partial: dict[int, bytes] = {}
        self.members: dict[int, socket.socket] = {}
        self.upgraded: set[int] = set()
        self.turn: list[bytes] = []

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets[sock.fileno()] = sock
            self.poll.register(sock.fileno(), select.EPOLLIN)

    def drop(self, fd: int) -> None:
        self.upgraded.discard(fd)
        self.members.pop(fd, None)
        self.partial.pop(fd, None)
        self.sockets.pop(fd).close()

    def upgrade(self, fd: int, sock: socket.socket, data: bytes) -> None:
        if not data.endswith(b"\r\n\r\n"):
            self.partial[fd] = data
            return
        self.upgraded.add(fd)
        if data.startswith(b"GET /fan"):
            self.members[fd] = sock
        sock.send(ANSWER)

    def read(self, fd: int) -> None:
        sock = self.sockets[fd]
        try:
            data = sock.recv(READ_SIZE)
        except ConnectionResetError:
            data = b""
        if not data:
            self.drop(fd)
            return
        if fd in self.partial:
            data = self.partial.pop(fd) + data
        if fd not in self.upgraded:
            self.upgrade(fd, sock, data)
            return
        if data[0] & 15 == CLOSE:
            self.drop(fd)
            return
        frames = self.frames(fd, data)
        if fd not in self.members:
            sock.send(b"".join(frames))
        elif self.joined:
            self.turn += frames
        else:
            for frame in frames:
                self.broadcast(frame)

    def frames(self, fd: int, data: bytes) -> list[bytes]:
        frames = []
        at, size = 0, len(data)
        while size - at >= 6:
            length = data[at + 1] & 127
            end = at + 6 + length
            if end > size:
                break
            key = data[at + 2 : at + 6] * (length // 4 + 1)
            masked = int.from_bytes(data[at + 6 : end], "little")
            plain = masked ^ int.from_bytes(key[:length], "little")
            frames.append(bytes((data[at], length)) + plain.to_bytes(length, "little"))
            at = end
        if at < size:
            self.partial[fd] = data[at:]
        return frames

    def broadcast(self, data: bytes) -> None:
        for sock in self.members.values():
            sock.send(data)

    def serve(self) -> None:
        listener = self.listener.fileno()
        while True:
            for fd, _ in self.poll.poll():
                if fd == listener:
                    self.accept(self.listener)
                else:
                    self.read(fd)
            if self.turn:
                self.broadcast(b"".join(self.turn))
                self.turn = []


if __name__ == "__main__":
    Floor(int(sys.argv[1]), joined=sys.argv[2] == "turn").serve()
