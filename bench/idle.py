"""What an idle connection costs, by transport: `python bench/idle.py [NUMBER]` opens that many of each, one server after the other.

Prints memory for each connection (RSS of the server's process, less that with 200 of them open), and how much larger an
event stream is than a WebSocket. On one channel without rooms, and on one whose clients are in a room with a history.
"""

import base64
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
channeld: 1
server: {allowed_origins: any, limits: {connections: 100000}, ping: {interval: 10m}}
log: {level: error}
channels:
  bare: {path: /bare, auth: none}
  room:
    path: /rooms/{room_id}
    auth: none
    rooms: {join: "{params.room_id}"}
    history: {size: 10, ttl: 1h}
    messages: {say: {schema: {type: object}, route: room}}
"""
WARM = 200
ROOM_OF = 100
"""Clients of one room."""


def request(transport: str, path: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
    if transport == "sse":
        lines += ["Accept: text/event-stream"]
    else:
        key = base64.b64encode(bytes(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {key}"]
    return "\r\n".join([*lines, "", ""]).encode()


def open_some(port: int, transport: str, path: str, first: int, number: int) -> list[socket.socket]:
    """Idle connections, every one let in."""
    opened = []
    for count in range(first, first + number):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(request(transport, path.format(count // ROOM_OF)))
        opened.append(sock)
        if not count % 200:
            heard(opened[-200:])
    heard(opened)
    return opened


def heard(sockets: list[socket.socket]) -> None:
    """Wait until each of them was answered."""
    for sock in sockets:
        sock.settimeout(60)
        assert sock.recv(65536, socket.MSG_PEEK).startswith((b"HTTP/1.1 101", b"HTTP/1.1 200"))


def rss(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def settled(pid: int) -> int:
    """Memory when it grows no more."""
    sizes = [rss(pid)]
    while len(sizes) < 4 or sizes[-1] != sizes[-3]:
        time.sleep(0.3)
        sizes.append(rss(pid))
    return sizes[-1]


def measure(folder: Path, transport: str, path: str, number: int) -> float:
    """Bytes for each connection."""
    command = [sys.executable, "-m", "channeld", "run", "--bind", "127.0.0.1:0"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            line = next(line for line in server.stdout if "channeld serves" in line)
            port = int(line.split("127.0.0.1:")[1].split()[0].strip("/,"))
            sockets = open_some(port, transport, path, 0, WARM)
            before = settled(server.pid)
            sockets += open_some(port, transport, path, WARM, number)
            after = settled(server.pid)
        finally:
            server.send_signal(signal.SIGKILL)
        for sock in sockets:
            sock.close()
    return (after - before) / number


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("channels.yaml").write_text(CONFIG)
        for title, path in (("no room", "/bare"), ("a room with a history", "/rooms/r{}")):
            sizes = {one: measure(folder, one, path, number) for one in ("websocket", "sse")}
            shown = ", ".join(f"{one} {size:.0f} bytes" for one, size in sizes.items())
            print(f"{title}: {shown}; {sizes['sse'] / sizes['websocket']:.2f} times", flush=True)


if __name__ == "__main__":
    main()
