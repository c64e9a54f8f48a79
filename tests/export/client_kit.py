"""What the tests of the JavaScript client share: a server to be restarted, a line to be cut, programs that report."""

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from channeld.export.typescript import javascript
from tests.export.kit import contract_of_file
from tests.npm_parts import need_node
from tests.ports import free_port
from tests.system.kit import (
    PATIENCE,
    SECRET,
    Client,
    Output,
    Served,
    command,
    environment,
    process_of,
)

CONFIG = """
channeld: 1
server: {allowed_origins: any, drain: 200ms}
auth:
  session: {type: jwt, algorithms: [HS256], secret: "${CHANNELD_JWT_SECRET}", audience: chat}
channels:
  room:
    path: /rooms/{room_id}
    auth: session
    rooms: "{params.room_id}"
    history: {size: 50, ttl: 1h}
    messages:
      say: {schema: {type: object, required: [text], properties: {text: {type: string}}, additionalProperties: false}, route: room}
  lobby:
    path: /lobby
    auth: none
    rooms: {subscribe: {allow: ["*"]}}
    history: {size: 50, ttl: 1h}
    messages:
      say: {schema: {type: object, required: [room, text], properties: {room: {type: string}, text: {type: string}}, additionalProperties: false}, route: {to: room, room: "{message.room}"}}
  shop:
    path: /shop
    auth: none
    query: {floor: {type: integer, minimum: 0, default: 0}}
    rooms: "floor-{query.floor}"
    history: {size: 50, ttl: 1h}
    messages:
      order: {schema: {type: object, required: [item], properties: {item: {type: string}}, additionalProperties: false}, once: 10m, route: room}
  desk:
    path: /desk
    auth: session
    rooms: desk
    presence: {grace: 0s, state: {type: object, properties: {mood: {type: string}}, additionalProperties: false}}
    messages: {say: {schema: true, route: room}}
  gate:
    path: /gate/{code}
    params: {code: {type: integer}}
    auth: none
    hooks: {connect: "gate_hooks:refuse"}
    messages: {say: {schema: true, route: sender}}
"""
HOOKS = """
from channeld import Reject

def refuse(ctx):
    raise Reject("not now", close=ctx.params["code"])
"""


class Site:
    """A folder with a configuration and the client that is exported from it, and a server on one port, started at will."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        folder.joinpath("channels.yaml").write_text(CONFIG)
        folder.joinpath("gate_hooks.py").write_text(HOOKS)
        contract = contract_of_file(folder / "channels.yaml")
        folder.joinpath("client.mjs").write_text(javascript(contract))
        self._stack = stack
        self.port = free_port()
        self.served = self.start()

    def start(self) -> Served:
        arguments = command("run", "--bind", f"127.0.0.1:{self.port}", "--log-format", "json")
        environ = environment(CHANNELD_JWT_SECRET=SECRET)
        process = process_of(arguments, self.folder, environ)
        self.served = self._stack.enter_context(process).wait_ready()
        return self.served

    def restart(self) -> None:
        """Kill the server, which says nothing to anybody, and start another."""
        self.served.process.kill()
        self.served.wait()
        self.start()

    def say(self, room: str, text: str) -> None:
        """Another client says something in a room of the lobby."""
        with Client(f"ws://127.0.0.1:{self.port}/lobby") as client:
            client.ask("subscribe", room=room)
            assert client.ask("say", room=room, text=text)["type"] == "ack"


class Line:
    """A port whose connections go through to another, until it is cut.

    One that `blocks_upgrades` is a proxy that knows no WebSocket: it answers the request as if it were for a page.
    """

    def __init__(self, port: int, *, blocks_upgrades: bool = False) -> None:
        self._target = port
        self._blocks_upgrades = blocks_upgrades
        self._open: list[socket.socket] = []
        self._whole = True
        self._lock = threading.Lock()
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.accepted += 1
                if self._holds(near):
                    threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _holds(self, end: socket.socket) -> bool:
        """Whether it is whole, so that this end is one to be cut; else it is closed."""
        with self._lock:
            if self._whole:
                self._open.append(end)
            else:
                end.close()
            return self._whole

    def _join(self, near: socket.socket) -> None:
        data = b""
        with contextlib.suppress(OSError):
            while self._blocks_upgrades and b"\r\n\r\n" not in data:
                more = near.recv(65536)
                if not more:
                    return near.close()
                data += more
            if b"upgrade: websocket" in data.lower():
                near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                return near.close()
            far = socket.create_connection(("127.0.0.1", self._target))
            if not self._holds(far):
                return None
            far.sendall(data)
            threading.Thread(target=_pump, args=(near, far), daemon=True).start()
            _pump(far, near)
        return None

    def cut(self) -> None:
        with self._lock:
            self._whole = False
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._open.clear()

    def restore(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        self._listener.close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


class Program:
    """A running Node program; what it reports are lines of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.out = Output(process.stdout)
        self.err = Output(process.stderr)
        self._read = 0

    def report(self, step: str) -> dict[str, Any]:
        """The next report of this step; those before it are passed over."""
        line = self.out.wait_for(lambda text: json.loads(text)["step"] == step, self._read)
        self._read = self.out.lines.index(line, self._read) + 1
        found: dict[str, Any] = json.loads(line)
        return found

    def reports(self) -> list[dict[str, Any]]:
        """All reports of a program that ends by itself."""
        status = self.process.wait(PATIENCE)
        self.out.wait_ended()
        self.err.wait_ended()
        assert (status, self.err.text()) == (0, "")
        return [json.loads(line) for line in self.out.lines]


class Forgetful:
    """A server that loses each connection at its first frame with an id, and only from the second one on answers."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self._server = serve(self._talk, "127.0.0.1", 0)
        self.port: int = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        with contextlib.suppress(ConnectionClosed):
            for text in connection:
                self.frames.append(json.loads(text))
                if len(self.paths) == 1:
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
                connection.send(json.dumps({"type": "ack", "id": self.frames[-1]["id"]}))

    def close(self) -> None:
        self._server.shutdown()


# A program gets `connect`, `ChannelClient`, `ChannelError`, `report`, and what its options need.
HEAD = """
import { connect, ChannelClient, ChannelError } from "./client.mjs";
SOCKET
const report = (step, more = {}) => console.log(JSON.stringify({ step, ...more }));
const quick = { WebSocket, backoff: { first: 20, most: 100 }, timeout: 60_000 };
const states = (state, ending) => report(state, ending);
"""


@contextlib.contextmanager
def program(folder: Path, text: str, socket: str = "") -> Iterator[Program]:
    """Run a program in Node. `socket` is the line that gives it a `WebSocket`; without it Node's own is used."""
    need_node()
    folder.joinpath("program.mjs").write_text(HEAD.replace("SOCKET", socket) + text)
    process = subprocess.Popen(
        ["node", "--no-warnings", "--experimental-websocket", "program.mjs"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    running = Program(process)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        running.out.wait_ended()
        running.err.wait_ended()
