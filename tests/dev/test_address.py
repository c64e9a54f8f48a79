from pathlib import Path

import pytest

from channeld.config.model import Server, Tls
from channeld.dev.address import BadAddress, likely_path, resolve, with_token
from channeld.plan.load import load_plan


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("ws://example.com/chat", "ws://example.com/chat"),
        ("wss://example.com:8443/chat?since=5#x", "wss://example.com:8443/chat?since=5"),
        ("https://example.com/chat", "wss://example.com/chat"),
        ("http://[::1]:4000", "ws://[::1]:4000/"),
        ("localhost:4000/chat", "ws://localhost:4000/chat"),
        ("ws://x/rooms/a%2Fb é", "ws://x/rooms/a%2Fb%20%C3%A9"),
    ],
)
def test_addresses_as_people_write_them(given: str, url: str) -> None:
    assert resolve(given).url == url


@pytest.mark.parametrize(
    ("bind", "base"),
    [
        ("127.0.0.1:4000", "ws://127.0.0.1:4000"),
        ("0.0.0.0:80", "ws://127.0.0.1:80"),
        (":4000", "ws://127.0.0.1:4000"),
        ("[::]:4000", "ws://[::1]:4000"),
        ("chat.internal:1", "ws://chat.internal:1"),
    ],
)
def test_a_bare_path_is_on_the_declared_server(bind: str, base: str) -> None:
    assert resolve("/rooms/a", Server(bind=(bind, "unix:/x"))).url == f"{base}/rooms/a"


def test_a_server_with_a_certificate_is_reached_over_tls() -> None:
    server = Server(tls=Tls(certificate="c", key="k"))
    assert resolve("/chat", server).url == "wss://127.0.0.1:4000/chat"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ftp://x/y", "not a WebSocket address"),
        ("ws:///chat", "not a WebSocket address"),
        ("ws://x:99999/", "not a WebSocket address"),
        ("ws://x:0/", "not a WebSocket address"),
        ("ws://[::1/", "not a WebSocket address"),
        ("/chat", "which server"),
        ("rooms/general", "write /rooms/general for a path"),
    ],
)
def test_what_is_no_address_says_so(given: str, words: str) -> None:
    with pytest.raises(BadAddress, match=words):
        resolve(given)


def test_a_unix_socket_cannot_be_reached() -> None:
    with pytest.raises(BadAddress, match="unix:/run/x"):
        resolve("/chat", Server(bind=("unix:/run/x",)))


def test_a_token_goes_into_the_query() -> None:
    assert with_token(resolve("ws://x/y"), "a.b").url == "ws://x/y?token=a.b"
    assert with_token(resolve("ws://x/y?a=1"), "a+b", ["query:jwt"]).url == "ws://x/y?a=1&jwt=a%2Bb"


def test_a_token_goes_where_the_authenticator_looks_first() -> None:
    here = resolve("ws://x/y")
    assert with_token(here, "t", ["header", "query"]).headers == (("Authorization", "Bearer t"),)
    assert with_token(here, "t", ["cookie:sid"]).headers == (("Cookie", "sid=t"),)
    assert with_token(here, "t", ["subprotocol"]).subprotocols == ("channeld", "bearer.t")
    assert with_token(here, "t", ["message"]).first == {"type": "authenticate", "token": "t"}


def test_a_token_is_not_shown() -> None:
    assert "canary" not in repr(with_token(resolve("ws://x/y"), "canary"))


def test_a_path_with_likely_values(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text("""
channeld: 1
channels:
  room: {path: "/rooms/{id}", auth: none}
  day: {path: "/{year}/{rest...}", auth: none, params: {year: {type: string, enum: ["2026", "2027"]}}}
  never: {path: "/n/{id}", auth: none, params: {id: {type: string, pattern: "^[0-9]{9}z$"}}}
""")
    plan = load_plan(str(file), {})
    assert likely_path(plan, plan.channels["room"]) == "/rooms/general"
    assert likely_path(plan, plan.channels["day"], "a b") == "/2026/a%20b"
    with pytest.raises(LookupError, match=r"cannot guess a value of \{id\} for /n/\{id\}"):
        likely_path(plan, plan.channels["never"])
