"""The exported Python client, on asyncio and on trio, against a server that is restarted under it."""

import contextlib
import json
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from channeld.export.contract import Contract
from channeld.export.python import python
from channeld.protocol.codes import may_come_back
from tests.export.client_kit import Forgetful, Line, Program, Site
from tests.export.kit import contract_of_file
from tests.system.kit import PATIENCE, Client, token

pytestmark = pytest.mark.slow
Run = Callable[..., Program]

HEAD = """
import json, sys
import anyio
from client import *
from client import _may_come_back

def report(step, **more):
    print(json.dumps({"step": step, **more}), flush=True)

def states(state, ending):
    report(state, **({} if ending is None else {"code": ending.code, "reason": ending.reason}))

quick = {"transports": TRANSPORTS, "backoff": (0.02, 0.1), "timeout": 60.0, "on_state": states, "on_gap": lambda room: report("gap", room=room)}

async def hear(client):
    async for frame in client:
        kept = {key: frame.get(key) for key in ("room", "text", "recovered", "code", "expires")}
        report(frame["type"], **{key: value for key, value in kept.items() if value is not None})
    report("ended", code=client.ending.code)

async def main():
"""
LOBBY = """
async with connect("http://127.0.0.1:PORT", "lobby", {}, **quick) as lobby, anyio.create_task_group() as group:
    group.start_soon(hear, lobby)
    await lobby.subscribe("news")
    report("ready")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as stack:
        made = Site(folder, stack)
        text = python(contract_of_file(folder / "channels.yaml"), client=True)
        folder.joinpath("client.py").write_text(text)
        yield made


@pytest.fixture
def line(site: Site) -> Iterator[Line]:
    made = Line(site.port)
    yield made
    made.close()


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest, site: Site) -> Iterator[Run]:
    with contextlib.ExitStack() as stack:
        yield lambda body, *transports: stack.enter_context(
            running(site.folder, body, request.param, transports or ("websocket", "sse"))
        )


@pytest.fixture(params=["websocket", "sse"])
def run_over(request: pytest.FixtureRequest, run: Run) -> Run:
    """One that has this transport only."""
    return lambda body: run(body, request.param)


@contextlib.contextmanager
def running(
    folder: Path, body: str, backend: str, transports: tuple[str, ...]
) -> Iterator[Program]:
    text = HEAD.replace("TRANSPORTS", repr(transports)) + textwrap.indent(
        textwrap.dedent(body), "    "
    )
    folder.joinpath("program.py").write_text(f"{text}\n\nanyio.run(main, backend={backend!r})\n")
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program = Program(process)
    try:
        yield program
    finally:
        process.kill()
        process.wait()
        program.out.wait_ended()
        program.err.wait_ended()


def lobby(port: int) -> str:
    return LOBBY.replace("PORT", str(port))


def test_rooms_are_joined_again_after_a_restart(site: Site, run_over: Run) -> None:
    program = run_over(lobby(site.port))
    program.report("ready")
    site.say("news", "before")
    assert program.report("say")["text"] == "before"
    site.restart()
    assert program.report("waiting")["code"] == 1006
    program.report("open")
    assert program.report("gap")["room"] == "news"
    site.say("news", "after")
    assert program.report("say") == {"step": "say", "room": "news", "text": "after"}


def test_what_was_missed_comes_once_and_in_order(site: Site, line: Line, run_over: Run) -> None:
    program = run_over(lobby(line.port))
    program.report("ready")
    site.say("news", "1")
    assert program.report("say")["text"] == "1"
    line.cut()
    program.report("waiting")
    site.say("news", "2")
    site.say("news", "3")
    line.restore()
    program.report("open")
    assert [program.report("say")["text"] for _ in range(2)] == ["2", "3"]
    site.say("news", "4")
    assert program.report("say")["text"] == "4"


def test_a_joined_room_is_recovered_by_the_url(site: Site, line: Line, run_over: Run) -> None:
    program = run_over(
        f"""
        options = {{**quick, "token": "{token("ann")}"}}
        base = "ws://127.0.0.1:{line.port}"
        async with connect(base, "room", {{"room_id": "den"}}, **options) as room, anyio.create_task_group() as group:
            answer = await room.send({{"type": "say", "text": "1"}})
            async for frame in room:
                if frame["type"] == "say":
                    break
            report("acked", answer=answer["type"])
            group.start_soon(hear, room)
        """
    )
    assert program.report("acked")["answer"] == "ack"
    line.cut()
    program.report("waiting")
    with Client(f"ws://127.0.0.1:{site.port}/rooms/den?token={token('bob')}") as bob:
        assert bob.ask("say", text="2")["type"] == "ack"
    line.restore()
    assert program.report("subscribed")["recovered"] is True
    assert program.report("say")["text"] == "2"


@pytest.mark.parametrize("place", ["header", "query", "subprotocol", "message"])
def test_a_token_is_renewed_before_it_ends(site: Site, run_over: Run, place: str) -> None:
    program = run_over(
        f"""
        tokens = [{token("ann", lifetime=29)!r}, {token("ann")!r}]
        async def fresh():
            return tokens.pop(0)
        options = {{**quick, "token": fresh, "token_in": {place!r}}}
        base = "ws://127.0.0.1:{site.port}"
        async with connect(base, "room", {{"room_id": "den"}}, **options) as room:
            report("answered", **await room.send({{"type": "ping"}}))
            async for frame in room:
                if not tokens:
                    break
            report("answered", left=len(tokens), **await room.send({{"type": "ping"}}))
        """
    )
    assert program.report("answered")["type"] == "pong"
    assert program.report("answered")["left"] == 0
    assert program.report("closed")["code"] == 1000


def test_where_a_proxy_lets_no_websocket_through_it_falls_back(site: Site, run: Run) -> None:
    with contextlib.closing(Line(site.port, blocks_upgrades=True)) as proxy:
        program = run(lobby(proxy.port) + '    report("over", transport=lobby.transport)\n')
        assert program.report("over")["transport"] == "sse"
        proxy.cut()
        program.report("waiting")
        site.say("news", "missed")
        proxy.restore()
        assert program.report("say")["text"] == "missed"
        site.say("news", "later")
        assert program.report("say")["text"] == "later"


def test_many_frames_travel_in_posts_that_the_server_takes(site: Site, run: Run) -> None:
    program = run(
        f"""
        async with connect("ws://127.0.0.1:{site.port}", "lobby", {{}}, **quick) as lobby:
            answers = []
            await lobby.subscribe("bulk")
            async def say():
                answer = await lobby.send({{"type": "say", "room": "bulk", "text": "x" * 10_000}})
                answers.append(answer["type"])
            async with anyio.create_task_group() as group:
                for _ in range(40):
                    group.start_soon(say)
            report("answers", count=len(answers), types=sorted(set(answers)))
        """,
        "sse",
    )
    assert program.report("answers") == {"step": "answers", "count": 40, "types": ["ack"]}


def test_posts_share_a_connection_for_as_long_as_the_server_keeps_it(
    site: Site, line: Line, run: Run
) -> None:
    program = run(
        f"""
        from client import _Http
        lived = []
        is_stale = _Http.is_stale

        def note(http):
            lived.append(not is_stale(http))
            return not lived[-1]

        _Http.is_stale = note
        async with connect("ws://127.0.0.1:{line.port}", "lobby", {{}}, **quick) as lobby:
            await lobby.subscribe("shared")
            for number in range(5):
                await lobby.send({{"type": "say", "room": "shared", "text": str(number)}})
            report("answered", lived=lived)
        """,
        "sse",
    )
    assert program.report("answered")["lived"] == [True] * 5
    assert line.accepted == 2  # the stream's, and that of the POSTs


def test_a_connection_that_the_server_has_closed_is_not_posted_over(run: Run) -> None:
    """A server that closes after each POST, and does not say so."""
    posts = 0

    def talk(near: socket.socket) -> None:
        nonlocal posts
        with near:
            asked = near.recv(65536)
            if asked.startswith(b"GET"):
                near.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                near.sendall(b'data: {"type":"connection","id":"x"}\n\n')
                near.recv(1)
                return
            posts += 1
            (frame,) = json.loads(asked.partition(b"\r\n\r\n")[2])
            body = json.dumps({"frames": [{"type": "ack", "id": frame["id"]}]})
            near.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                threading.Thread(target=talk, args=(near,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        program = run(
            f"""
            from client import _Http
            is_stale = _Http.is_stale

            def wait_stale(http):
                while not is_stale(http):
                    pass
                return True

            _Http.is_stale = wait_stale
            async with connect("ws://127.0.0.1:{listener.getsockname()[1]}", "lobby", {{}}, **quick) as lobby:
                for number in range(3):
                    await lobby.send({{"type": "say", "room": "r", "text": "x"}})
                report("sent", state=lobby.state)
            """,
            "sse",
        )
        assert program.report("sent")["state"] == "open"
    assert posts == 3


def test_who_is_there_is_kept_and_ones_own_state_is_said_again(
    site: Site, line: Line, run_over: Run
) -> None:
    def heard_of_ann(event: str) -> dict[str, object]:
        while (frame := bob.receive("presence")).get("event") != event:
            pass
        return frame

    def present(users: dict[str, object]) -> None:
        while program.report("present")["users"] != users:
            pass

    with Client(f"ws://127.0.0.1:{site.port}/desk?token={token('bob')}") as bob:
        program = run_over(
            f"""
            async with connect("ws://127.0.0.1:{line.port}", "desk", {{}}, **quick, token={token("ann")!r}) as desk:
                await desk.set_state({{"mood": "busy"}}, "desk")
                async for frame in desk:
                    if frame["type"] == "presence":
                        report("present", users={{user: each.get("state") for user, each in desk.present("desk").items()}})
            """
        )
        assert heard_of_ann("update")["state"] == {"mood": "busy"}
        present({"ann": None, "bob": None})
        line.cut()
        heard_of_ann("leave")
        assert bob.ask("presence", room="desk", set={"mood": "calm"})["type"] == "ack"
        line.restore()
        assert heard_of_ann("update")["state"] == {"mood": "busy"}
        present({"ann": None, "bob": {"mood": "calm"}})
        assert bob.ask("presence", room="desk", set=None)["type"] == "ack"
        present({"ann": None, "bob": None})


def test_what_ends_for_good_ends_the_iteration(site: Site, run_over: Run) -> None:
    program = run_over(
        f"""
        base = "ws://127.0.0.1:{site.port}"
        async with connect(base, "room", {{"room_id": "den"}}, **quick, token="nonsense") as room:
            await hear(room)
        async with connect(base, "gate", {{"code": 4950}}, **quick) as gate:
            await hear(gate)
            try:
                await gate.send({{"type": "say"}})
            except ChannelError as error:
                report("refused", code=error.code)
        """
    )
    assert program.report("ended")["code"] == 4401
    assert program.report("ended")["code"] == 4950
    assert program.report("refused")["code"] == "CLOSED"
    assert (program.process.wait(PATIENCE), program.err.text()) == (0, "")


def test_wrong_names_are_told_with_those_that_there_are(site: Site, run: Run) -> None:
    program = run(
        """
        for channel, params in [("rooom", {}), ("room", {}), ("room", {"id": 1}), ("room", {"room_id": ""}), ("shop", {})]:
            try:
                connect("ws://x", channel, params, query={"flor": 1} if channel == "shop" else {})
            except TypeError as error:
                report("wrong", words=str(error))
        try:
            await connect("ws://x", "lobby", {}).send({"type": "sya"})
        except TypeError as error:
            report("wrong", words=str(error))
        """
    )
    words = [program.report("wrong")["words"] for _ in range(6)]
    assert words[0] == "there is no channel 'rooom', but desk, gate, lobby, room, shop"
    assert words.pop(4) == "'shop' has no query parameter 'flor', but floor"
    assert words[1] == words[3] == "the path of 'room' needs the param 'room_id'"
    assert words[2] == "the path of 'room' has no param 'id', but room_id"
    assert words[4].startswith("the channel has no message 'sya', but ")
    assert "say" in words[4]


def test_query_parameters_are_sent(site: Site, run_over: Run) -> None:
    program = run_over(
        f"""
        async with connect("ws://127.0.0.1:{site.port}", "shop", {{}}, query={{"floor": 3}}) as shop:
            await shop.send({{"type": "order", "item": "tea"}})
            async for frame in shop:
                report(frame["type"], room=frame.get("room"))
                if frame["type"] == "order":
                    break
        """
    )
    assert program.report("order")["room"] == "floor-3"


def test_a_frame_with_a_once_key_is_sent_again(run: Run) -> None:
    with contextlib.closing(Forgetful()) as server:
        program = run(
            f"""
            async with connect("ws://127.0.0.1:{server.port}", "shop", {{}}, **quick) as shop:
                answer = await shop.send({{"type": "order", "item": "tea", "once": "k"}})
                report("answered", type=answer["type"])
            """
        )
        assert program.report("answered")["type"] == "ack"
        first, second = server.frames
        assert first == second == {"type": "order", "item": "tea", "once": "k", "id": first["id"]}


def test_a_frame_without_one_is_not(run: Run) -> None:
    with contextlib.closing(Forgetful()) as server:
        program = run(
            f"""
            async with connect("ws://127.0.0.1:{server.port}", "shop", {{}}, **quick) as shop:
                try:
                    await shop.send({{"type": "order", "item": "tea"}})
                except ChannelError as error:
                    report("lost", code=error.code)
            """
        )
        assert program.report("lost")["code"] == "CONNECTION_LOST"
        assert len(server.frames) == 1


def test_a_room_that_cannot_be_joined_again_just_now_is_joined_when_the_server_says(
    run: Run,
) -> None:
    frames: list[dict[str, Any]] = []

    def talk(connection: ServerConnection) -> None:
        for text in connection:
            frames.append(json.loads(text))
            answer: dict[str, Any] = {"type": "subscribed", "room": "r", "id": frames[-1]["id"]}
            if len(frames) == 2:
                answer |= {
                    "type": "error",
                    "code": "UNAVAILABLE",
                    "message": "",
                    "retry_after": 0.01,
                }
            connection.send(json.dumps(answer))
            if len(frames) == 1:
                connection.close(1012)
            elif len(frames) == 3:
                connection.send('{"type":"say","room":"r","text":"in"}')

    with serve(talk, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        program = run(lobby(server.socket.getsockname()[1]).replace("news", "r"))
        assert program.report("say")["text"] == "in"
        server.shutdown()
    assert [frame["type"] for frame in frames] == ["subscribe"] * 3


def test_rooms_that_may_not_be_joined_any_more_are_left_in_small_numbers(run: Run) -> None:
    rooms: list[str] = []

    def talk(connection: ServerConnection) -> None:
        for text in connection:
            frame = json.loads(text)
            rooms.append(frame["room"])
            refused = {"type": "error", "code": "FORBIDDEN", "message": "", "id": frame["id"]}
            joined = {"type": "subscribed", "room": frame["room"], "id": frame["id"]}
            connection.send(json.dumps(joined if len(rooms) <= 40 else refused))
            if len(rooms) == 40:
                connection.close(1012)
            elif len(rooms) == 65:
                connection.send('{"type":"say","room":"r","text":"in"}')

    with serve(talk, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        body = lobby(server.socket.getsockname()[1])
        many = "for room in range(40):\n        await lobby.subscribe(str(room))"
        program = run(body.replace('await lobby.subscribe("news")', many))
        assert program.report("say")["text"] == "in"
        server.shutdown()
    # All that may be asked for at once, and no more before a while is over.
    assert len(rooms) == 65


def test_a_refused_frame_raises_with_its_code(site: Site, run_over: Run) -> None:
    program = run_over(
        f"""
        async with connect("ws://127.0.0.1:{site.port}", "lobby", {{}}, **quick) as lobby:
            try:
                await lobby.send({{"type": "say", "room": "r"}})
            except ChannelError as error:
                report("refused", code=error.code, keyword=error.frame["errors"][0]["keyword"])
        """
    )
    assert program.report("refused") == {
        "step": "refused",
        "code": "INVALID_MESSAGE",
        "keyword": "required",
    }


def test_it_comes_back_for_the_same_codes_as_the_table(site: Site, run: Run) -> None:
    program = run(
        "report('back', codes=[code for code in range(1000, 5000) if _may_come_back(code)])"
    )
    codes = [code for code in range(1000, 5000) if may_come_back(code)]
    assert program.report("back")["codes"] == codes


USE = """
from typing import NoReturn
from shipped import ChannelClient, ChannelError, LobbyClient, LobbyReceive, LobbySend, connect

