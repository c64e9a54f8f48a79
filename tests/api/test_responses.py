from typing import Any

import pytest

from channeld.api.responses import told
from channeld.cluster.cluster import Reached
from tests.api.conftest import Start

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("disconnect", {"user": "ann"}),
    ("subscribe", {"user": "ann", "channel": "lobby", "room": "x"}),
    ("unsubscribe", {"user": "ann", "channel": "lobby", "room": "x"}),
    ("revoke", {"user": "ann"}),
]


def test_done_everywhere_is_a_plain_answer() -> None:
    assert told(Reached(3), id="i") == {"id": "i", "connections": 3}


@pytest.mark.parametrize(("verb", "body"), ASKED, ids=[verb for verb, _ in ASKED])
async def test_what_a_node_did_not_confirm_is_accepted_and_pending(
    api: Start, monkeypatch: pytest.MonkeyPatch, verb: str, body: dict[str, Any]
) -> None:
    async with api() as it:

        async def reached(*_arguments: Any, **_options: Any) -> Reached:
            return Reached(2, ("n1", "n2"))

        monkeypatch.setattr(it.app.cluster, verb, reached)
        response = await it.http.post(f"/v1/{verb}", json=body)
        assert response.status_code == 202
        answer = response.json()
        assert (answer["connections"], answer["pending"]) == (2, ["n1", "n2"])
