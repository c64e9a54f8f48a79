import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
import jwt
import pytest
import structlog
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channeld.auth.authenticator import KeySource
from channeld.config.model import Jwks
from channeld.server.jwks import SIZE_LIMIT, RemoteKeySet, keep_fresh
from tests.auth.jwk_kit import RSA, ec_jwk, ed_jwk, key_set, rsa_jwk


@attrs.define
class StillClock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


@attrs.define
class Publisher:
    """A loopback server of one document: what it answers, and how often it was asked."""

    port: int = 0
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict)
    asked: int = 0
    wait_for: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"


@pytest.fixture
def publish() -> Iterator[Callable[..., Publisher]]:
    servers: list[tuple[http.server.ThreadingHTTPServer, threading.Thread]] = []

    def start(body: bytes = b"", tls: ssl.SSLContext | None = None) -> Publisher:
        publisher = Publisher(body=body)

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                if publisher.wait_for is not None:
                    publisher.wait_for.wait(10)
                self.send_response(publisher.status)
                for name, text in publisher.headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(publisher.body)))
                self.end_headers()
                self.wfile.write(publisher.body)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        publisher.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return publisher

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def keys_of(
    source: Jwks, clock: StillClock | None = None, algorithms: str = "RS256 ES256"
) -> RemoteKeySet:
    given = KeySource(jwks=source, algorithms=tuple(algorithms.split()))
    return RemoteKeySet(given, clock or StillClock(), name="session")


# --- fetching and keeping


async def test_a_fetched_key_verifies_a_token(publish: Callable[..., Publisher]) -> None:
    keys = keys_of(Jwks(url=publish(key_set(rsa_jwk())).url))
    assert keys.find("r1") is None
    await keys.refresh()
    key = keys.find("r1")
    assert key is not None
    token = jwt.encode({"sub": "ann"}, RSA, algorithm="RS256")
    assert jwt.decode(token, key.key, algorithms=list(key.algorithms)) == {"sub": "ann"}


async def test_keys_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(key_set(ec_jwk()))
    keys = keys_of(Jwks(file=str(tmp_path / "keys.json")))
    await keys.refresh()
    assert keys.find("e1") is not None


async def test_without_an_id_only_an_only_key_is_found(publish: Callable[..., Publisher]) -> None:
    publisher = publish(key_set(rsa_jwk()))
    clock = StillClock()
    keys = keys_of(Jwks(url=publisher.url), clock)
    await keys.refresh()
    assert keys.find(None) is keys.find("r1")
    publisher.body = key_set(rsa_jwk(), ec_jwk())
    clock.now += 60
    await keys.refresh()
    assert keys.find(None) is None


async def test_a_thousand_unknown_ids_make_one_request(publish: Callable[..., Publisher]) -> None:
    publisher = publish(key_set(rsa_jwk()))
    keys = keys_of(Jwks(url=publisher.url))
    for number in range(1000):
        if keys.find(f"../../{number}") is None and keys.may_refresh():
            await keys.refresh()
    assert publisher.asked == 1


async def test_a_minute_later_it_is_asked_again(publish: Callable[..., Publisher]) -> None:
    publisher = publish(key_set(rsa_jwk("old")))
    clock = StillClock()
    keys = keys_of(Jwks(url=publisher.url), clock)
    await keys.refresh()
    publisher.body = key_set(rsa_jwk("new"))
    clock.now += 59.9
    await keys.refresh()
    assert (keys.may_refresh(), keys.find("new")) == (False, None)
    clock.now += 0.1
    assert keys.may_refresh()
    await keys.refresh()
    assert keys.find("new") is not None
    assert keys.find("old") is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": 500}, "HTTP 500"),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, "HTTP 302"),
        ({"body": b"x" * (SIZE_LIMIT + 1)}, "larger than 64 KiB"),
        ({"body": b"nonsense"}, "not JSON"),
        ({"headers": {"Content-Encoding": "gzip"}}, "compressed"),
    ],
)
async def test_a_failure_keeps_the_old_keys_and_counts(
    publish: Callable[..., Publisher], change: dict[str, Any], reason: str
) -> None:
    publisher = publish(key_set(rsa_jwk()))
    clock = StillClock()
    keys = keys_of(Jwks(url=publisher.url), clock)
    await keys.refresh()
    for name, value in change.items():
        setattr(publisher, name, value)
    clock.now += 60
    with structlog.testing.capture_logs() as captured:
        await keys.refresh()
        await keys.refresh()
    assert keys.find("r1") is not None
    assert [line["event"] for line in captured] == ["jwks_failed"]
    assert reason in captured[0]["reason"]
    assert publisher.asked == 2


