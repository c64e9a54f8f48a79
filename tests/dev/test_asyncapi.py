"""A first file out of AsyncAPI documents of both versions, and of what channeld exports itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.dev.asyncapi import AsyncapiRefused, FirstFile, first_file
from channeld.export.asyncapi import asyncapi
from channeld.plan.load import check
from tests.export.kit import NASTY, SHIPPED, contract_of_file

V2 = """
asyncapi: 2.6.0
channels:
  user/signedup:
    description: New users.
    subscribe: {operationId: onSignup, message: {$ref: '#/components/messages/UserSignedUp'}}
  rooms/{room}/chat:
    parameters: {room: {schema: {type: string, pattern: '^[a-z]+$'}}}
    publish:
      message:
        oneOf:
          - $ref: '#/components/messages/Say'
          - {name: leave now!, payload: {type: object, required: [id], properties: {id: {type: string}, why: {type: string, nullable: true}}}}
          - {name: raw, payload: {type: string}}
    subscribe: {message: {$ref: '#/components/messages/Say'}}
components:
  messages:
    UserSignedUp: {summary: Somebody has an account., headers: {type: object}, payload: {$ref: '#/components/schemas/User'}}
    Say:
      messageId: said
      payload:
        allOf:
          - {type: object, required: [type], properties: {type: {const: say}}}
          - {$ref: '#/components/schemas/Text'}
  schemas:
    User:
      type: object
      discriminator: kind
      properties:
        friends: {type: array, items: {$ref: '#/components/schemas/User'}}
        pair: {type: array, items: [{type: string}, {type: integer}], additionalItems: false}
        age: {type: integer, minimum: 0, exclusiveMinimum: true}
    Text: {type: object, properties: {text: {type: string}}}
"""
V3 = """
asyncapi: 3.0.0
channels:
  chat:
    address: /rooms/{room}
    parameters: {room: {enum: [a, b]}}
    messages:
      say: {payload: {type: object, properties: {text: {type: string}}}}
      told: {payload: {schemaFormat: 'application/schema+json;version=draft-07', schema: {type: object}}}
  quiet: {address: "user.{id}.signedup", messages: {hello: {}}}
  empty: {address: /empty}
operations:
  onSay: {action: receive, channel: {$ref: '#/channels/chat'}, messages: [{$ref: '#/channels/chat/messages/say'}]}
  tell: {action: send, channel: {$ref: '#/channels/chat'}, messages: [{$ref: '#/channels/chat/messages/told'}]}
