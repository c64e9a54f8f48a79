from channeld.protocol.frames import Json
from channeld.schema.compare.compare import compare
from channeld.schema.compare.counterexample import find
from tests.diff.kit import node_of


def shown(old: Json, new: Json, *, gained: bool = False, is_frame: bool = True) -> object:
    (fact,) = compare(node_of(old), node_of(new))
    return find(fact, gained=gained, is_frame=is_frame)


def closed(**properties: Json) -> Json:
    return {
        "type": "object",
        "required": ["k"],
        "additionalProperties": False,
        "properties": {"k": {"const": 1}, **properties},
    }


def test_the_frame_has_what_else_is_required() -> None:
    old, new = (closed(a={"type": "string", "maxLength": n}) for n in (3, 2))
    assert shown(old, new) == ({"k": 1, "a": "a b"}, "`/a` must have at most 2 characters")


def test_the_difference_lies_deep_inside() -> None:
    old, new = (
        closed(a={"type": "array", "items": closed(b={"enum": [*b]})}) for b in ((1, 2), (1,))
    )
    found = shown(old, new)
    assert found == ({"k": 1, "a": [{"k": 1, "b": 2}]}, "`/a/0/b` must be 1")


def test_what_can_come_now_and_could_not_before() -> None:
    found = shown(closed(a={"type": "integer"}), closed(a={"type": "number"}), gained=True)
    assert found == ({"k": 1, "a": 1.5}, "`/a` must be an integer, not a number")


def test_a_frame_has_no_type_and_id_of_its_own() -> None:
    old: Json = {"type": "object", "properties": {"id": {"type": "string", "maxLength": 2}}}
    new: Json = {"type": "object", "properties": {"id": {"type": "string", "maxLength": 1}}}
    assert shown(old, new) is None
    assert shown(old, new, is_frame=False) == ({"id": "a1"}, "`/id` must have at most 1 character")


def test_nothing_is_shown_that_was_not_found() -> None:
    old: Json = {"type": "string", "pattern": "^qqqq[0-9]{7}$"}
    new: Json = {"type": "string", "pattern": "^qqqq[0-9]{8}$"}
    assert shown(old, new, is_frame=False) is None


def test_a_value_out_of_the_schema_is_masked_where_it_is_sensitive() -> None:
    pin: Json = {"type": "string", "pattern": "^pla", "examples": ["planted"], "x-sensitive": True}
    assert isinstance(pin, dict)
    found = shown(closed(a=pin), closed(a={**pin, "maxLength": 6}))
    assert found == ({"k": 1, "a": "•••"}, "`/a` must have at most 6 characters")
