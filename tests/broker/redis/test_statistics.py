from typing import Any

from channeld.broker.broker import History, Topic
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.statistics import RedisStatistics

ROOM = Topic("room", "lobby", "general")


async def test_what_was_done_is_counted(shared_servers: Any, one_node: Any) -> None:
    node = await one_node(shared_servers("valkey").url)
    await node.broker.subscribe(ROOM)
    await node.broker.enter(ROOM, "ann", "c1", {})
    await node.broker.publish(ROOM, b"1", PublishOptions(History(size=1, ttl=60.0)))
    await node.until(lambda: node.payloads == [b"1"])
    counted: RedisStatistics = node.broker.statistics()
    assert (counted.healthy, counted.sessions, counted.subscriptions) == (True, 1, 1)
    assert (counted.entries, counted.gaps, counted.failed) == (1, 0, 0)
    assert counted.received >= 1
