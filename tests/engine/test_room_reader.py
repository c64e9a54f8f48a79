"""A client that only reads: judged as others are, and a member of nothing."""

from pathlib import Path

import pytest

from channeld.engine.room_reader import RoomReader
from channeld.hooks import Request
from channeld.testing import running

CONFIG = """
channeld: 1
auth: {own: {type: hook, hook: "reading_hooks:who"}}
channels:
  room: {path: "/rooms/{id}", auth: own, require: {role: member}, rooms: "{params.id}", history: {size: 5, ttl: 1h}}
"""
HOOKS = """
from channeld import User

def who(request):
    user = request.query.get("user")
    if user == "broken":
        raise RuntimeError("a bug")
    ends = float(request.query["ends"]) if "ends" in request.query else None
    return user and User(user, {"role": request.query.get("role", "member")}, expires=ends)
"""


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({"user": "ann"}, None),
        ({}, (4401, "UNAUTHORIZED")),
        ({"user": "ann", "role": "guest"}, (4403, "FORBIDDEN")),
        ({"user": "broken"}, (1011, "INTERNAL_ERROR")),
    ],
)
async def test_it_is_judged_as_a_connection_is(
    tmp_path: Path, query: dict[str, str], refusal: tuple[int, str] | None
) -> None:
    tmp_path.joinpath("reading_hooks.py").write_text(HOOKS)
    tmp_path.joinpath("channels.yaml").write_text(CONFIG)
    async with running(str(tmp_path / "channels.yaml")) as app:
        match = app.plan.match("/rooms/den")
        assert match is not None
        reading = RoomReader(
            app.engine,
            match,
            Request(path="/rooms/den", query=query, transport="streams"),
        )
        await reading.open()
        if refusal is None:
            assert (reading.room, reading.refusal) == ("den", None)
        else:
            code, _, error = reading.refusal or (0, "", None)
            assert (code, (error or {}).get("code")) == refusal
        assert not app.engine.sessions
        await reading.close()


@pytest.mark.parametrize("seconds", [5, 300])
async def test_it_ends_with_its_token(tmp_path: Path, seconds: int) -> None:
    tmp_path.joinpath("reading_hooks.py").write_text(HOOKS)
    tmp_path.joinpath("channels.yaml").write_text(CONFIG)
    async with running(str(tmp_path / "channels.yaml")) as app:
        match = app.plan.match("/rooms/den")
        assert match is not None
        query = {"user": "ann", "ends": str(app.runtime.clock.wall() + seconds)}
        request = Request(path="/rooms/den", query=query, transport="streams")
        reading = RoomReader(app.engine, match, request)
        await reading.open()
        told: list[bool] = []
        reading.when_refused(lambda: told.append(True))
        await app.advance(seconds - 1)
        assert (told, reading.refusal) == ([], None)
        await app.advance(2)
        code, _, error = reading.refusal or (0, "", None)
        assert (told, code, (error or {}).get("code")) == ([True], 4401, "TOKEN_EXPIRED")
        await reading.close()
