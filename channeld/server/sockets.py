"""Listening sockets: bound alone or next to a running server's, and released without refusing any connection.

    sockets = bind(["127.0.0.1:4000", "unix:/run/channeld.sock"])
    …
    release(sock)

During a takeover, the old and the new server share their addresses for a while. On TCP both have SO_REUSEPORT, and the
kernel distributes connections between the listeners; it allows this only for processes of one user. A first bind without
the option still catches a server that was started twice by mistake. A Unix socket's path is renamed over, so new clients
reach the new server. To release an address, call `retire` first: new connections go elsewhere, those already begun arrive
and are accepted, and nothing is left that closing would reset.
"""

import contextlib
import ctypes
import errno
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import trio

from channeld.config.reachable import is_every_interface
from channeld.server.systemd import InheritedSocket, inherited_sockets
from channeld.telemetry import log

HANDSHAKE_S: Final = 0.25
"""Seconds that a TCP handshake under way is waited for when its listener retires: a long round trip."""

RETRY_S: Final = 1.0
"""Seconds without accepting when there are no file descriptors."""
NO_DESCRIPTORS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

MOST_QUEUED: Final = 2048
"""Connections accepted from a queue at its end: more than a backlog, so that it ends even if clients connect faster."""

Take: TypeAlias = Callable[[trio.socket.SocketType, object], object]
"""Takes an accepted socket and its peer's address."""

_BACKLOG: Final = 1024
_LISTENS: Final = "0A"  # TCP_LISTEN, as /proc/net/tcp writes it
# Linux, on all platforms that wheels exist for. Drops segments with SYN and without ACK, passes all others.
_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = (
    (0x30, 0, 0, 13),  # load the flags byte
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone: next instruction; else the one after
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFF_FFFF),
)


class BindError(OSError):
    """An address can't be listened on; the message names it."""


class _UnixListener(socket.socket):
    """A Unix socket of ours: its path, the temporary path where it was bound, and the inode."""

    def __init__(self, path: str) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.path = self.bound = path
        self.inode = 0

    def is_at(self, path: str) -> bool:
        """Whether the file at this path is this socket's."""
        try:
            return Path(path).lstat().st_ino == self.inode
        except OSError:
            return False


def bind(
    addresses: Sequence[str], *, beside: bool = False, listens: bool = True
) -> list[socket.socket]:
    """Bind sockets for `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`; `systemd` takes those that were passed in.

    A name is bound at each of its addresses. `[::]` also accepts IPv4, unless the list has an IPv4 address with the same
    port. A stale Unix socket is replaced.

    Args:
        addresses: the addresses.
        beside: bind even if another server of the same user listens there.
        listens: False: leave that to `listen`; until then connections go to other listeners, if any.

    Raises:
        BindError: an address is malformed, in use, or not permitted. Nothing stays bound.
    """
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        for address in addresses:
            try:
                opened = _open(address, _is_dual(address, addresses), beside=beside)
                for sock in opened:
                    undo.callback(release, sock)
                    if listens:
                        listen(sock)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise BindError(f"Cannot listen on {address}: {reason}") from error
            sockets += opened
        undo.pop_all()
    return sockets


def listen(sock: socket.socket) -> None:
    """Listen on a socket that `bind` made. Idempotent.

    Raises:
        OSError: its path can't be taken over.
    """
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.listen(_BACKLOG)
    if isinstance(sock, _UnixListener) and sock.bound != sock.path:
        Path(sock.bound).rename(sock.path)
        sock.bound = sock.path


def waited_on(sock: socket.socket) -> trio.socket.SocketType:
    """A duplicate for trio, which accepts no subclasses; close it as well."""
    sock.setblocking(False)
    return trio.socket.fromfd(sock.fileno(), sock.family, sock.type)


async def accept_each(listener: trio.socket.SocketType, take: Take) -> None:
    """Accept a listener's connections until it is closed. Without file descriptors, say so and wait a second."""
    while listener.fileno() >= 0:
        try:
            sock, address = await listener.accept()
        except trio.ClosedResourceError:
            return
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
                log("accept_failed", reason=error.strerror, errno=error.errno)
                await trio.sleep(RETRY_S)
        else:
            take(sock, address)


def accept_queued(listener: socket.socket, take: Take, most: int = MOST_QUEUED) -> None:
    """Accept what waits in a listener's queue, because closing it would reset it."""
    with contextlib.suppress(OSError):
        for _ in range(most):
            sock, address = listener.accept()
            sock.setblocking(False)
            take(trio.socket.from_stdlib_socket(sock), address)


