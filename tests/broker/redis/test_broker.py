import itertools
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, History, Position, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis import queue
from channeld.broker.redis.broker import RedisBroker
from channeld.broker.redis.encoding import topic_key

ROOM = Topic("room", "lobby", "general")
KEEP = History(size=100, ttl=60.0)
MakeServer = Callable[[str], Any]
KINDS = pytest.mark.parametrize("kind", ["valkey", "redis"])


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "redis://", "redis://h:port"])
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Redis URL"):
        RedisBroker(url, "p", lambda _topic, _pub: None, Clock(), "n")


class Clock:
    def monotonic(self) -> float:
        return trio.current_time()

    def wall(self) -> float:
        return 0.0


async def test_away_from_the_start_is_unavailable(new_node: Any, nursery: trio.Nursery) -> None:
    broker = new_node("unix:///nowhere/s").broker
    with pytest.raises(BrokerUnavailable) as raised:
        broker.publish(ROOM, b"1")
    assert raised.value.retry_after >= 1
    await nursery.start(broker.run)
    assert not broker.healthy
    with pytest.raises(BrokerUnavailable):
        broker.since(ROOM, None, KEEP)
    assert broker.subscribe(ROOM) is None
    await broker.aclose()


@KINDS
async def test_nodes_hear_each_other_in_one_order(
    kind: str, shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers(kind).url)
    for node in (one, two):
        await node.broker.subscribe(ROOM)
    async with trio.open_nursery() as nursery:
        for node in (one, two):
            for number in range(50):
                nursery.start_soon(
                    answered, node.broker.publish(ROOM, b"%d" % number, PublishOptions(KEEP))
                )
    await one.until(lambda: len(one.delivered) == len(two.delivered) == 100)
    assert one.delivered == two.delivered
    assert [pub.position.offset for _, pub in one.delivered] == list(range(1, 101))


async def answered(answer: Any) -> None:
    await answer


async def test_a_node_gets_commands_of_its_own(shared_servers: MakeServer, two_nodes: Any) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    await two.broker.subscribe(Topic("node", "", "two"))
    await one.broker.publish(Topic("node", "", "one"), b'{"for":"one"}')
    await one.broker.publish(Topic("node", "", "two"), b'{"for":"two"}')
    await two.until(lambda: bool(two.delivered))
    assert two.payloads == [b'{"for":"two"}']


async def test_prefixes_keep_apart(
    shared_servers: MakeServer, new_node: Any, nursery: trio.Nursery
) -> None:
    url = shared_servers("valkey").url
    one, two = await new_node(url).start(nursery), await new_node(url).start(nursery)
    await one.broker.subscribe(ROOM)
    await two.broker.publish(ROOM, b"2")
    await one.broker.publish(ROOM, b"1")
    await one.until(lambda: bool(one.delivered))
    assert one.payloads == [b"1"]


async def test_resubscribing_at_once_loses_nothing(
    shared_servers: MakeServer, one_node: Any
) -> None:
    node = await one_node(shared_servers("valkey").url)
    topic = Topic("user", "lobby", "ann")
    for number in range(20):
        node.broker.subscribe(topic)
        node.broker.unsubscribe(topic)
        await node.broker.subscribe(topic)
        await node.broker.publish(topic, b"%d" % number)
    await node.until(lambda: len(node.delivered) == 20)
    assert node.payloads == [b"%d" % number for number in range(20)]


async def test_hostile_publications_are_dropped(shared_servers: MakeServer, one_node: Any) -> None:
    server = shared_servers("valkey")
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    channel = node.broker._names.channel(ROOM).decode()
    for garbage in ("", "x", "C1", "C1" + "\x00" * 30, "{}" * 500):
        await server.command("PUBLISH", channel, garbage)
    await node.broker.publish(ROOM, b"good")
    await node.until(lambda: bool(node.delivered))
    assert node.payloads == [b"good"]
    assert node.broker.statistics().dropped == 5
    assert node.broker.healthy


