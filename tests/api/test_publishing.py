from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from channeld.api.control import Control
from channeld.api.problems import Problem
from channeld.api.publishing import begin, once_for
from channeld.broker.broker import BrokerUnavailable
from tests.api.conftest import YAML, Api, Start
from tests.cluster.nodes import cluster_of

NOTE = {"type": "note", "text": "hi"}


async def test_to_a_room(api: Start) -> None:
    async with api() as it:
        inside, outside = await it.member("a"), await it.member("b")
        answer = await it.publish(channel="lobby", to="room", room="a", event=NOTE)
        assert answer == {"nodes": 1}
        assert await inside.received() == [NOTE]
        assert await outside.received() == []


async def test_to_a_room_with_history_it_has_a_place(api: Start) -> None:
    async with api() as it:
        ann = await it.enter("a", "ann")
        answer = await it.publish(channel="room", to="room", room="a", event={"type": "x"})
        frame = await ann.receive("x")
        assert frame == {"type": "x", "room": "a", "pos": answer["pos"]}


async def test_to_a_user_and_to_everyone(api: Start) -> None:
    async with api() as it:
        ann = await it.app.connect("/feed", user="ann")
        bob = await it.app.connect("/feed", user="bob")
        await it.publish(channel="feed", to="user", user="ann", event={"type": "x"})
        await it.publish(channel="feed", to="global", event={"type": "y"})
        types = [[f["type"] for f in await who.received()] for who in (ann, bob)]
        assert [t[-2:] for t in types] == [["x", "y"], ["authenticated", "y"]]


async def test_to_every_channel(api: Start) -> None:
    async with api() as it:
        lobby, feed = await it.member(), await it.app.connect("/feed", user="ann")
        await it.publish(channel="*", to="global", event=NOTE)
        assert [(await who.received())[-1] for who in (lobby, feed)] == [NOTE, NOTE]
        refused = await it.publish(400, channel="*", to="room", room="a", event=NOTE)
        assert refused["errors"][0]["path"] == "/channel"


async def test_all_but_one(api: Start) -> None:
    async with api() as it:
        one, other = await it.member("a"), await it.member("a")
        skip = {"except": one.session.connection_id}
        await it.publish(channel="lobby", to="room", room="a", event=NOTE, **skip)
        assert (await one.received(), await other.received()) == ([], [NOTE])


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"type": "note", "text": "too long"}, "/text"),
        ({"type": "note"}, ""),
        ({"type": "undeclared"}, "/type"),
        ({"type": "ack"}, "/type"),
    ],
)
async def test_a_bad_event_reaches_nobody(api: Start, event: dict[str, Any], path: str) -> None:
    async with api() as it:
        inside = await it.member("a")
        refused = await it.publish(422, channel="lobby", to="room", room="a", event=event)
        assert [one["path"] for one in refused["errors"]] == [path]
        assert await inside.received() == []


async def test_an_unknown_channel(api: Start) -> None:
    async with api() as it:
        await it.publish(404, channel="nowhere", to="global", event=NOTE)


async def test_a_key_publishes_once(api: Start) -> None:
    async with api() as it:
        ann = await it.enter("a", "ann")
        asked = {"channel": "room", "to": "room", "room": "a", "event": {"type": "x"}}
        first = await it.publish(**asked, idempotency_key="k")
        assert await it.publish(**asked, idempotency_key="k") == first
        assert await it.publish(**asked, idempotency_key="l") != first
        assert [frame["type"] for frame in await ann.received()] == ["x", "x"]
        await it.publish(422, **{**asked, "event": {"type": "y"}}, idempotency_key="k")
        await it.app.advance(301)
        assert await it.publish(**asked, idempotency_key="k") != first


async def test_a_refused_event_does_not_use_its_key_up(api: Start) -> None:
    async with api() as it:
        bad = {"type": "note", "text": "too long"}
        asked: dict[str, object] = {"channel": "lobby", "to": "global", "idempotency_key": "k"}
        await it.publish(422, **asked, event=bad)
        await it.publish(**asked, event=NOTE)


async def test_one_in_a_batch_stops_no_other_and_their_order_is_kept(api: Start) -> None:
    async with api() as it:
        ann = await it.enter("a", "ann")
        rows: list[dict[str, Any]] = [
            {"publish": {"channel": "room", "to": "room", "room": "a", "event": {"type": f"x{n}"}}}
            for n in range(120)
        ]
        rows[3] = {"publish": {"channel": "nowhere", "to": "global", "event": NOTE}}
        rows[5] = {"publish": {"channel": "room"}}
        rows[7] = {"publish": {"channel": "lobby", "to": "global", "event": {"type": "note"}}}
        results = (await it.post("/v1/batch", rows))["results"]
        failed = {n: row["problem"]["status"] for n, row in enumerate(results) if "problem" in row}
        assert failed == {3: 404, 5: 400, 7: 422}
        assert results[7]["problem"]["errors"][0]["keyword"] == "required"
        good = [n for n in range(120) if n not in failed]
        assert [frame["type"] for frame in await ann.received()] == [f"x{n}" for n in good]
        positions = [results[n]["pos"] for n in good]
        assert positions == sorted(positions)


