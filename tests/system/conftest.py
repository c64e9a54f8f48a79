import contextlib
import itertools
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.system import browser
from tests.system.kit import ROOT, SECRET, Served, command, environment, process_of

_NUMBERS = itertools.count()

Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def chat() -> Iterator[Served]:
    """The shipped channels.yaml, served once for all tests that leave it as it is."""
    arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json")
    environ = environment(CHANNELD_JWT_SECRET=SECRET)
    with process_of(arguments, ROOT, environ) as served:
        yield served.wait_ready()


@pytest.fixture(scope="session")
def dev() -> Iterator[Served]:
    """The shipped configuration as `--dev` serves it."""
    arguments = command("run", "--dev", "--bind", "127.0.0.1:0", "--log-format", "json")
    with process_of(arguments, ROOT, environment(CHANNELD_JWT_SECRET=SECRET)) as served:
        yield served.wait_ready()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium, for all tests that need it."""
    browser.demand()
    with browser.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The example's page, on a web server of this machine."""
    with browser.web_server(ROOT / "examples") as base:
        yield f"{base}/chat.html"


@pytest.fixture
def room() -> str:
    """A room that no other test is in."""
    return f"room-{next(_NUMBERS)}"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Serve]:
    """What writes a configuration into a folder, and runs it there until the block ends."""
    with contextlib.ExitStack() as stack:

        def start(yaml: str, *options: str, ready: bool = True, **variables: str) -> Served:
            folder.joinpath("channels.yaml").write_text(textwrap.dedent(yaml))
            bind = () if "bind:" in yaml else ("--bind", "127.0.0.1:0")
            arguments = command("run", *bind, "--log-format", "json", *options)
            served = stack.enter_context(process_of(arguments, folder, environment(**variables)))
            return served.wait_ready() if ready else served

        yield start


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves in the test's folder, until the test ends."""
    with serving(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def serve_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves for all tests of a module that leave the server as it was."""
    with serving(tmp_path_factory.mktemp("served")) as start:
        yield start
