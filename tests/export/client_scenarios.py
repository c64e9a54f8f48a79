"""What a client must live through, the same in Node and in a browser: each is a program, and what is done meanwhile."""

import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from tests.export.client_kit import Line, Site
from tests.system.kit import Client, token

__all__ = ["ALONE", "SCENARIOS", "Reporter", "Scenario"]


class Reporter(Protocol):
    """A running program."""

    def report(self, step: str) -> dict[str, Any]:
        """Its next report of this step."""


Start = Callable[[str], Reporter]
Scenario = Callable[[Site, Line, Start], None]

LOBBY = """
const lobby = connect("ws://127.0.0.1:PORT", "lobby", {}, {
  ...quick, onState: states, onGap: (room) => report("gap", { room }),
});
lobby.on("say", (frame) => report("heard", { room: frame.room, text: frame.text }));
lobby.on("subscribed", (frame) => report("subscribed", { room: frame.room, recovered: frame.recovered ?? null }));
"""


def lobby(port: int, more: str) -> str:
    return LOBBY.replace("PORT", str(port)) + more


def restarts(site: Site, line: Line, start: Start) -> None:
    """The server is killed and started again: rooms are joined again, and what can't be known is said."""
    running = start(lobby(site.port, 'await lobby.subscribe("news"); report("ready");'))
    running.report("ready")
    site.say("news", "before")
    assert running.report("heard")["text"] == "before"
    site.restart()
    assert running.report("waiting")["code"] == 1006
    running.report("open")
    assert running.report("gap") == {"step": "gap", "room": "news"}
    site.say("news", "after")
    assert running.report("heard") == {"step": "heard", "room": "news", "text": "after"}


def drains(site: Site, line: Line, start: Start) -> None:
    """The server is told to stop: it says when to come back, and the client does."""
    running = start(lobby(site.port, 'await lobby.subscribe("news"); report("ready");'))
    running.report("ready")
    site.served.process.terminate()
    assert site.served.wait() == 0
    waiting = running.report("waiting")
    assert waiting["code"] == 1012
    assert waiting["retry"] >= 0
    site.start()
    running.report("open")
    assert running.report("subscribed")["room"] == "news"


def recovers(site: Site, line: Line, start: Start) -> None:
    """The line is cut while others talk: all that was said comes, once and in order, before what is said later."""
    running = start(lobby(line.port, 'await lobby.subscribe("news"); report("ready");'))
    running.report("ready")
    site.say("news", "1")
    assert running.report("heard")["text"] == "1"
    line.cut()
    running.report("waiting")
    site.say("news", "2")
    site.say("news", "3")
    line.restore()
    assert running.report("subscribed") == {"step": "subscribed", "room": "news", "recovered": True}
    site.say("news", "4")
    assert [running.report("heard")["text"] for _ in range(3)] == ["2", "3", "4"]


def recovers_the_joined_room(site: Site, line: Line, start: Start) -> None:
    """A room that the server put the client into is recovered by the URL."""
    text = f"""
    const room = connect("ws://127.0.0.1:{line.port}", "room", {{ room_id: "den" }}, {{
      ...quick, token: "{token("ann")}", onState: states,
    }});
    room.on("say", (frame) => report("heard", {{ text: frame.text }}));
    room.on("subscribed", (frame) => report("subscribed", {{ recovered: frame.recovered ?? null }}));
    const own = new Promise((done) => room.on("say", done));
    const acked = await room.send({{ type: "say", text: "1" }});
    await own;
    report("acked", acked);
    """
    running = start(text)
    assert running.report("acked")["type"] == "ack"
    line.cut()
    running.report("waiting")
    path = f"ws://127.0.0.1:{site.port}/rooms/den?token={token('bob')}"
    with Client(path) as bob:
        assert bob.ask("say", text="2")["type"] == "ack"
    line.restore()
    assert running.report("subscribed")["recovered"] is True
    assert running.report("heard")["text"] == "2"


def falls_back(site: Site, line: Line, start: Start) -> None:
    """A proxy answers the upgrade wrongly: events are read and frames posted, and what was missed comes as ever."""
    with contextlib.closing(Line(site.port, blocks_upgrades=True)) as proxy:
        text = """
        await lobby.subscribe("news");
        const heard = new Promise((done) => lobby.on("say", done));
        const { type } = await lobby.send({ type: "say", room: "news", text: "own" });
        await heard;
        report("ready", { type, transport: lobby.transport });
        """
        running = start(lobby(proxy.port, text))
        assert running.report("ready") == {"step": "ready", "type": "ack", "transport": "sse"}
        proxy.cut()
        running.report("waiting")
        site.say("news", "missed")
        proxy.restore()
        assert running.report("heard")["text"] == "missed"
        site.say("news", "later")
        assert running.report("heard")["text"] == "later"