def retire(sock: socket.socket) -> float:
    """Divert new connections to other listeners of the address; without one, they are refused a second later.

    Returns:
        Seconds after which all connections already begun have arrived: accept until there are none, then close.
    """
    if sys.platform != "linux" or sock.family == socket.AF_UNIX or not is_ours(sock):
        return 0.0
    program = b"".join(struct.pack("=HBBI", *step) for step in _NO_SYN)
    kept = ctypes.create_string_buffer(program)
    with contextlib.suppress(OSError):
        # Accepted sockets inherit the filter, but never receive what it drops.
        pointer = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(kept))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)
        return HANDSHAKE_S
    return 0.0


def is_ours(sock: socket.socket) -> bool:
    """Whether it is open and not systemd's, so that closing it loses its queue."""
    return sock.fileno() >= 0 and not isinstance(sock, InheritedSocket)


def is_shared(sock: socket.socket) -> bool:
    """Whether another socket listens on its address by now; True if the system cannot tell."""
    if isinstance(sock, _UnixListener):
        return not sock.is_at(sock.bound)
    if sock.family == socket.AF_UNIX or not is_ours(sock):
        return False
    host, port = sock.getsockname()[:2]
    packed = socket.inet_pton(sock.family, host)
    words = struct.unpack(f"<{len(packed) // 4}I", packed)
    address = f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
    table = "/proc/net/tcp6" if sock.family == socket.AF_INET6 else "/proc/net/tcp"
    try:
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
    except OSError:
        return True
    return sum(row[1] == address and row[3] == _LISTENS for row in rows) > 1


def release(sock: socket.socket) -> None:
    """Close a listening socket, and remove a Unix socket's path if it is still ours. Idempotent."""
    if isinstance(sock, _UnixListener) and sock.fileno() >= 0 and sock.is_at(sock.bound):
        with contextlib.suppress(OSError):
            Path(sock.bound).unlink()
    sock.close()


def named(sock: socket.socket) -> str:
    """The address of a bound socket, as `bind` takes it."""
    if isinstance(sock, _UnixListener):
        return f"unix:{sock.path}"
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _passed() -> list[socket.socket]:
    sockets = inherited_sockets()
    if not sockets:
        raise ValueError(
            "no sockets were passed to this process: start it by a systemd socket unit"
        )
    return sockets


def _is_dual(address: str, addresses: Sequence[str]) -> bool:
    """Whether this is `[::]:PORT` and no IPv4 address has the same port."""
    host, _, port = address.rpartition(":")
    others = (other for other in addresses if other != address)
    return (
        host.startswith("[")
        and is_every_interface(host.strip("[]"))
        and not any(
            other.rpartition(":")[2] == port and not other.startswith("[") for other in others
        )
    )


def _open(address: str, is_dual: bool, *, beside: bool) -> list[socket.socket]:
    if address == "systemd":
        return _passed()
    if address.startswith("unix:"):
        return [_open_unix(address.removeprefix("unix:"), beside=beside)]
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("expected HOST:PORT or unix:PATH")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    found = socket.getaddrinfo(
        host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    with contextlib.ExitStack() as undo:
        sockets = []
        for family, _, _, _, where in dict.fromkeys(found):
            sock = socket.socket(family, socket.SOCK_STREAM)
            undo.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not is_dual))
            if beside:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(where)
            # Set only now: with it from the start, another server here would go unnoticed.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets.append(sock)
        undo.pop_all()
    return sockets


def _open_unix(path: str, *, beside: bool) -> socket.socket:
    mode = None if _remove_stale(path) or not beside else _mode_of_ours(path)
    sock = _UnixListener(path)
    try:
        if mode is not None:
            sock.bound = f"{path}.{os.getpid()}"
            _remove_stale(sock.bound)
        sock.bind(sock.bound)
        if mode is not None:
            Path(sock.bound).chmod(mode)
        sock.inode = Path(sock.bound).lstat().st_ino
    except OSError:
        sock.close()
        raise
    return sock


def _mode_of_ours(path: str) -> int:
    """The mode of the Unix socket at this path, which may have been changed by hand.

    Raises:
        ValueError: it belongs to another user.
    """
    there = Path(path).lstat()
    if there.st_uid != os.geteuid():
        raise ValueError("the server there belongs to another user")
    return stat.S_IMODE(there.st_mode)


def _remove_stale(path: str) -> bool:
    """Whether nobody listens at this path. A stale socket is removed; any other file stays."""
    place = Path(path)
    if not place.is_socket():
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            place.unlink(missing_ok=True)
            return True
    return False