async def main() -> None:
    async with connect("wss://example.org", "lobby", {}, token="t") as lobby:
        await lobby.send({"type": "message", "room": "r", "text": "hi"})
        async for frame in lobby:
            if frame["type"] == "message":
                print(frame["text"])
    other: ChannelClient[LobbySend, LobbyReceive, NoReturn] = lobby
    same: LobbyClient = lobby
    await same.set_state(None)  # type: ignore[arg-type]
    connect("wss://example.org", "room", {"room_id": "general"})
    connect("wss://example.org", "room", {})  # type: ignore[call-overload]
    connect("wss://example.org", "rooom", {})  # type: ignore[call-overload]
"""


def test_types_pass_mypy(shipped: Contract, nasty: Contract, tmp_path: Path) -> None:
    for name, contract in (("shipped", shipped), ("nasty", nasty)):
        tmp_path.joinpath(f"{name}.py").write_text(python(contract, client=True))
    tmp_path.joinpath("use.py").write_text(USE)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-version=3.11"]
    done = subprocess.run(
        [*command, "use.py", "nasty.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "Success: no issues found in 2 source files\n"


STATEFUL = """\
channeld: 1
channels:
  desk:
    path: /desk
    auth: none
    rooms: desk
    presence: {state: {type: object, properties: {mood: {enum: [busy, calm]}}, additionalProperties: false}}
"""


def test_what_a_user_says_of_itself_is_typed(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(STATEFUL)
    tmp_path.joinpath("client.py").write_text(python(contract_of_file(file), client=True))
    tmp_path.joinpath("use.py").write_text(
        textwrap.dedent(
            """
            from client import DeskClient, connect

            async def main(desk: DeskClient) -> None:
                await desk.set_state({"mood": "calm"})
                await desk.set_state(None, "desk")
                await desk.set_state({"mood": "odd"})
                await desk.set_state({"mode": "calm"})
                await connect("ws://x", "desk", {}).set_state("calm")
            """
        )
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "use.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    wrong = [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert wrong == ["7", "8", "9"], done.stdout


def test_one_channel_needs_no_overload(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(
        "channeld: 1\nchannels: {c: {path: '/c/{n}', auth: none, params: {n: {type: integer}}}}\n"
    )
    module: dict[str, object] = {}
    exec(python(contract_of_file(file), client=True), module)
    assert "connect" in module
