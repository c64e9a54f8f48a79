import pytest

from channeld.protocol.names import Topic
from channeld.scenarios.trace_words import audience, error_words, violations, written


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (Topic("room", "chat", "a"), "members of room `a` on `chat`"),
        (Topic("user", "chat", "ann"), "connections of user `ann` on `chat`"),
        (Topic("channel", "chat", ""), "everyone on `chat`"),
        (Topic("global", "", ""), "everyone on every channel"),
    ],
)
def test_every_topic_has_an_audience(topic: Topic, words: str) -> None:
    assert audience(topic, skips=False) == words
    assert audience(topic, skips=True) == f"{words}, not the sender"


def test_a_topic_is_written_without_its_empty_parts() -> None:
    assert written(Topic("room", "chat", "a")) == "room:chat:a"
    assert written(Topic("channel", "chat", "")) == "channel:chat"


def test_a_client_that_was_told_nothing_was_closed() -> None:
    assert error_words(None) == "closed"
    assert violations(None) == []
    assert error_words({"type": "error", "code": "FORBIDDEN", "message": "no"}) == "FORBIDDEN: no"