async def test_a_set_without_a_usable_key_takes_the_old_keys_away(
    publish: Callable[..., Publisher],
) -> None:
    publisher = publish(key_set(rsa_jwk()))
    clock = StillClock()
    keys = keys_of(Jwks(url=publisher.url), clock)
    await keys.refresh()
    publisher.body = key_set(ed_jwk())
    clock.now += 60
    with structlog.testing.capture_logs() as captured:
        await keys.refresh()
    assert captured[0]["reason"] == "no key for ES256, RS256 in the set"
    assert (keys.find("r1"), keys.is_known, keys.due_in()) == (None, False, 5.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 3600),
        ({"Cache-Control": "public, max-age=600"}, 600),
        ({"Cache-Control": "max-age=600", "Age": "500"}, 100),
        ({"Cache-Control": "MAX-AGE=1"}, 60),
        ({"Cache-Control": "max-age=86400"}, 3600),
        ({"Cache-Control": "no-store"}, 60),
        ({"Cache-Control": "max-age=nonsense"}, 3600),
        ({"Cache-Control": "s-maxage=10, x-max-age=10"}, 3600),
    ],
)
async def test_a_set_is_good_for_as_long_as_its_publisher_says(
    publish: Callable[..., Publisher], headers: dict[str, str], seconds: float
) -> None:
    publisher = publish(key_set(rsa_jwk()))
    publisher.headers = headers
    clock = StillClock()
    keys = keys_of(Jwks(url=publisher.url), clock)
    assert keys.due_in() == 0
    await keys.refresh()
    assert keys.due_in() == seconds
    clock.now += seconds
    assert keys.due_in() == 0


async def test_what_could_not_be_read_is_tried_again_soon(tmp_path: Path) -> None:
    clock = StillClock()
    keys = keys_of(Jwks(file=str(tmp_path / "keys.json")), clock)
    await keys.refresh()
    assert (keys.is_known, keys.due_in(), keys.may_refresh()) == (False, 5.0, False)
    (tmp_path / "keys.json").write_bytes(key_set(ec_jwk()))
    clock.now += 5
    await keys.refresh()
    assert (keys.is_known, keys.due_in()) == (True, 3600)
    (tmp_path / "keys.json").unlink()
    clock.now += 3600
    await keys.refresh()
    assert (keys.is_known, keys.due_in()) == (True, 60)


async def test_a_forced_refresh_takes_the_set_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(ec_jwk("old")))
    keys = keys_of(Jwks(file=str(file)))
    await keys.refresh()
    file.write_bytes(key_set(ec_jwk("new")))
    await keys.refresh()
    assert keys.find("old") is not None
    await keys.refresh(forced=True)
    assert keys.find("old") is None
    assert keys.find("new") is not None


class OldEvery100(RemoteKeySet):
    """A set that is old 100 seconds after it was read, and needs no time to be read."""

    def __init__(self) -> None:
        self.read_at: list[float] = []

    def due_in(self) -> float:
        last = self.read_at[-1] if self.read_at else trio.current_time()
        return max(0.0, last + 100 - trio.current_time())

    async def refresh(self, *, forced: bool = False) -> None:
        self.read_at.append(trio.current_time())


