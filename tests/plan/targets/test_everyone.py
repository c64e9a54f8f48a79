import pytest

from channeld.plan.targets.everyone import EveryonePlan
from channeld.protocol.names import EVERYONE, Topic
from tests.plan.targets.kit import sender


@pytest.mark.parametrize(
    ("channel", "topic"),
    [(None, Topic("channel", "c", "")), ("d", Topic("channel", "d", "")), ("*", EVERYONE)],
)
def test_it_is_a_channel_s_topic_or_that_of_all(channel: str | None, topic: Topic) -> None:
    assert EveryonePlan(channel=channel).topic(sender(), {}) == topic
