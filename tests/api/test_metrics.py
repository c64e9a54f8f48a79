import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from channeld.api.metrics import (
    is_broker_up,
    own_samples,
    process_samples,
)
from channeld.broker.redis.broker import RedisBroker
from channeld.server.listener import ServerStatistics
from channeld.server.runtime import TrioClock
from channeld.telemetry import METRICS, Sample, dropped, left_out
from tests.api.conftest import Api, Start

ROOT = Path(__file__).parents[2]


async def scrape(it: Api) -> dict[tuple[str, tuple[str, ...]], float]:
    text = (await it.http.get("/metrics")).text
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_what_is_counted(api: Start) -> None:
    async with api() as it:
        one = await it.member("a", "b")
        await one.send({"type": "say", "text": "hi"})
        await one.send({"type": "say", "text": "too long"})
        await it.publish(channel="lobby", to="room", room="a", event={"type": "note", "text": ""})
        await one.received()
        found = await scrape(it)
        assert found["channeld_connections", ("lobby", "websocket")] == 1
        assert found["channeld_connections", ("feed", "websocket")] == 0
        assert found["channeld_messages_total", ("lobby", "accepted", "websocket", "say")] == 1
        assert found["channeld_messages_total", ("lobby", "invalid", "websocket", "say")] == 1
        assert found["channeld_frames_out_total", ()] == 1
        assert found["channeld_deliveries_total", ()] == 1
        assert found["channeld_rooms", ()] == 2
        assert found["channeld_broker_up", ()] == 1


async def test_one_frame_in_sixteen_is_measured(api: Start) -> None:
    async with api() as it:
        one = await it.member()
        for _ in range(40):
            await one.send({"type": "ping"})
        await one.received()
        assert (await scrape(it))["channeld_handling_seconds_count", ()] == 2


async def test_hostile_names_make_no_series(api: Start) -> None:
    async with api() as it:
        one = await it.app.connect("/feed", user="ann")
        before = set(await scrape(it))
        session, clock = one.session, it.app.runtime.clock
        for number in range(10_000):
            frame = {"type": f"type-{number}", "id": number}
            session.receive(json.dumps(frame).encode(), clock.monotonic())
            await it.app.cluster.publish("feed", {"type": f"event-{number}"}, room=f"room-{number}")
        for number in range(90):
            await it.app.engine.join(session.connection_id, f"room-{number}")
        after = set(await scrape(it))
        assert after - before == set()


NUMBERS = ServerStatistics(
    connections=3,
    sockets=4,
    outbox_bytes=5,
    bytes_in=7,
    bytes_out=11,
    slow_consumers=1,
    ping_timeouts=0,
    handshake_timeouts=0,
    failures=0,
    handshakes={101: 3, 403: 2},
)


def test_what_the_server_counts() -> None:
    assert list(NUMBERS.samples()) == [
        Sample("channeld_handshakes_total", 3, ("accepted",)),
        Sample("channeld_handshakes_total", 2, ("403",)),
        Sample("channeld_received_bytes_total", 7),
        Sample("channeld_sent_bytes_total", 11),
        Sample("channeld_outbox_bytes", 5),
        Sample("channeld_slow_consumers_total", 1),
    ]


def test_reloads_and_lost_lines() -> None:
    assert [(sample.value, sample.labels) for sample in process_samples(3, 1)] == [
        (3, ("ok",)),
        (1, ("refused",)),
        (dropped(), ()),
        (left_out(), ()),
    ]


def away() -> RedisBroker:
    """A broker that nobody has run yet."""
    return RedisBroker("unix:///nowhere/s", "p", lambda _topic, _frame: None, TrioClock(), "n")


def test_a_broker_that_may_be_away() -> None:
    broker = away()
    assert not is_broker_up(broker)
    up, round_trip, build = own_samples(broker)
    assert (up.value, round_trip.value) == (0, 0.0)
    assert (build.value, len(build.labels)) == (1, 2)


async def test_every_metric_of_the_table_is_told_by_somebody(api: Start) -> None:
    async with api() as it:
        told = {sample.metric for sample in await it.app.cluster.samples()}
        told |= {sample.metric for sample in own_samples(away())}
        told |= {sample.metric for sample in own_samples(it.app.engine.hub.broker)}
        told |= {sample.metric for sample in NUMBERS.samples()}
        told |= {sample.metric for sample in process_samples(0, 0)}
        # There are no hooks, backends, shards, shadow, other nodes and deprecated types here, and webhooks tell their own.
        elsewhere = (
            *("channeld_webhooks", "channeld_backend_", "channeld_nodes_with"),
            *("channeld_shadow_", "channeld_broker_shard_", "channeld_other_versions"),
        )
        rest = {name for name in METRICS if not name.startswith(elsewhere)} - told
        assert rest == {"channeld_deprecated_messages_total", "channeld_hook_seconds"}


def dashboard() -> Any:
    return json.loads((ROOT / "examples" / "grafana-dashboard.json").read_text())


def expressions() -> list[str]:
    told = dashboard()
    panels = [target["expr"] for one in told["panels"] for target in one.get("targets", [])]
    return panels + [one["definition"] for one in told["templating"]["list"] if "definition" in one]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    for expression in expressions():
        named = re.findall(r"channeld_\w+", expression)
        assert named, expression
        for name in named:
            metric = METRICS.get(name) or METRICS[name.removesuffix("_bucket")]
            if name.endswith("_bucket"):
                assert metric.kind == "histogram"
            if re.search(rf"(rate|increase)\({name}", expression):
                assert metric.kind in ("counter", "histogram"), expression


def test_the_dashboard_groups_by_labels_that_there_are() -> None:
    for expression in expressions():
        for name in re.findall(r"channeld_\w+", expression):
            labels = (METRICS.get(name) or METRICS[name.removesuffix("_bucket")]).labels
            known = {*labels, "le", "job", "instance"}
            asked = re.findall(r"by \(([^)]*)\)", expression)
            assert {label for group in asked for label in group.split(", ")} <= known
            matched = re.findall(r"(\w+)(?:=~|!=|=)\"", expression)
            assert set(matched) <= known, expression


def test_the_dashboard_shows_every_metric() -> None:
    text = " ".join(expressions())
    assert {name for name in METRICS if name not in text} == set()


def test_the_dashboard_s_panels_have_numbers_and_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    numbers = [panel["id"] for panel in panels]
    assert sorted(set(numbers)) == numbers
    places = [place for panel in panels for place in places_of(panel["gridPos"])]
    assert sorted(set(places)) == sorted(places)
    assert {x for x, _ in places} == set(range(24))


def places_of(grid: dict[str, int]) -> Iterator[tuple[int, int]]:
    columns = range(grid["x"], grid["x"] + grid["w"])
    return itertools.product(columns, range(grid["y"], grid["y"] + grid["h"]))
