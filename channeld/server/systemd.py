"""Talks to systemd: takes the sockets that it passes (`sd_listen_fds`) and reports states (`sd_notify`).

Both need only environment variables, so there is no library. A socket that was passed in belongs to systemd: it outlives
this process and is passed to its successor, so no connection is refused during a restart.
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
    """A listening socket that was passed in: its path, if it has one, is not ours to remove."""


def inherited_sockets(
    environ: MutableMapping[str, str] = os.environ, first: int = _FIRST
) -> list[socket.socket]:
    """The listening stream sockets that were passed to this process, in order.

    Removes the variables from the environment, since they are not meant for child processes.

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
    """The state that begins a reload; `READY=1` ends it. systemd tells reloads apart by the time."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def watchdog_interval(pid: int, environ: Mapping[str, str] = os.environ) -> float:
    """The service manager's watchdog interval for process `pid` in seconds; 0: no watchdog."""
    interval, watched = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not interval.isdecimal() or watched not in ("", str(pid)):
        return 0.0
    return int(interval) / 1_000_000


async def keep_watchdog(tell: Callable[[str], object], interval: float) -> None:
    """Report twice per interval (seconds) that this loop is alive; returns at once if it is 0."""
    while interval:
        tell("WATCHDOG=1")
        await trio.sleep(interval / 2)


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send a state to the service manager, if there is one: `READY=1`, `STOPPING=1`, `reloading()`. Never raises."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    # A leading @ means the abstract namespace.
    name = "\0" + address[1:] if address[0] == "@" else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.setblocking(False)
        sock.sendto(state.encode(), name)
