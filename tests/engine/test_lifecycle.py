"""The ends of a session's life that the other tests do not reach."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channeld.testing import TestApp, running
from channeld.testing.client import Refused
from tests.engine.conftest import Serve

HOOKS = """
from channeld import User, Reject

async def by_header(request):
    name = request.headers.get("x-user")
    if name == "reject":
        raise Reject("never told")
    if name == "boom":
        raise RuntimeError
    return User(name, {"from": "hook"}) if name else None

def wrong(request):
    return "ann"
"""

CHANNELS = """
channeld: 1
auth:
  gate: {type: hook, hook: "openhooks:by_header"}
  wrong: {type: hook, hook: "openhooks:wrong"}
  table: {type: tokens, tokens: [{token: table-token, user: tab}]}
channels:
  gated: {path: /gated, auth: gate, messages: {who: {schema: true, route: sender, emit: {u: "{user.id}"}}}}
  either: {path: /either, auth: [gate, table], messages: {who: {schema: true, route: sender, emit: {u: "{user.id}"}}}}
  wrong: {path: /wrong, auth: wrong}
"""


@asynccontextmanager
async def hooked(folder: Path) -> AsyncIterator[TestApp]:
    (folder / "openhooks.py").write_text(HOOKS)
    (folder / "channels.yaml").write_text(CHANNELS)
    async with running(folder / "channels.yaml") as app:
        yield app


async def test_authenticator_hook_says_who_it_is(tmp_path: Path) -> None:
    async with hooked(tmp_path) as app:
        client = await app.connect("/gated", headers={"x-user": "ann"})
        assert await client.receive() == {"type": "authenticated", "user": "ann"}


@pytest.mark.parametrize("name", ["", "reject", "x" * 129])
async def test_none_reject_and_a_bad_id_are_unauthorized(tmp_path: Path, name: str) -> None:
    async with hooked(tmp_path) as app:
        client = await app.connect("/gated", headers={"x-user": name})
        assert (await client.receive())["message"] == "Unauthorized"
        assert (await client.wait_closed())[0] == 4401


async def test_what_is_no_user_is_the_hooks_failure(tmp_path: Path) -> None:
    async with hooked(tmp_path) as app:
        assert (await (await app.connect("/wrong")).wait_closed())[0] == 1011


async def test_authenticator_hook_that_raises_is_an_internal_error(tmp_path: Path) -> None:
    async with hooked(tmp_path) as app:
        client = await app.connect("/gated", headers={"x-user": "boom"})
        assert (await client.receive())["code"] == "INTERNAL_ERROR"
        assert (await client.wait_closed())[0] == 1011


async def test_first_authenticator_that_finds_its_token_decides(tmp_path: Path) -> None:
    async with hooked(tmp_path) as app:
        client = await app.connect("/either", token="table-token")
        assert (await client.receive())["user"] == "tab"
        client = await app.connect("/either", token="table-token", headers={"x-user": "ann"})
        assert (await client.receive())["user"] == "ann"


async def test_room_template_that_gives_no_room_name_is_forbidden(serve: Serve) -> None:
    room = """
  room: {path: "/r/{id}", auth: session, rooms: "{user.id}"}
"""
    async with serve(room) as app:
        client = await app.connect("/r/a", user="ann\a")
        await client.receive("authenticated")
        assert (await client.receive())["code"] == "FORBIDDEN"
        assert (await client.wait_closed())[0] == 4403


async def test_a_param_with_what_cannot_be_seen_is_no_match(serve: Serve) -> None:
    async with serve('  room: {path: "/r/{id}", auth: none, rooms: "{params.id}"}') as app:
        for path in ("/r/%07", "/r/a%E2%80%AE", "/r/%E2%80%8B"):
            with pytest.raises(Refused) as refused:
                await app.connect(path)
            assert refused.value.status == 404
