"""The pages' JavaScript, as it stands there, in Chromium against the real server."""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait
from websockets.sync.client import connect

from tests.docs.blocks import ROOT, blocks
from tests.system import browser
from tests.system.kit import PATIENCE, SECRET, Served, command, environment, process_of, token

pytestmark = [pytest.mark.browser, pytest.mark.wide]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    browser.demand()
    with browser.chromium(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The configuration of README, as `--dev` serves it (pages of this machine may connect)."""
    config = next(block for block in blocks(ROOT / "README.md") if block.language == "yaml")
    (tmp_path / "channels.yaml").write_text(config.text)
    arguments = command("run", "--dev", "--bind", "127.0.0.1:0", "--log-format", "json")
    with process_of(arguments, tmp_path, environment(CHANNELD_JWT_SECRET=SECRET)) as process:
        yield process.wait_ready()


@contextlib.contextmanager
def page(driver: Chrome, folder: Path, body: str) -> Iterator[None]:
    """A page on this machine, whose `seen` holds what its scripts log."""
    head = "<!doctype html><script>const seen = []; console.log = (one) => seen.push(one)</script>"
    (folder / "page.html").write_text(head + body)
    with browser.web_server(folder) as base:
        driver.get(f"{base}/page.html")
        yield


def wait_for(driver: Chrome, type: str, count: int = 1) -> None:
    found = f"return seen.filter((frame) => frame.type === '{type}').length >= {count}"
    WebDriverWait(driver, PATIENCE).until(lambda _: driver.execute_script(found))


def test_the_front_pages_script_talks(driver: Chrome, served: Served, tmp_path: Path) -> None:
    html = next(block for block in blocks(ROOT / "README.md") if block.language == "html")
    script = html.text.replace("127.0.0.1:4000", served.address)
    known = f'<script>const token = "{token("ann")}"</script>'
    with page(driver, tmp_path, known + script):
        wait_for(driver, "ack")
        frames = driver.execute_script("return seen")
    assert [frame["type"] for frame in frames][-2:] == ["say", "ack"]
    assert frames[-2]["from"] == "ann"


def test_the_reconnecting_guide_misses_nothing(
    driver: Chrome, served: Served, tmp_path: Path
) -> None:
    guide = next(b for b in blocks(ROOT / "docs/guides/reconnecting.md") if b.language == "js")
    url = f"ws://{served.address}/rooms/general"
    use = f"""
      const getToken = async () => "{token("ann")}";
      const it = channel("{url}", getToken, (frame) => console.log(frame));
    """
    with (
        page(driver, tmp_path, f"<script>{guide.text}{use}</script>"),
        connect(f"{url}?token={token('bob')}") as bob,
    ):
        wait_for(driver, "subscribed")
        bob.send('{"type": "say", "text": "before"}')
        wait_for(driver, "say")
        send_away(served, tmp_path)
        wait_for(driver, "disconnect")
        with connect(f"{url}?token={token('bob')}") as again:
            again.send('{"type": "say", "text": "meanwhile"}')
            wait_for(driver, "say", 2)
            frames = driver.execute_script("it.close(); return seen")
    said = [frame["text"] for frame in frames if frame["type"] == "say"]
    assert said == ["before", "meanwhile"]
    assert [f.get("recovered") for f in frames if f["type"] == "subscribed"] == [None, True]


def send_away(served: Served, folder: Path) -> None:
    """A reload that changes how the channel authenticates, so that its clients have to come back."""
    file = folder / "channels.yaml"
    file.write_text(re.sub(r"audience: chat", "audience: chat, leeway: 31s", file.read_text()))
    served.tell(signal.SIGHUP)
    served.event("config_reloaded")
