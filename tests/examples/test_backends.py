"""The backends in `examples/backends`, each in its own language: `channeld run` asks them, and they take only what it signed."""

import base64
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import httpx2
import pytest

from channeld.protocol.standard_webhooks import signed_headers
from tests.npm_parts import ROOT, need_node, npm_folder, skip
from tests.ports import free_port
from tests.python_parts import python_folder
from tests.system.kit import Client, command, environment, eventually, process_of

pytestmark = [pytest.mark.wide, pytest.mark.timeout(600)]

FOLDER = ROOT / "examples" / "backends"
SECRET = "whsec_" + base64.b64encode(b"of exactly thirty-two bytes, yes").decode()
WHO = b'{"hook": "authenticate", "request": {"query": {"token": "ann-session"}}}'


@attrs.frozen
class Backend:
    """A backend that is to be started: a command in a folder, with more variables."""

    arguments: list[str]
    folder: Path
    variables: dict[str, str] = attrs.field(factory=dict)


def fastapi(port: int, _: Path) -> Backend:
    packages = {"PYTHONPATH": str(python_folder("backends"))}
    serve = ["-m", "uvicorn", "fastapi_app:app", "--host", "127.0.0.1", "--port", str(port)]
    return Backend([command()[0], *serve], FOLDER, packages)


def django(port: int, _: Path) -> Backend:
    packages = {"PYTHONPATH": str(python_folder("backends"))}
    serve = ["django_app.py", "runserver", f"127.0.0.1:{port}", "--noreload"]
    return Backend([command()[0], *serve], FOLDER, packages)


def express(port: int, folder: Path) -> Backend:
    need_node()
    shutil.copy(FOLDER / "express_app.mjs", folder)
    folder.joinpath("node_modules").symlink_to(npm_folder("npm-backends"))
    return Backend(["node", "express_app.mjs"], folder, {"PORT": str(port)})


def golang(port: int, folder: Path) -> Backend:
    if shutil.which("go") is None:
        skip("go is not here")
    build = ["go", "build", "-o", str(folder / "server"), str(FOLDER / "server.go")]
    cache = {**os.environ, "GOCACHE": str(ROOT / ".cache" / "go")}
    done = subprocess.run(build, env=cache, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Backend([str(folder / "server")], folder, {"PORT": str(port)})


@contextmanager
def answering(make: Callable[[int, Path], Backend], folder: Path) -> Iterator[str]:
    """A started backend's URL."""
    port = free_port()
    backend = make(port, folder)
    variables = {**environment(), **backend.variables, "CHANNELD_HOOK_SECRET": SECRET}
    with process_of(backend.arguments, backend.folder, variables):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_answering(url))
        yield url


def is_answering(url: str) -> bool:
    try:
        httpx2.get(url, trust_env=False)
    except httpx2.TransportError:
        return False
    return True


@pytest.fixture(scope="module", params=[fastapi, django, express, golang], ids=lambda f: f.__name__)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with answering(request.param, tmp_path_factory.mktemp("backend")) as found:
        yield found


def test_the_chat_asks_it(url: str) -> None:
    arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
    variables = environment(CHANNELD_HOOK_SECRET=SECRET, BACKEND_URL=url)
    with process_of(arguments, FOLDER, variables) as served:
        room = f"ws://{served.wait_ready().address}/rooms/general"
        with Client(f"{room}?token=ann-session") as ann, Client(f"{room}?token=bob-session") as bob:
            assert ann.receive("authenticated")["user"] == "ann"
            bob.receive("authenticated")
            assert ann.ask("say", text="  hi bob ")["type"] == "ack"
            said = bob.receive("say")
            assert (said["from"], said["text"]) == ("ann", "hi bob")
            error = ann.ask("say", text="HI BOB")
            assert (error["code"], error["message"]) == ("NO_SHOUTING", "please don't shout")
        with Client(f"{room}?token=eve-session") as eve:
            assert eve.until_closed()[1] == 4401


def post(url: str, headers: dict[str, str], body: bytes = WHO) -> httpx2.Response:
    fields = {"content-type": "application/json", **headers}
    return httpx2.post(f"{url}/hooks/who", content=body, headers=fields, trust_env=False)


def test_it_takes_what_was_signed_a_moment_ago_and_nothing_else(url: str) -> None:
    now = int(time.time())
    good = dict(signed_headers(SECRET, "msg", now, WHO))
    answer = post(url, good)
    assert (answer.status_code, answer.json()) == (200, {"user": {"id": "ann"}})
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    wrong = [
        {},
        {**good, "webhook-id": "other"},
        {**good, "webhook-timestamp": str(now + 1)},
        {**good, "webhook-signature": "v1,AAAA"},
        dict(signed_headers(SECRET, "msg", now - 600, WHO)),
        dict(signed_headers(other, "msg", now, WHO)),
    ]
    assert [post(url, headers).status_code for headers in wrong] == [403] * len(wrong)
    assert post(url, good, WHO.replace(b"ann", b"bob")).status_code == 403


@pytest.mark.parametrize(
    "name", ["fastapi_app.py", "django_app.py", "express_app.mjs", "server.go"]
)
def test_each_is_short(name: str) -> None:
    assert len((FOLDER / name).read_text().splitlines()) < 60


def test_the_configuration_is_sound() -> None:
    done = subprocess.run(
        command("validate", "--strict", "channels.yaml"),
        cwd=FOLDER,
        env=environment(CHANNELD_HOOK_SECRET=SECRET),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
