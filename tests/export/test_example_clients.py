"""The clients in `examples/clients` do what they say, with the shipped chat."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channeld.export.contract import Contract
from channeld.export.python import python
from channeld.export.typescript import javascript
from tests.export.kit import ROOT
from tests.npm_parts import need_node
from tests.system.kit import SECRET, Output, Served, command, environment, process_of, token

pytestmark = pytest.mark.wide

CLIENTS = ROOT / "examples" / "clients"


@pytest.fixture(scope="module")
def chat() -> Iterator[Served]:
    arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
    with process_of(arguments, ROOT, environment(CHANNELD_JWT_SECRET=SECRET)) as served:
        yield served.wait_ready()


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", Output]]:
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    out = Output(process.stdout)
    try:
        yield process, out
    finally:
        process.kill()
        process.wait()
        out.wait_ended()
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.slow
def test_the_terminal_chat_says_what_is_typed(
    chat: Served, shipped: Contract, tmp_path: Path
) -> None:
    need_node()
    shutil.copy(CLIENTS / "chat.mjs", tmp_path)
    tmp_path.joinpath("client.mjs").write_text(javascript(shipped))
    arguments = ["chat.mjs", f"ws://{chat.address}", "den", token("ann")]
    flags = ["--no-warnings", "--experimental-websocket"]
    with running(tmp_path, "node", *flags, *arguments) as (process, out):
        out.wait_for(lambda line: line == "* here: Ann")
        assert process.stdin is not None
        process.stdin.write("good morning\n")
        process.stdin.flush()
        out.wait_for(lambda line: line == "Ann: good morning")
        process.stdin.close()
        out.wait_for(lambda line: line == "* closed (1000 closed by the client)")
        assert process.wait(60) == 0


@pytest.mark.slow
def test_the_listener_prints_what_a_room_hears(
    chat: Served, shipped: Contract, tmp_path: Path
) -> None:
    shutil.copy(CLIENTS / "listen.py", tmp_path)
    tmp_path.joinpath("frames.py").write_text(python(shipped))
    url = f"ws://{chat.address}/rooms/hall"
    with running(tmp_path, sys.executable, "listen.py", url, token("eve")) as (_, out):
        out.wait_for(lambda line: line == "here: Eve")
        with chat.enter("hall", "ann") as ann:
            assert ann.ask("message", text="hello")["type"] in ("ack", "reply")
        out.wait_for(lambda line: line.endswith(" Ann: hello"))


def test_the_listener_has_types_that_fit(shipped: Contract, tmp_path: Path) -> None:
    shutil.copy(CLIENTS / "listen.py", tmp_path)
    tmp_path.joinpath("frames.py").write_text(python(shipped))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "listen.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Success: no issues found in 1 source file\n"
