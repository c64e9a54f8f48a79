"""A browser's own WebSocket against the real server."""

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Chrome

from tests.system.kit import Served, token

pytestmark = pytest.mark.browser

TALK = """
const [url, protocols, sent, done] = arguments;
const frames = [], socket = protocols ? new WebSocket(url, protocols) : new WebSocket(url);
let opened = false;
socket.onopen = () => {
  opened = true;
  for (const data of sent) socket.send(data === "binary" ? new Uint8Array([1, 2]) : data);
};
socket.onmessage = event => {
  frames.push(JSON.parse(event.data));
  if (frames.at(-1).type === "pong") socket.close(1000);
};
socket.onclose = event => done({frames, opened, code: event.code, protocol: socket.protocol});
"""


@pytest.fixture
def page(driver: Chrome, url: str) -> Chrome:
    """Chromium on a page of http://127.0.0.1."""
    driver.get(url)
    return driver


def talk(page: Chrome, url: str, *sent: str, protocols: list[str] | None = None) -> dict[str, Any]:
    result: dict[str, Any] = page.execute_async_script(TALK, url, protocols, sent)
    return result


def test_frames_are_exchanged(page: Chrome, dev: Served) -> None:
    frame = '{"type":"nosuch","id":"ä€😀"}'
    result = talk(page, f"ws://{dev.address}/chat", frame, '{"type":"ping","id":1}')
    assert [frame.get("id") for frame in result["frames"]] == ["ä€😀", 1]
    assert result["code"] == 1000


def test_a_token_in_a_subprotocol(page: Chrome, dev: Served) -> None:
    protocols = ["channeld", f"bearer.{token('ann')}"]
    url = f"ws://{dev.address}/notifications"
    result = talk(page, url, '{"type":"ping"}', protocols=protocols)
    assert result["frames"][0]["user"] == "ann"
    assert result["protocol"] == "channeld"


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/notifications?token=bad", "", 4401),
        ("/chat", "binary", 1003),
        ("/chat", '{"type":"%s"}' % ("x" * 70_000), 1009),
    ],
)
def test_a_page_learns_the_close_code(
    page: Chrome, dev: Served, path: str, sent: str, code: int
) -> None:
    result = talk(page, f"ws://{dev.address}{path}", *[sent] * bool(sent))
    assert (result["opened"], result["code"]) == (True, code)


def test_a_page_of_another_origin_is_kept_out(page: Chrome, chat: Served) -> None:
    result = talk(page, f"ws://{chat.address}/chat", '{"type":"ping"}')
    assert (result["opened"], result["code"], result["frames"]) == (False, 1006, [])


EVENTS = """
const [url, sent, done] = arguments;
const frames = [], source = new EventSource(url);
source.onerror = () => done({frames, state: source.readyState});
source.onmessage = async event => {
  const frame = JSON.parse(event.data);
  frames.push(frame.type);
  if (frame.type !== "connection") return;
  const headers = {"Content-Type": "application/json", "Channeld-Connection": frame.id};
  const answer = await fetch(url, {method: "POST", headers, body: JSON.stringify(sent)});
  const answered = await answer.json();
  source.close();
  done({frames, answered});
};
"""


@pytest.fixture
def plain(driver: Chrome, url: str) -> Iterator[Chrome]:
    """Chromium on a page that lets itself connect to anything: the listing of the folder."""
    driver.get(url.rpartition("/")[0] + "/")
    yield driver
    driver.get_log("browser")  # type: ignore[no-untyped-call]  # what it says of the listing's icon is no other test's


def test_an_event_source_and_posts_of_another_origins_page(plain: Chrome, dev: Served) -> None:
    url = f"http://{dev.address}/notifications?token={token('ann')}"
    result = plain.execute_async_script(EVENTS, url, {"type": "ping", "id": 1})
    assert result["answered"] == {"frames": [{"type": "pong", "id": 1}]}
    assert result["frames"][0] == "connection"


def test_an_event_source_that_is_refused_does_not_come_back(plain: Chrome, dev: Served) -> None:
    url = f"http://{dev.address}/notifications?token=bad"
    result = plain.execute_async_script(EVENTS, url, {})
    assert result == {"frames": [], "state": 2}
