"""Nodes with other plans: what differs is found and told, and a room's history is the larger of what they ask for."""

import json
from pathlib import Path

import attrs
import pytest
from trio.testing import MockClock

from channeld.broker.broker import Topic
from channeld.cluster.plans import OtherPlans, digest_of, rows_of
from channeld.config.model import History
from channeld.hub.hub import KeptElsewhere
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan
from tests.cluster.nodes import cluster_of
from tests.engine.conftest import HEAD

ROOM = Topic("room", "room", "a")


def plan(tmp_path: Path, history: str = "", more: str = "", name: str = "one") -> Plan:
    """A channel `room` with this history, a channel `open`, and what else is said."""
    file = tmp_path / f"{name}.yaml"
    keep = f"    history: {history}\n" if history else ""
    room = (
        f'  room:\n    path: /rooms/{{id}}\n    auth: session\n    rooms: "{{params.id}}"\n{keep}'
    )
    room += "    messages: {say: {schema: true, route: room}}\n"
    free = "  open: {path: /open, auth: none, messages: {say: {schema: true, route: sender}}}\n"
    file.write_text(HEAD + "channels:\n" + room + free + more)
    return load_plan(str(file))


def compared(own: Plan, other: Plan) -> tuple[OtherPlans, dict[tuple[str, str], KeptElsewhere]]:
    kept: dict[tuple[str, str], KeptElsewhere] = {}
    plans = OtherPlans(lambda: own)
    plans.on_change = kept.update
    rows = rows_of(other)
    plans.hear("n1", digest_of(rows))
    if plans.is_in_doubt:
        plans.learn({"n1": rows})
    return plans, kept


def test_equal_channels_are_one_plan_whatever_else_differs(tmp_path: Path) -> None:
    own = plan(tmp_path)
    other = plan(tmp_path, name="two")
    plans, kept = compared(own, other)
    assert (plans.differing, kept) == ({}, {})


def test_what_differs_is_named_and_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = "  more: {path: /more, auth: none, messages: {say: {schema: true, route: sender}}}\n"
    own, other = plan(tmp_path), plan(tmp_path, "{size: 5, ttl: 60s}", extra, name="two")
    plans, _ = compared(own, other)
    assert plans.differing == {"n1": ("more", "room")}
    plans.hear("n1", digest_of(rows_of(other)))
    plans.compare()
    assert not plans.is_in_doubt
    plans.hear("n1", digest_of(rows_of(own)))
    assert not plans.is_in_doubt
    assert plans.differing == {}
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("channels")) for line in told] == [
        ("plans_differ", ["more", "room"]),
        ("plans_agree", None),
    ]


def test_versions_of_other_nodes_are_told_of_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = plan(tmp_path)
    plans = OtherPlans(lambda: own)
    for others in ((), ("2", "1"), ("1", "2"), (), ()):
        plans.hear_versions("3", frozenset(others))
        assert plans.versions == set(others)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("own"), line.get("others")) for line in told] == [
        ("versions_differ", "3", ["1", "2"]),
        ("versions_agree", None, None),
    ]


def test_secrets_are_no_part_of_the_digest(tmp_path: Path) -> None:
    own = plan(tmp_path)
    file = tmp_path / "one.yaml"
    file.write_text(file.read_text().replace("a secret of at", "another secret of at"))
    assert rows_of(load_plan(str(file))) == rows_of(own)


@pytest.mark.parametrize(
    ("own", "other", "found"),
    [
        (
            "{size: 5, ttl: 60s}",
            "{size: 9, ttl: 1h}",
            KeptElsewhere(History(size=9, ttl=3600), False),
        ),
        ("", "{size: 9, ttl: 1h}", KeptElsewhere(History(size=9, ttl=3600), True)),
        ("{size: 5, ttl: 60s}", "", None),
    ],
)
def test_what_is_kept_elsewhere_is_told(
    tmp_path: Path, own: str, other: str, found: KeptElsewhere | None
) -> None:
    _, kept = compared(plan(tmp_path, own), plan(tmp_path, other, name="two"))
    assert kept.get(("room", "room")) == found


def test_nodes_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    plans, _ = compared(plan(tmp_path), plan(tmp_path, "{size: 5, ttl: 60s}", name="two"))
    plans.keep_only({"n1"})
    assert list(plans.differing) == ["n1"]
    plans.keep_only(set())
    assert plans.differing == {}


@pytest.mark.parametrize("other", ["{size: 2, ttl: 60s}", ""])
async def test_a_rollout_with_less_history_neither_trims_nor_unnumbers_what_others_keep(
    tmp_path: Path, autojump_clock: MockClock, other: str
) -> None:
    plan(tmp_path, "{size: 20, ttl: 60s}")
    async with cluster_of(tmp_path / "one.yaml", 2) as (_, [a, b]):
        ann, bob = await a.connect("/rooms/a", user="ann"), await b.connect("/rooms/a", user="bob")
        assert a.cluster.plans.differing == {}
        # The other node is given the new file.
        later = plan(tmp_path, other, name="two")
        b.engine.reload(later, {})
        b.cluster.announce()
        await a.rest()
        assert a.cluster.plans.differing == {"n1": ("room",)}
        assert b.cluster.plans.differing == {"n0": ("room",)}
        await ann.received()
        for number in range(6):
            await bob.send({"type": "say", "n": number})
        sent = b.engine.publish("room", {"type": "say", "n": 6, "room": "z", "pos": "1"}, room="a")
        assert sent is not None
        heard = [frame for frame in await ann.received() if frame["type"] == "say"]
        assert [frame["n"] for frame in heard] == list(range(7))
        # Who is in several rooms has to know whose position it is, also where the sender's node knows of none.
        assert {frame["room"] for frame in heard} == {"a"}
        assert all("pos" in frame and frame["pos"] != "1" for frame in heard)
        again = await a.connect("/rooms/a", user="eve", since=heard[0]["pos"])
        missed = [frame["n"] for frame in await again.received() if frame["type"] == "say"]
        assert missed == [1, 2, 3, 4, 5, 6]
        # Everybody has the new file: it is what holds from now on.
        a.engine.reload(attrs.evolve(later), {})
        a.cluster.announce()
        await a.rest()
        assert (a.cluster.plans.differing, b.cluster.plans.differing) == ({}, {})
        assert (a.engine.hub.elsewhere, b.engine.hub.elsewhere) == ({}, {})


async def test_who_comes_back_after_a_time_without_history_is_told_what_was_missed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    kept = plan(tmp_path, "{size: 20, ttl: 60s}")
    without = plan(tmp_path, "", name="two")
    async with cluster_of(tmp_path / "one.yaml", 1) as (_, [a]):
        ann = await a.connect("/rooms/a", user="ann")
        await ann.send({"type": "say", "n": 1})
        [position] = [frame["pos"] for frame in await ann.received() if frame["type"] == "say"]

        async def comes_back() -> bool:
            client = await a.connect("/rooms/a", user="bob", since=position)
            [frame] = [f for f in await client.received() if f["type"] == "subscribed"]
            await client.close()
            return bool(frame["recovered"])

        a.engine.reload(without, {})
        a.engine.reload(kept, {})
        # Nothing was said meanwhile.
        assert await comes_back()
        a.engine.reload(without, {})
        await ann.send({"type": "say", "n": 2})
        await a.rest()
        a.engine.reload(kept, {})
        await a.rest()
        assert not await comes_back()
