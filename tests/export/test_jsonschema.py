from typing import Any

import jsonschema as validators
import pytest

from channeld.export.contract import Contract
from channeld.export.jsonschema import as_json, jsonschema


@pytest.fixture(params=["shipped", "nasty"])
def contract(request: pytest.FixtureRequest) -> Contract:
    found: Contract = request.getfixturevalue(request.param)
    return found


def document(contract: Contract) -> Any:
    return jsonschema(contract, title="All frames")


def test_it_is_a_schema(contract: Contract) -> None:
    validators.Draft202012Validator.check_schema(document(contract))


def test_every_reference_leads_somewhere(contract: Contract) -> None:
    whole = document(contract)
    text = as_json(whole)
    for name in whole["$defs"]:
        text = text.replace(f'"#/$defs/{name}"', "")
    assert "#/" not in text.replace("#tree", "")


def test_examples_are_frames_of_their_channel(contract: Contract) -> None:
    whole = document(contract)
    for channel in contract.channels:
        schema = {"$ref": f"#/$defs/{channel.send_name}", "$defs": whole["$defs"]}
        accepts = validators.Draft202012Validator(schema).is_valid
        assert all(accepts(example) for each in channel.sent for example in each.examples)
        assert not accepts({"type": "no such type"})


def test_any_frame_satisfies_the_whole_document(shipped: Contract) -> None:
    accepts = validators.Draft202012Validator(document(shipped)).is_valid
    assert accepts({"type": "ping", "id": 1})
    assert accepts({"type": "error", "code": "MINE", "message": "no", "of_a_hook": 1})
    assert not accepts({"type": "message", "nothing": 1})


def test_it_tells_which_frame_is_which(shipped: Contract) -> None:
    room = document(shipped)["x-channeld"]["room"]
    assert room["path"] == "/rooms/{room_id}"
    assert room["send"]["message"] == {"$ref": "#/$defs/RoomSendMessage"}
    assert room["undeclared"] is False


def test_keys_keep_their_order_and_letters_are_letters() -> None:
    assert as_json({"z": "ü", "a": [1]}) == '{\n  "z": "ü",\n  "a": [\n    1\n  ]\n}\n'