async def test_a_key_twice_in_a_batch_publishes_once(api: Start) -> None:
    async with api() as it:
        inside = await it.member("a")
        one = {
            "publish": {
                "channel": "lobby",
                "to": "room",
                "room": "a",
                "event": NOTE,
                "idempotency_key": "k",
            }
        }
        results = (await it.post("/v1/batch", [one, one]))["results"]
        assert results == [{"nodes": 1}, {"nodes": 1}]
        assert await inside.received() == [NOTE]


async def test_an_empty_batch(api: Start) -> None:
    async with api() as it:
        assert await it.post("/v1/batch", []) == {"results": []}


class Away:
    """An engine whose broker fails at once, or after a while."""

    def __init__(self, it: Api, *, at_once: bool) -> None:
        self.at_once = at_once
        self.real = it.app.engine.publish
        self.is_away = True

    def publish(self, *arguments: Any, **options: Any) -> Any:
        if not self.is_away:
            return self.real(*arguments, **options)
        if self.at_once:
            raise BrokerUnavailable(3)
        return self._fail()

    async def _fail(self) -> None:
        await trio.lowlevel.checkpoint()
        raise BrokerUnavailable(3)


async def test_what_the_broker_may_have_taken_is_said_so(
    api: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api() as it:

        def publish(*_arguments: Any, **_options: Any) -> Any:
            raise BrokerUnavailable(3, is_unknown=True)

        monkeypatch.setattr(it.app.engine, "publish", publish)
        asked = {"channel": "lobby", "to": "global", "event": NOTE}
        response = await it.http.post("/v1/publish", json=asked)
        assert (response.status_code, response.json()["outcome"]) == (503, "unknown")


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_the_broker_did_not_take_can_be_sent_again(
    api: Start, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    async with api() as it:
        away = Away(it, at_once=at_once)
        monkeypatch.setattr(it.app.engine, "publish", away.publish)
        asked = {"channel": "lobby", "to": "global", "event": NOTE, "idempotency_key": "k"}
        response = await it.http.post("/v1/publish", json=asked)
        assert (response.status_code, response.headers["retry-after"]) == (503, "3")
        both = (await it.post("/v1/batch", [{"publish": asked}] * 2))["results"]
        assert [row["problem"]["status"] for row in both] == [503, 503]
        away.is_away = False
        await it.publish(**asked)


async def test_a_key_that_was_taken_on_another_node_publishes_nothing(api: Start) -> None:
    async with api() as it:
        ann = await it.member("a")
        asked = {"channel": "lobby", "to": "global", "event": NOTE, "idempotency_key": "k"}
        # As the broker stands after another node has published it.
        assert it.app.engine.hub.broker.take(once_for("lobby", "k"))
        assert (await it.publish(**asked)) == {"nodes": 1}
        await it.publish(**{**asked, "idempotency_key": "other"})
        assert len(await ann.received()) == 1


async def test_a_repetition_on_another_node_gets_the_answer_of_the_first(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(YAML)
    async with cluster_of(file, 3) as (_, [one, other, _third]):
        controls = [Control(engine=node.engine, cluster=node.cluster) for node in (one, other)]
        asked = {"channel": "room", "to": "room", "room": "a", "event": NOTE}
        twice = [*controls, *controls]
        answers = [await begin(control, {**asked, "idempotency_key": "k"}) for control in twice]
        assert answers == [answers[0]] * 4
        assert answers[0]["pos"]
        with pytest.raises(Problem) as refused:
            await begin(controls[1], {**asked, "room": "b", "idempotency_key": "k"})
        assert refused.value.status == 422


async def test_another_event_on_another_node_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(YAML)
    async with cluster_of(file, 2) as (_, [one, other]):
        controls = [Control(engine=node.engine, cluster=node.cluster) for node in (one, other)]
        asked = {"channel": "room", "to": "room", "event": NOTE, "idempotency_key": "k"}
        await begin(controls[0], {**asked, "room": "a"})
        with pytest.raises(Problem) as refused:
            await begin(controls[1], {**asked, "room": "b"})
        assert refused.value.status == 422
