import json
import re
from typing import Any

import jsonschema
import pytest

from channeld.export.asyncapi import VERSIONS, Version, asyncapi
from channeld.export.contract import Contract
from tests.export.conftest import ContractOf
from tests.npm_parts import npm_folder


def document(contract: Contract, version: Version = "3.0.0", server: str = "") -> Any:
    return asyncapi(contract, title="Chat", release="1.2.3", version=version, server=server)


@pytest.fixture(params=["shipped", "nasty"])
def contract(request: pytest.FixtureRequest) -> Contract:
    found: Contract = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_it_satisfies_the_specifications_own_schema(contract: Contract, version: Version) -> None:
    path = npm_folder() / "@asyncapi" / "specs" / "schemas" / f"{version}.json"
    validator = jsonschema.Draft7Validator(json.loads(path.read_text()))
    assert [error.message for error in validator.iter_errors(document(contract, version))] == []


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [reference for each in value for reference in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [reference for each in value.values() for reference in references(each)]


def resolve(whole: Any, reference: str) -> Any:
    value = whole
    for token in reference.removeprefix("#/").split("/"):
        value = value[token]
    return value


def test_every_reference_leads_somewhere(contract: Contract) -> None:
    whole = document(contract)
    found = [r for r in references(whole) if r.startswith("#")]
    assert len(found) > 50
    for reference in found:
        assert resolve(whole, reference) is not None


def test_operations_name_messages_of_their_channel(contract: Contract) -> None:
    for operation in document(contract)["operations"].values():
        inside = operation["channel"]["$ref"] + "/messages/"
        messages = operation["messages"] + operation.get("reply", {}).get("messages", [])
        assert all(message["$ref"].startswith(inside) for message in messages)


def test_addresses_and_parameters_agree(contract: Contract) -> None:
    for channel in document(contract)["channels"].values():
        named = re.findall(r"\{([^{}]+)\}", channel["address"])
        assert named == list(channel.get("parameters", {}))


def test_keys_are_such_as_components_may_have(contract: Contract) -> None:
    whole = document(contract)
    for kind in ("schemas", "messages", "securitySchemes"):
        keys = whole["components"].get(kind, {})
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", key) for key in keys)


def test_what_clients_send_is_received_and_answered(shipped: Contract) -> None:
    operation = document(shipped)["operations"]["room.receive.message"]
    assert operation["action"] == "receive"
    answers = [message["$ref"].rpartition("/")[2] for message in operation["reply"]["messages"]]
    assert answers == ["send.ack", "send.reply", "send.error"]


def test_examples_satisfy_their_payload(shipped: Contract) -> None:
    whole = document(shipped)
    found = 0
    for message in whole["components"]["messages"].values():
        validator = jsonschema.Draft7Validator(
            {**message["payload"], "components": whole["components"]}
        )
        for example in message.get("examples", []):
            found += 1
            assert validator.is_valid(example["payload"])
    assert found == 5


def test_tokens_can_be_brought_in_each_of_their_places(shipped: Contract) -> None:
    schemes = document(shipped)["components"]["securitySchemes"]
    assert list(schemes) == ["session.query", "session.header", "session.subprotocol"]
    assert schemes["session.header"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def test_an_optional_token_is_no_security(nasty: Contract) -> None:
    whole = document(nasty)
    assert "security" not in whole["operations"]["__proto__.receive.def"]
    assert whole["operations"]["9.other-one.receive.say"]["security"]
    assert whole["channels"]["__proto__"]["x-channeld-auth"]["optional"] is True


def test_only_modern_schemas_name_their_dialect(nasty: Contract) -> None:
    messages = document(nasty)["components"]["messages"]
    assert "schemaFormat" in messages["ProtoSendDef"]["payload"]
    assert messages["ProtoSendConstructor"]["payload"] == {
        "$ref": "#/components/schemas/ProtoSendConstructor"
    }


def test_a_reference_beside_other_keywords_is_wrapped(nasty: Contract) -> None:
    schema = document(nasty)["components"]["schemas"]["ProtoSendConstructor"]
    assert [*schema["allOf"][0]] == ["$ref"]
    assert "$ref" not in schema


def test_a_server_can_be_named(shipped: Contract) -> None:
    whole = document(shipped, server="https://example.org/ws/")
    assert whole["servers"] == {
        "server": {"host": "example.org", "protocol": "wss", "pathname": "/ws"}
    }


def test_a_server_without_an_address_is_left_out(contract_of: ContractOf) -> None:
    contract = contract_of("server: {bind: 'unix:/tmp/s'}\nchannels: {c: {path: /c, auth: none}}")
    assert "servers" not in document(contract)


def test_a_schema_that_is_only_true_or_false_is_written_as_an_object(
    contract_of: ContractOf,
) -> None:
    contract = contract_of(
        "schemas: {yes: true, no: false}\n"
        "channels: {c: {path: /c, auth: none, events: {x: {schema: {properties: {a: {$ref: '#/schemas/yes'}, b: {$ref: '#/schemas/no'}}}}}}}"
    )
    schemas = document(contract)["components"]["schemas"]
    assert (schemas["Yes"], schemas["No"]) == ({}, {"not": {}})
