import json
import os
import pty
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import attrs
import jwt
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from channeld.cli.main import run

SECRET = "a secret of at least thirty-two bytes"
LISTED = "a-token-of-one-device-0123456789"
TEXT = """\
channeld: 1
server: {{bind: "127.0.0.1:{port}"}}
auth:
  other: {{type: jwt, algorithms: [HS256], secret: another secret of thirty-two bytes!}}
  session: {{type: jwt, algorithms: [HS256], secret: {secret}{more}}}
  fixed: {{type: tokens, token_from: [header], tokens: [{{token: {listed}, user: device-1}}]}}
channels:
  device: {{path: /device, auth: fixed}}
  chat: {{path: "/rooms/{{room}}", auth: session, rooms: "{{params.room}}"}}
"""


class Server:
    """Greets with the path that was asked for, answers pings, echoes, refuses `/refused`, closes on `bye`."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[WebSocketRequest] = []

    async def serve(self, request: WebSocketRequest) -> None:
        self.asked.append(request)
        if request.path.startswith("/refused"):
            await request.reject(404, body=b'{"title":"No such channel"}')
            return
        connection = await request.accept()
        try:
            await connection.send_message('{"type":"hello"}')
            while True:
                frame = json.loads(await connection.get_message())
                if frame["type"] == "bye":
                    await connection.aclose(4410, "kicked")
                frame["type"] = {"ping": "pong"}.get(frame["type"], frame["type"])
                await connection.send_message(json.dumps(frame))
        except ConnectionClosed:
            return


@pytest.fixture
async def server(nursery: trio.Nursery) -> Server:
    serving = Server()
    listening = await nursery.start(serve_websocket, serving.serve, "127.0.0.1", 0, None)
    serving.port = listening.port
    return serving


@pytest.fixture
def configured(tmp_path: Path, server: Server) -> Callable[[str], Path]:
    def write(more: str = "") -> Path:
        text = TEXT.format(port=server.port, secret=SECRET, more=more, listed=LISTED)
        (tmp_path / "channels.yaml").write_text(text)
        return tmp_path

    return write


@attrs.frozen
class Found:
    """What a command left behind."""

    status: int
    out: str
    err: str


Connect = Callable[..., Awaitable[Found]]


@pytest.fixture
def connect(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Runs the command in a thread, with a trio of its own."""

    async def run_connect(*arguments: str, cwd: Path | None = None) -> Found:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        status = await trio.to_thread.run_sync(run, ["connect", *arguments])
        captured = capsys.readouterr()
        return Found(status, captured.out, captured.err)

    return run_connect


async def test_frames_are_lines_of_json(server: Server, connect: Connect) -> None:
    found = await connect(
        f"localhost:{server.port}/chat", "--send", '{"type":"a","n":1}', "--send", "/ping"
    )
    assert found.status == 0
    assert found.err == ""
    assert found.out == '{"type":"hello"}\n{"type":"a","n":1}\n{"type":"pong"}\n'


async def test_waiting_for_a_type(server: Server, connect: Connect) -> None:
    found = await connect(f"ws://127.0.0.1:{server.port}/", "--wait", "hello")
    assert (found.status, found.out) == (0, '{"type":"hello"}\n')


async def test_nothing_in_time(server: Server, connect: Connect) -> None:
    found = await connect(f"ws://127.0.0.1:{server.port}/", "--wait", "2", "--timeout", "100ms")
    assert found.status == 1
    assert found.err == "fewer than 2 frames came within 0.1 s\n"


async def test_a_refusal_shows_its_title(server: Server, connect: Connect) -> None:
    found = await connect(f"ws://127.0.0.1:{server.port}/refused", "--wait", "1")
    assert found.status == 1
    assert found.err == f"ws://127.0.0.1:{server.port}: refused: HTTP 404 No such channel\n"


async def test_a_close_shows_its_code(server: Server, connect: Connect) -> None:
    found = await connect(f"ws://127.0.0.1:{server.port}/", "--send", '{"type":"bye"}')
    assert found.status == 1
    assert found.err == "closed by the server: 4410 kicked\n"


async def test_piped_lines_are_sent(server: Server) -> None:
    found = await trio.run_process(
        [sys.executable, "-m", "channeld", "connect", f"ws://127.0.0.1:{server.port}/"],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        stdin=b'{"type":"a"}\nnonsense\n{"type":"b"}',
    )
    assert found.returncode == 0
    assert found.stdout == b'{"type":"hello"}\n{"type":"a"}\n{"type":"b"}\n'
    assert found.stderr.startswith(b"that is not JSON")


