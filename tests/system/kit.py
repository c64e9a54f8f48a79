"""What the black-box tests share: the real command as a process, clients that are not ours, tokens that are not ours."""

import codecs
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import jwt
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[2]
SECRET = "an-everyday-secret-of-forty-characters-x"
PATIENCE = 120.0
"""Seconds until a test gives up on something that must happen; it is generous, since machines are slow."""

Frame: TypeAlias = dict[str, Any]


def token(user: str, *, secret: str = SECRET, lifetime: float = 3600, **claims: object) -> str:
    payload = {"sub": user, "name": user.capitalize(), "aud": "chat", "exp": time.time() + lifetime}
    return jwt.encode({**payload, **claims}, secret, "HS256")


class Output:
    """One of a process's streams, read as it comes."""

    def __init__(self, stream: Any) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: Any) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        with stream:
            # What was written at once is here at once: who has waited for its first line finds the others.
            while data := stream.buffer.read1(65536):
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                with self._news:
                    self.lines += [line.removesuffix("\r") for line in lines]
                    self._news.notify_all()
        with self._news:
            self.lines += [rest] if rest else []
            self._ended = True
            self._news.notify_all()

    def wait_for(self, wanted: Callable[[str], bool], start: int = 0) -> str:
        """The first line, from number `start` on, that is wanted."""

        def found() -> str | None:
            return next((line for line in self.lines[start:] if wanted(line)), None)

        with self._news:
            self._news.wait_for(lambda: self._ended or found() is not None, PATIENCE)
            line = found()
        assert line is not None, "it did not come; what came is:\n" + self.text()
        return line

    def wait_ended(self) -> None:
        self._reader.join(PATIENCE)

    def text(self) -> str:
        return "\n".join(self.lines)


class Served:
    """A running `channeld run`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.out = Output(process.stdout)
        self.err = Output(process.stderr)
        self.address = ""

    def wait_ready(self) -> "Served":
        self.out.wait_for(lambda line: line.startswith("channeld serves"))
        self.address = self.event("server_started")["bind"][0]
        return self

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def events(self, name: str = "") -> list[Frame]:
        """The log's lines so far, or those of one event."""
        lines = [json.loads(line) for line in list(self.err.lines) if line.startswith("{")]
        return [line for line in lines if not name or line["event"] == name]

    def event(self, name: str, start: int = 0, **fields: object) -> Frame:
        """The log's line of an event, waited for. `start` is a number of lines to leave out."""

        def is_it(text: str) -> bool:
            line = json.loads(text) if text.startswith("{") else {}
            return line.get("event") == name and fields.items() <= line.items()

        found: Frame = json.loads(self.err.wait_for(is_it, start))
        return found

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit status."""
        status = self.process.wait(PATIENCE)
        self.out.wait_ended()
        self.err.wait_ended()
        return status

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def connect(self, path: str, **options: Any) -> "Client":
        return Client(f"ws://{self.address}{path}", **options)

    def enter(self, room: str, user: str, **claims: Any) -> "Client":
        """A user in a room of the shipped chat, with all that is said on coming in already read."""
        client = self.connect(f"/rooms/{room}?token={token(user, **claims)}")
        client.receive("welcome")
        client.receive("presence")
        return client


class Client:
    """A connection of the `websockets` package."""

    def __init__(self, url: str, **options: Any) -> None:
        self._manager = connect(
            url, proxy=None, open_timeout=PATIENCE, ping_interval=None, **options
        )
        self.socket: ClientConnection = self._manager.__enter__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._manager.__exit__(None, None, None)

    def send(self, type: str, **fields: object) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def receive(self, type: str = "") -> Frame:
        """The next frame, or the next of a type."""
        deadline = time.monotonic() + PATIENCE
        while True:
            frame: Frame = json.loads(self.socket.recv(max(0.0, deadline - time.monotonic())))
            if not type or frame["type"] == type:
                return frame

    def ask(self, type: str, **fields: object) -> Frame:
        """Send a frame with an `id`, and the answer to it. What came between is dropped."""
        self.send(type, id="q", **fields)
        while True:
            frame = self.receive()
            if frame.get("id") == "q":
                return frame

    def until_closed(self) -> tuple[list[Frame], int]:
        """All frames that still come, and the close code."""
        frames: list[Frame] = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                frames.append(json.loads(self.socket.recv(PATIENCE)))
        return frames, self.socket.protocol.close_code or 1006


def refused(url: str, **options: Any) -> int:
    """The HTTP status with which a handshake is refused."""
    try:
        Client(url, **options).close()
    except InvalidStatus as error:
        return error.response.status_code
    return 101


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "channeld", *arguments]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **variables}


@contextlib.contextmanager
def process_of(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> Iterator[Served]:
    """A started command, killed in the end if it still runs."""
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    served = Served(process)
    try:
        yield served
    finally:
        served.end()


def eventually(check: Callable[[], bool]) -> None:
    """Wait until something is so that nobody announces."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not check():
        assert time.monotonic() < deadline, "it did not come about"
        pause.wait(0.05)