def renews_over_events(site: Site, line: Line, start: Start) -> None:
    """A token that ends is renewed by a POST, and further POSTs bring the new one."""
    tokens = [token("ann", lifetime=29), token("ann")]
    text = f"""
    const tokens = {tokens!r};
    const room = connect("ws://127.0.0.1:{site.port}", "room", {{ room_id: "den" }}, {{
      ...quick, token: () => tokens.shift(), tokenIn: "message", transports: ["sse"], onState: states,
    }});
    room.on("authenticated", (frame) => report("authenticated", {{ expires: frame.expires }}));
    room.on("say", (frame) => report("heard", {{ text: frame.text }}));
    await new Promise((done) => room.on("authenticated", ({{ expires }}) => expires > 3000 && done()));
    report("acked", await room.send({{ type: "say", text: "still" }}));
    """
    running = start(text)
    assert running.report("authenticated")["expires"] <= 29
    assert running.report("authenticated")["expires"] > 3000
    assert running.report("acked")["type"] == "ack"


def renews(site: Site, line: Line, start: Start) -> None:
    """A token that is about to end is renewed on the live connection; the old one's end closes nothing."""
    tokens = [token("ann", lifetime=29), token("ann")]
    text = f"""
    const tokens = {tokens!r};
    const room = connect("ws://127.0.0.1:{site.port}", "room", {{ room_id: "den" }}, {{
      ...quick, token: () => tokens.shift(), onState: states,
    }});
    room.on("authenticated", (frame) => report("authenticated", {{ expires: frame.expires, left: tokens.length }}));
    """
    running = start(text)
    first, second = running.report("authenticated"), running.report("authenticated")
    assert first["expires"] <= 29
    assert second["expires"] > 3000
    assert second["left"] == 0


def returns_with_a_new_token(site: Site, line: Line, start: Start) -> None:
    """A refused token is fetched again; a fixed one is not tried again."""
    text = f"""
    const tokens = ["nonsense", "{token("ann")}"];
    const url = "ws://127.0.0.1:{site.port}";
    const room = connect(url, "room", {{ room_id: "den" }}, {{
      ...quick, token: () => tokens.shift(), tokenIn: "message", onState: states,
    }});
    room.on("authenticated", (frame) => report("in", {{ user: frame.user }}));
    connect(url, "room", {{ room_id: "den" }}, {{
      ...quick, token: "nonsense", tokenIn: "subprotocol", onState: (state, ending) => report(`fixed ${{state}}`, ending),
    }});
    """
    running = start(text)
    assert running.report("in")["user"] == "ann"
    other = start(text)
    assert other.report("fixed closed")["code"] == 4401


def obeys_close_codes(site: Site, line: Line, start: Start) -> None:
    """Codes of the application: 4900 to 4949 come back, the others do not."""
    text = f"""
    for (const code of [4901, 4951])
      connect("ws://127.0.0.1:{site.port}", "gate", {{ code }}, {{
        ...quick, onState: (state, ending) => {{ if (ending) report(`${{code}}`, {{ state, code: ending.code }}); }},
      }});
    """
    running = start(text)
    assert running.report("4901")["state"] == "waiting"
    other = start(text)
    assert other.report("4951") == {"step": "4951", "state": "closed", "code": 4951}


def matches_answers(site: Site, line: Line, start: Start) -> None:
    """Each answer goes to its question; what is refused fails with the code that the server gave."""
    more = """
    await lobby.subscribe("news");
    const refused = await lobby.send({ type: "say", room: "news", txet: "?" }).catch((error) => error);
    const [ack, history, pong] = await Promise.all([
      lobby.send({ type: "say", room: "news", text: "hi" }),
      lobby.send({ type: "history", room: "news" }),
      lobby.send({ type: "ping" }),
    ]);
    const types = [ack, history, pong].map((frame) => frame.type);
    report("answers", { types, code: refused.code, path: refused.frame.errors.length > 0 });
    """
    running = start(lobby(site.port, more))
    assert running.report("answers") == {
        "step": "answers",
        "types": ["ack", "history", "pong"],
        "code": "INVALID_MESSAGE",
        "path": True,
    }


SCENARIOS: tuple[Scenario, ...] = (
    restarts,
    drains,
    recovers,
    recovers_the_joined_room,
    falls_back,
    renews,
    renews_over_events,
    returns_with_a_new_token,
    obeys_close_codes,
    matches_answers,
)
ALONE = {restarts, drains, obeys_close_codes}
"""Those that end the server, or have so many refusals that their address is closed for too many errors (4429)."""