async def test_sets_are_read_again_when_they_are_old(
    autojump_clock: trio.testing.MockClock,
) -> None:
    keys, start = OldEvery100(), trio.current_time()
    keys.read_at.append(start)
    with trio.move_on_after(350):
        await keep_fresh(lambda: [keys])
    assert [round(at - start) for at in keys.read_at] == [0, 100, 200, 300]


async def test_nobody_listening_is_only_logged() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with structlog.testing.capture_logs() as captured:
            await keys_of(Jwks(url=url)).refresh()
    assert captured[0]["event"] == "jwks_failed"


async def test_a_missing_file_is_only_logged(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as captured:
        await keys_of(Jwks(file=str(tmp_path / "none.json"))).refresh()
    assert "No such file" in captured[0]["reason"]


async def test_a_silent_server_is_given_up(
    publish: Callable[..., Publisher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channeld.server.jwks.TIME_LIMIT", 0.05)
    publisher = publish()
    publisher.wait_for = threading.Event()
    with structlog.testing.capture_logs() as captured:
        await keys_of(Jwks(url=publisher.url)).refresh()
    publisher.wait_for.set()
    assert captured[0]["reason"] == "no answer within 0.05 s"


async def test_one_who_comes_during_a_fetch_waits_for_it(publish: Callable[..., Publisher]) -> None:
    publisher = publish(key_set(rsa_jwk()))
    publisher.wait_for = threading.Event()
    keys = keys_of(Jwks(url=publisher.url))
    found = []

    async def ask() -> None:
        assert keys.may_refresh()
        await keys.refresh()
        found.append(keys.find("r1"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked(0.01)
        publisher.wait_for.set()
    assert len(found) == 5
    assert None not in found
    assert publisher.asked == 1


async def test_a_caller_that_leaves_does_not_waste_the_attempt(
    publish: Callable[..., Publisher],
) -> None:
    publisher = publish(key_set(rsa_jwk()))
    publisher.wait_for = threading.Event()
    keys = keys_of(Jwks(url=publisher.url))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keys.refresh)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
        publisher.wait_for.set()
    assert keys.find("r1") is not None


async def test_two_sets_with_one_id_stay_apart(publish: Callable[..., Publisher]) -> None:
    one = keys_of(Jwks(url=publish(key_set(rsa_jwk("k"))).url))
    other = keys_of(Jwks(url=publish(key_set(ec_jwk("k"))).url))
    await one.refresh()
    await other.refresh()
    first, second = one.find("k"), other.find("k")
    assert first is not None
    assert second is not None
    assert (first.algorithms, second.algorithms) == (("RS256",), ("ES256",))


@pytest.mark.parametrize(
    "url",
    ["http://example.com/keys", "file:///etc/passwd", "https:///x", "ftp://127.0.0.1/", "keys"],
)
def test_other_addresses_are_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="https URL"):
        keys_of(Jwks(url=url))


def test_a_set_has_one_source() -> None:
    with pytest.raises(ValueError, match="at a url or in a file"):
        keys_of(Jwks())


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    start = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "both.pem").write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_https_with_a_trusted_certificate(
    publish: Callable[..., Publisher], tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    publisher = publish(key_set(rsa_jwk()), tls[0])
    url = publisher.url.replace("http:", "https:")
    source = KeySource(jwks=Jwks(url=url), algorithms=("RS256",))
    keys = RemoteKeySet(source, StillClock(), tls=tls[1])
    await keys.refresh()
    assert keys.find("r1") is not None


async def test_https_with_an_unknown_certificate_is_refused(
    publish: Callable[..., Publisher], tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    publisher = publish(key_set(rsa_jwk()), tls[0])
    keys = keys_of(Jwks(url=publisher.url.replace("http:", "https:")))
    with structlog.testing.capture_logs() as captured:
        await keys.refresh()
    assert keys.find("r1") is None
    assert "certificate" in captured[0]["reason"].lower()
