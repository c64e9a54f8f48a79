"""Start, reload, drain and stop of the real command."""

import os
import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.kit import PATIENCE, Served, command, environment

Serve = Callable[..., Served]

ROOMS = """
    channeld: 1
    server: {drain: 1h}
    channels:
      room:
        path: /rooms/{room}
        auth: none
        rooms: "{params.room}"
        messages:
          say: {schema: true, route: room}
"""
OTHER = """
      other:
        path: /other
        auth: none
        messages:
          say: {schema: true, route: sender}
"""


def reload(served: Served, yaml: str, folder: Path, event: str) -> None:
    """Write a configuration, ask for a reload, and wait for what the log says of it."""
    before = len(served.err.lines)
    folder.joinpath("channels.yaml").write_text(yaml)
    served.tell(signal.SIGHUP)
    served.event(event, start=before)


def test_a_drain_sends_everyone_away_and_ends_with_0(serve: Serve) -> None:
    served = serve(ROOMS.replace("1h", "2s"))
    clients = [served.connect("/rooms/a") for _ in range(4)]
    assert [client.ask("ping")["type"] for client in clients] == ["pong"] * 4
    served.tell(signal.SIGTERM)
    ends = [client.until_closed() for client in clients]
    assert served.wait() == 0
    assert [code for _, code in ends] == [1012] * 4
    goodbyes = [frames[-1] for frames, _ in ends]
    assert {(frame["type"], frame["code"], frame["reconnect"]) for frame in goodbyes} == {
        ("disconnect", 1012, True)
    }
    # Drawn at random, to the millisecond: two may be alike.
    assert len({frame["retry_after"] for frame in goodbyes}) > 1
    assert all(0 <= frame["retry_after"] <= 2 for frame in goodbyes)


def test_what_was_routed_before_a_drain_still_arrives(serve: Serve) -> None:
    served = serve(ROOMS.replace("1h", "1s"))
    reader, writer = served.connect("/rooms/a"), served.connect("/rooms/a")
    assert reader.ask("ping")["type"] == "pong"
    for n in range(60):
        writer.send("say", n=n, text="x" * 1000)
    assert writer.ask("ping")["type"] == "pong"
    served.tell(signal.SIGTERM)
    frames, code = reader.until_closed()
    assert [frame["n"] for frame in frames if frame["type"] == "say"] == list(range(60))
    assert (frames[-1]["type"], code) == ("disconnect", 1012)
    writer.close()
    assert served.wait() == 0


def test_a_draining_server_takes_no_new_connections(serve: Serve) -> None:
    served = serve(ROOMS.replace("1h", "4s"))
    first, last = served.connect("/rooms/a"), served.connect("/rooms/a")
    assert last.ask("ping")["type"] == "pong"
    served.tell(signal.SIGTERM)
    first.until_closed()
    with pytest.raises(ConnectionRefusedError):
        served.connect("/rooms/a")
    assert last.until_closed()[1] == 1012
    assert served.wait() == 0


def test_a_second_ctrl_c_stops_at_once(serve: Serve) -> None:
    served = serve(ROOMS)
    clients = [served.connect("/rooms/a") for _ in range(3)]
    assert clients[-1].ask("ping")["type"] == "pong"
    served.tell(signal.SIGINT)
    clients[0].until_closed()
    served.event("server_draining")
    served.tell(signal.SIGINT)
    assert served.wait() == 130
    for client in clients:
        client.close()
    assert "Traceback" not in served.err.text()


def test_a_first_ctrl_c_drains_and_ends_with_0(serve: Serve) -> None:
    served = serve(ROOMS)
    served.tell(signal.SIGINT)
    assert served.wait() == 0
    assert [line["event"] for line in served.events()][-1] == "server_stopped"


def test_a_terminal_that_goes_away_ends_the_server(tmp_path: Path) -> None:
    tmp_path.joinpath("channels.yaml").write_text(textwrap.dedent(ROOMS))
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command("run", "--bind", "127.0.0.1:0"),
        cwd=tmp_path,
        env=environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"/rooms/{room}\r\n" not in shown:
        shown += os.read(ours, 65536)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) in (0, 1)


def test_a_valid_reload_keeps_connections_and_serves_what_is_new(
    serve: Serve, tmp_path: Path
) -> None:
    served = serve(ROOMS)
    with served.connect("/rooms/a") as client:
        assert client.ask("shout")["code"] == "UNKNOWN_TYPE"
        more = ROOMS + "          shout: {schema: true, route: sender}\n" + OTHER
        reload(served, more, tmp_path, "config_reloaded")
        assert client.ask("shout")["type"] == "ack"
        with served.connect("/other") as other:
            assert other.ask("say")["type"] == "ack"


def test_an_invalid_reload_is_reported_and_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    served = serve(ROOMS)
    with served.connect("/rooms/a") as client:
        broken = ROOMS.replace("route: room", "rout: room")
        reload(served, broken, tmp_path, "config_refused")
        served.err.wait_for(lambda line: "did you mean" in line)
        assert "error[CH" in served.err.text()
        assert client.ask("say")["type"] == "ack"
        reload(served, ROOMS, tmp_path, "config_reloaded")
        assert client.ask("say")["type"] == "ack"


def test_a_file_that_is_gone_at_a_reload_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    served = serve(ROOMS)
    tmp_path.joinpath("channels.yaml").unlink()
    served.tell(signal.SIGHUP)
    served.event("config_refused")
    with served.connect("/rooms/a") as client:
        assert client.ask("say")["type"] == "ack"


