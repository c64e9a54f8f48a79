from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.protocol.frames import Json
from channeld.schema.compiled import compiled
from channeld.schema.large_enum import KEYWORD, LargeEnum, with_sets

OPTIONS: list[Json] = [{"v": n} for n in range(20)]


def test_only_a_large_enum_is_replaced_wherever_it_stands() -> None:
    small: Json = {"items": {"enum": [*OPTIONS[:16], "a", "b"]}}
    assert with_sets(small) == small
    assert with_sets({"enum": OPTIONS}) == {KEYWORD: OPTIONS}
    deep: Json = {"$defs": {"a": {"anyOf": [{"enum": OPTIONS}, True]}}, "enum": [1]}
    assert with_sets(deep) == {"$defs": {"a": {"anyOf": [{KEYWORD: OPTIONS}, True]}}, "enum": [1]}


def test_a_value_is_looked_up_and_not_compared() -> None:
    asked: list[object] = []

    class Told(dict[str, Json]):
        __hash__ = None

        def __eq__(self, other: object) -> bool:
            asked.append(other)
            return super().__eq__(other)

    keyword = LargeEnum(None, [Told(v=n) for n in range(1_000)], None)
    keyword.validate({"v": 999})
    with pytest.raises(ValueError, match="not listed"):
        keyword.validate({"v": 1_000})
    assert asked == []


def test_a_refusal_has_the_words_of_an_enum() -> None:
    (found,) = compiled({"properties": {"a": {"enum": OPTIONS}}}).explain({"a": {"v": 99}})
    assert (found.path, found.keyword) == ("/a", "enum")
    assert found.message == "is not one of the allowed values"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=8), VALUES)
def test_it_accepts_what_the_enum_does(options: list[Any], value: Any) -> None:
    large = [*options, *OPTIONS]
    plain: Json = {"anyOf": [{"const": option} for option in large]}
    assert compiled({"enum": large}).accepts(value) is compiled(plain).accepts(value)
