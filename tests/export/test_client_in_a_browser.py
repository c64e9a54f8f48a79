"""The client in Chromium, as a page's module, with its WebSocket and without, against the real server."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from tests.export.client_kit import Line, Site
from tests.export.client_scenarios import SCENARIOS, Reporter, Scenario
from tests.system.browser import chromium, demand, web_server
from tests.system.kit import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = """<!doctype html><title>client</title><script type="module">
import { connect, ChannelClient, ChannelError } from "./client.mjs";
window.reports = [];
HEAD
const report = (step, more = {}) => window.reports.push(JSON.stringify({ step, ...more }));
const quick = { backoff: { first: 20, most: 100 }, timeout: 60_000 };
const states = (state, ending) => report(state, ending);
PROGRAM
</script>"""


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
    demand()
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.mark.parametrize("head", ["", "window.WebSocket = undefined;"], ids=["websocket", "none"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenario(site: Site, driver: webdriver.Chrome, scenario: Scenario, head: str) -> None:
    with contextlib.ExitStack() as stack:
        # At an address of its own: what another test's page was is not in the browser's cache.
        base = stack.enter_context(web_server(site.folder))
        line = stack.enter_context(contextlib.closing(Line(site.port)))

        def start(text: str) -> Reporter:
            site.folder.joinpath("page.html").write_text(
                PAGE.replace("HEAD", head).replace("PROGRAM", text)
            )
            driver.get(f"{base}/page.html")
            return Page(driver)

        scenario(site, line, start)
        driver.get("about:blank")
