"""The hooks in `examples/asyncio`: SQLAlchemy on SQLite and PostgreSQL, asyncpg, aiohttp and redis.asyncio, in `channeld run`."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.broker.conftest import Server, _binary
from tests.npm_parts import ROOT, skip
from tests.ports import free_port
from tests.python_parts import python_folder
from tests.system.kit import Served, command, environment, eventually, process_of
from tests.system_parts import PATH

pytestmark = [pytest.mark.wide, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "examples" / "asyncio"
SLOW = """\
from sqlalchemy import text


async def sleep(ctx, message):
    async with ctx.state.database.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(600)"))
"""
SLEEP = """
      sleep: {schema: {type: object, additionalProperties: false}, hook: "slow:sleep"}
    limits: {hook_timeout: 300ms}
    events:
"""


class Shop(BaseHTTPRequestHandler):
    """Knows the price of a hat."""

    def do_GET(self) -> None:
        body = json.dumps({"price": 20}).encode()
        self.send_response(200 if self.path == "/prices/hat" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def shop() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def valkey() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="cd-") as place:
        server = Server(_binary("valkey"), Path(place))
        server.start()
        yield server.url
        server.kill()


class Postgres:
    """A PostgreSQL of its own, on a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"

    def ask(self, sql: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        psql = [program("psql"), *where, "-Atc", sql]
        return subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip()

    def is_answering(self) -> bool:
        ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, capture_output=True, check=False).returncode == 0

    def queries(self) -> int:
        """How many connections there are, but for the one that asks."""
        asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> pg_backend_pid()"
        return int(self.ask(f"{asked} AND backend_type = 'client backend'"))


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        skip(f"{name} is not here")
        raise AssertionError
    return found


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """It doesn't run as root: there it is the user whom Debian's package makes."""
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="cd-") as name:
        if as_user:
            os.chown(name, pwd.getpwnam("postgres").pw_uid, -1)
        initdb = [
            program("initdb"),
            "-D",
            f"{name}/data",
            "-U",
            "postgres",
            "--no-sync",
            "-A",
            "trust",
        ]
        subprocess.run([*as_user, *initdb], cwd=name, capture_output=True, check=True)
        made = Postgres(free_port())
        how = ["-D", f"{name}/data", "-h", "127.0.0.1", "-p", str(made.port), "-k", name]
        # `exec`ed by runuser it would be a child of it, which a signal does not reach.
        serve = [program("postgres"), *how, "-c", "fsync=off"]
        with subprocess.Popen([*as_user, *serve], cwd=name, stderr=subprocess.DEVNULL) as process:
            eventually(made.is_answering)
            yield made
            pid = int(Path(name, "data", "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGINT)
            process.wait(60)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def served(stack: ExitStack, folder: Path, **variables: str) -> Served:
    packages = f"{ROOT}:{python_folder('asyncio')}"
    environ = {
        **environment(**variables), "PYTHONPATH": packages,
        "SHOP_URL": stack.enter_context(shop()), "REDIS_URL": stack.enter_context(valkey()),
    }  # fmt: skip
    arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
    return stack.enter_context(process_of(arguments, folder, environ)).wait_ready()


def ends_well(process: Served) -> None:
    process.tell(signal.SIGTERM)
    assert process.wait() == 0
    assert [one for one in process.events() if one["level"] == "error"] == []


def try_the_orders(process: Served) -> None:
    with process.connect("/orders") as client:
        first = client.ask("place", sku="hat")
        assert (first["price"], first["orders"]) == (20, 1)
        assert client.ask("place", sku="hat")["orders"] == 2
        assert client.ask("place", sku="boat")["code"] == "NO_SUCH_THING"
        number = first["order"]
        expected = [{"order": number + 1, "sku": "hat"}, {"order": number, "sku": "hat"}]
        assert client.ask("recent")["orders"] == expected


def test_orders_are_kept_in_sqlite(stack: ExitStack, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    process = served(stack, tmp_path)
    try_the_orders(process)
    ends_well(process)


def test_orders_are_kept_in_postgresql_which_tells_what_was_shipped(
    stack: ExitStack, tmp_path: Path, postgres: Postgres
) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    process = served(stack, tmp_path, DATABASE_URL=postgres.url)
    try_the_orders(process)
    with process.connect("/orders") as client:
        # It listens on a connection of its own, which may not be there yet.
        eventually(lambda: "LISTEN" in postgres.ask("SELECT query FROM pg_stat_activity"))
        postgres.ask("NOTIFY shipped, '7'")
        assert client.receive("shipped")["order"] == "7"
    ends_well(process)
    assert postgres.queries() == 0


def test_a_query_over_its_time_is_cancelled_and_the_pool_goes_on(
    stack: ExitStack, tmp_path: Path, postgres: Postgres
) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    tmp_path.joinpath("slow.py").write_text(SLOW)
    file = tmp_path / "channels.yaml"
    file.write_text(file.read_text().replace("\n    events:\n", SLEEP))
    process = served(stack, tmp_path, DATABASE_URL=postgres.url)
    with process.connect("/orders") as client:
        for _ in range(10):  # more than the pool's connections
            error = client.ask("sleep")
            assert error["code"] == "INTERNAL_ERROR"
            assert process.event("hook_timeout")["hook"] == "slow:sleep"
        assert client.ask("place", sku="hat")["price"] == 20
    asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)'"
    eventually(lambda: postgres.ask(asked) == "0")
    process.tell(signal.SIGTERM)
    assert process.wait() == 0
    assert postgres.queries() == 0
