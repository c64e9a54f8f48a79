from channeld.diff.change import Level
from channeld.diff.comparison import OBJECT, Comparison, Use
from channeld.diff.severity import Direction
from tests.diff.kit import BASE, diff, instead, side

SCHEMA = "/channels/room/messages/say/schema"


def use(direction: Direction) -> Use:
    return Use(
        pointer=SCHEMA,
        old=SCHEMA,
        direction=direction,
        affects="senders",
        receivers="receivers",
        frame_type="say",
    )


LONGER = instead("text: {type: string}", "text: {type: [string, 'null']}")


def test_places_are_of_the_new_side_and_related_ones_of_the_old() -> None:
    comparison = Comparison(side(BASE, "old.yaml"), side(LONGER, "new.yaml"))
    change = comparison.gone("D201", Level.BREAKING, "gone", SCHEMA + "/x", near="/channels/room")
    assert (change.place.file, change.place.line) == ("new.yaml", 3)
    assert [related.place.file for related in change.related] == ["old.yaml"]


def test_a_direction_decides_how_bad_it_is_and_for_whom() -> None:
    comparison = Comparison(side(BASE), side(LONGER))
    found = {way: next(comparison.schemas(use(way))) for way in Direction}
    assert [found[way].level for way in Direction] == [Level.SAFE, Level.BREAKING, Level.BREAKING]
    assert found[Direction.SENT].affects == ("senders",)
    assert found[Direction.PASSED_ON].affects == ("receivers",)
    assert "safe for clients that send it" in found[Direction.PASSED_ON].note


def test_a_witness_is_a_whole_frame() -> None:
    comparison = Comparison(side(BASE), side(LONGER))
    (change,) = comparison.schemas(use(Direction.RECEIVED))
    assert change.witness is not None
    assert change.witness.value == {"type": "say", "text": None}
    assert change.witness.title == "now possible"
    assert change.witness.outcome == "not before: `/text` must be a string, not null"


def test_frames_are_objects_whatever_their_schema_says() -> None:
    old, new = side(instead("{type: object, required: [text]", "{required: [text]")), side(BASE)
    comparison = Comparison(old, new)
    assert comparison.node(SCHEMA, old=True) is not None
    assert list(comparison.schemas(use(Direction.SENT))) == []
    assert not comparison.implied(OBJECT).accepts("text")


def test_a_schema_in_a_file_of_its_own_is_shown_there() -> None:
    files = [{"say.json": f'{{"required": {names}}}'} for names in ("[]", '["text"]')]
    text = instead(
        "{type: object, required: [text], properties: {text: {type: string}}}", "say.json"
    )
    sides = [side(text, f"{name}.yaml", each) for name, each in zip("ab", files, strict=True)]
    (change,) = Comparison(sides[0], sides[1]).schemas(use(Direction.SENT))
    assert (change.code, change.place.file, change.path) == ("D301", "say.json", SCHEMA)


def test_a_schema_that_is_reached_on_two_ways_is_told_of_once() -> None:
    text = instead(
        "{text: {type: string}}", "{text: {$ref: '#/schemas/a'}, b: {$ref: '#/schemas/a'}}"
    )
    schemas = "schemas: {a: {type: string, maxLength: %s}}\n"
    assert [change.code for change in diff(text + schemas % 9, text + schemas % 8)] == ["D310"]
