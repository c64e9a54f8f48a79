from channeld.schema.compare.subschemas import below, item_part, number, property_parts
from tests.diff.kit import node_of

(PART,) = node_of(
    {
        "properties": {"a/b": {"type": "string"}},
        "patternProperties": {"^a": {"maxLength": 2}},
        "additionalProperties": False,
        "prefixItems": [{"type": "null"}],
        "items": {"type": "string"},
    }
).parts


def test_a_schema_inside_has_its_pointer() -> None:
    found = below(PART, "properties", "a/b")
    assert found is not None
    assert (found.pointer, found.schema) == ("/properties/a~1b", {"type": "string"})
    assert below(PART, "properties", "none") is None
    assert below(PART, "not") is None


def test_a_property_is_asked_of_every_keyword_that_speaks_of_it() -> None:
    pointers = [
        [part.pointer for part in property_parts(PART, name)] for name in ("a/b", "ax", "b")
    ]
    assert pointers == [
        ["/properties/a~1b", "/patternProperties/^a"],
        ["/patternProperties/^a"],
        ["/additionalProperties"],
    ]


def test_an_item_is_asked_of_its_place() -> None:
    found = [item_part(PART, index) for index in (0, 1)]
    assert [part and part.pointer for part in found] == ["/prefixItems/0", "/items"]


def test_numbers() -> None:
    assert (number(2), number("2")) == (2, 0)
