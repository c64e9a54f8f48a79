from channeld.plan.plan import MISSING
from channeld.plan.targets.user import UserPlan
from channeld.protocol.names import Topic
from tests.plan.targets.kit import sender


def test_it_is_the_user_s_own_topic() -> None:
    assert UserPlan(user=lambda *_: 7).topic(sender(), {}) == Topic("user", "c", "7")
    elsewhere = UserPlan(user=lambda *_: "u", channel="d")
    assert elsewhere.topic(sender(), {}) == Topic("user", "d", "u")


def test_a_missing_id_is_nobody() -> None:
    assert UserPlan(user=lambda *_: MISSING).topic(sender(), {}) is None
