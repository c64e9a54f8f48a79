import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.schema_ref import Node, canonical, implied
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
