"""The admission: counting, and one set of rules for each plan."""

import attrs
import trio

from channeld.config.model import Server
from channeld.plan.plan import Plan
from channeld.server.admission import Admission, Seat
from channeld.server.exchange import Refuse
from channeld.server.handshake import Accept
from channeld.server.outbox import Fanout
from channeld.server.runtime import TrioRuntime
from tests.server.kit import RecordingEngine, plan, request_bytes, small


@attrs.define(eq=False)
class Plans:
    now: Plan = attrs.field(factory=plan)

    def admission(self) -> Admission:
        return Admission(
            engine=RecordingEngine(),
            plan_source=lambda: self.now,
            runtime=TrioRuntime(),
            fanout=Fanout(),
        )


class Waits:
    """A connection that has not been accepted."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        admission.arrive(self)

    is_idle = False

    def give_way(self) -> None:
        del self.admission.waiting[self]
        self.admission.leave(None)


def test_who_waits_longest_makes_room() -> None:
    admission = Plans().admission()
    assert not admission.make_room()
    first, second = Waits(admission), Waits(admission)
    assert admission.make_room()
    assert (list(admission.waiting), admission.sockets) == ([second], 1)
    assert first not in admission.waiting


def test_good_handshakes_are_counted_by_address() -> None:
    admission = Plans().admission()
    for _ in range(2):
        Waits(admission)
        assert isinstance(admission.judge(request_bytes(), "192.0.2.1", secure=False), Accept)
    assert (admission.sockets, admission.open, admission.addresses) == (2, 2, {"192.0.2.1": 2})
    admission.leave(Seat("192.0.2.1"))
    admission.leave(Seat("192.0.2.1"))
    assert (admission.sockets, admission.open, admission.addresses) == (0, 0, {})


def test_refused_ones_are_not() -> None:
    admission = Plans().admission()
    Waits(admission)
    assert isinstance(admission.judge(b"nonsense\r\n\r\n", "192.0.2.1", secure=False), Refuse)
    admission.leave(None)
    assert (admission.sockets, admission.open, admission.addresses) == (0, 0, {})


def test_limits_and_rules_are_those_of_the_plan_of_now() -> None:
    plans = Plans()
    admission = plans.admission()
    data = request_bytes("/echo", "Origin: https://a.com")
    first = admission.judge(data, "192.0.2.1", secure=False)
    plans.now = plan(Server(allowed_origins=("https://a.com",)))
    second = admission.judge(data, "192.0.2.1", secure=False)
    plans.now = plan(Server(allowed_origins="any", limits=small(connections_per_address=1)))
    third = admission.judge(data, "192.0.2.1", secure=False)
    plans.now = plan(Server(allowed_origins="any", limits=small(connections=1)))
    fourth = admission.judge(data, "192.0.2.2", secure=False)
    assert isinstance(second, Accept)
    statuses = [found.status for found in (first, third, fourth) if isinstance(found, Refuse)]
    assert statuses == [403, 429, 503]


async def test_emptiness_can_be_waited_for() -> None:
    admission = Plans().admission()
    await admission.wait_empty()
    Waits(admission)
    Waits(admission)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admission.wait_empty)
        await trio.testing.wait_all_tasks_blocked()
        admission.leave(None)
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        admission.leave(None)
