"""Who a POST is from, where an authenticator has to wait for its answer: hooks, backends, key sets."""

from pathlib import Path

import pytest

from tests.server.backend_kit import Asked, loopback_backend
from tests.server.web_kit import Site, site

HOOKS = """
import trio


async def who(request):
    await trio.sleep(0)
    token = request.query.get("token")
    if token == "broken":
        raise LookupError("no such table")
    from channeld import User
    return User(token) if token in ("ann", "bob") else None
"""
CONFIG = """
channeld: 1
backends: {{app: {{url: "{url}", secret: ssssssssssssssssssssssssssssssssssssssss}}}}
auth:
  python: {{type: hook, hook: "who_posts:who"}}
  remote: {{type: hook, hook: {{backend: app, path: /who}}}}
  keys: {{type: jwt, algorithms: [RS256], jwks: "https://127.0.0.1:1/keys"}}
channels:
  python: {{path: /python, description: Python., auth: python, messages: {{say: {{schema: true, route: sender}}}}}}
  remote: {{path: /remote, description: HTTP., auth: remote, messages: {{say: {{schema: true, route: sender}}}}}}
  keys: {{path: /keys, description: Keys., auth: keys, messages: {{say: {{schema: true, route: sender}}}}}}
"""
PING = {"type": "ping", "id": 1}


async def posts(served: Site, path: str) -> dict[str, int]:
    """The status of a POST to ann's connection by each of these."""
    async with served.events(f"{path}?token=ann") as events:
        secret = (await events.frame("connection"))["id"]
        tokens = ("ann", "bob", "nobody", "broken")
        return {
            token: (await served.post(f"{path}?token={token}", secret, PING)).status
            for token in tokens
        }


async def asked_who(asked: Asked) -> tuple[int, bytes]:
    for token in (b"ann", b"bob"):
        if b'"token":"%b"' % token in asked.body:
            return 200, b'{"user":{"id":"%b"}}' % token
    return (500, b"") if b"broken" in asked.body else (401, b"")


async def test_an_async_hook_says_who_posts(tmp_path: Path) -> None:
    (tmp_path / "who_posts.py").write_text(HOOKS)
    async with site(tmp_path, CONFIG.format(url="http://127.0.0.1:1")) as served:
        assert await posts(served, "/python") == {
            "ann": 200,
            "bob": 403,
            "nobody": 401,
            "broken": 500,
        }
        async with served.events("/python?token=ann") as events:
            secret = (await events.frame("connection"))["id"]
            failed = (await served.post("/python?token=broken", secret, PING)).json()
            assert failed["code"] == "INTERNAL_ERROR"
            assert failed["ref"]


async def test_a_backend_says_who_posts(tmp_path: Path) -> None:
    (tmp_path / "who_posts.py").write_text(HOOKS)
    async with (
        loopback_backend(asked_who) as backend,
        site(tmp_path, CONFIG.format(url=backend.url)) as served,
    ):
        found = await posts(served, "/remote")
        assert found == {"ann": 200, "bob": 403, "nobody": 401, "broken": 503}


async def test_a_post_may_come_again_while_no_authenticator_can_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "who_posts.py").write_text(HOOKS)
    async with site(tmp_path, CONFIG.format(url="http://127.0.0.1:1")) as served:
        token = "e30.e30.e30"
        header = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ"
        for path in ("/remote?token=ann", f"/keys?token={token.replace('e30', header, 1)}"):
            answer = await served.post(path, "nobody's", PING)
            assert (answer.status, answer.json()["code"]) == (503, "UNAVAILABLE"), path
            assert answer.json()["retry_after"] > 0
    assert "connection_failed" not in capsys.readouterr().err
