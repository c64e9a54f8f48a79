"""The client in Chromium, as a page's module, with its WebSocket and without, against the real server."""

import contextlib
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from tests.export.client_kit import Line, Site
from tests.export.client_scenarios import SCENARIOS, Reporter, Scenario
from tests.npm_parts import skip
from tests.system.kit import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE = """<!doctype html><title>client</title><script type="module">
import { connect, ChannelClient, ChannelError } from "./client.mjs";
window.reports = [];
HEAD
const report = (step, more = {}) => window.reports.push(JSON.stringify({ step, ...more }));
const quick = { backoff: { first: 20, most: 100 } };
const states = (state, ending) => report(state, ending);
PROGRAM
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".html": "text/html", ".mjs": "text/javascript"}  # noqa: RUF012 - as its parent's

    def log_message(self, *_: object) -> None:
        pass


class Page:
    """A page that runs a program."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver
        self._read = 0

    def report(self, step: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def has_come() -> bool:
            reports = self._driver.execute_script("return window.reports || []")
            for number, text in enumerate(reports[self._read :], self._read + 1):
                report = json.loads(text)
                if report["step"] == step:
                    self._read = number
                    found.append(report)
                    return True
            return False

        eventually(has_come)
        return found[0]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        skip("chromium or its driver is not here")
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    service = webdriver.ChromeService(executable_path=str(chromedriver))
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


@contextlib.contextmanager
def pages(folder: Path) -> Iterator[str]:
    """A folder over HTTP; the result is its URL."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("head", ["", "window.WebSocket = undefined;"], ids=["websocket", "none"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenario(tmp_path: Path, driver: webdriver.Chrome, scenario: Scenario, head: str) -> None:
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(pages(tmp_path))
        site = Site(tmp_path, stack)
        line = stack.enter_context(contextlib.closing(Line(site.port)))

        def start(text: str) -> Reporter:
            tmp_path.joinpath("page.html").write_text(
                PAGE.replace("HEAD", head).replace("PROGRAM", text)
            )
            driver.get(f"{base}/page.html")
            return Page(driver)

        scenario(site, line, start)
        driver.get("about:blank")
