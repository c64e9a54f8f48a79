from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.scenarios.matching import MISSING, Env, compare, fill, same, shown

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    ),
    max_leaves=8,
)


def words(pattern: Any, value: Any, **env: Any) -> list[tuple[str, str, str]]:
    found = compare(pattern, value, Env(**env))
    return [(one.path, one.expected, one.got) for one in found]


@given(JSON)
@settings(max_examples=60)
def test_a_value_matches_itself_and_exactly(value: Any) -> None:
    assert words(value, value) == []
    assert words({"$exact": value}, value) == []


@given(JSON, JSON)
@settings(max_examples=200)
def test_exact_is_equality(one: Any, other: Any) -> None:
    assert (words({"$exact": one}, other) == []) is same(one, other)


@given(st.dictionaries(st.sampled_from("xyz"), JSON), JSON)
@settings(max_examples=60)
def test_objects_match_as_subsets(value: dict[str, Any], more: Any) -> None:
    assert words(value, {**value, "more": more}) == []


def test_every_difference_has_its_place() -> None:
    pattern = {"a": {"b": 1}, "c": [1, 2], "d/e": "x"}
    value = {"a": {"b": 2}, "c": [1, 3]}
    assert words(pattern, value) == [
        ("/a/b", "1", "2"),
        ("/c/1", "2", "3"),
        ("/d~1e", '"x"', "nothing"),
    ]


def test_lists_have_the_same_length() -> None:
    assert words([1], [1, 2]) == [("", "a list of 1", "2: [1, 2]")]
    assert words([1], {"0": 1}) == [("", "[1]", '{"0": 1}')]


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (None, False), ("1", 1)])
def test_json_values_of_other_types_differ(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same([one], [other])


def test_numbers_are_equal_by_value() -> None:
    assert same(1, 1.0)
    assert same({"a": [1.0]}, {"a": [1]})


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ({"$any": True}, None, MISSING),
        ("$any", 0, MISSING),
        ({"$absent": True}, MISSING, None),
        ("$absent", MISSING, 1),
        ({"$absent": False}, None, MISSING),
        ({"$type": "integer"}, 2.0, 2.5),
        ({"$type": "number"}, 2.5, True),
        ({"$type": "null"}, None, MISSING),
        ({"$type": "array"}, [], {}),
        ({"$regex": "b"}, "abc", "ac"),
        ({"$regex": "1"}, "1", 1),
        ({"$len": 2}, "ab", "abc"),
        ({"$len": {"$gt": 1}}, [1, 2], [1]),
        ({"$len": 0}, {}, 0),
        ({"$gt": 1}, 1.5, 1),
        ({"$gt": "a"}, "b", 5),
        ({"$lt": 1}, 0, True),
        ({"$schema": {"maximum": 3}}, 3, 4),
        ({"$schema": False}, None, 1),
        ({"$schema": "#/schemas/text"}, "a", ""),
        ({"$exact": {"a": "$any"}}, {"a": 1}, {"a": 1, "b": 2}),
        ({"$gt": 1, "$lt": 3}, 2, 3),
        ({"$len": 2, "a": 1}, {"a": 1, "b": 2}, {"a": 1}),
        ({"$ref": "seen"}, [1], [2]),
    ],
)
def test_matchers(pattern: Any, good: Any, bad: Any) -> None:
    env: dict[str, Any] = {
        "captured": {"seen": [1]},
        "schemas": {"text": {"type": "string", "minLength": 1}},
    }
    if pattern != {"$schema": False}:
        assert words(pattern, good, **env) == []
    assert words(pattern, bad, **env) != []


def test_a_matcher_says_what_it_wants() -> None:
    assert words({"$len": {"$gt": 2}}, "ab") == [("/$len/$gt", "length more than 2", "2")]
    assert words({"$schema": {"required": ["a"]}}, {}) == [
        ("/$schema", 'what the schema accepts ("a" is required)', "{}")
    ]
    assert words({"$schema": "#/schemas/no"}, {}) == [
        ("/$schema", "the configuration to have `#/schemas/no`", "none of this name")
    ]


def test_captures_are_taken_where_the_value_is_there() -> None:
    env = Env()
    assert (
        compare(
            {"a": {"$capture": "x", "$type": "integer"}, "b": {"$ref": "x"}}, {"a": 1, "b": 1}, env
        )
        == []
    )
    assert env.taken == {"x": 1}
    assert words({"a": {"$capture": "x"}}, {}) == [("/a/$capture", "anything", "nothing")]


def test_fill_puts_captured_values_into_what_is_sent() -> None:
    env = Env(captured={"x": {"y": 1}})
    assert fill({"a": [{"$ref": "x"}], "$ref": 1, "b": {"$ref": "z"}}, env) == {
        "a": [{"y": 1}],
        "$ref": 1,
        "b": None,
    }


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 500)) == 120
    assert shown("é") == '"é"'
    assert shown({"a": 1}, 5) == '{"a"…'
