import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.schema_ref import (
    Node,
    below,
    canonical,
    implied,
    item_part,
    number,
    property_parts,
)
from tests.diff.kit import node_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "A", "type": "string"}, {"type": "string", "description": "b"}),
        ({"required": ["a", "b"]}, {"required": ["b", "a"]}),
        ({"type": ["null", "string"]}, {"type": ["string", "null"]}),
        ({"properties": {"title": {"examples": [1]}}}, {"properties": {"title": {}}}),
        ({"x-note": 1, "format": "no-such"}, {}),
    ],
)
def test_words_and_order_do_not_count(one: Json, other: Json) -> None:
    assert canonical(one) == canonical(other)


def test_values_that_look_like_words_do_count() -> None:
    assert canonical({"const": {"title": "A"}}) != canonical({"const": {}})
    assert canonical({"required": ["title"]}) == {"required": ["title"]}


def test_a_reference_is_written_as_what_it_means() -> None:
    texts = [
        node_of({"$ref": "#/schemas/a"}, {"a": {"type": kind}}).text()
        for kind in ("string", "null")
    ]
    assert texts[0] != texts[1]


def test_a_node_accepts_what_all_of_it_accepts() -> None:
    node = node_of({"maxLength": 3})
    both = Node(node.book, (*node.parts, implied({"type": "string"}, "text")))
    assert [both.accepts(value) for value in ("abc", "abcd", 1)] == [True, False, False]
    assert [violation.keyword for violation in both.explain("abcd")] == ["maxLength"]
    assert Node(node.book, ()).accepts(1)


def test_what_cannot_be_compiled_accepts_nothing() -> None:
    node = node_of({"$ref": "#/schemas/none"})
    assert not node.is_sound()
    assert not node.accepts(1)
    assert node.explain(1) == []
    assert node.text() != node_of({"$ref": "#/schemas/none"}).text()


def test_a_group_of_keywords_is_compared_with_what_it_refers_to() -> None:
    def group(kind: str) -> str:
        node = node_of({"not": {"$ref": "#/schemas/a"}, "minContains": 2}, {"a": {"type": kind}})
        return node.book.group(node.parts[0], ["not", "minContains"])

    assert group("string") == group("string")
    assert group("string") != group("null")


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
