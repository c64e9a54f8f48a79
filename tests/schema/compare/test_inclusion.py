import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.inclusion import Inclusion, inclusion

TEXT: Json = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}


@pytest.mark.parametrize("outer", [True, {}, TEXT, {"properties": {"a": {"maxLength": 4}}}])
def test_what_is_inside_is_proven(outer: Json) -> None:
    assert inclusion(TEXT, outer) == Inclusion()


def test_what_is_outside_is_shown_by_a_value() -> None:
    found = inclusion(TEXT, {"properties": {"a": {"maxLength": 2}}})
    assert found.refuted == ({"a": "hel"}, "`/a` must have at most 2 characters") or (
        found.refuted is not None and len(str(found.refuted[0]["a"])) == 3  # type: ignore[index, call-overload]
    )


def test_what_can_not_be_told_says_where() -> None:
    outer: Json = {"properties": {"a": {"pattern": "^[^\u2603]*$"}}}
    assert inclusion(TEXT, outer).undecided == "`pattern` of `a` can't be compared"
    whole: Json = {"$ref": "#/$defs/n", "$defs": {"n": {"unevaluatedProperties": {"maxLength": 9}}}}
    assert inclusion(TEXT, whole).undecided == "`unevaluatedProperties` looks at all of it"
