"""Where a topic is, and which names a cluster's shards have: the same on every node, now and in later versions."""

from collections import Counter
from collections.abc import Sequence

import pytest

from channeld.broker.redis.encoding import SLOTS, slot_of
from channeld.broker.redis.layout import ALONE, Layout, of_cluster, of_servers

TOPICS = [f"topic {number}" for number in range(3000)]


def servers(*hosts: str) -> Layout:
    return of_servers([f"redis://{host}" for host in hosts], "p")


def homes(layout: Layout, topics: Sequence[str] = TOPICS) -> dict[str, str]:
    return {topic: layout.shards[layout.home(topic)].name for topic in topics}


def test_topics_are_spread_evenly() -> None:
    for layout, least in ((servers("a", "b", "c"), 900), (of_cluster("redis://a", "p", 64), 25)):
        counts = Counter(homes(layout).values())
        assert len(counts) == len(layout.shards)
        assert min(counts.values()) > least


def test_a_new_shard_takes_its_share_and_moves_nothing_else() -> None:
    before, after = homes(servers("a", "b", "c")), homes(servers("d", "a", "b", "c"))
    moved = [topic for topic in TOPICS if before[topic] != after[topic]]
    assert {after[topic] for topic in moved} == {"d:6379"}
    assert 650 < len(moved) < 850


def test_what_is_found_stays_from_version_to_version() -> None:
    # Nodes of two versions share their servers for a while: what stands here may never change.
    found = homes(servers("a", "b", "c"), [f"t{number}" for number in range(8)])
    assert "".join(name[0] for name in found.values()) == "cabbbbbc"
    tags = [shard.name for shard in of_cluster("redis://a", "p", 4).shards]
    assert tags == ["1bz", "17p", "fjl", "356"]


def test_credentials_and_order_are_of_no_importance() -> None:
    one = of_servers(["redis://ann:pw@a", "rediss://b:6379/0"], "p")
    two = of_servers(["redis://b", "redis://a"], "p")
    assert homes(one) == homes(two)
    assert one.spread == two.spread
    names = [[layout.shards[at].name for at in layout.carriers] for layout in (one, two)]
    assert names[0] == names[1]
    assert "pw" not in repr(one)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1024])
def test_a_cluster_s_shards_are_spread_over_the_slots(count: int) -> None:
    layout = of_cluster("redis+cluster://a", "chat", count)
    slots = [slot_of(f"{shard.prefix}:h:x") for shard in layout.shards]
    assert slots == [number * SLOTS // count for number in range(count)]
    assert slots == [slot_of(shard.name) for shard in layout.shards]
    assert len(layout.carriers) == min(2, count)
    if count > 1:
        first, second = (slots[at] for at in layout.carriers)
        assert abs(second - first) >= SLOTS // 3


def test_twice_as_many_shards_are_the_same_and_as_many_between() -> None:
    few = {shard.name for shard in of_cluster("redis+cluster://a", "p", 64).shards}
    many = {shard.name for shard in of_cluster("redis+cluster://a", "p", 128).shards}
    assert few < many


def test_a_refusal_says_what_to_do() -> None:
    cluster = of_cluster("redis+cluster://a", "p", 32).spread
    assert "in 64 shards, and this node has 32 shards" in cluster.refusal("64 shards")
    several = servers("a", "b").spread
    assert "over a:6379, and this one over a:6379 b:6379" in several.refusal("a:6379")
    assert "over a:6379 b:6379, and this one over one server" in ALONE.refusal("a:6379 b:6379")
