"""Socket activation from end to end: the sockets outlive the server, and a restart refuses nobody."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.system.kit import PATIENCE

CHANNELS = """
channeld: 1
server: {bind: systemd, drain: 0s}
channels:
  room: {path: /room, auth: none, rooms: a, messages: {say: {schema: true, route: room}}}
"""
# What systemd does: the sockets from 3 on, and the number of the process that they are for.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "channeld", "run", sys.argv[2]])
"""


@contextlib.contextmanager
def activated(
    listener: socket.socket, manager: socket.socket, file: Path
) -> Iterator[subprocess.Popen[bytes]]:
    environ = {**os.environ, "NOTIFY_SOCKET": manager.getsockname()}
    command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), str(file)]
    with subprocess.Popen(
        command, env=environ, pass_fds=(listener.fileno(),), stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert manager.recv(100) == b"READY=1"
            yield process
            process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def status(client: socket.socket) -> bytes:
    client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    return client.recv(12)


def test_a_restart_refuses_nobody(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(CHANNELS)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        where = listener.getsockname()
        with activated(listener, manager, file), socket.create_connection(where, PATIENCE) as one:
            assert status(one) == b"HTTP/1.1 200"
        # Nobody serves now, and anyone who comes waits for the successor.
        with socket.create_connection(where, PATIENCE) as early, activated(listener, manager, file):
            assert status(early) == b"HTTP/1.1 200"
