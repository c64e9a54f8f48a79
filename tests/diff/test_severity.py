import itertools

import pytest

from channeld.diff.change import Level
from channeld.diff.severity import Direction, level_of
from channeld.schema.compare.difference import Effect, Fact, SchemaPosition
from tests.diff.kit import node_of

HERE = SchemaPosition(None, None, node_of(True), node_of(True))
CODES = [f"D3{n:02}" for n in range(1, 18)] + ["D399"]
B, D, S = Level.BREAKING, Level.DANGEROUS, Level.SAFE


@pytest.mark.parametrize(("code", "effect"), list(itertools.product(CODES, Effect)))
def test_safe_is_never_said_of_what_may_hurt(code: str, effect: Effect) -> None:
    fact = Fact(code, effect, HERE, "", closed=True)
    if effect is not Effect.NOTHING and level_of(fact, Direction.SENT) is S:
        assert not fact.may_lose()
    for direction in (Direction.RECEIVED, Direction.PASSED_ON):
        if effect is not Effect.NOTHING and level_of(fact, direction) is S:
            assert not fact.may_win()


@pytest.mark.parametrize(
    ("fact", "sent", "received", "passed_on"),
    [
        (Fact("D301", Effect.NARROWS, HERE, ""), B, S, S),
        (Fact("D301", Effect.NARROWS, HERE, "", closed=True), B, D, D),
        (Fact("D302", Effect.WIDENS, HERE, ""), S, B, B),
        (Fact("D303", Effect.WIDENS, HERE, ""), D, D, D),
        (Fact("D303", Effect.NARROWS, HERE, "", required=True), B, B, B),
        (Fact("D304", Effect.NARROWS, HERE, ""), D, S, S),
        (Fact("D304", Effect.WIDENS, HERE, "", closed=True), S, D, D),
        (Fact("D309", Effect.WIDENS, HERE, ""), S, B, B),
        (Fact("D309", Effect.WIDENS, HERE, "", extensible=True), S, D, D),
        (Fact("D311", Effect.WIDENS, HERE, ""), S, B, D),
        (Fact("D312", Effect.UNKNOWN, HERE, ""), D, D, D),
        (Fact("D312", Effect.WIDENS, HERE, ""), S, D, D),
        (Fact("D314", Effect.WIDENS, HERE, ""), S, D, D),
        (Fact("D317", Effect.NOTHING, HERE, ""), D, S, S),
        (Fact("D399", Effect.MAY_NARROW, HERE, ""), D, S, S),
    ],
    ids=lambda value: value.code if isinstance(value, Fact) else "",
)
def test_the_table(fact: Fact, sent: Level, received: Level, passed_on: Level) -> None:
    assert [level_of(fact, way) for way in Direction] == [sent, received, passed_on]
