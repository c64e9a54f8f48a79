"""The gate: counting, and one set of rules for each plan."""

import attrs
import trio

from channeld.config.model import Server
from channeld.plan.plan import Plan
from channeld.server.admission import Admission
from channeld.server.handshake import Accept, Refuse
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from tests.server.kit import RecordingEngine, plan, request_bytes, small


@attrs.define(eq=False)
class Plans:
    now: Plan = attrs.field(factory=plan)

    def gate(self) -> Admission:
        return Admission(
            engine=RecordingEngine(),
            plan_source=lambda: self.now,
            runtime=TrioRuntime(),
            fanout=Fanout(),
        )


def test_good_handshakes_are_counted_by_address() -> None:
    gate = Plans().gate()
    for _ in range(2):
        gate.arrive()
        assert isinstance(gate.judge(request_bytes(), "192.0.2.1", secure=False), Accept)
    assert (gate.sockets, gate.open, gate.addresses) == (2, 2, {"192.0.2.1": 2})
    gate.leave("192.0.2.1")
    gate.leave("192.0.2.1")
    assert (gate.sockets, gate.open, gate.addresses) == (0, 0, {})


def test_refused_ones_are_not() -> None:
    gate = Plans().gate()
    gate.arrive()
    assert isinstance(gate.judge(b"nonsense\r\n\r\n", "192.0.2.1", secure=False), Refuse)
    gate.leave(None)
    assert (gate.sockets, gate.open, gate.addresses) == (0, 0, {})


def test_limits_and_rules_are_those_of_the_plan_of_now() -> None:
    plans = Plans()
    gate = plans.gate()
    data = request_bytes("/echo", "Origin: https://a.com")
    first = gate.judge(data, "192.0.2.1", secure=False)
    plans.now = plan(Server(allowed_origins=("https://a.com",)))
    second = gate.judge(data, "192.0.2.1", secure=False)
    plans.now = plan(Server(allowed_origins="any", limits=small(connections_per_address=1)))
    third = gate.judge(data, "192.0.2.1", secure=False)
    plans.now = plan(Server(allowed_origins="any", limits=small(connections=1)))
    fourth = gate.judge(data, "192.0.2.2", secure=False)
    assert isinstance(second, Accept)
    statuses = [found.status for found in (first, third, fourth) if isinstance(found, Refuse)]
    assert statuses == [403, 429, 503]


async def test_emptiness_can_be_waited_for() -> None:
    gate = Plans().gate()
    await gate.wait_empty()
    gate.arrive()
    gate.arrive()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.wait_empty)
        await trio.testing.wait_all_tasks_blocked()
        gate.leave(None)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        gate.leave(None)
