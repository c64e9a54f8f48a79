from pathlib import Path

import pytest
import trio

from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.scenarios.instrumentation import (
    ORIGIN,
    FrameOrigin,
    HookWitness,
    caused_by,
    hook_names,
    instrument,
)
from channeld.scenarios.model import Stub
from channeld.scenarios.outcome import Status
from channeld.testing import running
from tests.scenarios.kit import CASES, run


@pytest.fixture
def plan() -> Plan:
    found = check(str(CASES / "channels.yaml")).plan
    assert found is not None
    return found


def test_every_hook_has_a_name(plan: Plan) -> None:
    assert sorted(hook_names(plan)) == [
        f"stage_hooks:{name}" for name in ("answer", "bot", "gone", "here", "lifespan", "listen")
    ]


async def test_the_origin_follows_a_message_and_its_hooks(plan: Plan) -> None:
    seen: list[tuple[str, str]] = []
    called: list[tuple[str, str]] = []
    witness = HookWitness(lambda channel, name: called.append((channel, name)))
    async with running(instrument(plan, witness, {})) as app:
        ann = await app.connect("/rooms/a", user="ann", claims={"name": "Ann"})

        def note(_client: object, frame: dict[str, object]) -> None:
            origin = ORIGIN.get()
            seen.append((str(frame["type"]), origin.name if origin else ""))

        app.on_frame = note
        await ann.send({"type": "say", "text": "note"})
        await app.rest()
    assert seen == [("note", "stage_hooks:listen"), ("say", "say")]
    assert called[:2] == [("room", "stage_hooks:here"), ("room", "stage_hooks:listen")]


async def test_a_hook_that_raises_is_told_with_its_place(plan: Plan) -> None:
    witness = HookWitness(lambda _channel, _name: None)
    async with running(instrument(plan, witness, {})) as app:
        ann = await app.connect("/rooms/a", user="ann", claims={"name": "Ann"})
        await ann.send({"type": "say", "text": "boom"})
        await ann.send({"type": "say", "text": "no"})
        await app.rest()
    [failure] = witness.failures
    assert failure.words == "raised KeyError: 'tex'"
    assert failure.at.startswith("tests/scenarios/cases/stage_hooks.py:")


async def test_a_stub_that_raises_is_not_told(plan: Plan) -> None:
    witness = HookWitness(lambda _channel, _name: None)
    stub = Stub(hook="stage_hooks:listen", pointer="", raises="on purpose")
    async with running(instrument(plan, witness, {stub.hook: stub})) as app:
        ann = await app.connect("/rooms/a", user="ann", claims={"name": "Ann"})
        await ann.send({"type": "say", "text": "hi"})
        assert (await ann.receive("error"))["code"] == "INTERNAL_ERROR"
    assert witness.failures == []


def test_a_plan_keeps_its_own_counters(plan: Plan) -> None:
    probed = instrument(plan, HookWitness(lambda _channel, _name: None), {})
    before = plan.channels["room"].messages["say"]
    after = probed.channels["room"].messages["say"]
    assert before.counters is not after.counters
    found = probed.match("/rooms/a")
    assert found is not None
    assert found.channel is probed.channels["room"]
    assert probed.match("/nowhere") is None


async def test_tasks_inherit_their_origin() -> None:
    origin = FrameOrigin(kind="hook", channel="c", name="n", pointer="/p")
    seen = []

    async def look() -> None:
        seen.append(ORIGIN.get())

    async with trio.open_nursery() as nursery:
        with caused_by(origin):
            nursery.start_soon(look)
        nursery.start_soon(look)
    assert sorted(str(one) for one in seen) == sorted([str(origin), "None"])


def test_a_hook_of_a_backend_is_stubbed_by_its_name_and_path(tmp_path: Path) -> None:
    config = tmp_path / "channels.yaml"
    config.write_text(
        """\
channeld: 1
backends: {app: {url: "https://a.example", secret: "a secret of more than thirty-two bytes"}}
channels:
  room:
    path: /room
    auth: none
    messages: {say: {schema: true, route: sender, hook: {backend: app, path: /say}}}
"""
    )
    scenario = """\
config: CONFIG
hooks: {"app/say": {reject: "no"}}
scenarios:
  - name: refused by the stub
    clients: {ann: {path: /room}}
    steps:
      - ann: {send: {type: say, id: 1}}
      - ann: {expect: {type: error, code: REJECTED, id: 1}}
"""
    text = scenario.replace("CONFIG", str(config))
    assert [one.status for one in run(text).outcomes] == [Status.PASS]
    without = "\n".join(line for line in text.splitlines() if not line.startswith("hooks:"))
    without = without.replace("REJECTED", "UNAVAILABLE")
    assert [one.status for one in run(without).outcomes] == [Status.PASS]
