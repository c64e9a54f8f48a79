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
globalThis.fetch = undefined; // a socket that is lost must not be looked for elsewhere
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
    assert len(client_source("client.ts").splitlines()) < 580


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
    globalThis.setTimeout = (call, ms) => { if (ms <= 500 && spread.length) queueMicrotask(call); };
    const waits = [];
    new ChannelClient("ws://x/", { WebSocket, backoff: { first: 100, most: 500 }, onState: (state, ending) => {
      if (state === "waiting") waits.push(ending.retry);
    } });
    for (let turns = 0; turns < 100; turns++) { await null; sockets.at(-1)?.lose(1006); }
    report("waits", { waits });
    """
    (report,) = run(folder, text)
    assert report["waits"] == [100, 200, 400, 500, 250, 0]


def test_a_room_that_cannot_be_joined_again_just_now_is_joined_when_the_server_says(
    folder: Path,
) -> None:
    text = """
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    const answer = (socket, frame) => socket.say({ ...frame, room: "r", id: socket.sent.at(-1).id });
    const first = sockets[0].open();
    client.subscribe("r");
    answer(first, { type: "subscribed", pos: "1" });
    first.lose(1006);
    await turn(10);
    const second = sockets.at(-1).open();
    for (const code of ["UNAVAILABLE", "RATE_LIMITED", "FORBIDDEN"]) {
      answer(second, { type: "error", code, message: "no", ...(code === "FORBIDDEN" ? {} : { retry_after: 0.001 }) });
      await turn(10);
      report(code, { sent: second.sent });
    }
    client.close();
    """
    asked = {"type": "subscribe", "room": "r", "since": "1"}
    for count, report in zip([2, 3, 3], run(folder, text), strict=True):
        sent = report["sent"]
        assert isinstance(sent, list)
        assert [{key: frame[key] for key in asked} for frame in sent] == [asked] * count


def test_a_connection_that_stood_for_a_while_starts_the_waiting_over(folder: Path) -> None:
    text = """
    Math.random = () => 1;
    let now = Date.now();
    Date.now = () => now;
    const waits = [];
    const client = new ChannelClient("ws://x/", { ...quiet, backoff: { first: 1, most: 64 }, onState: (state, ending) => {
      if (state === "waiting") waits.push(ending.retry);
    } });
    for (const stood of [0, 9_000, 11_000, 0]) {
      while (client.state !== "connecting" || !sockets.length) await turn(1);
      await turn();
      const socket = sockets.pop().open();
      now += stood;
      socket.lose(1006);
    }
    client.close();
    report("waits", { waits });
    """
    (report,) = run(folder, text)
    assert report["waits"] == [1, 2, 1, 2]


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


def test_rooms_that_may_not_be_joined_any_more_are_left_in_small_numbers(folder: Path) -> None:
    text = """
    const { setTimeout } = globalThis, waits = [];
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    const first = sockets[0].open(), rooms = [...Array(40).keys()].map(String);
    for (const room of rooms) {
      client.subscribe(room);
      first.say({ type: "subscribed", room, id: first.sent.at(-1).id });
    }
    const set = client.setState({ x: 1 }, "39");
    first.say({ type: "ack", id: first.sent.at(-1).id });
    await set;
    first.lose(1006);
    while (sockets.length < 2) await turn(1);
    const second = sockets[1].open(), asked = () => second.sent.filter(({ type }) => type === "subscribe");
    report("at first", { count: asked().length });
    globalThis.setTimeout = (go, ms) => ms === 50_000 ? waits.push(go) : setTimeout(go, ms);
    for (const { id } of asked()) second.say({ type: "error", code: "FORBIDDEN", message: "no", id });
    await turn();
    report("refused", { count: asked().length, waits: waits.length });
    for (const go of waits) go();
    for (const { room, id } of asked().slice(25)) second.say({ type: "subscribed", room, id });
    await turn();
    const { room, set: said } = second.sent.at(-1);
    report("later", { count: asked().length, room, said });
    client.close();
    """
    at_first, refused, later = run(folder, text)
    assert at_first["count"] == 25
    assert (refused["count"], refused["waits"]) == (25, 25)
    assert (later["count"], later["room"], later["said"]) == (40, "39", {"x": 1})


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


NAMES = """
const names = { path: "/c", once: [], query: ["limit"], sends: ["say", "presence"], receives: ["say", "presence", "ack"] };
"""


def test_a_name_that_does_not_exist_is_a_type_error_that_names_what_there_is(folder: Path) -> None:
    text = (
        NAMES
        + """
    const client = new ChannelClient("ws://x/", { ...quiet }, names);
    CHANNELS.c.query = ["limit"];
    const attempts = [
      () => connect("ws://x", "d", {}), () => connect("ws://x", "toString", {}),
      () => connect("ws://x", "c", { a: "1", b: undefined }), () => connect("ws://x", "c", { a: "1", b: "2", d: 3 }),
      () => connect("ws://x", "c", { a: "1", b: "" }), () => connect("ws://x", "c"),
      () => connect("ws://x", "c", { a: "1", b: "2" }, { ...quiet, query: { limt: 1 } }),
      () => client.send({ type: "sya" }), () => client.push({ type: "sya" }), () => client.on("sya", () => {}),
    ];
    for (const attempt of attempts)
      try { attempt(); } catch (error) { report("wrong", { type: error.constructor.name, message: error.message }); }
    client.close();
    """
    ).replace("CHANNELS.c", '(await import("./client.mjs")).CHANNELS.c')
    found = [(one["type"], one["message"]) for one in run(folder, text)]
    path = "/c/{a}/{b...}"
    assert found == [
        ("TypeError", '"d" is not a channel; there is c'),
        ("TypeError", '"toString" is not a channel; there is c'),
        ("TypeError", f'{path} needs the param "b"'),
        ("TypeError", f'"d" is not a param of {path}; there is a, b'),
        ("TypeError", f'{path} needs the param "b"'),
        ("TypeError", f'{path} needs the param "a"'),
        ("TypeError", f'"limt" is not a query parameter of {path}; there is limit'),
        ("TypeError", '"sya" is not a type to send here; there is say, presence'),
        ("TypeError", '"sya" is not a type to send here; there is say, presence'),
        ("TypeError", '"sya" is not a type that comes here; there is say, presence, ack'),
    ]


def test_query_parameters_are_sent(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { ...quiet, query: { limit: 5, a: true, b: undefined } });
    await turn();
    report("url", { url: sockets[0].url });
    client.close("enough");
    """
    assert run(folder, text) == [{"step": "url", "url": "ws://x/?limit=5&a=true"}]


