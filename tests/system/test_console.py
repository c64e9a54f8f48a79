"""The console in Chromium, on the shipped configuration as `--dev` serves it."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system import browser as chromium
from tests.system.kit import ROOT, SECRET, Served, command, environment, process_of

pytestmark = pytest.mark.browser

KEY = "the-key-of-the-console-in-its-own-tests"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    arguments = command("run", "--dev", "--bind", "127.0.0.1:0", "--log-format", "json")
    environ = environment(CHANNELD_JWT_SECRET=SECRET, CHANNELD_API_KEY=KEY)
    with process_of(arguments, ROOT, environ) as served:
        yield served.wait_ready()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    chromium.demand()
    with chromium.chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.set_window_size(1280, 1000)
        yield driver


class Page:
    """The console as somebody uses it."""

    def __init__(self, driver: Chrome, link: str) -> None:
        self.driver = driver
        self.link = link

    def go(self, view: str) -> None:
        self.driver.execute_script("location.hash = arguments[0]", view)

    def find(self, css: str) -> Any:
        chromium.wait(self.driver, lambda: self.driver.find_elements(By.CSS_SELECTOR, css), css)
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def press(self, words: str) -> None:
        path = f"//button[normalize-space()='{words}']"
        chromium.wait(self.driver, lambda: self.driver.find_elements(By.XPATH, path), words)
        self.driver.find_element(By.XPATH, path).click()

    def wait_for(self, words: str, css: str = "main") -> None:
        def shown() -> bool:
            script = "return document.querySelector(arguments[0])?.innerText ?? ''"
            return words in str(self.driver.execute_script(script, css))

        chromium.wait(self.driver, shown, words)


@pytest.fixture
def page(window: Chrome, dev: Served) -> Iterator[Page]:
    found = re.search(r"console: (\S+)", dev.out.text())
    assert found is not None
    window.get("about:blank")
    window.get(found[1])
    errors(window)
    yield Page(window, found[1])
    # Nothing was refused by the page's own policy, and no script has failed.
    assert [line for line in errors(window) if "401" not in line] == []


def errors(window: Chrome) -> list[str]:
    lines = window.get_log("browser")  # type: ignore[no-untyped-call]
    return [line["message"] for line in lines]


def test_the_link_s_key_is_taken_and_leaves_the_address_bar(page: Page) -> None:
    page.wait_for("Overview")
    assert KEY not in page.driver.current_url
    assert page.driver.execute_script("return sessionStorage.getItem('channeld.key')") == KEY
    assert page.driver.execute_script("return localStorage.length") == 0


def test_a_wrong_key_is_asked_for_again(page: Page) -> None:
    page.wait_for("Overview")
    page.press("Forget the key")
    field = page.find("#key")
    field.send_keys("wrong" + Keys.ENTER)
    page.wait_for("does not know this key")
    page.find("#key").send_keys(KEY + Keys.ENTER)
    page.wait_for("Overview")


def test_live_counts(page: Page, dev: Served, room: str) -> None:
    page.wait_for("serving", "#state")
    before = tile(page, "Connections")
    with dev.enter(room, "ann"), dev.enter(room, "bob"):
        chromium.wait(page.driver, lambda: tile(page, "Connections") >= before + 2, "two more")
        page.wait_for("/rooms/{room_id}")


def tile(page: Page, name: str) -> int:
    # In one step: the page replaces its elements as it pleases.
    read = "return document.evaluate(arguments[0], document, null, XPathResult.STRING_TYPE, null).stringValue"
    text = page.driver.execute_script(read, f"//section[h3='{name}']/p[@class='big']")
    return int(text.replace(",", "")) if text.replace(",", "").isdigit() else 0


def test_channels_as_routes_tells_them(page: Page) -> None:
    page.go("#/channels")
    page.wait_for("One chat room; everyone in it hears everyone else.")
    page.wait_for("room {params.room_id}, not the sender")
    page.wait_for("users with role=admin")
    page.find("a[href='#/playground/room/whisper']").click()
    page.wait_for("Playground")
    assert page.find("#type").get_attribute("value") == "whisper"


def test_a_room_s_people_and_its_frames(page: Page, dev: Served, room: str) -> None:
    with dev.enter(room, "ann") as ann, dev.enter(room, "bob"):
        page.go("#/rooms/room")
        page.find(f"a[href='#/rooms/room/{room}']").click()
        page.wait_for("Present: ann, bob")
        page.wait_for("watching")
        ann.send("message", text="<b>hello</b>")
        page.wait_for('"<b>hello</b>"', ".log")
        page.press("Pause")
        ann.send("message", text="not shown")
        page.press("Go on")
        ann.send("message", text="shown")
        page.wait_for('"shown"', ".log")
        assert "2 connections" in page.find("main").text


def test_somebody_is_disconnected(page: Page, dev: Served, room: str) -> None:
    with dev.enter(room, "ann") as ann:
        page.go(f"#/rooms/room/{room}")
        page.press("Disconnect ann")
        page.driver.switch_to.alert.accept()
        page.wait_for("Nobody is here.")
        assert ann.until_closed()[1] == 4410


def test_names_that_hide_or_turn_around_are_told_apart(page: Page, dev: Served, room: str) -> None:
    names = ("\u202eevil", "a\u200bnn", "u" * 128)
    with contextlib.ExitStack() as people:
        for name in names:
            people.enter_context(dev.enter(room, name, name="Somebody"))
        page.go(f"#/rooms/room/{room}")
        page.wait_for("Present: ")
        page.wait_for("\\u202eevil")
        page.wait_for("a\\u200bnn")
        narrow = {"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": True}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
        wide = page.driver.execute_script("return document.documentElement.scrollWidth")
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert wide == 320


def test_what_one_view_cannot_show_is_said_there_only(page: Page) -> None:
    page.wait_for("serving", "#state")
    page.go("#/rooms/room/..")
    page.wait_for('a browser cannot ask for what is called ".."')
    page.wait_for("serving", "#state")


def test_the_past_is_drawn_and_said(page: Page, dev: Served, room: str) -> None:
    with dev.enter(room, "ann") as ann:
        assert ann.ask("message", text="hi")["type"] == "ack"
        page.go("#/overview")
        page.wait_for("Messages a second")
        page.wait_for(room)
    labels = [
        one.get_attribute("aria-label")
        for one in page.driver.find_elements("css selector", ".chart")
    ]
    assert len(labels) == 6
    assert all("last 10 minutes" in (label or "") for label in labels)


def test_a_connection_and_its_user(page: Page, dev: Served, room: str) -> None:
    with dev.enter(room, "zoe") as zoe:
        assert zoe.ask("nonsense")["code"] == "UNKNOWN_TYPE"
        page.go("#/people/user/zoe")
        page.wait_for("online")
        page.find("a[href*='people/connection']").click()
        page.wait_for("UNKNOWN_TYPE")
        page.wait_for("May still send (messages)")


def test_the_live_tail_is_filtered(page: Page, dev: Served, room: str) -> None:
    page.go(f"#/rooms/room/{room}")
    page.wait_for("watching")
    with dev.enter(room, "ann") as ann:
        for text in ("apple", "pear"):
            assert ann.ask("message", text=text)["type"] == "ack"
        page.wait_for("pear")
        page.find("#filter").send_keys("Apple")
        page.wait_for("apple")
        shown = page.find(".log").text
        assert "pear" not in shown


def test_the_playground_by_keyboard(page: Page, dev: Served, room: str) -> None:
    with dev.enter(room, "bob") as bob:
        page.go("#/playground/room/message")
        field = page.find("#param-room_id")
        field.clear()
        field.send_keys(room + Keys.ENTER)
        page.wait_for("connected")
        page.wait_for('"type":"authenticated"', ".log")
        page.wait_for("The schema accepts it.")
        frame = page.find("#frame")
        write(frame, {"type": "message", "text": "", "more": 1})
        page.wait_for("/text must have at least 1 character", "#verdict")
        page.wait_for('"more" is not allowed here', "#verdict")
        assert frame.get_attribute("aria-invalid") == "true"
        write(frame, {"type": "message", "text": "hi there", "id": "x"})
        page.wait_for("The schema accepts it.")
        frame.send_keys(Keys.CONTROL + Keys.ENTER)
        assert bob.receive("message")["text"] == "hi there"
        page.wait_for('"type":"ack","id":"x"', ".log")
        write(frame, {"type": "ping"})
        frame.send_keys(Keys.CONTROL + Keys.ENTER)
        page.wait_for('"type":"pong"', ".log")
        page.press("Disconnect")
        page.wait_for("1000: closed", ".log")


def test_why_a_message_is_refused(page: Page) -> None:
    page.go("#/playground/room/message")
    write(page.find("#frame"), {"type": "message", "text": ""})
    page.press("Why?")
    page.wait_for("Refused by schema", ".trace")
    page.wait_for("/text: must have at least 1 character (minLength)", ".trace")
    page.wait_for("chat.hooks:welcome not run", ".trace")
    assert page.find(".steps .refused .place").text.startswith("channels.yaml:")


def write(field: Any, value: object) -> None:
    field.send_keys(Keys.CONTROL + "a")
    field.send_keys(json.dumps(value))


def test_what_the_server_refuses_is_shown(page: Page) -> None:
    page.go("#/playground/notifications")
    page.find("#token").send_keys("nonsense")
    page.press("Connect")
    page.wait_for("Unauthorized", ".log")
    page.wait_for("4401", ".log")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", ["overview", "channels", "rooms/lobby", "playground/room"])
def test_text_can_be_read_in_both_themes(page: Page, theme: str, view: str) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": theme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.go(f"#/{view}")
    page.find("h2")
    faint = page.driver.execute_script(FAINT)
    assert faint == []


# Every text against what is behind it, by WCAG 2.2 (1.4.3): 4.5 to 1.
FAINT = """
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = numbers(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0.99) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("header *, main *")].filter(element => {
  if (element.disabled || ![...element.childNodes].some(n => n.nodeType === 3 && n.data.trim())) return false;
  const [one, other] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5;
}).map(element => element.outerHTML.slice(0, 80));
"""


@pytest.mark.parametrize("view", ["__proto__", "constructor", "toString", "nowhere", "%E0%A4%A"])
def test_an_address_of_no_view_is_the_overview(page: Page, view: str) -> None:
    page.go("#/channels")
    page.wait_for("/rooms/{room_id}")
    page.go(f"#/{view}")
    page.wait_for("Overview")


def test_everything_has_a_name_and_can_be_reached(page: Page) -> None:
    for view in ("overview", "channels", "rooms/room/general", "playground/room"):
        page.go(f"#/{view}")
        page.find("h2")
        nameless = page.driver.execute_script(
            "return [...document.querySelectorAll('input,select,textarea')]"
            ".filter(e => !e.labels.length).map(e => e.outerHTML)"
        )
        assert nameless == []
    page.driver.refresh()
    page.wait_for("Playground")
    page.find("body").send_keys(Keys.TAB)
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute("class") == "skip"


def test_a_reload_of_the_page_keeps_the_key_and_the_view(page: Page) -> None:
    page.go("#/channels")
    page.wait_for("Channels")
    page.driver.refresh()
    page.wait_for("One chat room")
