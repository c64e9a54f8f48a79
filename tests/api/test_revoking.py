"""`POST /v1/revoke`, `GET /v1/revocations`, `DELETE /v1/revocations/{id}`."""

from typing import Any

import pytest

from channeld.auth import revocations
from channeld.testing import START
from tests.api.conftest import Start


async def test_a_users_tokens_are_refused_and_connections_closed(api: Start) -> None:
    async with api() as it:
        ann, bob = await it.enter("a", "ann"), await it.enter("a", "bob")
        answer = await it.post("/v1/revoke", {"user": "ann"})
        assert answer["connections"] == 1
        assert await ann.wait_closed() == (4401, "token revoked")
        assert bob.closed is None
        again = await it.app.connect("/feed", user="ann")
        assert (await again.receive("error"))["code"] == "UNAUTHORIZED"
        fresh = await it.app.connect("/feed", user="ann", claims={"iat": START + 60})
        assert fresh.closed is None


async def test_what_is_revoked_is_shown_and_taken_back(api: Start) -> None:
    async with api() as it:
        one = await it.post("/v1/revoke", {"user": "ann", "before": 5, "for": "1h"})
        until = "2099-01-01T00:00:00Z"
        other = await it.post("/v1/revoke", {"token_id": "t1", "until": until})
        rows = {
            one["id"]: {"id": one["id"], "user": "ann", "before": "1970-01-01T00:00:05Z", "until": one["until"]},
            other["id"]: {"id": other["id"], "token_id": "t1", "until": until},
        }  # fmt: skip
        assert await it.get("/v1/revocations") == {"revocations": [rows[id] for id in sorted(rows)]}
        page = await it.get("/v1/revocations", limit=1)
        assert page["next"] == page["revocations"][0]["id"]
        deleted = await it.http.delete(f"/v1/revocations/{one['id']}")
        assert (deleted.status_code, deleted.json()) == (200, {"id": one["id"]})
        assert (await it.http.delete(f"/v1/revocations/{one['id']}")).status_code == 404
        assert (await it.app.connect("/feed", user="ann")).closed is None


async def test_the_answer_tells_the_end_that_is_in_force(api: Start) -> None:
    async with api() as it:
        longer = await it.post("/v1/revoke", {"user": "ann", "for": "30d"})
        shorter = await it.post("/v1/revoke", {"user": "ann", "for": "1h"})
        assert shorter["until"] == longer["until"]
        [row] = (await it.get("/v1/revocations"))["revocations"]
        assert row["until"] == shorter["until"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": "ann", "token_id": "t", "until": 5},
        {"token_id": "t"},
        {"user": "ann", "until": 5},
        {"user": "ann", "for": "soon"},
        {"user": "ann", "for": "0s"},
        {"user": "ann", "before": "yesterday"},
        {"user": "ann", "before": "2026-01-01T00:00:00"},
        {"user": "ann", "before": True},
        {"user": "ann", "before": -1},
        {"user": ""},
        {"user": "ann", "extra": 1},
    ],
)
async def test_bodies_of_another_form(api: Start, body: dict[str, Any]) -> None:
    async with api() as it:
        await it.post("/v1/revoke", body, 400)
        assert (await it.get("/v1/revocations")) == {"revocations": []}


async def test_there_is_an_end_to_how_many(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "MOST", 1)
    async with api() as it:
        await it.post("/v1/revoke", {"user": "ann"})
        await it.post("/v1/revoke", {"user": "ann"})
        problem = await it.post("/v1/revoke", {"user": "bob"}, 409)
        assert problem["detail"].startswith("there are 1 revocations already")
