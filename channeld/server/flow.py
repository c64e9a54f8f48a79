"""Asks the kernel how much of the written data the peer has taken: the only sign that a slow reader makes progress."""

import socket
import struct
import sys

import attrs

if sys.platform != "win32":
    import fcntl
    import termios

# Offset of the count of acknowledged bytes in Linux's struct tcp_info (since 4.1).
_ACKED = 120


@attrs.frozen(slots=True)
class Flow:
    """Bytes that the kernel still holds for the peer, and a number that changes as the peer takes some."""

    waiting: int
    taken: int


UNKNOWN = Flow(0, 0)
"""Of a stream that has no socket, or a system that does not tell."""


def flow_of(sock: socket.socket) -> Flow:
    """How much the peer has taken. Never raises."""
    waiting = _waiting(sock.fileno())
    if sock.family == socket.AF_UNIX:
        return Flow(waiting, -waiting)
    return Flow(waiting, _acked(sock))


def _waiting(descriptor: int) -> int:
    if sys.platform == "win32" or descriptor < 0:
        return 0
    try:
        (size,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
    except OSError:
        return 0
    return int(size)


def _acked(sock: socket.socket) -> int:
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _ACKED + 8)
    except OSError:
        return 0
    return int.from_bytes(info[_ACKED:], "little") if len(info) == _ACKED + 8 else 0
