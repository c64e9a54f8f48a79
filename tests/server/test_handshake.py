"""The opening handshake: what is accepted, and one status for each way to fail."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from channeld.config.model import Server
from channeld.plan.plan import Match, Plan
from channeld.protocol.frames import Json
from channeld.server.exchange import Answer, Refuse, RequestHead
from channeld.server.handshake import Accept, Arrival, Condition, Rules, Seat, decide, judge_room
from channeld.server.head import Malformed, read_head
from channeld.server.transports import TRANSPORTS
from tests.server.kit import KEY, channel, plan, request_bytes

LOCAL = Arrival(address="192.0.2.1")


def crowded_at(address: str) -> Callable[[Seat], Refuse | None]:
    return lambda seat: judge_room(is_full=False, is_crowded=seat.address == address)


def judge(data: bytes, server: Server | None = None, arrival: Arrival = LOCAL) -> Accept | Answer:
    head = read_head(data)
    assert isinstance(head, RequestHead), head
    return decide(head, Rules.of(plan(server), TRANSPORTS), arrival)


def accepted(data: bytes, server: Server | None = None, arrival: Arrival = LOCAL) -> Accept:
    verdict = judge(data, server, arrival)
    assert isinstance(verdict, Accept), verdict
    return verdict


def refused(data: bytes, server: Server | None = None, arrival: Arrival = LOCAL) -> Refuse:
    verdict = judge(data, server, arrival)
    assert isinstance(verdict, Refuse), verdict
    return verdict


def without(line: str) -> bytes:
    data = request_bytes()
    start = data.index(line.encode())
    return data[:start] + data[data.index(b"\r\n", start) + 2 :]


def changed(line: str, to: str) -> bytes:
    data = request_bytes()
    assert line.encode() in data
    return data.replace(line.encode(), to.encode("latin-1"))


def test_hooks_see_the_request() -> None:
    data = request_bytes(
        "/echo?token=a%20b&token=c&x+y=%C3%A9&flag",
        'Cookie: a=1; b="two"; a=3; odd',
        "Cookie: token=t",
        "X-A: 1",
        "X-A: 2",
    )
    request = accepted(data).request
    assert (request.path, request.channel, request.address) == ("/echo", "echo", "192.0.2.1")
    assert request.query == {"token": "a b", "x y": "é", "flag": ""}
    assert request.cookies == {"a": "1", "b": "two", "token": "t"}
    assert request.headers["x-a"] == "1, 2"


def test_hooks_see_what_subprotocols_are_offered() -> None:
    verdict = accepted(request_bytes("/echo", "Sec-WebSocket-Protocol: bearer.SECRET, channeld"))
    assert verdict.request.subprotocols == ["bearer.SECRET", "channeld"]


def test_usual_variants_are_accepted() -> None:
    accepted(changed("Upgrade: websocket", "Upgrade: h2c, WebSocket"))
    accepted(changed("Connection: Upgrade", "Connection: keep-alive, upgrade"))
    accepted(changed("GET /echo", "GET http://localhost/echo"))
    accepted(request_bytes("/echo", "Content-Length: 0"))


REFUSALS = {
    "unknown path": (404, request_bytes("/nowhere")),
    "no path": (404, changed("GET /echo", "GET *")),
    "absolute form without a path": (404, changed("GET /echo", "GET http://localhost")),
    "post": (405, changed("GET", "POST")),
    "put": (405, changed("GET", "PUT")),
    "HTTP/1.0": (400, changed("HTTP/1.1", "HTTP/1.0")),
    "a body": (400, request_bytes("/echo", "Content-Length: 5")),
    "chunked": (400, request_bytes("/echo", "Transfer-Encoding: chunked")),
    "no upgrade": (426, without("Upgrade: websocket")),
    "another upgrade": (426, changed("Upgrade: websocket", "Upgrade: h2c")),
    "no connection": (400, without("Connection:")),
    "another connection": (400, changed("Connection: Upgrade", "Connection: close")),
    "no version": (426, without("Sec-WebSocket-Version")),
    "old version": (426, changed("Version: 13", "Version: 8")),
    "two versions": (426, request_bytes("/echo", "Sec-WebSocket-Version: 8")),
    "no key": (400, without("Sec-WebSocket-Key")),
    "short key": (400, changed(KEY.decode(), "x")),
    "17 bytes in the key": (400, changed(KEY.decode(), "A" * 23 + "=")),
    "key not base64": (400, changed(KEY.decode(), "!" * 22 + "==")),
    "key not ASCII": (400, changed(KEY.decode(), "\xff" * 22 + "==")),
    "two keys": (400, request_bytes("/echo", f"Sec-WebSocket-Key: {KEY.decode()}")),
    "another origin": (403, request_bytes("/echo", "Origin: https://evil.com")),
    "origin null": (403, request_bytes("/echo", "Origin: null")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_has_its_status_and_a_problem_document(name: str) -> None:
    status, data = REFUSALS[name]
    verdict = refused(data)
    head, _, body = verdict.response.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert (verdict.status, problem["status"]) == (status, status)
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Content-Type: application/problem+json" in head
    assert b"Content-Length: %d" % len(body) in head
    assert b"Connection: close" in head


@pytest.mark.parametrize("path", ["/echo", "/nowhere"])
def test_the_answer_to_head_has_no_body(path: str) -> None:
    verdict = refused(request_bytes(path).replace(b"GET", b"HEAD", 1))
    assert verdict.response.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0" not in verdict.response


def test_an_ipv4_client_of_an_ipv6_socket_is_the_same_client() -> None:
    mapped = Arrival(address="::ffff:192.0.2.7", lacks=crowded_at("192.0.2.7"))
    assert refused(request_bytes(), arrival=mapped).status == 429
    assert (
        accepted(request_bytes(), arrival=Arrival(address="::ffff:192.0.2.7")).request.address
        == "192.0.2.7"
    )


def test_a_refusal_says_what_the_log_wants_to_know() -> None:
    data = request_bytes(
        "/echo?token=SECRET", "Origin: https://evil.com", "X-Forwarded-For: 203.0.113.5"
    )
    verdict = refused(data, Server(trusted_proxies=("192.0.2.0/24",)))
    assert (verdict.path, verdict.origin, verdict.address) == (
        "/echo",
        "https://evil.com",
        "203.0.113.5",
    )
    assert verdict.detail == "Pages of this origin may not connect: see server.allowed_origins"


def health(
    condition: Condition, path: str = "/health", method: str = "GET", server: Server | None = None
) -> tuple[int, object]:
    data = f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    full = Arrival(
        address="192.0.2.1",
        lacks=lambda _seat: judge_room(is_full=True, is_crowded=False),
        condition=lambda: condition,
    )
    verdict = judge(data, server, full)
    assert isinstance(verdict, Answer)
    head, _, body = verdict.response.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == verdict.status
    return verdict.status, json.loads(body) if body else None


AWAY, DRAINING = Condition(is_broker_up=False), Condition(is_draining=True)


def test_health_is_answered_over_any_limits() -> None:
    assert health(Condition()) == (200, {})
    assert health(Condition(), "/health?ready") == (200, {})
    assert health(Condition(), method="HEAD") == (200, None)
    assert health(AWAY) == (200, {"broker": "away"})
    assert health(AWAY, "/health?ready") == (503, {"broker": "away"})
    assert health(AWAY, "/health?ready", "HEAD") == (503, None)
    assert health(DRAINING) == (503, {"draining": True})
    partly = {"shards": ["up", "away"]}
    assert health(Condition(shards=(True, False))) == (200, partly)
    assert health(Condition(shards=(True, False)), "/health?ready") == (200, partly)
    away = Condition(is_broker_up=False, shards=(False, False))
    assert health(away, "/health?ready") == (503, {"broker": "away", "shards": ["away", "away"]})
    assert health(Condition(), method="POST")[0] == 405


def test_health_may_be_elsewhere_or_nowhere() -> None:
    up, none = Server(health="/up"), Server(health=None)
    assert health(Condition(), "/up", server=up) == (200, {})
    assert health(Condition(), server=up)[0] == health(Condition(), server=none)[0] == 404


def test_a_channel_with_that_path_wins_and_one_that_only_matches_it_does_not() -> None:
    assert health(Condition(), "/echo", server=Server(health="/echo"))[0] == 426

    def match(path: str) -> Match | None:
        return Match(echo, {})

    echo = attrs.evolve(channel("echo"), path="/{room}")
    rules = attrs.evolve(Rules.of(plan(), TRANSPORTS), match=match)
    head = RequestHead("GET", "/health", "1.1", {"host": "x"})
    verdict = decide(head, rules, LOCAL)
    assert isinstance(verdict, Answer)
    assert verdict.status == 200


def test_405_says_what_is_allowed() -> None:
    assert b"\r\nAllow: GET, HEAD, POST, OPTIONS\r\n" in refused(changed("GET", "POST")).response


def test_426_says_what_to_upgrade_to() -> None:
    assert b"\r\nUpgrade: websocket\r\n" in refused(without("Upgrade: websocket")).response
    old = refused(changed("Version: 13", "Version: 8")).response
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in old


def test_an_unknown_path_is_404_whatever_else_is_wrong() -> None:
    assert refused(b"POST /nowhere HTTP/1.1\r\nHost: x\r\n\r\n").status == 404


def test_a_full_server_and_a_crowded_address() -> None:
    full = Arrival(
        address="192.0.2.1", lacks=lambda _seat: judge_room(is_full=True, is_crowded=False)
    )
    crowded = Arrival(address="192.0.2.1", lacks=crowded_at("192.0.2.1"))
    assert refused(request_bytes(), arrival=full).status == 503
    assert refused(request_bytes(), arrival=crowded).status == 429
    assert isinstance(judge(request_bytes(), arrival=LOCAL), Accept)


def test_the_origin_is_compared_with_host_and_scheme() -> None:
    data = request_bytes("/echo", "Origin: https://localhost")
    assert refused(data).status == 403
    accepted(data, arrival=Arrival(address="192.0.2.1", secure=True))


def test_a_proxy_is_believed_only_when_it_is_trusted() -> None:
    data = request_bytes(
        "/echo",
        "Origin: https://localhost",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 203.0.113.5",
    )
    trusting = Server(trusted_proxies=("192.0.2.0/24",))
    assert refused(data).status == 403
    assert accepted(data, trusting).request.address == "203.0.113.5"
    assert refused(data, trusting, Arrival(address="198.51.100.1")).status == 403


def test_a_limit_by_address_counts_the_forwarded_one() -> None:
    data = request_bytes("/echo", "X-Forwarded-For: 203.0.113.5")
    crowded = Arrival(address="192.0.2.1", lacks=crowded_at("203.0.113.5"))
    assert refused(data, Server(trusted_proxies=("192.0.2.1",)), crowded).status == 429


def test_many_query_fields_are_cut() -> None:
    query = "&".join(f"f{i}=1" for i in range(1000))
    assert len(accepted(request_bytes(f"/echo?{query}")).request.query) == 100


def test_trusted_proxies_must_be_networks() -> None:
    broken: Plan = plan(Server(trusted_proxies=("nonsense",)))
    with pytest.raises(ValueError, match="nonsense"):
        Rules.of(broken, TRANSPORTS)


@pytest.mark.parametrize("byte", range(0x80, 0x100, 7))
def test_no_byte_in_a_field_makes_it_raise(byte: int) -> None:
    usual = request_bytes(
        "/echo?a=b", "Origin: http://localhost", "Cookie: a=b", "Sec-WebSocket-Protocol: channeld"
    )
    rules = Rules.of(plan(Server(compression=True, trusted_proxies=("192.0.2.0/24",))), TRANSPORTS)
    for at in range(len(usual) - 4):
        head = read_head(usual[:at] + bytes((byte,)) + usual[at + 1 :])
        if isinstance(head, RequestHead):
            decide(head, rules, LOCAL)


def test_random_fields_never_make_it_raise() -> None:
    rng = random.Random(3)
    names = ["Origin", "Cookie", "X-Forwarded-For", "Sec-WebSocket-Extensions", "Host", "Upgrade"]
    rules = Rules.of(plan(Server(compression=True, trusted_proxies=("192.0.2.0/24",))), TRANSPORTS)
    verdicts: set[Any] = set()
    for _ in range(2000):
        value = "".join(rng.choices("a:/.,;=[]%*\xff\x80\"' 1", k=rng.randrange(20)))
        head = read_head(request_bytes("/echo?a=%20", f"{rng.choice(names)}: {value}"))
        if not isinstance(head, Malformed):
            verdicts.add(type(decide(head, rules, LOCAL)))
    assert verdicts == {Accept, Refuse}


def judged_by(data: bytes, **channel: Any) -> Accept | Refuse | Answer:
    """The verdict where the channel `echo` has these fields."""
    head, rules = read_head(data), Rules.of(plan(), TRANSPORTS)
    assert isinstance(head, RequestHead)
    known = plan().channels["echo"]
    match = Match(attrs.evolve(known, **channel), {})
    return decide(head, attrs.evolve(rules, match=lambda _path: match), LOCAL)


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("ocpp1.6", b"ocpp1.6"),
        ("ocpp2.0, ocpp1.6", b"ocpp2.0"),
        ("channeld, bearer.SECRET, ocpp1.6", b"ocpp1.6"),
        ("channeld, bearer.SECRET", None),
        ("", None),
    ],
)
def test_a_channel_agrees_on_a_subprotocol_of_its_own(offer: str, agreed: bytes | None) -> None:
    lines = (f"Sec-WebSocket-Protocol: {offer}",) if offer else ()
    verdict = judged_by(request_bytes("/echo", *lines), subprotocols=("ocpp1.6", "ocpp2.0"))
    if agreed is None:
        assert isinstance(verdict, Refuse)
        assert (verdict.status, b"ocpp1.6" in verdict.response) == (400, True)
    else:
        assert isinstance(verdict, Accept)
        assert b"Sec-WebSocket-Protocol: " + agreed + b"\r\n" in verdict.agreement.response


@pytest.mark.parametrize("query", ["a=%zz", "a=%", "%ff=1", "token=x&a=%2"])
def test_a_query_that_is_not_percent_encoded_utf8(query: str) -> None:
    verdict = judged_by(request_bytes(f"/echo?{query}"))
    assert isinstance(verdict, Refuse)
    assert verdict.status == 400


def test_a_query_that_is_refused_is_a_bad_request() -> None:
    def read(query: Mapping[str, str]) -> dict[str, Json] | str:
        return "view" if query.get("view") == "globe" else {}

    assert isinstance(judged_by(request_bytes("/echo?view=map"), read_query=read), Accept)
    verdict = judged_by(request_bytes("/echo?view=globe"), read_query=read)
    assert isinstance(verdict, Refuse)
    assert verdict.status == 400
