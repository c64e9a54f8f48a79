from channeld.schema.compare.difference import ITEM, OTHER, Effect, Fact, SchemaPosition, Spot
from channeld.schema.compare.schema_ref import Node, implied
from tests.diff.kit import node_of

NODE = node_of({"type": "object"})
ROOT = SchemaPosition(None, None, NODE, NODE)


def below(*steps: object) -> SchemaPosition:
    here = ROOT
    for step in steps:
        here = SchemaPosition(here, step, NODE, NODE)  # type: ignore[arg-type]  # steps, all of them
    return here


def test_a_position_as_people_write_it() -> None:
    assert ROOT.shown() == ""
    assert below("a", "b", ITEM, 0, OTHER).shown() == "a.b[][0].*"
    assert below(None, "a", None).steps() == ("a",)


def test_the_way_up_ends_at_the_whole_value() -> None:
    assert list(below("a", "b").up())[-1] is ROOT


def test_what_an_effect_may_do() -> None:
    lose = {e for e in Effect if Fact("D399", e, ROOT, "").may_lose()}
    win = {e for e in Effect if Fact("D399", e, ROOT, "").may_win()}
    assert lose == {Effect.NARROWS, Effect.CHANGES, Effect.MAY_NARROW, Effect.UNKNOWN}
    assert win == {Effect.WIDENS, Effect.CHANGES, Effect.MAY_WIDEN, Effect.UNKNOWN}


def test_what_the_language_asks_for_stands_nowhere() -> None:
    asked = implied({"type": "object"}, "object")
    assert Spot.whole(Node(NODE.book, (asked,))) is None
    assert Spot.whole(Node(NODE.book, (asked, *NODE.parts))) == Spot(NODE.parts[0])
    assert Spot.of(None) is None


def test_what_a_sentence_is_about() -> None:
    assert ROOT.subject() == "the frame"
    assert below("a").subject("b") == "`a.b`"
