"""The client in JavaScript, with sockets that only pretend to be some, run by Node."""

import json
from pathlib import Path

import pytest

from channeld.export.typescript import HEAD, client_source
from channeld.protocol.codes import may_come_back
from tests.export.client_kit import program
from tests.npm_parts import compiled_client

# A socket whose server is the program itself.
FAKE = """
const sockets = [];
class WebSocket {
  constructor(url, protocols) { this.url = url; this.protocols = protocols; this.sent = []; sockets.push(this); }
  send(text) { this.sent.push(JSON.parse(text)); }
  close(code) { this.closed = code; }
  open() { this.onopen({}); return this; }
  say(frame) { this.onmessage({ data: JSON.stringify(frame) }); return this; }
  lose(code, reason = "") { this.onclose?.({ code, reason }); }
}
const turn = (ms = 0) => new Promise((done) => setTimeout(done, ms));
const quiet = { WebSocket, backoff: { first: 1, most: 2 } };
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = 'export const CHANNELS = { c: { path: "/c/{a}/{b...}", once: ["order"] } };\n'
    tmp_path.joinpath("client.mjs").write_text(table + client_source("client.js"))
    return tmp_path


def run(folder: Path, text: str) -> list[dict[str, object]]:
    with program(folder, text, FAKE) as running:
        return running.reports()


def test_javascript_is_what_the_compiler_makes_of_the_typescript() -> None:
    assert client_source("client.js").endswith(compiled_client()), "run: python -m tests.npm_parts"


def test_the_typed_client_is_short() -> None:
    assert len(client_source("client.ts").splitlines()) < 320


def test_what_is_made_says_so() -> None:
    assert HEAD.startswith("// Made by channeld ")


def test_it_comes_back_for_the_same_codes_as_the_table(folder: Path) -> None:
    codes = [*range(1000, 1016), 3000, 4000, 4400, 4403, 4409, 4429, 4499, 4500, 4508, 4599, 4600]
    codes += [4899, 4900, 4949, 4950, 4999]
    text = f"""
    for (const code of {json.dumps(codes)}) {{
      const client = new ChannelClient("ws://x/", {{ WebSocket }});
      await turn();
      sockets.at(-1).open().lose(code);
      report("lost", {{ code, back: client.state === "waiting" }});
      client.close();
    }}
    """
    found = {report["code"]: report["back"] for report in run(folder, text)}
    assert found == {code: may_come_back(code) for code in codes}


def test_waiting_doubles_up_to_a_limit_and_is_spread(folder: Path) -> None:
    text = """
    const spread = [1, 1, 1, 1, 0.5, 0];
    Math.random = () => spread.shift();
    globalThis.setTimeout = (call) => { if (spread.length) queueMicrotask(call); };
    const waits = [];
    new ChannelClient("ws://x/", { WebSocket, backoff: { first: 100, most: 500 }, onState: (state, ending) => {
      if (state === "waiting") waits.push(ending.retry);
    } });
    for (let turns = 0; turns < 100; turns++) { await null; sockets.at(-1)?.lose(1006); }
    report("waits", { waits });
    """
    (report,) = run(folder, text)
    assert report["waits"] == [100, 200, 400, 500, 250, 0]


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        ({"code": 1012, "reason": "r", "reconnect": True, "retry_after": 2.5}, {"retry": 2500}),
        ({"code": 1012, "reason": "r", "reconnect": False}, {}),
        ({"code": 1001, "reason": "r", "reconnect": True, "retry_after": 1}, {"retry": 1000}),
        ({"code": 4429, "reason": "r", "reconnect": False}, {}),
    ],
)
def test_a_disconnect_frame_says_more_than_a_lost_close_code(
    folder: Path, frame: dict[str, object], outcome: dict[str, object]
) -> None:
    text = f"""
    const client = new ChannelClient("ws://x/", {{ WebSocket, onState: report }});
    await turn();
    sockets[0].open().say({{ type: "disconnect", ...{json.dumps(frame)} }}).lose(1006);
    client.close();
    """
    reports = run(folder, text)
    last = next(r for r in reports if r["step"] in ("waiting", "closed"))
    state = "waiting" if frame["reconnect"] else "closed"
    assert last == {"step": state, "code": frame["code"], "reason": "r", **outcome}


def test_an_answer_is_matched_by_its_id_and_nothing_else_is(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { WebSocket });
    await turn();
    const socket = sockets[0].open();
    const first = client.send({ type: "say", n: 1 }), second = client.send({ type: "say", n: 2 });
    const [one, two] = socket.sent.map((frame) => frame.id);
    socket.say({ type: "say", id: one, routed: true }).say({ type: "reply", id: two, x: 1 }).say({ type: "ack", id: one });
    report("answers", { first: await first, second: await second, same: one === two });
    client.close();
    """
    (report,) = run(folder, text)
    assert report["same"] is False
    assert report["first"] == {"type": "ack", "id": 1}
    assert report["second"] == {"type": "reply", "id": 2, "x": 1}


