from channeld.protocol.frames import Json
from channeld.schema.compare.normalize import form_of
from tests.diff.kit import node_of


def test_what_a_property_must_satisfy() -> None:
    schema: Json = {
        "properties": {"a": {"type": "string"}},
        "patternProperties": {"^a": {"maxLength": 1}},
        "additionalProperties": {"type": "null"},
    }
    form = form_of(node_of(schema))
    assert len(form.child("a").parts) == 2
    assert [part.schema for part in form.child("ab").parts] == [{"maxLength": 1}]
    assert [part.schema for part in form.child("b").parts] == [{"type": "null"}]
    assert [part.schema for part in form.others().parts] == [{"type": "null"}]
    assert list(form.properties()) == ["a"]


def test_what_an_item_must_satisfy() -> None:
    form = form_of(node_of({"prefixItems": [{"type": "string"}], "items": {"type": "null"}}))
    assert form.prefix() == 1
    assert [part.schema for part in form.item(0).parts] == [{"type": "string"}]
    assert [part.schema for part in form.item(1).parts] == [{"type": "null"}]
    assert [part.schema for part in form.items().parts] == [{"type": "null"}]


def test_which_forms_are_only_types_and_what_holds_of_each() -> None:
    assert form_of(node_of({"type": "string", "maxLength": 3})).is_simple()
    assert not form_of(node_of({"not": {"type": "string"}})).is_simple()
    assert not form_of(node_of({"enum": [1]})).is_simple()