async def test_a_deliver_that_raises_is_counted(shared_servers: MakeServer, one_node: Any) -> None:
    node = await one_node(shared_servers("valkey").url)

    def raising(topic: Topic, publication: Any) -> None:
        node.delivered.append((topic, publication))
        raise RuntimeError

    node.broker._inbox._deliver = raising
    await node.broker.subscribe(ROOM)
    await node.broker.publish(ROOM, b"1")
    await node.broker.publish(ROOM, b"2")
    await node.until(lambda: len(node.delivered) == 2)
    assert node.broker.statistics().failed == 2
    assert node.broker.statistics().sessions == 1


async def test_the_queue_is_bounded(
    shared_servers: MakeServer, one_node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await one_node(shared_servers("valkey").url)
    monkeypatch.setattr(queue, "MOST_WAITING", 10)
    # The first is on its way at once, ten wait for its answer.
    answers = [node.broker.publish(ROOM, b"x") for _ in range(11)]
    with pytest.raises(BrokerUnavailable):
        node.broker.publish(ROOM, b"one too many")
    for answer in answers:
        await answer
    await node.broker.publish(ROOM, b"room again")


@KINDS
async def test_a_killed_subscription_misses_nothing(
    kind: str, make_server: MakeServer, one_node: Any
) -> None:
    server = make_server(kind)
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    published = 0
    for sessions in range(2, 5):
        for _ in range(5):
            await publish(node, b"%d" % published)
            published += 1
        await server.command("CLIENT", "KILL", "TYPE", "pubsub")
        for _ in range(5):
            await publish(node, b"%d" % published)
            published += 1
        await node.until(lambda at=sessions: node.broker.statistics().sessions == at)
    await node.until(lambda: len(node.delivered) >= published)
    assert node.payloads == [b"%d" % number for number in range(published)]
    assert node.told == []


async def publish(node: Any, payload: bytes, keep: History | None = KEEP) -> Position | None:
    """Publish until it is accepted; a refused one was not sent."""
    with trio.fail_after(60):
        while True:
            try:
                position: Position | None = await node.broker.publish(
                    ROOM, payload, PublishOptions(keep)
                )
            except BrokerUnavailable:
                await trio.testing.wait_all_tasks_blocked(0.01)
            else:
                return position


@KINDS
async def test_missed_frames_are_filled_from_another_node(
    kind: str, make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server(kind)
    one, two = await two_nodes(server.url)
    await one.broker.subscribe(ROOM)
    await two.broker.publish(ROOM, b"0", PublishOptions(KEEP))
    await one.until(lambda: len(one.delivered) == 1)
    one.broker._outlet.session.connection.fail("cut")
    for number in range(1, 30):
        await two.broker.publish(ROOM, b"%d" % number, PublishOptions(KEEP))
    await one.until(lambda: len(one.delivered) == 30)
    assert one.payloads == [b"%d" % number for number in range(30)]
    assert one.broker.statistics().filled > 0


async def test_what_nodes_missed_of_each_other_comes_after_a_cut(
    make_server: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(make_server("valkey").url)
    topic = Topic("node", "", "*")
    await one.broker.subscribe(topic)
    one.broker._outlet.session.connection.fail("cut")
    await two.broker.publish(topic, b"kept", PublishOptions(KEEP))
    await two.broker.publish(topic, b"not kept")
    await one.until(lambda: one.broker.healthy and bool(one.delivered))
    assert one.payloads == [b"kept"]


async def test_a_gap_larger_than_the_history_is_told(
    make_server: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(make_server("valkey").url)
    small = History(size=3, ttl=60.0)
    await one.broker.subscribe(ROOM)
    await two.broker.publish(ROOM, b"0", PublishOptions(small))
    await one.until(lambda: len(one.delivered) == 1)
    one.broker._outlet.session.connection.fail("cut")
    positions = [
        await two.broker.publish(ROOM, b"%d" % n, PublishOptions(small)) for n in range(1, 10)
    ]
    await one.until(lambda: bool(one.told))
    assert one.told == [("gap", ROOM, positions[-1])]
    await two.broker.publish(ROOM, b"next", PublishOptions(small))
    await one.until(lambda: len(one.delivered) == 2)
    assert one.payloads == [b"0", b"next"]


@KINDS
async def test_an_emptied_server_has_other_epochs(
    kind: str, make_server: MakeServer, one_node: Any, impatient: None
) -> None:
    server = make_server(kind)
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    await node.broker.since(ROOM, None, KEEP)
    before = await node.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    server.kill()
    await node.until(lambda: not node.broker.healthy)
    server.start()
    after = await publish(node, b"2")
    assert after is not None
    assert after.epoch != before.epoch
    page = await node.broker.since(ROOM, before, KEEP)
    assert not page.recovered
    await node.until(lambda: bool(node.told))
    await publish(node, b"3")
    await node.until(lambda: node.payloads[-1] == b"3")
    assert [told[0] for told in node.told] == ["gap"]


@KINDS
async def test_a_durable_server_recovers_after_a_restart(
    kind: str, make_server: MakeServer, one_node: Any, impatient: None
) -> None:
    server = make_server(kind)
    server.kill()
    server.start("--save", "", "--appendonly", "yes", "--appendfsync", "always")
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    before = await node.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    await node.broker.publish(ROOM, b"2", PublishOptions(KEEP))
    server.kill()
    await node.until(lambda: not node.broker.healthy)
    server.start()
    after = await publish(node, b"3")
    assert after is not None
    # Another run, so another epoch; the offsets go on, and nothing was lost.
    assert (after.epoch == before.epoch, after.offset) == (False, before.offset + 2)
    page = await node.broker.since(ROOM, before, KEEP)
    assert [kept.payload for kept in page.frames] == [b"2", b"3"]
    await node.until(lambda: len(node.delivered) == 3)
    assert (node.payloads, node.told) == ([b"1", b"2", b"3"], [])


async def test_a_restart_that_lost_frames_gives_no_position_twice(
    make_server: MakeServer, one_node: Any, impatient: None
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    first = await node.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    assert b"OK" in await server.command("SAVE")
    lost = await node.broker.publish(ROOM, b"lost", PublishOptions(KEEP))
    server.kill()
    await node.until(lambda: not node.broker.healthy)
    server.start()
    await node.until(lambda: node.broker.healthy)
    # Before anything else is kept, and after.
    assert not (await node.broker.since(ROOM, lost, KEEP)).recovered
    after = await publish(node, b"2")
    assert after is not None
    assert (after.epoch == lost.epoch, after.offset) == (False, lost.offset)
    assert not (await node.broker.since(ROOM, lost, KEEP)).recovered
    # What was not lost is still found, under its own epoch.
    page = await node.broker.since(ROOM, first, KEEP)
    assert (page.recovered, [kept.payload for kept in page.frames]) == (True, [b"2"])
    assert [kept.position for kept in page.frames] == [after]
    older = await node.broker.before(ROOM, after, 5, KEEP)
    # Each frame has the name that it was given, and names grow.
    assert [(kept.payload, kept.position) for kept in older.frames] == [(b"1", first)]
    assert str(first) < str(lost) < str(after)


async def test_nobody_needs_to_have_seen_what_was_lost(
    make_server: MakeServer, two_nodes: Any, impatient: None
) -> None:
    server = make_server("valkey")
    one, two = await two_nodes(server.url)
    await one.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    assert b"OK" in await server.command("SAVE")
    lost = await one.broker.publish(ROOM, b"lost", PublishOptions(KEEP))
    await one.broker.aclose()
    server.kill()
    await two.until(lambda: not two.broker.healthy)
    server.start()
    await publish(two, b"2")
    assert not (await two.broker.since(ROOM, lost, KEEP)).recovered


async def test_epochs_before_are_remembered_up_to_a_number(
    make_server: MakeServer, one_node: Any
) -> None:
    server = make_server("redis")
    node = await one_node(server.url)
    keep = History(size=50, ttl=60.0)
    positions = []
    for number in range(12):
        positions.append(await node.broker.publish(ROOM, b"%d" % number, PublishOptions(keep)))
        await server.command("HSET", node.broker._names.state, "gen", str(number))
    assert len({position.epoch for position in positions}) == 12
    assert sorted(map(str, positions)) == list(map(str, positions))
    page = await node.broker.before(ROOM, None, 50, keep)
    assert [kept.position for kept in page.frames][-9:] == positions[-9:]
    for position, count in zip(positions, range(11, -1, -1), strict=True):
        page = await node.broker.since(ROOM, position, keep)
        assert (page.recovered, len(page.frames)) == ((True, count) if count < 9 else (False, 0))


@KINDS
async def test_a_frozen_server_is_noticed_and_survived(
    kind: str, make_server: MakeServer, one_node: Any, notices_freezes: None
) -> None:
    server = make_server(kind)
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    await node.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    server.signal(signal.SIGSTOP)
    answer = node.broker.publish(ROOM, b"unknown", PublishOptions(KEEP))
    await node.until(lambda: not node.broker.healthy)
    with pytest.raises(BrokerUnavailable):
        await answer
    await node.until(lambda: refuses(node.broker))
    server.signal(signal.SIGCONT)
    await publish(node, b"2")
    await node.until(lambda: b"2" in node.payloads)
    # What was on its way when it froze may have been done, but once.
    assert [p for p in node.payloads if p != b"unknown"] == [b"1", b"2"]
    assert node.payloads.count(b"unknown") <= 1


def refuses(broker: RedisBroker) -> bool:
    try:
        broker.publish(Topic("all", "", ""), b"")
    except BrokerUnavailable:
        return True
    return False


async def test_what_waits_for_a_session_fails_in_time(
    make_server: MakeServer, one_node: Any, impatient: None
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    server.kill()
    await node.until(lambda: not node.broker.healthy)
    answer = node.broker.publish(ROOM, b"held")
    with trio.fail_after(60), pytest.raises(BrokerUnavailable):
        await answer


@KINDS
async def test_out_of_memory_is_unavailable_but_plain_publishes_go_on(
    kind: str, make_server: MakeServer, one_node: Any
) -> None:
    server = make_server(kind)
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    await server.command("CONFIG", "SET", "maxmemory", "1")
    kept, plain = (
        node.broker.publish(ROOM, b"kept", PublishOptions(KEEP)),
        node.broker.publish(ROOM, b"plain"),
    )
    with pytest.raises(BrokerUnavailable):
        await kept
    assert await plain is None
    with pytest.raises(BrokerUnavailable):
        await node.broker.enter(ROOM, "ann", "c1", {})
    await server.command("CONFIG", "SET", "maxmemory", "0")
    await node.broker.publish(ROOM, b"again", PublishOptions(KEEP))
    await node.until(lambda: len(node.delivered) == 2)
    assert (node.payloads, node.broker.statistics().sessions) == ([b"plain", b"again"], 1)


async def test_a_flood_waits_in_redis_not_in_this_process(
    shared_servers: MakeServer, two_nodes: Any
) -> None:
    one, two = await two_nodes(shared_servers("valkey").url)
    topics = [ROOM._replace(name=str(number)) for number in range(2)]
    for topic in topics:
        await one.broker.subscribe(topic)
    turns: list[int] = []
    one.broker.begin_turn = lambda: turns.append(len(one.delivered))
    answers = [two.broker.publish(topics[n % 2], b"x" * 1000) for n in range(8000)]
    for answer in answers:
        await answer
    await one.until(lambda: len(one.delivered) == 8000)
    # One turn brings what one read does, and others run between two turns.
    assert max(after - before for before, after in itertools.pairwise(turns)) < 400


async def test_a_flushed_script_cache_is_loaded_again(
    shared_servers: MakeServer, one_node: Any
) -> None:
    server = shared_servers("redis")
    node = await one_node(server.url)
    await node.broker.subscribe(ROOM)
    await server.command("SCRIPT", "FLUSH")
    # Nobody is refused, and the order is kept: nothing of these was done.
    answers = [
        node.broker.publish(ROOM, b"%d" % number, PublishOptions(KEEP)) for number in range(3)
    ]
    answers.append(node.broker.enter(ROOM, "ann", "c1", {}))
    for answer in answers:
        await answer
    await node.until(lambda: node.payloads == [b"0", b"1", b"2"])
    await server.command("SCRIPT", "FLUSH")
    script = partial(node.broker._outlet.session.call, "count", (node.broker._names.base,))
    assert await script((topic_key(ROOM),)) == [1, 1]
    assert node.broker.statistics().sessions == 1


async def test_a_node_that_stalls_keeps_its_session(
    shared_servers: MakeServer, one_node: Any, notices_freezes: None
) -> None:
    node = await one_node(shared_servers("valkey").url)
    answer = node.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    # All of this process, for longer than an answer may take.
    threading.Event().wait(2.0)
    await answer
    heard = node.broker._heard
    await node.until(lambda: node.broker._heard > heard)
    assert (node.broker.statistics().sessions, node.broker.healthy) == (1, True)


async def test_a_node_that_hears_nothing_connects_again(
    shared_servers: MakeServer, one_node: Any, impatient: None
) -> None:
    node = await one_node(shared_servers("valkey").url)
    reasons: list[str] = []
    node.broker.on_health = lambda healthy, reason: reasons.append(reason)
    node.broker._outlet.session.unsubscribe([node.broker._names.echo(node.broker._entries.lease)])
    await node.until(lambda: node.broker.statistics().sessions == 2)
    assert reasons == ["does not hear its own echo", ""]


async def test_what_a_frozen_server_may_have_done_is_not_known(
    make_server: MakeServer, one_node: Any, notices_freezes: None
) -> None:
    server = make_server("valkey")
    node = await one_node(server.url)
    server.signal(signal.SIGSTOP)
    asked = node.broker.publish(ROOM, b"asked", PublishOptions(KEEP))
    await node.until(lambda: not node.broker.healthy)
    with pytest.raises(BrokerUnavailable) as raised:
        await asked
    assert raised.value.is_unknown
    # What was never sent was not done.
    with pytest.raises(BrokerUnavailable) as raised:
        await node.broker.publish(ROOM, b"not sent", PublishOptions(KEEP))
    assert not raised.value.is_unknown
    server.signal(signal.SIGCONT)


async def test_closing_ends_run_and_fails_what_waits(
    make_server: MakeServer, new_node: Any, nursery: trio.Nursery, notices_freezes: None
) -> None:
    server = make_server("valkey")
    node = await new_node(server.url).start(nursery)
    server.signal(signal.SIGSTOP)
    answer = node.broker.publish(ROOM, b"1")
    with trio.fail_after(60):
        await node.broker.aclose()
    with pytest.raises(BrokerUnavailable):
        await answer
    assert refuses(node.broker)


async def test_where_info_is_forbidden_a_lost_script_tells_another_run(
    make_server: MakeServer, two_nodes: Any
) -> None:
    server = make_server("valkey")
    await server.command("ACL", "SETUSER", "default", "-info")
    one, two = await two_nodes(server.url)
    state = one.broker._names.state
    first = await one.broker._outlet.session.run_id(state)
    assert len(first) == 24
    assert await two.broker._outlet.session.run_id(state) == first
    await one.broker.publish(ROOM, b"1", PublishOptions(KEEP))
    # As after a restart or a failover: scripts are neither saved nor replicated.
    await server.command("SCRIPT", "FLUSH")
    second = await one.broker._outlet.session.run_id(state)
    assert second != first
    assert await two.broker._outlet.session.run_id(state) == second
