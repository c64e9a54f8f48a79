import attrs

from channeld.config.model import HookRef, Route
from channeld.plan.targets.none import ToNobody
from tests.plan.targets.kit import CHANNEL, MESSAGE


def test_a_hook_does_the_work_or_nobody_does() -> None:
    route = Route(to="none")
    hooked = attrs.evolve(MESSAGE, hook=HookRef(call="a:b"))
    assert ToNobody().words(route, CHANNEL, MESSAGE) == "nobody"
    assert ToNobody().words(route, CHANNEL, hooked) == "hook a:b"