def test_the_reason_of_a_close_is_told(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", { ...quiet, onState: (state, ending) => ending && report(state, ending) });
    await turn();
    sockets[0].open();
    sockets[0].close = (code, reason) => report("socket", { code, reason });
    client.close("signed out");
    """
    socket, closed = run(folder, text)
    assert socket == {"step": "socket", "code": 1000, "reason": "signed out"}
    assert closed == {"step": "closed", "code": 1000, "reason": "signed out"}


def test_presence_is_kept_and_the_own_state_said_again(folder: Path) -> None:
    text = """
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    const first = sockets[0].open();
    const shown = () => report("here", { here: [...client.present("r").values()] });
    first.say({ type: "presence", room: "r", event: "state", users: [{ user: "a", info: {}, connections: 2 }] });
    first.say({ type: "presence", room: "r", event: "join", user: "b", info: { n: 1 }, state: { x: 1 } });
    shown();
    first.say({ type: "presence", room: "r", event: "update", user: "b", info: { n: 1 } });
    first.say({ type: "presence", room: "r", event: "leave", user: "a" });
    first.say({ type: "presence", room: "r", event: "count", users: 9, connections: 9 });
    shown();
    first.say({ type: "presence", room: "r", event: "changes", joins: [{ user: "c", info: {} }], leaves: [{ user: "b" }] });
    shown();
    const set = client.setState({ x: 2 }, "r");
    report("sent", first.sent.at(-1));
    first.say({ type: "ack", id: first.sent.at(-1).id });
    await set;
    first.lose(1006);
    await turn(10);
    sockets.at(-1).open();
    report("again", sockets.at(-1).sent.at(-1));
    client.setState(null, "r").catch(() => {});
    report("gone", sockets.at(-1).sent.at(-1));
    client.close();
    """
    found = run(folder, text)
    here = [one["here"] for one in found if one["step"] == "here"]
    assert here == [
        [
            {"user": "a", "info": {}, "connections": 2},
            {"user": "b", "info": {"n": 1}, "state": {"x": 1}},
        ],
        [{"user": "b", "info": {"n": 1}}],
        [{"user": "c", "info": {}}],
    ]
    sets = {one["step"]: (one["room"], one["set"]) for one in found if "set" in one}
    assert sets == {"sent": ("r", {"x": 2}), "again": ("r", {"x": 2}), "gone": ("r", None)}


def test_a_deprecated_type_is_told_of(folder: Path) -> None:
    text = """
    console.warn = (words) => report("warned", { words });
    const told = { sunset: "2027-01-31", use: "tell" };
    for (const more of [{}, { onDeprecated: (type, why) => report("told", { type, ...why }) }]) {
      const client = new ChannelClient("ws://x/", { ...quiet, ...more });
      await turn();
      const socket = sockets.at(-1).open();
      for (let count = 0; count < 2; count++) {
        const sent = client.send({ type: "say" });
        socket.say({ type: "ack", id: socket.sent.at(-1).id, deprecated: told });
        await sent;
      }
      client.close();
    }
    """
    words = 'the type "say" is deprecated and may go after 2027-01-31; use tell'
    told = {"step": "told", "type": "say", "sunset": "2027-01-31", "use": "tell"}
    assert run(folder, text) == [{"step": "warned", "words": words}, told, told]


PAGE = """
const heard = {};
globalThis.addEventListener = (type, call) => { heard[type] = call; };
globalThis.removeEventListener = (type) => { delete heard[type]; };
globalThis.document = { visibilityState: "visible", addEventListener, removeEventListener };
"""


@pytest.mark.parametrize("event", ["online", "pageshow", "visibilitychange"])
def test_a_page_that_is_back_waits_no_longer(folder: Path, event: str) -> None:
    text = (
        PAGE
        + f"""
    const client = new ChannelClient("ws://x/", {{ WebSocket, backoff: {{ first: 1e6, most: 1e6 }} }});
    await turn();
    sockets[0].lose(1006);
    report("waits", {{ sockets: sockets.length, state: client.state }});
    document.visibilityState = "hidden";
    heard.{event}({{ type: "{event}" }});
    document.visibilityState = "visible";
    report("hidden", {{ sockets: sockets.length }});
    heard.{event}({{ type: "{event}" }});
    await turn();
    report("tries", {{ sockets: sockets.length }});
    client.close();
    report("over", {{ heard: Object.keys(heard) }});
    """
    )
    waits, hidden, tries, over = run(folder, text)
    assert (waits["state"], waits["sockets"], hidden["sockets"]) == ("waiting", 1, 1)
    assert (tries["sockets"], over["heard"]) == (2, [])


def test_a_page_that_is_back_obeys_a_server_that_said_when(folder: Path) -> None:
    text = (
        PAGE
        + """
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    sockets[0].open().say({ type: "disconnect", code: 1012, reason: "r", reconnect: true, retry_after: 1000 }).lose(1012);
    heard.online({ type: "online" });
    await turn(5);
    report("waits", { sockets: sockets.length, state: client.state });
    client.close();
    """
    )
    assert run(folder, text) == [{"step": "waits", "sockets": 1, "state": "waiting"}]


@pytest.mark.parametrize("answers", [True, False])
def test_a_page_that_is_back_finds_out_whether_its_connection_lives(
    folder: Path, answers: bool
) -> None:
    text = (
        PAGE
        + f"""
    const client = new ChannelClient("ws://x/", {{ ...quiet, timeout: 20, onState: (state) => report(state) }});
    await turn();
    const socket = sockets[0].open();
    heard.visibilitychange({{ type: "visibilitychange" }});
    report("asked", socket.sent.at(-1));
    if ({str(answers).lower()}) socket.say({{ type: "pong" }});
    await turn(60);
    client.close();
    """
    )
    steps = [one["step"] for one in run(folder, text)]
    assert steps[:3] == ["connecting", "open", "asked"]
    assert ("waiting" in steps) is not answers


def test_a_page_from_the_cache_comes_back_at_once(folder: Path) -> None:
    text = (
        PAGE
        + """
    const client = new ChannelClient("ws://x/", { ...quiet, onState: (state, ending) => report(state, ending) });
    await turn();
    sockets[0].open();
    heard.pageshow({ type: "pageshow", persisted: true });
    await turn(20);
    report("sockets", { count: sockets.length });
    client.close();
    """
    )
    found = {one["step"]: one for one in run(folder, text)}
    assert found["waiting"]["reason"] == "the page was put away"
    assert found["sockets"]["count"] == 2


STREAM = """
const asked = [];
let answer = () => new Response("", { status: 503 });
globalThis.fetch = async (url, options) => {
  asked.push({ url: url.href, method: options.method ?? "GET", body: options.body, ...options.headers });
  return answer(url, options);
};
const stream = (...frames) => {
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter(), encoder = new TextEncoder();
  const say = (frame) => void writer.write(encoder.encode(`data: ${JSON.stringify(frame)}\n\n`)).catch(() => {});
  for (const frame of frames) say(frame);
  return { say, end: () => writer.close(), response: new Response(readable, { headers: { "Content-Type": "text/event-stream" } }) };
};
"""


def test_where_no_socket_comes_about_events_are_read_and_frames_posted(folder: Path) -> None:
    text = (
        STREAM
        + """
    const events = stream({ type: "connection", id: "s3cret" }, { type: "welcome" });
    answer = (_url, { method, body }) => method !== "POST" ? events.response
      : Response.json({ frames: JSON.parse(body).map(({ id }) => ({ type: "ack", id })) });
    const client = new ChannelClient("ws://x/c?a=b", { ...quiet, token: "t", onState: (state) => report(state) });
    client.on("welcome", () => report("welcome"));
    await turn();
    sockets[0].lose(1006);
    const all = [client.send({ type: "say", n: 1 }), client.send({ type: "say", n: 2 })];
    report("acked", { types: (await Promise.all(all)).map((frame) => frame.type), transport: client.transport });
    client.close();
    for (const one of asked) report("asked", one);
    """
    )
    found = run(folder, text)
    steps = [one["step"] for one in found]
    assert steps == ["connecting", "open", "welcome", "acked", "closed", "asked", "asked"]
    acked = next(one for one in found if one["step"] == "acked")
    assert (acked["types"], acked["transport"]) == (["ack", "ack"], "sse")
    get, post = found[-2:]
    assert (get["url"], get["Accept"]) == ("http://x/c?a=b&token=t", "text/event-stream")
    assert (post["method"], post["Channeld-Connection"]) == ("POST", "s3cret")
    assert '"n":1' in str(post["body"])


@pytest.mark.parametrize(
    ("status", "code"), [(401, 4401), (403, 4403), (404, 1008), (503, 1006), (426, 1006)]
)
def test_a_refusal_has_its_status(folder: Path, status: int, code: int) -> None:
    text = (
        STREAM
        + f"""
    answer = () => new Response("", {{ status: {status} }});
    const client = new ChannelClient("ws://x/", {{ ...quiet, onState: (state, ending) => ending && report(state, ending) }});
    await turn();
    sockets[0].lose(1006);
    await turn();
    client.close();
    """
    )
    first = run(folder, text)[0]
    back = first["step"] == "waiting"
    assert (first["code"], back) == (1013 if status == 503 else code, status in (503, 426))


def test_a_server_that_is_away_is_looked_for_by_socket_again(folder: Path) -> None:
    text = (
        STREAM
        + """
    answer = () => { throw new TypeError("no network"); };
    const client = new ChannelClient("ws://x/", { ...quiet, onState: (state) => report(state) });
    await turn();
    sockets[0].lose(1006);
    while (sockets.length < 2) await turn(1);
    sockets[1].open();
    report("by", { transport: client.transport, asked: asked.length });
    client.close();
    """
    )
    found = run(folder, text)
    assert [one["step"] for one in found] == [
        "connecting",
        "waiting",
        "connecting",
        "open",
        "by",
        "closed",
    ]
    assert (found[4]["transport"], found[4]["asked"]) == ("websocket", 1)


def test_a_socket_that_was_open_once_is_not_given_up_for_its_loss(folder: Path) -> None:
    text = (
        STREAM
        + """
    const client = new ChannelClient("ws://x/", quiet);
    await turn();
    sockets[0].open().lose(1006);
    while (sockets.length < 2) await turn(1);
    report("asked", { asked: asked.length });
    client.close();
    """
    )
    assert run(folder, text) == [{"step": "asked", "asked": 0}]


def test_an_upgrade_that_is_never_answered_is_given_up(folder: Path) -> None:
    text = (
        STREAM
        + """
    answer = () => stream({ type: "connection", id: "s" }).response;
    const client = new ChannelClient("ws://x/", { ...quiet, timeout: 5 });
    while (client.state !== "open") await turn(1);
    report("open", { transport: client.transport });
    client.close();
    """
    )
    assert run(folder, text) == [{"step": "open", "transport": "sse"}]


def test_a_late_answer_to_a_subscription_moves_no_place_back(folder: Path) -> None:
    text = (
        STREAM
        + """
    const events = stream({ type: "connection", id: "s" });
    let give;
    answer = (_url, { method }) => method === "POST" ? new Promise((done) => { give = done; }) : events.response;
    const client = new ChannelClient("ws://x/", { ...quiet, transports: ["sse"] });
    while (client.state !== "open") await turn(1);
    const joined = client.subscribe("r");
    events.say({ type: "say", room: "r", pos: "p2" });
    await turn(1);
    give(Response.json({ frames: [{ type: "subscribed", id: 1, room: "r", pos: "p1" }] }));
    await joined;
    answer = (_url, { method, body }) => {
      if (method === "POST") { report("again", JSON.parse(body)[0]); client.close(); }
      return method === "POST" ? Response.json({ frames: [] }) : stream({ type: "connection", id: "s" }).response;
    };
    events.say({ type: "disconnect", code: 1012, reason: "r", reconnect: true, retry_after: 0 });
    events.end();
    """
    )
    (again,) = run(folder, text)
    assert (again["room"], again["since"]) == ("r", "p2")
