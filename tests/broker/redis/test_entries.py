import signal
from collections.abc import Callable
from typing import Any

import pytest
import trio

from channeld.broker.broker import (
    BrokerUnavailable,
    Position,
    PresenceChange,
    PresenceEntry,
    PresenceMissed,
    Topic,
)
from channeld.broker.redis import entries, roster
from channeld.broker.redis.encoding import Names
from channeld.broker.redis.entries import Entries, read_last
from channeld.broker.redis.scripts import VERSION
from channeld.hub.shown import Shown
from tests.broker.conftest import Server, settle, turnout

ROOM = Topic("room", "lobby", "general")
MakeServer = Callable[[str], Any]


@pytest.fixture(autouse=True)
def looks_often(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew and look for leases that have run out many times a second; none runs out by itself."""
    monkeypatch.setattr(entries, "RENEWAL", 0.05)


async def die(node: Any, server: Server) -> None:
    """End a node without a word to Redis, as kill -9 does, and let its lease have run out."""
    node.broker._scope.cancel()
    name = node.broker._dialler._name.encode()
    with trio.fail_after(60):
        while name in await server.command("CLIENT", "LIST"):
            await trio.testing.wait_all_tasks_blocked(0.01)
    leases = f"{node.broker._names.base}:leases"
    await server.command("ZADD", leases, "XX", "0", node.broker._entries.lease)


async def users(node: Any) -> list[str]:
    return [here.user for here in await settle(node.broker.present(ROOM))]


def test_what_is_not_entered_cannot_leave() -> None:
    entries = Entries(Names("p"))
    assert entries.leave(ROOM, "ann", "c1") is None
    assert entries.linger(ROOM, "ann", "c1", 1.0) is None


@pytest.mark.parametrize(("user", "info"), [("\ud800", {}), ("ann", {"n": object()})])
def test_what_json_cannot_say_is_not_recorded(user: str, info: Any) -> None:
    entries = Entries(Names("p"))
    with pytest.raises(TypeError):
        entries.enter(ROOM, user, "c1", info)
    assert len(entries) == 0


async def test_nodes_of_another_version_are_told_of_until_they_are_gone(
    shared_servers: MakeServer,
    new_node: Any,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, told = shared_servers("valkey"), dict[str, Any]()

    def note(own: str, others: frozenset[str]) -> None:
        seen = told.setdefault(own, [])
        if seen[-1:] != [others]:
            seen.append(others)

    one = new_node(server.url)
    one.broker.on_versions = note
    await one.start(nursery)
    monkeypatch.setattr(entries, "VERSION", "another")
    two = new_node(server.url, one.prefix)
    two.broker.on_versions = note
    await nursery.start(two.broker.run)
    assert told == {VERSION: [frozenset()], "another": [frozenset({VERSION})]}
    monkeypatch.setattr(entries, "VERSION", VERSION)
    await one.until(lambda: told[VERSION][-1] == frozenset({"another"}))
    # What a node that is gone has left there runs out.
    await server.command("DEL", f"{one.prefix}:versions")
    await one.until(lambda: told[VERSION][-1] == frozenset())
    for node in (two, one):
        await node.broker.aclose()


def test_redis_is_told_what_differs() -> None:
    entries = Entries(Names("p"))
    entries.enter(ROOM, "ann", "c1", {"n": 1})
    entries.enter(ROOM, "bob", "c2", {})
    entries.linger(ROOM, "bob", "c2", 1.0)
    entries.enter(ROOM, "eve", "c3", {})
    entries.undo(ROOM, "eve", "c3")
    entries.lease = "later"
    told = {(ROOM, "gone", "c9"): True, (ROOM, "ann", "c1"): True}
    different = [
        (key[1], enters, script.arguments) for key, enters, script in entries.differences(told)
    ]
    assert [(user, enters, args[0], args[6]) for user, enters, args in different[:1]] == [
        ("bob", True, "later", "0")
    ]
    assert [(user, enters, args[0]) for user, enters, args in different[1:]] == [
        ("gone", False, "later")
    ]


def test_replies_are_read() -> None:
    assert read_last([3, b'["room","lobby","a","ann","c1"]', b"e", 7]) == (
        3,
        [(Topic("room", "lobby", "a"), "ann", Position("e", 7))],
    )


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_a_user_on_two_nodes_enters_and_leaves_once(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    assert await turnout(one.broker.enter, ROOM, "ann", "c1", {"n": 1})
    assert not await turnout(two.broker.enter, ROOM, "ann", "c1", {"n": 2})
    assert await one.broker.present(ROOM) == [PresenceEntry("ann", {"n": 2}, 2)]
    assert not await turnout(one.broker.leave, ROOM, "ann", "c1")
    assert await turnout(two.broker.leave, ROOM, "ann", "c1")
    assert await users(one) == []


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_the_users_of_a_dead_node_leave_once(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    server = shared_servers(kind)
    one, two, three = await two_nodes(server.url, 3)
    for number in range(5):
        await one.broker.enter(ROOM, f"user{number}", "c1", {})
    await one.broker.enter(ROOM, "both", "c1", {})
    await two.broker.enter(ROOM, "both", "c1", {})
    await die(one, server)
    await two.until(lambda: len(two.told) + len(three.told) == 5)
    lost = sorted(two.told + three.told)
    assert lost == [("lost", ROOM, f"user{number}") for number in range(5)]
    assert await users(two) == ["both"]
    await two.broker.leave(ROOM, "both", "c1")


async def test_a_lease_runs_out(
    shared_servers: MakeServer,
    one_node: Any,
    new_node: Any,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = shared_servers("valkey")
    with monkeypatch.context() as brief:
        brief.setattr(entries, "LEASE", 0.1)
        brief.setattr(entries, "RENEWAL", 600.0)
        one = await one_node(server.url)
    await one.broker.enter(ROOM, "ann", "c1", {})
    two = await new_node(server.url, one.prefix).start(nursery)
    await two.until(lambda: two.told == [("lost", ROOM, "ann")])
    await two.broker.aclose()


async def test_many_entries_are_undone_in_pieces(
    shared_servers: MakeServer, two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_AT_ONCE", 7)
    server = shared_servers("redis")
    one, two = await two_nodes(server.url)
    for answer in [one.broker.enter(ROOM, f"u{number}", "c", {}) for number in range(50)]:
        await answer
    await die(one, server)
    await two.until(lambda: len(two.told) == 50)
    assert await users(two) == []


async def test_a_room_is_vacated_after_the_users_of_a_dead_node_left(
    shared_servers: MakeServer, two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_AT_ONCE", 3)
    server = shared_servers("valkey")
    one, two, three = await two_nodes(server.url, 3)
    occupied = Topic("occupied", "lobby", "general")
    await one.broker.enter(occupied, "", "n", {})
    for number in range(10):
        await one.broker.enter(ROOM, f"u{number}", "c", {})
    await die(one, server)
    await two.until(lambda: len(two.told) + len(three.told) == 11)
    # One node undoes it all; the other had nothing to do.
    assert sorted(map(len, (two.told, three.told))) == [0, 11]
    assert (two.told or three.told)[-1] == ("lost", occupied, "")


async def test_closing_gives_the_lease_up(shared_servers: MakeServer, two_nodes: Any) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    await one.broker.enter(ROOM, "ann", "c1", {})
    await one.broker.aclose()
    await two.until(lambda: two.told == [("lost", ROOM, "ann")])


def test_what_lingers_is_sorted_by_the_seconds_that_are_left() -> None:
    entries = Entries(Names("p"))
    for number, user in enumerate(["ann", "bob", "eve", "dan"]):
        entries.enter(ROOM, user, "c", {})
        if user != "dan":
            entries.linger(ROOM, user, "c", 10.0 + number)
    left = entries.heirlooms(10.0)
    assert [(seconds, [packed[32:] for packed in some]) for seconds, some in left.items()] == [
        (1, ['["room","lobby","general","bob","c"]']),
        (2, ['["room","lobby","general","eve","c"]']),
    ]


async def test_who_lingers_outlives_the_node_and_leaves_in_time(
    shared_servers: MakeServer, two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "_AT_ONCE", 2)
    one, two = await two_nodes(shared_servers("valkey").url)
    for user in ("ann", "bob", "eve", "fay"):
        await one.broker.enter(ROOM, user, "c1", {})
    for user, seconds in (("ann", 60.0), ("bob", 60.0), ("eve", 60.0), ("fay", 1.0)):
        await one.broker.linger(ROOM, user, "c1", seconds)
    await one.broker.aclose()
    assert not await turnout(two.broker.enter, ROOM, "ann", "c2", {})
    await two.until(lambda: bool(two.told))
    assert two.told == [("lost", ROOM, "fay")]
    assert await users(two) == ["ann", "bob", "eve"]
    assert await turnout(two.broker.leave, ROOM, "ann", "c2") == []


@pytest.mark.parametrize("ends", ["killed", "drained"])
async def test_a_state_goes_with_its_connection_also_when_its_node_has_ended(
    shared_servers: MakeServer, two_nodes: Any, ends: str
) -> None:
    server = shared_servers("valkey")
    one, two = await two_nodes(server.url)
    of_c1, of_c2 = (Shown({"n": 1.5, "x": []}, {"away": True}, by) for by in ("c1", "c2"))
    other = Topic("room", "lobby", "other")
    for topic, shown in ((ROOM, of_c1), (other, of_c2)):
        two.broker.subscribe(topic)
        await one.broker.enter(topic, "ann", "c1", shown.packed())
        await two.broker.enter(topic, "ann", "c2", shown.packed())
    if ends == "killed":
        await die(one, server)
    else:
        await one.broker.linger(ROOM, "ann", "c1", 1.0)
        await one.broker.aclose()

    async def shown_in(topic: Topic) -> tuple[int, Any]:
        [entry] = await settle(two.broker.present(topic))
        return entry.connections, Shown.unpack(entry.info).fields()

    bare = {"info": {"n": 1.5, "x": []}}
    with trio.fail_after(60):
        while await shown_in(ROOM) != (1, bare) or (await shown_in(other))[0] != 1:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert await shown_in(other) == (1, {**bare, "state": {"away": True}})
    last = [delivered for topic, delivered in two.delivered if topic == ROOM][-1]
    assert (last.event, Shown.unpack(last.info).fields()) == ("update", bare)


async def test_an_outage_loses_nobody(make_server: MakeServer, two_nodes: Any) -> None:
    server = make_server("valkey")
    one, two = await two_nodes(server.url)
    await one.broker.enter(ROOM, "ann", "c1", {"n": 1})
    await two.broker.enter(ROOM, "bob", "c2", {})
    await one.broker.linger(ROOM, "ann", "c1")
    server.kill()
    await one.until(lambda: not (one.broker.healthy or two.broker.healthy))
    server.start()
    await one.until(lambda: one.broker.healthy and two.broker.healthy)
    here = {present.user: present for present in await one.broker.present(ROOM)}
    assert here == {"ann": PresenceEntry("ann", {"n": 1}, 0), "bob": PresenceEntry("bob", {}, 1)}
    assert one.told == two.told == []


async def test_a_frozen_server_loses_nobody(
    make_server: MakeServer, two_nodes: Any, notices_freezes: None
) -> None:
    server = make_server("redis")
    one, two = await two_nodes(server.url)
    await one.broker.enter(ROOM, "ann", "c1", {})
    await two.broker.enter(ROOM, "bob", "c2", {})
    server.signal(signal.SIGSTOP)
    await one.until(lambda: not (one.broker.healthy or two.broker.healthy))
    server.signal(signal.SIGCONT)
    await one.until(lambda: one.broker.healthy and two.broker.healthy)
    assert sorted(await users(one)) == ["ann", "bob"]
    assert one.told == two.told == []


async def test_a_leave_while_redis_is_away_is_told_later(
    make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server("valkey")
    (one,) = await two_nodes(server.url, 1)
    await one.broker.enter(ROOM, "ann", "c1", {})
    await one.broker.enter(ROOM, "bob", "c2", {})
    cut(one)
    await one.until(lambda: one.broker._outlet.session is None)
    with pytest.raises(BrokerUnavailable):
        one.broker.leave(ROOM, "ann", "c1")
    with pytest.raises(BrokerUnavailable):
        one.broker.enter(ROOM, "eve", "c3", {})
    await one.until(lambda: bool(one.told))
    assert one.told == [("lost", ROOM, "ann")]
    await one.until(lambda: one.broker.healthy)
    assert await users(one) == ["bob"]


async def test_a_node_that_was_counted_out_comes_back(
    make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server("valkey")
    one, two = await two_nodes(server.url)
    await one.broker.enter(ROOM, "ann", "c1", {"n": 1})
    # What another node does when it thinks that this one has died.
    await two.broker._leases._reap(two.broker._outlet.session, one.broker._entries.lease)
    assert two.told == [("lost", ROOM, "ann")]
    await one.until(lambda: bool(one.told))
    assert one.told == [("back", ROOM, "ann", {"n": 1})]
    assert await users(two) == ["ann"]
    with trio.fail_after(60):
        while not one.broker.healthy:
            await trio.testing.wait_all_tasks_blocked(0.01)


def picture(node: Any) -> dict[str, Any]:
    """Who is there as a member of this node knows it: from nobody on, by the changes."""
    told: dict[str, Any] = {}
    for _, change in node.delivered:
        if isinstance(change, PresenceChange):
            if change.event == "leave":
                told.pop(change.user)
            else:
                told[change.user] = change.info
    return told


async def watched(nodes: list[Any]) -> None:
    """Let each node subscribe and begin to keep who is present."""
    for node in nodes:
        await node.broker.subscribe(ROOM)
        await settle(node.broker.present(ROOM))


@pytest.mark.parametrize("kind", ["valkey", "redis"])
async def test_changes_come_in_one_order_on_every_node(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    nodes = await two_nodes(shared_servers(kind).url, 3)
    await watched(nodes)
    for number in range(200):
        node, user = nodes[number % 3], f"u{number * 7 % 5}"
        if number * 11 % 4 < 2:
            node.broker.enter(ROOM, user, f"c{number % 3}", {"n": number})
        else:
            node.broker.leave(ROOM, user, f"c{number % 3}")
    last = {f"last{place}": node for place, node in enumerate(nodes)}
    for user, node in last.items():  # what each node still had to write is before its last
        await node.broker.enter(ROOM, user, "c", {})
    await nodes[0].until(lambda: all(last.keys() <= picture(node).keys() for node in nodes))
    changes = [[change for _, change in node.delivered] for node in nodes]
    assert changes[0] == changes[1] == changes[2]
    for node in nodes:
        here = {one.user: one.info for one in await settle(node.broker.present(ROOM))}
        assert here == picture(node)


async def test_a_node_that_was_cut_off_is_told_that_it_missed_changes(
    make_server: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(make_server("valkey").url)
    await watched([one, two])
    await one.broker.enter(ROOM, "ann", "c1", {})
    await two.until(lambda: "ann" in picture(two))
    cut(two)
    await one.broker.leave(ROOM, "ann", "c1")
    await one.broker.enter(ROOM, "eve", "c1", {})
    await two.until(lambda: two.broker.healthy and two.delivered[-1][1] == PresenceMissed())
    assert await users(two) == ["eve"]
    await one.broker.enter(ROOM, "zoe", "c2", {})
    await two.until(lambda: two.delivered[-1][1] == PresenceChange("join", "zoe", {}, "c2"))


async def test_a_new_session_that_missed_nothing_tells_nothing(
    make_server: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(make_server("valkey").url)
    await watched([one, two])
    for node, user in ((one, "ann"), (two, "bob")):
        await node.broker.enter(ROOM, user, "c1", {})
    await one.until(lambda: len(one.delivered) == len(two.delivered) == 2)
    for node in (one, two):
        cut(node)
        await node.until(
            lambda node=node: node.broker.healthy and node.broker._outlet.session is not None
        )
        assert await users(node) == ["ann", "bob"]
    assert (len(one.delivered), len(two.delivered)) == (2, 2)


async def test_who_is_present_is_read_in_pages(
    shared_servers: MakeServer, two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "PAGE", 7)
    one, two, three = await two_nodes(shared_servers("redis").url, 3)
    for answer in [one.broker.enter(ROOM, f"u{number}", "c", {}) for number in range(50)]:
        await answer
    expected = [f"u{number}" for number in range(50)]
    assert await users(two) == expected
    await three.broker.subscribe(ROOM)
    assert await users(three) == expected


async def test_an_emptied_server_ends_with_the_truth(
    make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server("valkey")
    one, two = await two_nodes(server.url)
    await watched([one, two])
    await one.broker.enter(ROOM, "ann", "c1", {})
    await two.broker.enter(ROOM, "bob", "c2", {})
    await server.command("FLUSHALL")
    await one.until(lambda: one.broker.statistics().sessions > 1)
    await two.until(lambda: two.broker.statistics().sessions > 1)
    with trio.fail_after(60):
        while sorted(await users(one)) != ["ann", "bob"] or sorted(await users(two)) != [
            "ann",
            "bob",
        ]:
            await trio.testing.wait_all_tasks_blocked(0.01)


def cut(node: Any) -> None:
    """Break a node's connections to Redis."""
    node.broker._outlet.session.connection.fail("cut")


async def test_versions_grow_over_all_nodes_also_by_the_end_of_one(
    shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    told: list[Any] = []
    two.broker.on_presence_lost = lambda *lost: told.append(lost[-1])
    versions = await turnout(one.broker.enter, ROOM, "ann", "c1", {})
    versions += await turnout(two.broker.enter, ROOM, "bob", "c2", {})
    await one.broker.aclose()
    await two.until(lambda: bool(told))
    versions += told + await turnout(two.broker.leave, ROOM, "bob", "c2")
    versions += await turnout(two.broker.enter, ROOM, "bob", "c2", {})
    texts = [str(version) for version in versions]
    assert len(texts) == 5
    assert texts == sorted(set(texts))