"""


def made(text: str) -> tuple[FirstFile, Any]:
    file = first_file(yaml.safe_load(text), "it.yaml")
    return file, yaml.safe_load(file.text)


def refused(text: str) -> list[str]:
    with pytest.raises(AsyncapiRefused) as caught:
        first_file(yaml.safe_load(text), "it.yaml")
    return caught.value.problems


def errors(file: FirstFile, folder: Path) -> list[str]:
    path = folder / "channels.yaml"
    path.write_text(file.text)
    return [one.message for one in check(str(path), environ={}).report.errors]


def test_version_2(tmp_path: Path) -> None:
    file, said = made(V2)
    chat = said["channels"]["rooms-room-chat"]
    assert chat["path"] == "/rooms/{room}/chat"
    assert chat["params"] == {"room": {"type": "string", "pattern": "^[a-z]+$"}}
    text = {"type": "object", "properties": {"text": {"type": "string"}}}
    say = {"schema": {"type": "object", "allOf": [{"type": "object"}, text]}}
    assert chat["messages"]["say"] == {"route": "none", **say}
    assert chat["events"] == {"say": say}
    assert chat["messages"]["leave-now"]["schema"]["properties"] == {
        "why": {"type": ["string", "null"]}
    }
    signedup = said["channels"]["user-signedup"]["events"]["UserSignedUp"]
    assert signedup["description"] == "Somebody has an account."
    pair = {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
    }
    assert said["schemas"]["User"]["properties"] == {
        "friends": {"type": "array", "items": {"$ref": "#/schemas/User"}},
        "pair": pair,
        "age": {"type": "integer", "exclusiveMinimum": 0},
    }
    assert [note.partition(": ")[2] for note in file.notes[:3]] == [
        "the headers of message UserSignedUp are left out: frames have none",
        "`id` of message leave now! is left out: every frame has its own",
        "message raw is left out: its payload is not an object",
    ]
    assert "`discriminator`" in file.notes[3]
    assert all(f"# Note: {note}\n" in file.text for note in file.notes)
    assert errors(file, tmp_path) == []


def test_version_3(tmp_path: Path) -> None:
    file, said = made(V3)
    chat = said["channels"]["chat"]
    assert (list(chat["messages"]), list(chat["events"])) == (["say"], ["told"])
    assert chat["params"] == {"room": {"type": "string", "enum": ["a", "b"]}}
    quiet = said["channels"]["quiet"]
    assert quiet["path"] == "/user/{id}/signedup"
    assert quiet["messages"] == {"hello": {"route": "none", "schema": {"type": "object"}}}
    assert file.notes == (
        "channel quiet: no operation is about it, so clients may send its messages",
        "channel empty is left out: it has no messages",
    )
    assert "Each `route` is `none`" in file.text
    assert errors(file, tmp_path) == []


HEAD = "asyncapi: 3.0.0\nchannels: {c: {address: /c, messages: {m: %s}}}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "it has no `asyncapi: VERSION`"),
        ("asyncapi: 3", "it has no `asyncapi: VERSION`"),
        ("openapi: 3.1.0", "it is an openapi document"),
        ("asyncapi: 1.2.0", "it is of AsyncAPI 1.2.0; versions 2 and 3"),
        ("asyncapi: 3.0.0", "`channels` is not a mapping"),
        ("{asyncapi: 3.0.0, channels: {}}", "no channel with a message"),
        ("{asyncapi: 3.0.0, channels: {c: 5}}", "/channels/c: this is not a mapping"),
        ("{asyncapi: 2.6.0, channels: {'a/x-{b}': {publish: {message: {}}}}}", "not a whole segment"),
        ("{asyncapi: 2.6.0, channels: {'a/{b}/{b}': {publish: {message: {}}}}}", "a parameter occurs twice"),
        (HEAD % "{payload: {$ref: other.yaml#/a}}", "refers to another document, other.yaml#/a"),
        (HEAD % "{payload: {properties: {a: {$ref: '#/nowhere'}}}}", "there is nothing at #/nowhere"),
        (HEAD % "{$ref: '#/channels/c/messages/m'}", "the reference refers to itself"),
        (HEAD % "{payload: {allOf: [{$ref: '#/channels/c/messages/m/payload'}]}}", "`allOf` refers to itself"),
        (HEAD % "{payload: {schemaFormat: application/vnd.apache.avro;version=1.9.0, schema: {}}}", "avro"),
        (HEAD % "{}" + "\noperations: {o: {channel: {$ref: '#/channels/d'}}}", "`channel` is not a reference"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_its_place(text: str, problem: str) -> None:
    assert any(problem in one for one in refused(text))


def test_what_channeld_could_not_check_is_left_out(tmp_path: Path) -> None:
    words = "{type: string, format: int64, pattern: '(?=a)b', maxLength: 5}"
    messages = f"messages: {{m: {{payload: {{properties: {{n: {words}}}}}}}}}"
    file, said = made(f"asyncapi: 3.0.0\nchannels: {{c: {{address: '/a b/{{x}}', {messages}}}}}")
    channel = said["channels"]["c"]
    assert channel["path"] == "/a%20b/{x}"
    assert channel["messages"]["m"]["schema"]["properties"] == {
        "n": {"type": "string", "maxLength": 5}
    }
    assert "`format: int64`, `pattern: (?=a)b`" in file.text
    assert errors(file, tmp_path) == []


SHARED = """
asyncapi: 3.0.0
channels:
  ticks: {address: /, messages: {tick: {payload: {type: object, maxProperties: 1}}}}
  news: {address: 'wss://example.com/', messages: {tick: {payload: {type: object, maxProperties: 2}}, news: {}}}
