"""No token, secret or key reaches the log, whatever becomes of the connection that brought it."""

import http.client
import signal
from collections.abc import Callable

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.system.kit import PATIENCE, SECRET, Served, refused, token

Serve = Callable[..., Served]

YAML = """
    channeld: 1
    log: {level: debug}
    auth:
      session:
        type: jwt
        algorithms: [HS256]
        secret: ${JWT_SECRET}
        token_from: [query, "query:ticket", header, "cookie:session", subprotocol, message]
      fixed:
        type: tokens
        token_from: [query, header, message]
        tokens:
          - {token: "${FIXED_TOKEN}", user: robot}
    channels:
      room:
        path: /room
        auth: session
        messages:
          say: {schema: {type: object, properties: {a: {type: integer}}}, hook: hooks:fail}
      robots:
        path: /robots
        auth: fixed
"""
HOOKS = """
def fail(ctx, message):
    raise RuntimeError("the hook fails on purpose")
"""
BAD = "canary-opaque-5f1d90c2a7"
FIXED = "canary-fixed-0b9f2a6e4d11c3"


@pytest.fixture
def served(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("hooks")
    folder.joinpath("hooks.py").write_text(HOOKS)
    yaml = YAML + f"    hooks: {{path: {folder}}}\n"
    return serve(yaml, JWT_SECRET=SECRET, FIXED_TOKEN=FIXED)


def carry(served: Served, secret: str) -> None:
    """Bring a token in every place that there is, to a path that takes it and to ones that don't."""
    for path in ("/room", "/robots", "/nowhere"):
        for query in (f"token={secret}", f"ticket={secret}", f"access_token={secret}"):
            attempt(served, f"{path}?{query}")
        attempt(served, path, additional_headers={"Authorization": f"Bearer {secret}"})
        attempt(served, path, additional_headers={"Cookie": f"session={secret}"})
        attempt(served, path, subprotocols=["channeld", f"bearer.{secret}"])
        attempt(served, f"{path}?token={secret}", origin=f"https://evil.example/{secret}")
    attempt(served, f"/{secret}")
    with served.connect("/room") as client:
        client.send("authenticate", token=secret)
        client.receive()


def attempt(served: Served, path: str, **options: object) -> None:
    try:
        with served.connect(path, **options) as client:
            # Where this token lets nobody in, the connection ends at one of these.
            client.send("say", a=path)
            client.send("say", a=1)
            client.ask("authenticate", token=path)
    except (InvalidHandshake, ConnectionClosed):
        return


def plain(served: Served, method: str, target: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    connection.request(method, target, headers=headers)
    with connection.getresponse() as response:
        status = response.status
    connection.close()
    return status


def test_no_token_is_ever_logged(served: Served) -> None:
    good, expired = token("ann"), token("ann", lifetime=-3600)
    forged = jwt.encode({"sub": "ann"}, "z" * 40, "HS256")
    for secret in (good, expired, forged, BAD, FIXED):
        carry(served, secret)
        assert plain(served, "GET", f"/room?token={secret}") == 426
        assert plain(served, "POST", f"/room?token={secret}", Authorization=secret) == 415
        assert refused(f"ws://{served.address}/{secret}/x?token={secret}") == 404
    served.tell(signal.SIGTERM)
    assert served.wait() == 0
    written = served.err.text() + served.out.text()
    for secret in (good, expired, forged):
        assert secret not in written
        assert not any(part in written for part in secret.split("."))
    assert BAD not in written
    assert FIXED not in written
    assert SECRET not in written
    reached = {line["event"] for line in served.events()}
    assert reached >= {
        "connection_opened",
        "connection_closed",
        "handshake_refused",
        "auth_refused",
        "hook_failed",
    }
