"""Binds a command's sockets: on the given address, or in development on the next free port."""

import errno
from collections.abc import Sequence
from contextlib import ExitStack
from socket import AF_UNIX, create_connection, socket
from typing import Final

import click

from channeld.config.reachable import reachable
from channeld.config.scalars import TcpAddress, format_address, parse_address
from channeld.server.sockets import BindError, bind, named

_NEARBY: Final = 20
_PATIENCE_S: Final = 1.0
_ADVICE: Final = ". Is another server running? "
_REPLACE: Final = "To replace it without a gap: --take-over. To use another address: "
BY_OPTION: Final = f"{_REPLACE}--bind HOST:PORT, or make run BIND=HOST:PORT"
BY_CONFIG: Final = f"{_REPLACE}`api.bind` in the configuration"
"""What to do about an address that is taken."""
_NOT_OURS: Final = ". What listens there is not a channeld server of the same user, so it cannot be taken over from"


def bind_or_explain(
    addresses: Sequence[str], *, beside: bool = False, listens: bool = True, how: str = BY_OPTION
) -> list[socket]:
    """Bind sockets; `how` says what to do if an address is taken.

    Raises:
        click.ClickException: an address cannot be used; the message says what to do.
    """
    try:
        return bind(addresses, beside=beside, listens=listens)
    except BindError as error:
        raise explained(error, beside=beside, how=how) from None


def explained(error: BindError, *, beside: bool, how: str = BY_OPTION) -> click.ClickException:
    """The error for the user; if an address is taken, with what to do about it."""
    advice = ""
    if _is_taken(error):
        advice = _NOT_OURS if beside else f"{_ADVICE}{how}"
    return click.ClickException(f"{error}{advice}")


def is_left(address: str) -> bool:
    """Whether a control API at the address says that its server drains, and so is giving the address up."""
    try:
        with _connected(address) as sock:
            sock.sendall(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
    except OSError:
        return False
    return b" 503 " in answer[:16] and b"draining" in answer


def _connected(address: str) -> socket:
    if not address.startswith("unix:"):
        host, _, port = reachable(address).rpartition(":")
        return create_connection((host.strip("[]"), int(port)), _PATIENCE_S)
    with ExitStack() as undo:
        sock = undo.enter_context(socket(AF_UNIX))
        sock.settimeout(_PATIENCE_S)
        sock.connect(address.removeprefix("unix:"))
        undo.pop_all()
    return sock


def bind_nearby(addresses: Sequence[str]) -> tuple[list[socket], list[tuple[str, str]]]:
    """Bind sockets, each on the next free port if its own is taken; also returns which addresses changed.

    Raises:
        click.ClickException: an address cannot be used for some other reason.
    """
    sockets: list[socket] = []
    moved: list[tuple[str, str]] = []
    for address in addresses:
        found = _first_free(address)
        if found is None:
            sockets += bind_or_explain([address])
        else:
            sockets += found
            if named(found[0]).rpartition(":")[2] != address.rpartition(":")[2] and _is_fixed(
                address
            ):
                moved.append((address, named(found[0])))
    return sockets, moved


def _first_free(address: str) -> list[socket] | None:
    for candidate in _candidates(address):
        try:
            return bind([candidate])
        except BindError as error:
            if not _is_taken(error):
                return None
    return None


def _candidates(address: str) -> list[str]:
    parsed = parse_address(address)
    if not isinstance(parsed, TcpAddress) or parsed.port == 0:
        return [address]
    nearby = range(parsed.port, min(parsed.port + _NEARBY, 65535) + 1)
    return [format_address(TcpAddress(parsed.host, port)) for port in (*nearby, 0)]


def _is_fixed(address: str) -> bool:
    return not address.startswith("unix:") and not address.endswith(":0")


def _is_taken(error: BindError) -> bool:
    return getattr(error.__cause__, "errno", None) == errno.EADDRINUSE