"""


def test_channels_of_one_address_are_one_connection(tmp_path: Path) -> None:
    file, said = made(SHARED)
    (channel,) = said["channels"].values()
    assert channel["path"] == "/"
    assert list(channel["messages"]) == ["tick", "news"]
    either = [{"type": "object", "maxProperties": 1}, {"type": "object", "maxProperties": 2}]
    assert channel["messages"]["tick"]["schema"] == {"type": "object", "anyOf": either}
    assert "channel news is part of ticks: it has the same address" in file.notes
    assert "/channels/news: of the messages that are called tick any is accepted" in file.notes
    assert errors(file, tmp_path) == []


def test_addresses_that_differ_in_names_of_parameters_are_one(tmp_path: Path) -> None:
    message = "{payload: {type: object, properties: {}}}"
    file, said = made(
        "{asyncapi: 3.0.0, channels: {"
        f"one: {{address: 'users/{{id}}/in', messages: {{a: {message}}}}},"
        f"two: {{address: '/users/{{user}}/in', messages: {{b: {message}}}}}"
        "}}"
    )
    (channel,) = said["channels"].values()
    assert (channel["path"], list(channel["messages"])) == ("/users/{id}/in", ["a", "b"])
    assert "channel two is part of one: it has the same address" in file.notes
    assert errors(file, tmp_path) == []


def test_all_problems_are_said_at_once() -> None:
    text = "{asyncapi: 2.6.0, channels: {a: {publish: {message: {payload: {$ref: b.yaml}}}}, 'x{y': {publish: {message: {}}}}}"
    assert len(refused(text)) == 2


@pytest.mark.parametrize("version", ["3.0.0", "3.1.0"])
@pytest.mark.parametrize("source", [SHIPPED, NASTY], ids=["shipped", "nasty"])
def test_what_channeld_exports_comes_back(tmp_path: Path, source: Path, version: Any) -> None:
    before = contract_of_file(source)
    document = asyncapi(before, title="t", release="1", version=version)
    file = first_file(document, "asyncapi.json")
    assert errors(file, tmp_path) == []
    after = contract_of_file(tmp_path / "channels.yaml")
    told = {c.name: c for c in after.channels}
    for channel in before.channels:
        same = told[channel.name]
        assert (same.declared.path, same.params, same.declared.description) == (
            channel.declared.path,
            channel.params,
            channel.declared.description,
        )
        for sent in channel.sent:
            if sent.declared:
                (again,) = (one for one in same.sent if one.type == sent.type)
                # The nasty one's references are written out, which says the same in another form.
                if source == SHIPPED:
                    assert without_words(again.schema) == without_words(sent.schema)
        declared = {one.type for one in channel.received if one.declared}
        assert declared == {one.type for one in same.received if one.declared}


def without_words(schema: Any) -> Any:
    return {key: held for key, held in schema.items() if key != "description"}


KEYS = st.sampled_from(
    ["type", "properties", "required", "allOf", "anyOf", "definitions", "$ref", "const", "enum", "dependencies", "nullable",
     "minimum", "exclusiveMinimum", "format", "pattern", "id", "x-a", "description", "name", "payload", "message", "messages",
     "publish", "channel", "action", "address", "parameters", "schemaFormat", "schema", "headers", "c", "c/{x}"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["object", "say", "#/channels/c", "#/channels/c/messages/c", "#/x", "#", "a.yaml", "receive", "3.0.0", 1, True, None]
)  # fmt: skip
ANYTHING = st.recursive(
    WORDS | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300)
@given(
    st.sampled_from(["2.6.0", "3.0.0"]),
    st.dictionaries(
        st.text(max_size=5) | KEYS,
        st.fixed_dictionaries(
            {},
            optional={
                "publish": st.fixed_dictionaries({"message": ANYTHING}),
                "messages": st.dictionaries(KEYS, ANYTHING, max_size=2),
            },
        ),
        max_size=2,
    )
    | ANYTHING,
    ANYTHING,
)
def test_any_document_is_read_or_refused(version: str, channels: Any, operations: Any) -> None:
    document = {"asyncapi": version, "channels": channels, "operations": operations}
    try:
        file = first_file(document, "it\n.yaml")
    except AsyncapiRefused as error:
        assert error.problems  # noqa: PT017 - either way is right
    else:
        assert list(yaml.safe_load(file.text)["channels"])