async def test_a_token_for_a_user_of_the_channel(
    server: Server, configured: Callable[[str], Path], connect: Connect
) -> None:
    found = await connect(
        "/rooms/a", "--user", "ann", "--claim", "name=Ann", "--wait", "1", cwd=configured("")
    )
    assert (found.status, found.err) == (0, "")
    asked = urlsplit(server.asked[0].path)
    assert asked.path == "/rooms/a"
    claims = jwt.decode(parse_qs(asked.query)["token"][0], SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["name"]) == ("ann", "Ann")


async def test_the_token_goes_where_the_authenticator_looks(
    server: Server, configured: Callable[[str], Path], connect: Connect
) -> None:
    folder = configured(", token_from: [header]")
    found = await connect("/rooms/a", "--user", "ann", "--wait", "1", cwd=folder)
    assert (found.status, found.err) == (0, "")
    assert dict(server.asked[0].headers)[b"authorization"].startswith(b"Bearer ey")
    assert server.asked[0].path == "/rooms/a"


async def test_a_channel_that_requires_a_token_says_so(
    configured: Callable[[str], Path], connect: Connect
) -> None:
    found = await connect("/rooms/a", "--wait", "1", cwd=configured(""))
    assert found.err == "`chat` requires a token: add --user ann, or --token\n"


async def test_a_listed_token_is_found_by_its_user(
    server: Server, configured: Callable[[str], Path], connect: Connect
) -> None:
    found = await connect("/device", "--user", "device-1", "--wait", "1", cwd=configured(""))
    assert (found.status, found.err) == (0, "")
    assert dict(server.asked[0].headers)[b"authorization"] == f"Bearer {LISTED}".encode()


async def test_a_user_without_a_listed_token_is_told_who_has_one(
    configured: Callable[[str], Path], connect: Connect
) -> None:
    found = await connect("/device", "--user", "ann", "--wait", "1", cwd=configured(""))
    assert found.err == "Error: `device` accepts listed tokens only: --user device-1\n"
    assert (await connect("/device", "--wait", "1")).err.startswith("`device` requires a token")


async def test_a_token_of_ones_own(server: Server, connect: Connect) -> None:
    await connect(f"ws://127.0.0.1:{server.port}/chat", "--token", "mine", "--wait", "1")
    assert server.asked[0].path == "/chat?token=mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ftp://x/"], "is not a WebSocket address"),
        (["ws://x/", "--send", "nonsense"], "that is not JSON"),
        (["ws://x/", "--wait", "0"], "counts frames from 1"),
        (["ws://x/", "--wait", "-1"], "counts frames from 1"),
        (["ws://x:99999/"], "is not a WebSocket address"),
        (["ws://x/", "--timeout", "soon"], "is not a valid duration"),
        (["/chat"], "channels.yaml: No such file"),
        (["/chat", "--user", "ann", "--token", "t"], "give only one"),
        (["ws://x/", "--claim", "a=b"], "--claim needs --user"),
        (["ws://x/", "--auth", "session"], "--auth needs --user"),
        ([], "Missing argument 'URL'"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["connect", *arguments]) == 2
    assert words in capsys.readouterr().err


# Ctrl-C reaches only who has the terminal as its own.
TAKES_THE_TERMINAL = """\
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from channeld.cli.main import main
main()
"""


class Terminal:
    """A pseudo-terminal with the client on it; what it shows is read until a text appears."""

    def __init__(self, url: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKES_THE_TERMINAL, "connect", url],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = b""

    async def until(self, text: bytes) -> None:
        """Until it shows the text, and below it the prompt: before that readline does not have the keyboard."""
        with trio.fail_after(60):
            while not (text in self.shown and self.shown.endswith(b"> ")):
                self.shown += await trio.to_thread.run_sync(
                    os.read, self._ours, 4096, abandon_on_cancel=True
                )

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    async def end(self) -> int:
        with trio.fail_after(60):
            return await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(server: Server) -> Iterator[Terminal]:
    opened = Terminal(f"ws://127.0.0.1:{server.port}/")
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.parametrize(("key", "status"), [(b"\x04", 0), (b"\x03", 130), (b"/quit\n", 0)])
async def test_by_hand(terminal: Terminal, key: bytes, status: int) -> None:
    await terminal.until(b"hello")
    terminal.type(b'{"type":"a"}\n')
    await terminal.until('\x1b[32;1m←\x1b[0m {\x1b[36m"type"\x1b[0m: \x1b[32m"a"\x1b[0m}'.encode())
    terminal.type(b"nonsense\n")
    await terminal.until(b"that is not JSON")
    terminal.type(key)
    assert await terminal.end() == status
    assert b"Traceback" not in terminal.shown
