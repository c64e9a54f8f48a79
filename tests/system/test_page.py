"""The example's page, `examples/chat.html`, in Chromium against the real server."""

import signal
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system import browser as chromium
from tests.system.kit import (
    ROOT,
    SECRET,
    Served,
    command,
    environment,
    eventually,
    process_of,
    token,
)

pytestmark = pytest.mark.browser


def start(*options: str) -> Generator[Served, None, None]:
    arguments = command("run", "--dev", *options, "--log-format", "json")
    with process_of(arguments, ROOT, environment(CHANNELD_JWT_SECRET=SECRET)) as served:
        yield served.wait_ready()


class Page:
    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def find(self, selector: str) -> str:
        """The text of all elements that a selector finds."""
        texts = self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector
        )
        return "\n".join(texts)

    def wait_for(self, selector: str, text: str) -> None:
        chromium.wait(
            self.driver,
            lambda: text in self.find(selector),
            f"{text!r} did not come in {selector}",
        )

    def focused(self) -> str:
        focused: str = self.driver.execute_script("return document.activeElement.id")
        return focused

    def type(self, *keys: str) -> None:
        """Type into whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)


@pytest.fixture
def page(driver: Chrome) -> Iterator[Page]:
    yield Page(driver)
    errors = [line for line in driver.get_log("browser") if "WebSocket" not in line["message"]]  # type: ignore[no-untyped-call]
    driver.get("about:blank")
    assert errors == []


@pytest.fixture
def enter(page: Page, url: str) -> Callable[..., None]:
    def open_page(address: str, room: str, user: str = "ann", **claims: Any) -> None:
        link = f"ws://{address}/rooms/{room}?token={token(user, **claims)}"
        page.driver.get(f"{url}?url={quote(link, safe='')}")

    return open_page


Enter = Callable[..., None]


def test_history_presence_and_messages_are_shown(
    page: Page, enter: Enter, dev: Served, room: str
) -> None:
    with dev.enter(room, "bob") as bob:
        bob.ask("message", text="said before")
        enter(dev.address, room)
        page.wait_for("#status", "connected")
        page.wait_for("#log li p", "said before")
        page.wait_for("#people", "Bob")
        assert page.find("#title") == f"# {room}"
        bob.ask("message", text="<img src=x onerror=alert(1)>")
        page.wait_for("#log li p", "<img src=x onerror=alert(1)>")
        assert page.driver.find_elements(By.CSS_SELECTOR, "#log img") == []
        bob.ask("typing")
        page.wait_for("#hint", "Bob is typing")
    page.wait_for("#log li.note", "Bob left")


def test_the_keyboard_is_enough(page: Page, url: str, dev: Served, room: str) -> None:
    with dev.enter(room, "bob") as bob:
        page.driver.get(url)
        assert page.focused() == "link"
        page.type(f"ws://{dev.address}/rooms/{room}?token={token('ann')}", Keys.ENTER)
        page.wait_for("#people", "Bob")
        assert page.focused() == "text"
        page.type("hello bob", Keys.ENTER)
        assert bob.receive("message")["text"] == "hello bob"
        page.wait_for("#log li.mine p", "hello bob")
        page.type("HELLO BOB", Keys.ENTER)
        page.wait_for("#hint.bad", "please don't shout")
        page.driver.find_element(By.CSS_SELECTOR, "#people [data-user=bob]").send_keys(Keys.ENTER)
        assert page.focused() == "text"
        page.type(Keys.CONTROL + "a", Keys.NULL, "a secret", Keys.ENTER)
        assert bob.receive("whisper") == {"type": "whisper", "text": "a secret", "from": "ann"}
        page.wait_for("#log li.whisper", "You whisper to Bob")
        page.type(Keys.ESCAPE, "aloud again", Keys.ENTER)
        assert bob.receive("message")["text"] == "aloud again"


def test_whispers_and_announcements_are_shown(
    page: Page, enter: Enter, dev: Served, room: str
) -> None:
    with dev.enter(room, "eve", role="admin") as eve:
        enter(dev.address, room)
        page.wait_for("#status", "connected")
        page.wait_for("#people", "Eve")
        eve.ask("whisper", to="ann", text="psst")
        page.wait_for("#log li.whisper", "Eve whispers")
        eve.ask("announce", text="at noon")
        page.wait_for("#log li.announce", "at noon")


def test_a_lost_connection_is_made_again_and_nothing_is_missed(
    page: Page, enter: Enter, dev: Served, room: str
) -> None:
    wire = chromium.Wire(dev.port)
    try:
        with dev.enter(room, "bob") as bob:
            enter(wire.address, room)
            page.wait_for("#people", "Bob")
            bob.ask("message", text="first")
            page.wait_for("#log li p", "first")
            wire.down = True
            wire.cut()
            page.wait_for("#status", "reconnecting")
            for text in ("missed 1", "missed 2"):
                bob.ask("message", text=text)
            seen = wire.attempts
            eventually(lambda: wire.attempts > seen)
            wire.down = False
            page.wait_for("#log li p", "missed 2")
            bob.ask("message", text="last")
            page.wait_for("#log li p", "last")
        said = page.find("#log li:not(.note) p").split("\n")
        assert said == ["first", "missed 1", "missed 2", "last"]
    finally:
        wire.close()


def test_a_restarted_server_is_found_again(page: Page, enter: Enter, room: str) -> None:
    first = start("--bind", "127.0.0.1:0")
    served = next(first)
    address = served.address
    enter(address, room)
    page.wait_for("#status", "connected")
    served.tell(signal.SIGTERM)
    page.wait_for("#status", "reconnecting")
    assert served.wait() == 0
    first.close()
    second = start("--bind", address)
    served = next(second)
    page.wait_for("#status", "connected")
    page.wait_for("#people", "Ann")
    second.close()


@pytest.mark.parametrize(
    ("claims", "words"), [({"role": "emperor"}, "Unauthorized (4401)"), ({"exp": 1}, "(4401)")]
)
def test_a_refused_client_does_not_come_back(
    page: Page, enter: Enter, dev: Served, room: str, claims: dict[str, object], words: str
) -> None:
    enter(dev.address, room, **claims)
    page.wait_for("#status[data-state=closed]", words)
    assert "reconnecting" not in page.find("#status")


def test_a_replaced_client_does_not_come_back(
    page: Page, enter: Enter, dev: Served, room: str
) -> None:
    enter(dev.address, room, "zoe")
    page.wait_for("#status", "connected")
    page.wait_for("#people", "Zoe")
    newer = [dev.enter(room, "zoe") for _ in range(5)]
    page.wait_for("#status[data-state=closed]", "replaced by a newer connection (4409)")
    for client in newer:
        client.close()


def test_leaving_is_final(page: Page, enter: Enter, dev: Served, room: str) -> None:
    enter(dev.address, room, "pia")
    page.wait_for("#people", "Pia")
    page.driver.find_element(By.ID, "leave").send_keys(Keys.ENTER)
    assert page.focused() == "link"
    assert dev.event("connection_closed", user="pia")["code"] == 1000


def test_light_and_dark_are_readable(page: Page, url: str) -> None:
    page.driver.get(url)
    colours = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        colours.append(
            page.driver.execute_script(
                "const style = getComputedStyle(document.body);"
                "return [style.color, style.backgroundColor].map(text => text.match(/\\d+/g).map(Number))"
            )
        )
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    light, dark = [(sum(ink), sum(paper)) for ink, paper in colours]
    assert light[1] - light[0] > 400
    assert dark[0] - dark[1] > 400


def test_the_page_loads_nothing_else() -> None:
    text = ROOT.joinpath("examples", "chat.html").read_text()
    assert not [word for word in ("src=", "import(", "https:", "fetch(") if word in text]


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_is_cut_and_the_box_to_write_in_is_at_the_bottom(
    page: Page, enter: Enter, dev: Served, room: str, width: int
) -> None:
    size = {"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        with dev.enter(room, "bob") as bob:
            enter(dev.address, room)
            page.wait_for("#people", "Bob")
            bob.ask("message", text="x" * 300)
            page.wait_for("#log li p", "xxx")
        wide, bottom = page.driver.execute_script(
            "return [document.documentElement.scrollWidth, document.getElementById('compose').getBoundingClientRect().bottom]"
        )
        assert wide == width
        assert abs(bottom - 640) < 2
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_link_for_the_address_bar_is_told_from_one_for_the_page(page: Page, url: str) -> None:
    page.driver.get(url)
    page.type("http://127.0.0.1:4001/rooms/a", Keys.ENTER)
    page.wait_for("#status", "not a link for this page: those begin with ws:// or wss://")


def test_a_short_link_is_followed(page: Page, url: str) -> None:
    page.driver.get(url)
    page.type(url.replace("chat.html", "go/../chat.html?followed"), Keys.ENTER)
    chromium.wait(page.driver, lambda: page.driver.current_url == f"{url}?followed", "not followed")


def test_a_link_to_a_server_that_is_gone_is_explained(page: Page, enter: Enter, room: str) -> None:
    enter("127.0.0.1:9", room)
    page.wait_for("#status", "no connection; reconnecting in")
    page.wait_for("#hint.bad", "get a new one")
