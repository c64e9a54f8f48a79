from typing import Any

import jsonschema
import pytest

from channeld.engine.reserved import SCHEMAS
from channeld.export.contract import Contract
from channeld.protocol.reserved import ANSWERS, RESERVED, RESERVED_CLIENT
from tests.export.conftest import ContractOf
from tests.export.kit import channel_of, sent

FRAMES: list[dict[str, Any]] = [
    {"type": "subscribe", "room": "r"},
    {"type": "subscribe", "room": "r", "since": "1-1"},
    {"type": "subscribe"},
    {"type": "subscribe", "room": ""},
    {"type": "subscribe", "room": "r", "more": 1},
    {"type": "unsubscribe", "room": "r"},
    {"type": "unsubscribe", "room": 1},
    {"type": "presence", "room": "r", "only": "count"},
    {"type": "presence", "room": "r", "only": "all"},
    {"type": "history", "room": "r", "limit": 1000, "before": "1-1"},
    {"type": "history", "room": "r", "limit": 1001},
    {"type": "authenticate", "token": "t"},
    {"type": "authenticate", "token": 1},
]

EVERYTHING = """
auth: {a: {type: tokens, tokens: [{token: a-long-token-of-32-characters-xx, user: ann}]}}
channels:
  c:
    path: /c
    auth: a
    rooms: {subscribe: {allow: ["*"]}}
    presence: true
    history: {size: 9, ttl: 1h}
    messages: {say: {schema: true, hook: "a:b"}}
"""


def types(contract: Contract, channel: str) -> tuple[set[str], set[str]]:
    found = channel_of(contract, channel)
    return (
        {each.type for each in found.sent if not each.declared},
        {each.type for each in found.received if not each.declared},
    )


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_they_agree_with_what_the_engine_accepts(
    contract_of: ContractOf, frame: dict[str, Any]
) -> None:
    contract = contract_of(EVERYTHING.replace('{schema: true, hook: "a:b"}', "{schema: true}"))
    schema = sent(contract, "c", frame["type"]).schema
    fields = {name: value for name, value in frame.items() if name != "type"}
    assert jsonschema.Draft202012Validator(schema).is_valid(frame) == SCHEMAS[
        frame["type"]
    ].accepts(fields)


def test_every_reserved_type_is_described_somewhere(shipped: Contract) -> None:
    both = [types(shipped, channel) for channel in ("room", "lobby", "notifications")]
    assert set().union(*(sending for sending, _ in both)) == RESERVED_CLIENT
    answers = set().union(*(receiving for _, receiving in both))
    # `connection` is an event of a stream, which no client library takes for a frame.
    assert answers == (RESERVED - RESERVED_CLIENT - {"connection"}) | {"presence", "history"}


def test_a_plain_channel_says_little(contract_of: ContractOf) -> None:
    contract = contract_of("channels: {c: {path: /c, auth: none, events: {x: {}}}}")
    assert types(contract, "c") == ({"ping"}, {"pong", "disconnect", "error"})


def test_each_request_has_an_answer_of_its_channel(shipped: Contract) -> None:
    for channel in shipped.channels:
        answers = {each.type for each in channel.received}
        asked = [each.answer for each in channel.sent if not each.declared]
        assert set(asked) <= answers
    assert ANSWERS.keys() == RESERVED_CLIENT


@pytest.mark.parametrize(
    ("more", "absent"),
    [
        ("auth: none", {"UNAUTHORIZED", "TOKEN_EXPIRED", "LIMIT_EXCEEDED", "REJECTED"}),
        ("auth: none, rooms: {subscribe: {allow: [a]}}", {"UNAUTHORIZED", "TOKEN_EXPIRED", "REJECTED"}),
    ],
)  # fmt: skip
def test_codes_that_can_not_come_are_not_told(
    contract_of: ContractOf, more: str, absent: set[str]
) -> None:
    contract = contract_of(f"channels: {{c: {{path: /c, {more}}}}}")
    codes = {str(code) for code in channel_of(contract, "c").errors}
    assert not codes & absent
    assert "INVALID_JSON" in codes