def test_a_channel_that_a_reload_removes_sends_its_clients_away(
    serve: Serve, tmp_path: Path
) -> None:
    served = serve(ROOMS + OTHER)
    with served.connect("/other") as gone, served.connect("/rooms/a") as stays:
        assert gone.ask("ping")["type"] == stays.ask("ping")["type"] == "pong"
        reload(served, ROOMS, tmp_path, "config_reloaded")
        frames, code = gone.until_closed()
        assert (code, frames[-1]["type"], frames[-1]["reconnect"]) == (1012, "disconnect", True)
        assert stays.ask("ping")["type"] == "pong"
    assert served.event("config_reloaded")["closed"] == 1


def test_what_needs_a_restart_is_said(serve: Serve, tmp_path: Path) -> None:
    served = serve(ROOMS)
    elsewhere = ROOMS.replace("{drain: 1h}", "{drain: 1h, bind: 127.0.0.1:1}")
    reload(served, elsewhere, tmp_path, "config_reloaded")
    assert served.event("restart_needed")["setting"] == "server.bind"


def test_debug_lines_are_turned_on_and_off_by_a_signal(serve: Serve) -> None:
    served = serve(ROOMS)
    with served.connect("/rooms/a") as client:
        assert client.ask("nonsense")["code"] == "UNKNOWN_TYPE"
        served.tell(signal.SIGUSR1)
        served.event("log_level_changed", threshold="debug")
        assert client.ask("nonsense")["code"] == "UNKNOWN_TYPE"
        served.event("message_refused", code="UNKNOWN_TYPE")
        served.tell(signal.SIGUSR1)
        served.event("log_level_changed", threshold="info")
        assert client.ask("nonsense")["code"] == "UNKNOWN_TYPE"
    served.event("connection_closed")
    assert len(served.events("message_refused")) == 1


def test_a_reload_changes_level_and_format_of_the_log(serve: Serve, tmp_path: Path) -> None:
    served = serve(ROOMS)
    reload(served, ROOMS + "    log: {level: debug}\n", tmp_path, "log_level_changed")
    with served.connect("/rooms/a") as client:
        assert client.ask("nonsense")["code"] == "UNKNOWN_TYPE"
    assert served.event("message_refused")["code"] == "UNKNOWN_TYPE"


HOOKED = """
    channeld: 1
    hooks: {lifespan: hooks:lifespan}
    channels:
      room:
        path: /room
        auth: none
        messages:
          say: {schema: true, hook: hooks:answer}
"""
HOOKS = """
from contextlib import asynccontextmanager

@asynccontextmanager
async def lifespan(server):
    print("lifespan begins", flush=True)
    yield {"born": "VERSION"}
    print("lifespan ends", flush=True)

async def answer(ctx, message):
    await ctx.reply({"version": "VERSION", "born": ctx.state["born"]})
"""


def write_hooks(folder: Path, version: str) -> None:
    folder.joinpath("hooks.py").write_text(HOOKS.replace("VERSION", version))


def test_watching_imports_changed_hooks_afresh_and_keeps_the_lifespan(
    serve: Serve, tmp_path: Path
) -> None:
    write_hooks(tmp_path, "a")
    served = serve(HOOKED, "--watch")
    with served.connect("/room") as client:
        assert client.ask("say")["version"] == "a"
        for version in "bcd":
            before = len(served.err.lines)
            write_hooks(tmp_path, version)
            served.event("config_reloaded", start=before)
            answer = client.ask("say")
            assert (answer["version"], answer["born"]) == (version, "a")
    served.tell(signal.SIGTERM)
    assert served.wait() == 0
    said = [line for line in served.out.lines if line.startswith("lifespan")]
    assert said == ["lifespan begins", "lifespan ends"]


def test_watching_survives_hooks_that_do_not_import(serve: Serve, tmp_path: Path) -> None:
    write_hooks(tmp_path, "a")
    served = serve(HOOKED, "--watch")
    with served.connect("/room") as client:
        tmp_path.joinpath("hooks.py").write_text("def (")
        served.event("config_refused")
        assert client.ask("say")["version"] == "a"
        before = len(served.err.lines)
        write_hooks(tmp_path, "b")
        served.event("config_reloaded", start=before)
        assert client.ask("say")["version"] == "b"


def test_watching_sees_a_schema_file_change(serve: Serve, tmp_path: Path) -> None:
    tmp_path.joinpath("say.json").write_text('{"required": ["a"]}')
    served = serve(
        HOOKED.replace("schema: true, hook: hooks:answer", "schema: say.json").replace(
            "hooks: {lifespan: hooks:lifespan}", ""
        ),
        "--watch",
    )
    with served.connect("/room") as client:
        assert client.ask("say", a=1)["type"] == "ack"
        tmp_path.joinpath("say.json").write_text('{"required": ["b"]}')
        served.event("config_reloaded")
        assert client.ask("say", a=1)["code"] == "INVALID_MESSAGE"


def test_an_idle_server_writes_three_lines_of_json(serve: Serve) -> None:
    served = serve(ROOMS)
    served.tell(signal.SIGTERM)
    assert served.wait() == 0
    names = [line["event"] for line in served.events()]
    assert names == ["server_started", "server_draining", "server_stopped"]
    assert len(served.err.lines) == 3
    assert all({"timestamp", "level", "event"} <= set(line) for line in served.events())
