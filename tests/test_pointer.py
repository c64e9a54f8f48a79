from channeld.pointer import at, leaves, tokens, value_at
from channeld.protocol.frames import Json


def test_a_pointer_escapes_its_keys() -> None:
    assert at("/channels", "a/b~c", 0) == "/channels/a~1b~0c/0"


def test_a_value_is_found_at_its_pointer() -> None:
    root: Json = {"a/b": [{"c": 1}]}
    assert value_at(root, "/a~1b/0/c") == 1
    assert value_at(root, "") == root


def test_nothing_is_found_where_nothing_is() -> None:
    assert value_at({"a": [1]}, "/a/1") is None
    assert value_at({"a": [1]}, "/a/x") is None
    assert value_at({"a": 1}, "/a/b") is None


def test_a_pointer_is_taken_apart_into_its_keys() -> None:
    assert tokens("") == []
    assert tokens(at("", "a/b~c", "~1", 0)) == ["a/b~c", "~1", "0"]


def test_leaves_are_told_with_their_pointers_in_order() -> None:
    value: Json = {"a": [1, {"b/c": None}], "d": "x", "e": {}, "f": []}
    assert list(leaves(value)) == [(1, "/a/0"), (None, "/a/1/b~1c"), ("x", "/d")]
    assert list(leaves(True, "/here")) == [(True, "/here")]