def test_an_error_frame_fails_the_frame_it_is_about(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { WebSocket });
    client.on("error", (frame) => report("seen", { code: frame.code }));
    const sending = client.send({ type: "say" }).catch((error) => error);
    await turn();
    sockets[0].open().say({ type: "error", code: "RATE_LIMITED", message: "slowly", id: 1, retry_after: 1 });
    const error = await sending;
    report("failed", { ours: error instanceof ChannelError, code: error.code, wait: error.frame.retry_after });
    client.close();
    """
    assert run(folder, text) == [
        {"step": "seen", "code": "RATE_LIMITED"},
        {"step": "failed", "ours": True, "code": "RATE_LIMITED", "wait": 1},
    ]


def test_frames_wait_for_a_connection_and_only_so_many(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { WebSocket, queue: 2 });
    client.push({ type: "a" });
    client.push({ type: "b" });
    const full = await client.send({ type: "c" }).catch((error) => error.code);
    await turn();
    sockets[0].open();
    client.push({ type: "d" });
    report("sent", { full, types: sockets[0].sent.map((frame) => frame.type) });
    client.close();
    """
    (report,) = run(folder, text)
    assert report == {"step": "sent", "full": "QUEUE_FULL", "types": ["a", "b", "d"]}


def test_what_was_sent_fails_with_its_connection_and_what_waited_does_not(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    sockets[0].open();
    const sent = client.send({ type: "sent" }).catch((error) => error.code);
    sockets[0].lose(1006);
    const waiting = client.send({ type: "waits" });
    while (sockets.length < 2) await turn(1);
    sockets[1].lose(1006);
    while (sockets.length < 3) await turn(1);
    sockets[2].open().say({ type: "ack", id: 2 });
    report("both", { sent: await sent, waiting: (await waiting).type, resent: sockets[2].sent });
    client.close();
    """
    (report,) = run(folder, text)
    assert (report["sent"], report["waiting"]) == ("CONNECTION_LOST", "ack")
    assert report["resent"] == [{"type": "waits", "id": 2}]


def test_an_unanswered_frame_fails_in_time_and_is_not_sent_later(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { WebSocket, timeout: 5 });
    const code = await client.send({ type: "late" }).catch((error) => error.code);
    sockets[0].open();
    report("late", { code, sent: sockets[0].sent });
    client.close();
    """
    assert run(folder, text) == [{"step": "late", "code": "TIMEOUT", "sent": []}]


def test_a_closed_channel_takes_nothing_more(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { WebSocket, onState: report });
    await turn();
    sockets[0].open();
    const sent = client.send({ type: "a" }).catch((error) => error.code);
    client.close();
    client.close();
    const after = client.send({ type: "b" }).catch((error) => error.code);
    let thrown;
    try { client.push({ type: "c" }); } catch (error) { thrown = error.code; }
    report("codes", { sent: await sent, after: await after, thrown, closed: sockets[0].closed });
    """
    reports = run(folder, text)
    assert [report["step"] for report in reports] == ["connecting", "open", "closed", "codes"]
    assert reports[-1] == {
        "step": "codes",
        **dict.fromkeys(("sent", "after", "thrown"), "CLOSED"),
        "closed": 1000,
    }


@pytest.mark.parametrize(
    ("where", "url", "protocols", "first"),
    [
        ("query", "ws://x/?a=b&token=t%2B1", None, []),
        ("subprotocol", "ws://x/?a=b", ["channeld", "bearer.t+1"], []),
        ("message", "ws://x/?a=b", None, [{"type": "authenticate", "token": "t+1"}]),
    ],
)
def test_the_token_travels_where_it_is_told_to(
    folder: Path, where: str, url: str, protocols: object, first: object
) -> None:
    text = f"""
    const client = new ChannelClient("ws://x/?a=b", {{ WebSocket, token: "t+1", tokenIn: "{where}" }});
    client.push({{ type: "say" }});
    await turn();
    const socket = sockets[0].open();
    const before = [...socket.sent];
    socket.say({{ type: "authenticated", user: "ann" }});
    report("token", {{ url: socket.url, protocols: socket.protocols ?? null, before, after: socket.sent.at(-1) }});
    client.close();
    """
    (report,) = run(folder, text)
    assert (report["url"], report["protocols"]) == (url, protocols)
    assert report["before"] == (first or [{"type": "say"}])
    assert report["after"] == {"type": "say"}


def test_a_refused_token_is_fetched_once_more_and_then_it_ends(folder: Path) -> None:
    text = """
    let fetched = 0;
    new ChannelClient("ws://x/", { ...quiet, token: () => `t${++fetched}`, onState: report });
    for (let turns = 0; turns < 20; turns++) {
      await turn(1);
      sockets.at(-1)?.lose(4401, "unauthorized");
    }
    report("urls", { urls: sockets.map((socket) => socket.url) });
    """
    reports = run(folder, text)
    assert reports[-1]["urls"] == ["ws://x/?token=t1", "ws://x/?token=t2"]
    assert [r["step"] for r in reports[:-1]] == ["connecting", "waiting", "connecting", "closed"]


def test_a_fixed_token_that_is_refused_ends_it(folder: Path) -> None:
    text = """
    new ChannelClient("ws://x/", { ...quiet, token: "t", onState: report });
    await turn();
    sockets[0].say({ type: "error", code: "UNAUTHORIZED", message: "Unauthorized" }).lose(1006);
    """
    reports = run(folder, text)
    assert reports[-1] == {"step": "closed", "code": 4401, "reason": ""}


def test_a_token_that_can_not_be_fetched_is_tried_again(folder: Path) -> None:
    text = """
    let fetched = 0;
    const token = () => { if (++fetched < 3) throw new Error("offline"); return "t"; };
    const client = new ChannelClient("ws://x/", { ...quiet, token });
    while (!sockets.length) await turn(1);
    report("url", { url: sockets[0].url, fetched });
    client.close();
    """
    assert run(folder, text) == [{"step": "url", "url": "ws://x/?token=t", "fetched": 3}]


def test_an_error_without_a_close_event_is_a_lost_connection_once(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { ...quiet, onState: report });
    await turn();
    sockets[0].onerror({});
    sockets[0].onerror({});
    while (sockets.length < 2) await turn(1);
    sockets[1].open().onerror({});
    client.close();
    """
    steps = [report["step"] for report in run(folder, text)]
    assert steps == ["connecting", "waiting", "connecting", "open", "closed"]


def test_a_silent_server_is_asked_and_then_left(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { ...quiet, silence: 10, onState: report });
    await turn();
    sockets[0].open();
    while (sockets.length < 2) await turn(1);
    report("asked", { sent: sockets[0].sent, closed: sockets[0].closed });
    client.close();
    """
    reports = run(folder, text)
    assert [r["step"] for r in reports[:4]] == ["connecting", "open", "waiting", "connecting"]
    asked = next(report for report in reports if report["step"] == "asked")
    assert asked == {"step": "asked", "sent": [{"type": "ping"}], "closed": 1000}


def test_rooms_are_joined_again_and_positions_asked_for(folder: Path) -> None:
    text = """
    const gaps = [];
    const client = new ChannelClient("ws://x/", { ...quiet, onGap: (room) => gaps.push(room) });
    await turn();
    const first = sockets[0].open();
    first.say({ type: "subscribed", room: "home", pos: "h1" });
    for (const [id, room] of [[1, "a"], [2, "b"], [3, "gone"]]) {
      client.subscribe(room);
      first.say({ type: "subscribed", room, pos: `${room}1`, id });
    }
    first.say({ type: "say", room: "a", pos: "a2" }).say({ type: "unsubscribed", room: "gone", reason: "full" });
    first.lose(1006);
    while (sockets.length < 2) await turn(1);
    const second = sockets[1].open();
    second.say({ type: "subscribed", room: "home", pos: "h9", recovered: false });
    second.say({ type: "subscribed", room: "a", pos: "a9", recovered: true, id: 4 });
    second.say({ type: "error", code: "FORBIDDEN", message: "no", id: 5 });
    await turn();
    second.lose(1006);
    while (sockets.length < 3) await turn(1);
    const third = sockets[2].open();
    report("rooms", { since: second.url, second: second.sent, third: third.sent, thirdSince: third.url, gaps });
    client.close();
    """
    (report,) = run(folder, text)
    assert report["since"] == "ws://x/?since=h1"
    assert report["second"] == [
        {"type": "subscribe", "room": "a", "since": "a2", "id": 4},
        {"type": "subscribe", "room": "b", "since": "b1", "id": 5},
    ]
    # What was missed had not come yet when it was lost again: the last frame counts, not `subscribed`.
    assert report["third"] == [{"type": "subscribe", "room": "a", "since": "a2", "id": 6}]
    assert report["thirdSince"] == "ws://x/?since=h9"
    assert report["gaps"] == ["home"]


def test_of_several_joined_rooms_those_that_moved_on_have_a_gap(folder: Path) -> None:
    text = """
    const gaps = [];
    const client = new ChannelClient("ws://x/", { ...quiet, onGap: (room) => gaps.push(room) });
    await turn();
    sockets[0].open().say({ type: "subscribed", room: "a", pos: "1" }).say({ type: "subscribed", room: "b", pos: "2" });
    sockets[0].lose(1006);
    while (sockets.length < 2) await turn(1);
    sockets[1].open().say({ type: "subscribed", room: "a", pos: "1" }).say({ type: "subscribed", room: "b", pos: "3" });
    report("rooms", { url: sockets[1].url, gaps });
    client.close();
    """
    assert run(folder, text) == [{"step": "rooms", "url": "ws://x/", "gaps": ["b"]}]


def test_a_room_that_is_left_while_away_is_not_joined_again(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    client.subscribe("a");
    sockets[0].open().say({ type: "subscribed", room: "a", id: 1 }).lose(1006);
    await client.unsubscribe("a");
    while (sockets.length < 2) await turn(1);
    report("rooms", { sent: sockets[1].open().sent });
    client.close();
    """
    assert run(folder, text) == [{"step": "rooms", "sent": []}]


def test_a_handler_that_throws_stops_no_frame(folder: Path) -> None:
    text = """
    console.error = (error) => report("told", { message: error.message });
    const client = new ChannelClient("ws://x/", { WebSocket });
    client.on("say", () => { throw new Error("mine"); });
    const off = client.on("say", (frame) => report("say", { n: frame.n }));
    client.on("*", (frame) => report("any", { n: frame.n }));
    await turn();
    sockets[0].open().say({ type: "say", n: 1 });
    off();
    sockets[0].say({ type: "other", n: 2 }).say({ type: "say", n: 3 });
    client.close();
    """
    steps = [
        (report["step"], report.get("n", report.get("message"))) for report in run(folder, text)
    ]
    assert steps == [
        ("told", "mine"),
        ("say", 1),
        ("any", 1),
        ("any", 2),
        ("told", "mine"),
        ("any", 3),
    ]


def test_params_are_encoded_and_a_rest_keeps_its_slashes(folder: Path) -> None:
    text = """
    const client = connect("https://x/base/", "c", { a: "ü/ ?", b: "one/two three" }, { WebSocket });
    await turn();
    report("url", { url: sockets[0].url });
    client.close();
    """
    assert run(folder, text) == [
        {"step": "url", "url": "wss://x/base/c/%C3%BC%2F%20%3F/one/two%20three"}
    ]


def test_without_a_websocket_it_says_what_to_do(folder: Path) -> None:
    text = """
    delete globalThis.WebSocket;
    try { new ChannelClient("ws://x/"); } catch (error) { report("refused", { message: error.message }); }
    """
    (report,) = run(folder, text)
    assert report["message"] == "there is no WebSocket here: give the option `WebSocket`"


def test_a_frame_with_a_key_is_sent_again_and_others_are_not(folder: Path) -> None:
    text = """
    const client = connect("ws://x", "c", { a: "a", b: "b" }, quiet);
    await turn();
    sockets[0].open();
    const order = client.send({ type: "order", once: "k" });
    const other = client.send({ type: "say", once: "k" }).catch((error) => error.code);
    sockets[0].lose(1006);
    while (sockets.length < 2) await turn(1);
    sockets[1].open().say({ type: "ack", id: 1, repeated: true });
    report("both", { order: await order, other: await other, again: sockets[1].sent });
    client.close();
    """
    (report,) = run(folder, text)
    assert report["order"] == {"type": "ack", "id": 1, "repeated": True}
    assert report["other"] == "CONNECTION_LOST"
    assert report["again"] == [{"type": "order", "once": "k", "id": 1}]
