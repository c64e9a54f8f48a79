"""What systemd passes to a service, and what it wants to hear: sockets (`sd_listen_fds`) and states (`sd_notify`).

Both are environment variables and nothing else, so no library is needed. A socket that was passed in is systemd's: it
outlives this process, and its successor gets it too, so no connection is refused during a restart.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping

import trio

_FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class InheritedSocket(socket.socket):
    """A listening socket that somebody else made: its path, if it has one, is not ours to remove."""


def inherited_sockets(
    environ: MutableMapping[str, str] = os.environ, first: int = _FIRST
) -> list[socket.socket]:
    """The listening stream sockets that were passed to this process, in their order; none, if it was not.

    The variables are taken out of the environment: they are not meant for processes that this one starts.

    Raises:
        OSError: one of the descriptors is not a listening stream socket.
    """
    pid, count, _ = (environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    sockets: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for descriptor in range(first, first + int(count)):
            os.set_inheritable(descriptor, False)
            sock = InheritedSocket(fileno=descriptor)
            undo.callback(sock.close)
            is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if sock.type != socket.SOCK_STREAM or not is_listening:
                raise OSError(f"descriptor {descriptor} is not a listening stream socket")
            sockets.append(sock)
        undo.pop_all()
    return sockets


def reloading() -> str:
    """The state that a reload begins with; `READY=1` ends it. systemd looks at the time to tell reloads apart."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def watchdog_interval(pid: int, environ: Mapping[str, str] = os.environ) -> float:
    """In how many seconds the service manager wants to hear of the process `pid` again; 0 if it has no watchdog."""
    interval, watched = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not interval.isdecimal() or watched not in ("", str(pid)):
        return 0.0
    return int(interval) / 1_000_000


async def keep_watchdog(tell: Callable[[str], object], interval: float) -> None:
    """Tell twice in each interval (seconds) that this loop turns; return at once if it is 0."""
    while interval:
        tell("WATCHDOG=1")
        await trio.sleep(interval / 2)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the service manager, if there is one: `READY=1`, `STOPPING=1`, `reloading()`. Never raises."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    # A leading @ stands for the abstract namespace.
    name = "\0" + address[1:] if address[0] == "@" else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.setblocking(False)
        sock.sendto(state.encode(), name)
