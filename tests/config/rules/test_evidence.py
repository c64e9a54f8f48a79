from collections.abc import Callable

import pytest

from channeld.config.load import Loaded
from channeld.config.model import Secret
from channeld.config.rules import evidence
from channeld.config.source import Sources

Load = Callable[..., Loaded]

TEXT = """\
channeld: 1
server: {bind: [a, 5, "${UNSET}", "${SENSOR_TOKEN}"], drain: , allowed_origins: any}
x-note: 1
channels:
  a: {auth: [one, none], x-b: 1}
  b: {auth: {use: two}}
  c: {auth: none}
  d: {auth: {use: none}}
"""


@pytest.fixture
def sources(load_config: Load) -> Sources:
    found = load_config(TEXT).sources
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("pointer", "value", "is_there"),
    [
        ("/server/allowed_origins", "any", True),
        ("/server/drain", None, True),
        ("/server/tls", None, False),
        ("/server/bind/1", 5, False),
        ("/server/bind/9", None, False),
        ("/server/bind/x/y", None, False),
    ],
)
def test_what_is_written(sources: Sources, pointer: str, value: object, is_there: bool) -> None:
    assert sources.written(pointer) == value
    assert evidence.is_written(sources, pointer) is is_there


def test_texts_whose_value_is_known(sources: Sources) -> None:
    assert list(evidence.texts(sources, "/server/bind")) == [
        ("a", "/server/bind/0"),
        ("a-token-nobody-can-guess", "/server/bind/3"),
    ]
    assert list(evidence.texts(sources, "/server/allowed_origins")) == [
        ("any", "/server/allowed_origins")
    ]


def test_names_of_authenticators(sources: Sources) -> None:
    assert list(evidence.channel_names(sources)) == [
        ("a", "one", "/channels/a/auth/0"),
        ("a", "none", "/channels/a/auth/1"),
        ("b", "two", "/channels/b/auth/use"),
        ("d", "none", "/channels/d/auth/use"),
    ]


def test_entries_without_notes(sources: Sources) -> None:
    assert evidence.entries(sources, "/channels/a") == ["auth"]
    assert evidence.entries(sources, "/server/bind") == []


def test_secrets_are_told_apart_only_where_they_can_be(sources: Sources) -> None:
    several = tuple(Secret(text=text) for text in "abcd")
    found = [pointer for _, pointer in evidence.secrets(sources, several, "/server/bind")]
    assert found == [f"/server/bind/{index}" for index in range(4)]
    fewer = [pointer for _, pointer in evidence.secrets(sources, several[:2], "/server/bind")]
    assert fewer == ["/server/bind", "/server/bind"]
