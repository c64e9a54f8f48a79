"""The works of coming and going: clients that come to a room, twenty at a time, and leave it again.

What is measured is the CPU time of servers and Valkey for one client that comes and goes, by their processes' clocks. The
client here is slow and simple: each of the twenty is asked for, then each is waited for.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

from measure import FailedError, Result
from setups import Servers, SetUp

AT_A_TIME, WARMUP, WATCHERS = 20, 2, 40
PATIENCE, CLOSE = 20.0, b"\x88\x80\x00\x00\x00\x00"
HEAD = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def dial(port: int, setup: SetUp, path: str) -> socket.socket:
    """A connection that asks to be let in."""
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.sendall(HEAD.format(path=path).encode())
    return sock


def read_until(sock: socket.socket, mark: bytes) -> None:
    """Reads to what says that the client is in its room; raises `FailedError` when it does not come."""
    heard = b""
    while mark not in heard:
        data = sock.recv(65536)
        if not data:
            raise FailedError(f"closed before it was in its room: {heard[-200:]!r}")
        heard += data


def come(servers: Servers, setup: SetUp, paths: list[str], joined: bytes) -> list[socket.socket]:
    """Clients that have heard `joined`, one after the other on each of the nodes."""
    ports = servers.ports
    clients = [dial(ports[at % len(ports)], setup, path) for at, path in enumerate(paths)]
    if setup.greeting:
        for client in clients:
            read_until(client, setup.opened)
            client.sendall(setup.greeting)
    for client in clients:
        read_until(client, joined)
    return clients


def go(clients: list[socket.socket]) -> None:
    """Clients leave, and see that the server has closed."""
    for client in clients:
        client.sendall(CLOSE)
    for client in clients:
        with contextlib.suppress(ConnectionResetError):
            while client.recv(65536):
                pass
        client.close()


@contextlib.contextmanager
def watching(servers: Servers, setup: SetUp, count: int) -> Iterator[None]:
    """Some clients are in the room that the others come to, while the block lasts."""
    paths = [setup.hall("busy", f"w{number}") for number in range(count)]
    there = [client for path in paths for client in come(servers, setup, [path], setup.present)]
    is_over = threading.Event()
    reader = threading.Thread(target=drain, args=(there, is_over))
    reader.start()
    try:
        yield
    finally:
        is_over.set()
        reader.join()
        go(there)


def drain(clients: list[socket.socket], is_over: threading.Event) -> None:
    """Reads and forgets, until it is over."""
    while not is_over.is_set():
        for client in select.select(clients, [], [], 0.05)[0]:
            client.recv(65536)


def join(
    servers: Servers, setup: SetUp, seconds: float, clocks: Callable[[], list[float]], work: str
) -> Result:
    """Clients come and go for that many seconds.

    Args:
        work: `plain`, to rooms of their own that keep nothing and tell nobody; `join`, to rooms of their own with
            history and presence; `churn`, all to one such room where others are.

    Returns how many, the seconds, and how each clock went on for one of them, in microseconds.
    """
    number, joined = 0, setup.joined if work == "plain" else setup.present

    def path() -> str:
        if work == "plain":
            return setup.path.format(room=f"p{number}")
        return setup.hall("busy" if work == "churn" else f"j{number}", f"u{number}")

    def turn() -> None:
        nonlocal number
        paths = []
        for _ in range(AT_A_TIME):
            number += 1
            paths.append(path())
        go(come(servers, setup, paths, joined))

    with watching(servers, setup, WATCHERS if work == "churn" else 0):
        for _ in range(WARMUP):
            turn()
        time.sleep(0.2)
        before, began, first = clocks(), time.perf_counter(), number
        while time.perf_counter() - began < seconds:
            turn()
        took = time.perf_counter() - began
        # What is still being told of those who went.
        time.sleep(0.2)
        after = clocks()
    count = number - first
    return {
        "count": count,
        "seconds": took,
        "clocks": [(now - was) / count * 1e6 for now, was in zip(after, before, strict=True)],
    }
