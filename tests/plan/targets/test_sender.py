from channeld.config.model import Route
from channeld.plan.targets.sender import SenderPlan, ToSender
from tests.plan.targets.kit import CHANNEL, MESSAGE, sender


def test_nothing_is_published() -> None:
    plan = SenderPlan()
    assert plan.is_direct
    assert plan.topic(sender("a", home="a"), {}) is None
    assert ToSender().words(Route(to="sender"), CHANNEL, MESSAGE) == "the sender"
