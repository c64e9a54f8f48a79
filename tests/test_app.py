import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from channeld.app import App, Forced
from channeld.broker.memory import MemoryBroker
from channeld.diagnostics.diagnostic import Report
from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.server.lifespan import LIFESPAN_END_S, LifespanFailed
from channeld.server.sockets import bind
from tests.server.kit import write_certificate

Write = Callable[..., Plan | Report]

CHANNEL = """
channeld: 1
channels:
  a: {path: /a, auth: none, messages: {say: {schema: true, route: sender}}}
"""
MORE = CHANNEL + "  b: {path: /b, auth: none, messages: {say: {schema: true, route: sender}}}\n"
HOOKED = CHANNEL + "hooks: {lifespan: life:span}\n"
KEYS = (
    CHANNEL
    + """
  c: {path: /c, auth: keys}
auth:
  keys: {type: jwt, algorithms: [ES256], jwks: {file: keys.json}, issuer: ISSUER}
"""
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes channels.yaml and what lies beside it: the plan, or the report with its errors."""
    tmp_path.joinpath("keys.json").write_text('{"keys": []}')

    def checked(yaml: str, life: str = "") -> Plan | Report:
        tmp_path.joinpath("channels.yaml").write_text(yaml)
        if life:
            tmp_path.joinpath("life.py").write_text(life)
        result = check(str(tmp_path / "channels.yaml"), environ={})
        return result.report if result.plan is None else result.plan

    return checked


def made(plan: Plan | Report) -> Plan:
    assert isinstance(plan, Plan), plan
    return plan


async def run(app: App, nursery: trio.Nursery) -> None:
    """Start an app on a free port; its nursery ends when the app does."""
    ready = trio.Event()
    app._on_ready = lambda _addresses: ready.set()
    nursery.start_soon(app.run, bind(["127.0.0.1:0"]))
    await ready.wait()


# ------------------------------------------------------------------------------------------------------- reload


async def test_a_reload_takes_a_valid_plan(write: Write) -> None:
    app = App(made(write(CHANNEL)), lambda: write(MORE))
    assert await app.reload()
    assert list(app.engine.plan.channels) == ["a", "b"]


async def test_a_report_leaves_the_plan_and_is_handed_on(write: Write) -> None:
    seen: list[Report] = []
    plan = made(write(CHANNEL))
    app = App(plan, lambda: write("channeld: 1"), on_refused=seen.append)
    assert not await app.reload()
    assert app.engine.plan is plan
    assert len(seen[0].errors) == 1


async def test_a_reloader_that_raises_leaves_the_plan(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    def reloader() -> Plan:
        raise RuntimeError("a bug")

    plan = made(write(CHANNEL))
    app = App(plan, reloader)
    assert not await app.reload()
    assert app.engine.plan is plan
    assert "RuntimeError: a bug" in capsys.readouterr().err


async def test_a_certificate_that_went_bad_refuses_the_plan(write: Write, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    yaml = f"server: {{tls: {{certificate: {certificate}, key: {key}}}}}\n"
    app = App(made(write(CHANNEL + yaml)), lambda: write(MORE + yaml))
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        good = certificate.read_bytes()
        certificate.write_text("nonsense")
        assert not await app.reload()
        assert list(app.engine.plan.channels) == ["a"]
        certificate.write_bytes(good)
        assert await app.reload()
        app.stop()


async def test_without_a_reloader_there_is_no_reload(write: Write) -> None:
    assert not await App(made(write(CHANNEL))).reload()


async def test_what_a_reload_cannot_change_is_said(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(made(write(CHANNEL)), lambda: write(CHANNEL + "broker: valkey\n"))
    assert await app.reload()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["setting"] for line in lines if line["event"] == "restart_needed"] == ["broker"]


async def test_what_was_listened_on_stays(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    app = App(
        made(write(CHANNEL)), lambda: write(CHANNEL + "server: {bind: 127.0.0.1:9, drain: 3s}\n")
    )
    assert await app.reload()
    assert app.engine.plan.server.bind == ("127.0.0.1:4000",)
    assert app.engine.plan.server.drain.over == 3
    assert "server.bind" in capsys.readouterr().err


async def test_a_key_set_is_kept_while_its_authenticator_is_the_same(write: Write) -> None:
    app = App(made(write(KEYS)), lambda: write(KEYS + "x-note: another\n"))
    before = app._key_sets["keys"]
    assert await app.reload()
    assert app._key_sets["keys"] is before


def publish_key(folder: Path, kid: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    entry = {**ECAlgorithm.to_jwk(key, as_dict=True), "kid": kid}
    (folder / "keys.json").write_text(json.dumps({"keys": [entry]}))


async def test_a_reload_reads_a_key_set_again(write: Write, tmp_path: Path) -> None:
    app = App(made(write(KEYS)), lambda: write(KEYS))
    await app._fetch_keys(app._key_sets.values())
    keys = app._key_sets["keys"]
    assert not keys.is_known
    publish_key(tmp_path, "one")
    assert await app.reload()
    assert keys.find("one") is not None
    publish_key(tmp_path, "two")
    assert await app.reload()
    assert (keys.find("one"), keys.find("two") is not None) == (None, True)


async def test_a_key_set_of_a_changed_authenticator_is_new(write: Write) -> None:
    app = App(made(write(KEYS)), lambda: write(KEYS.replace("ISSUER", "OTHER")))
    before = app._key_sets["keys"]
    assert await app.reload()
    assert app._key_sets["keys"] is not before
    assert not app._key_sets["keys"].may_refresh()


async def test_a_key_set_that_is_no_longer_named_is_dropped(write: Write) -> None:
    app = App(made(write(KEYS)), lambda: write(CHANNEL))
    assert await app.reload()
    assert app._key_sets == {}


async def test_reloads_that_pile_up_are_one(write: Write) -> None:
    calls: list[int] = []
    started, go_on = trio.Event(), trio.Event()

    def reloader() -> Plan | Report:
        calls.append(1)
        trio.from_thread.run_sync(started.set)
        trio.from_thread.run(go_on.wait)
        return write(MORE)

    app = App(made(write(CHANNEL)), reloader)
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        signal.raise_signal(signal.SIGHUP)
        await started.wait()
        for _ in range(5):
            signal.raise_signal(signal.SIGHUP)
            await trio.testing.wait_all_tasks_blocked()
        go_on.set()
        while len(app.engine.plan.channels) < 2 or app._reloading.locked():
            await trio.lowlevel.checkpoint()
        app.stop()
    assert len(calls) == 2


# ----------------------------------------------------------------------------------------------------- its life

LIFE = """
from contextlib import asynccontextmanager
from pathlib import Path

TOLD = Path(__file__).with_name("told")

@asynccontextmanager
async def span(server):
    TOLD.write_text(type(server).__name__)
    BEFORE
    yield "the state"
    AFTER
    TOLD.write_text("ended")
"""


async def test_the_lifespan_lasts_as_long_as_the_server(write: Write, tmp_path: Path) -> None:
    app = App(made(write(HOOKED, LIFE.replace("BEFORE", "").replace("AFTER", ""))))
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        assert app.engine.states == {"trio": "the state"}
        assert tmp_path.joinpath("told").read_text() == "HookServer"
        app.stop()
    assert tmp_path.joinpath("told").read_text() == "ended"


@pytest.mark.parametrize("moment", ["BEFORE", "AFTER"])
async def test_a_lifespan_that_raises_is_named(
    write: Write, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    life = LIFE.replace(moment, "raise KeyError('it')").replace("BEFORE", "").replace("AFTER", "")
    app = App(made(write(HOOKED, life)))
    app._on_ready = lambda _addresses: app.stop()
    with pytest.raises(LifespanFailed, match="the lifespan hook life:span raised KeyError: 'it'"):
        await app.run(bind(["127.0.0.1:0"]))
    assert "life.py" in capsys.readouterr().err


async def test_a_reload_keeps_the_lifespan_and_says_that_another_needs_a_restart(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    life = LIFE.replace("BEFORE", "").replace("AFTER", "")
    app = App(
        made(write(HOOKED, life + "\nother = span\n")),
        lambda: write(HOOKED.replace("life:span", "life:other")),
    )
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        assert await app.reload()
        assert app.engine.states == {"trio": "the state"}
        app.stop()
    assert "lifespan_changed" in capsys.readouterr().err


async def test_sigterm_drains_and_ends(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    app = App(made(write(CHANNEL)))
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        signal.raise_signal(signal.SIGTERM)
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["server_started", "server_draining", "server_stopped"]


@pytest.mark.parametrize(
    "wait",
    [
        "await trio.sleep_forever()",
        "async with trio.open_nursery() as n: n.start_soon(trio.sleep_forever)",
    ],
)
async def test_a_lifespan_that_does_not_end_is_given_up(
    write: Write, capsys: pytest.CaptureFixture[str], mock_clock: trio.testing.MockClock, wait: str
) -> None:
    mock_clock.autojump_threshold = 0.01
    life = LIFE.replace("BEFORE", "import trio").replace("AFTER", wait)
    app = App(made(write(HOOKED + "server: {drain: 1s}\n", life)))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        app.stop()
    # No deadline of the test's own: the clock would jump to it while a thread of the application still works.
    assert trio.current_time() - began < 1 + LIFESPAN_END_S + 1
    [line] = [
        json.loads(line) for line in capsys.readouterr().err.splitlines() if "hook_timeout" in line
    ]
    assert (line["hook"], line["seconds"]) == ("life:span", LIFESPAN_END_S)


async def test_while_a_drain_is_delayed_everything_is_served_and_health_fails(
    write: Write, mock_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(made(write(CHANNEL + "server: {drain: {over: 1s, delay: 100s}}\n")))
    async with trio.open_nursery() as nursery:
        await run(app, nursery)
        [address] = app._addresses

        async def asks(path: str) -> bytes:
            stream = await trio.open_tcp_stream("127.0.0.1", int(address.rpartition(":")[2]))
            async with stream:
                await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                return await stream.receive_some(12)

        assert await asks("/health") == b"HTTP/1.1 200"
        assert await asks("/health?ready") == b"HTTP/1.1 200"
        app.stop()
        await trio.testing.wait_all_tasks_blocked()
        assert not app.is_ready
        last = json.loads(capsys.readouterr().err.splitlines()[-1])
        assert (last["event"], last["seconds"]) == ("drain_delayed", 100)
        assert await asks("/health") == b"HTTP/1.1 503"
        assert await asks("/a") == b"HTTP/1.1 426"
        mock_clock.autojump_threshold = 0.01


async def test_a_signal_during_the_start_ends_it(write: Write) -> None:
    life = LIFE.replace("AFTER", "").replace("BEFORE", "import trio; await trio.sleep_forever()")
    app = App(made(write(HOOKED, life)))

    async def interrupt() -> None:
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGINT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(interrupt)
        with pytest.raises(Forced):
            await app.run(bind(["127.0.0.1:0"]))


async def test_who_is_told_to_end_before_it_serves_has_nobody_to_send_away(write: Write) -> None:
    app = App(made(write(CHANNEL)), on_ready=lambda _addresses: pytest.fail("it serves"))
    await app.run(bind(["127.0.0.1:0"]), early=[signal.SIGTERM])


async def test_a_reload_that_was_asked_for_too_early_is_made_up_for(write: Write) -> None:
    reloaded = trio.Event()

    def reload() -> Plan:
        trio.from_thread.run_sync(reloaded.set)
        return plan

    plan = made(write(CHANNEL))
    app = App(plan, reload)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(app.run, bind(["127.0.0.1:0"]), early=[signal.SIGHUP]))
        await reloaded.wait()
        app.stop()


async def test_positions_of_an_earlier_life_are_smaller(write: Write) -> None:
    plan = made(write(CHANNEL))
    brokers = [App(plan).engine.hub.broker for _ in range(2)]
    epochs = [broker._histories._epoch for broker in brokers if isinstance(broker, MemoryBroker)]
    assert len(epochs[0]) == len(epochs[1])
    assert epochs[0][:11] <= epochs[1][:11]
