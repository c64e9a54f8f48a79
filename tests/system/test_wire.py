import http.client
import json
import socket

import pytest

from tests.system.kit import PATIENCE, Client, Frame, Served, refused, token

UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def request(
    chat: Served, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, Frame]:
    connection = http.client.HTTPConnection("127.0.0.1", chat.port, timeout=PATIENCE)
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    problem: Frame = json.loads(response.read())
    connection.close()
    return response, problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/rooms/Not%20A%20Room", 404),
        ("GET", "/chat", 426),
        ("POST", "/chat", 415),
        ("DELETE", "/rooms/general", 405),
    ],
)
def test_plain_http_gets_a_problem(chat: Served, method: str, path: str, status: int) -> None:
    response, problem = request(chat, method, path)
    assert (response.status, problem["status"]) == (status, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["title"]
    assert (status != 426) or response.headers["Upgrade"] == "websocket"
    assert (status != 405) or response.headers["Allow"] == "GET, HEAD, POST, OPTIONS"


def test_a_huge_request_head_is_refused(chat: Served) -> None:
    response, problem = request(chat, "GET", "/chat", {"X-Padding": "x" * 17_000})
    assert (response.status, problem["status"]) == (431, 431)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("http://localhost:1", 403),
        ("null", 403),
        ("http://{address}", 101),
        (None, 101),
    ],
)
def test_only_pages_of_the_same_origin_may_connect(
    chat: Served, origin: str | None, status: int
) -> None:
    sent = origin and origin.format(address=chat.address)
    assert refused(f"ws://{chat.address}/chat", origin=sent) == status


def test_unknown_paths_are_refused_before_the_upgrade(chat: Served) -> None:
    assert refused(f"ws://{chat.address}/rooms/UPPER") == 404
    assert refused(f"ws://{chat.address}/rooms/general/more") == 404


# ------------------------------------------------------------------------------------------------------- tokens


def entered(client: Client) -> str:
    with client:
        frame = client.receive()
        assert frame["type"] == "authenticated"
        assert 3500 < frame["expires"] <= 3600
        user: str = frame["user"]
        return user


def test_a_token_in_the_query(chat: Served) -> None:
    assert entered(chat.connect(f"/notifications?token={token('ann')}")) == "ann"


def test_a_token_in_a_header(chat: Served) -> None:
    headers = {"Authorization": f"Bearer {token('ann')}"}
    assert entered(chat.connect("/notifications", additional_headers=headers)) == "ann"


def test_a_token_in_a_subprotocol_which_is_not_sent_back(chat: Served) -> None:
    protocols = ["channeld", f"bearer.{token('ann')}"]
    client = chat.connect("/notifications", subprotocols=protocols)
    assert client.socket.subprotocol == "channeld"
    assert entered(client) == "ann"


def test_a_token_in_the_first_message(chat: Served) -> None:
    client = chat.connect("/notifications")
    client.send("authenticate", token=token("ann"))
    assert entered(client) == "ann"


BAD = {
    "nonsense": "nonsense",
    "another secret": token("ann", secret="y" * 40),
    "expired": token("ann", lifetime=-3600),
    "another audience": token("ann", aud="shop"),
    "claims that the schema refuses": token("ann", role="emperor"),
    "no subject": token("", sub=None),
    "no algorithm": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJuYW1lIjoiQSIsImF1ZCI6ImNoYXQifQ.",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_refused_without_a_reason(chat: Served, bad: str) -> None:
    with chat.connect(f"/rooms/general?token={bad}") as client:
        frames, code = client.until_closed()
    assert code == 4401
    assert frames == [{"type": "error", "code": "UNAUTHORIZED", "message": "Unauthorized"}]


def test_a_first_message_that_is_no_authentication_is_refused(chat: Served) -> None:
    with chat.connect("/notifications") as client:
        client.send("message", text="hello")
        frames, code = client.until_closed()
    assert (frames[0]["code"], code) == ("UNAUTHORIZED", 4401)


def test_a_token_is_renewed_by_its_own_user_only(chat: Served) -> None:
    with chat.connect(f"/notifications?token={token('ann')}") as client:
        client.receive("authenticated")
        assert client.ask("authenticate", token=token("ann"))["type"] == "authenticated"
        client.send("authenticate", token=token("bob"))
        frames, code = client.until_closed()
    assert (frames[-1]["code"], code) == ("UNAUTHORIZED", 4401)


# ------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", '{"a":1}', '{"type":1}', "[" * 100, '{"type":"ping","a":NaN}', "\ufeff{}"],
)
def test_bad_json_is_answered_and_the_connection_stays(chat: Served, text: str) -> None:
    with chat.connect("/chat") as client:
        client.socket.send(text)
        assert client.receive()["code"] == "INVALID_JSON"
        assert client.ask("ping")["type"] == "pong"


def test_an_unknown_type_is_no_oracle(chat: Served) -> None:
    with chat.connect("/chat") as client:
        refusal = client.ask("nosuch")
    assert set(refusal) == {"type", "code", "message", "id"}
    assert refusal["code"] == "UNKNOWN_TYPE"


def test_binary_is_refused(chat: Served) -> None:
    with chat.connect("/chat") as client:
        client.socket.send(b"\x00\x01")
        assert client.until_closed() == ([], 1003)


def test_an_oversized_message_is_told_the_limit(chat: Served) -> None:
    with chat.connect("/chat") as client:
        client.socket.send('{"type":"message","text":"%s"}' % ("x" * 70_000))
        frames, code = client.until_closed()
    assert (frames[0]["code"], frames[0]["limit"], code) == ("TOO_LARGE", 65536, 1009)


def test_a_fragmented_message_is_one_message(chat: Served) -> None:
    with chat.connect("/chat") as client:
        client.socket.send(iter(['{"type":"pi', 'ng","id":', '"q"}']))
        assert client.receive() == {"type": "pong", "id": "q"}
        assert client.ask("ping")["type"] == "pong"


def masked(first: int, payload: bytes) -> bytes:
    key = b"\x11\x22\x33\x44"
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return bytes([first, 0x80 | len(payload)]) + key + body


def raw(chat: Served, *frames: bytes) -> bytes:
    """All that a raw socket gets after the handshake for these frames, until the server ends it."""
    with socket.create_connection(("127.0.0.1", chat.port), timeout=PATIENCE) as sock:
        sock.sendall(UPGRADE.format(path="/chat").encode() + b"".join(frames))
        received = b""
        while data := sock.recv(65536):
            received += data
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    return rest


def test_text_that_is_not_utf8_closes_with_1007(chat: Served) -> None:
    answer = raw(chat, masked(0x81, b'{"type":"\xff"}'))
    assert answer[0] == 0x88
    assert int.from_bytes(answer[2:4], "big") == 1007


def test_an_unmasked_frame_closes_with_1002(chat: Served) -> None:
    answer = raw(chat, masked(0x81, b'{"type":"ping"}'), b"\x81\x02{}")
    assert answer.startswith(b'\x81\x0f{"type":"pong"}\x88')
    assert int.from_bytes(answer[19:21], "big") == 1002


def test_frames_in_one_packet_with_the_handshake_are_answered(chat: Served) -> None:
    ping, close = masked(0x81, b'{"type":"ping"}'), masked(0x88, (1000).to_bytes(2, "big"))
    pong = b'\x81\x0f{"type":"pong"}'
    assert raw(chat, ping, ping, masked(0x89, b"hi"), close) == (
        pong + pong + b"\x8a\x02hi" + b"\x88\x02\x03\xe8"
    )
