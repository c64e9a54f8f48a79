"""Revocations over nodes: told to all that are there, and read by those that come later."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from trio.testing import MockClock

from channeld.auth.revocations import Revocation, Revocations
from channeld.cluster import revocation_log
from channeld.cluster.revocation_log import append, from_row, replay, row_of
from channeld.testing import START
from tests.cluster.nodes import Bus, Node, cluster_of
from tests.engine.conftest import HEAD

Nodes = Callable[[int], AbstractAsyncContextManager[tuple[Bus, list[Node]]]]
ANN = Revocation(user="ann", before=START + 5, until=START + 1_000)


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    file = tmp_path / "channels.yaml"
    file.write_text(HEAD + "channels:\n  room: {path: /room, auth: session, events: {}}\n")
    return lambda count: cluster_of(file, count)


def test_a_revocation_is_a_row() -> None:
    assert from_row(row_of(ANN)) == ANN


async def test_a_users_connections_are_closed_on_every_node(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(3) as (_, [a, b, c]):
        anns = [await node.connect("/room", user="ann") for node in (a, b, c)]
        later = await b.connect("/room", user="ann", claims={"iat": START + 6})
        bob = await b.connect("/room", user="bob")
        assert (await a.cluster.revoke(ANN)).connections == 3
        assert [await client.wait_closed() for client in anns] == [(4401, "token revoked")] * 3
        assert (later.closed, bob.closed) == (None, None)
        again = await c.connect("/room", user="ann")
        assert (await again.wait_closed())[0] == 4401


async def test_one_that_is_taken_back_is_so_on_every_node(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        await a.cluster.revoke(ANN)
        assert await b.cluster.restore(ANN.id)
        assert not await b.cluster.restore(ANN.id)
        assert (await a.connect("/room", user="ann")).closed is None


async def test_a_node_that_comes_later_reads_what_was_revoked(
    nodes: Nodes, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_log, "PAGE", 2)
    async with nodes(1) as (_, [a]):
        for number in range(5):
            await a.cluster.revoke(Revocation(token_id=f"t{number}", until=START + 1_000))
        await a.cluster.restore(Revocation(token_id="t3", until=0).id)
        known = Revocations()
        await replay(a.engine.hub, known, START)
        assert [one.token_id for one in known] == ["t0", "t1", "t2", "t4"]


async def test_what_is_no_entry_is_passed_over(nodes: Nodes, autojump_clock: MockClock) -> None:
    async with nodes(1) as (_, [a]):
        for entry in ({"revoke": [1, 2]}, {"restore": 5}, {"other": "x"}, {}):
            await append(a.engine.hub, entry, START)  # type: ignore[arg-type]
        await append(a.engine.hub, {"revoke": row_of(ANN)}, START)
        known = Revocations()
        await replay(a.engine.hub, known, START)
        assert list(known) == [ANN]


async def test_a_node_that_was_cut_off_reads_the_log_again(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(2) as (_, [a, b]):
        b.end.is_deaf = True
        await a.cluster.revoke(ANN)
        assert len(b.engine.revocations) == 0
        b.end.is_deaf = False
        b.cluster.greet()
        await b.rest()
        assert list(b.engine.revocations) == [ANN]


async def test_what_was_said_last_holds_in_whatever_order_it_is_kept(
    nodes: Nodes, autojump_clock: MockClock
) -> None:
    async with nodes(1) as (_, [a]):
        await append(a.engine.hub, {"revoke": row_of(ANN)}, START + 2)
        await append(a.engine.hub, {"restore": ANN.id}, START + 1)
        known = Revocations()
        await replay(a.engine.hub, known, START)
        assert list(known) == [ANN]
