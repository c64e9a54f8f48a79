import pytest

from channeld.protocol.frames import Json
from channeld.schema.compare.difference import Effect, Fact, SchemaPosition
from channeld.schema.compare.keyword_rules import defaults, facets, values
from tests.diff.kit import node_of

N, W, C, U = Effect.NARROWS, Effect.WIDENS, Effect.CHANGES, Effect.UNKNOWN


def found(old: Json, new: Json) -> list[Fact]:
    here = SchemaPosition(None, None, node_of(old), node_of(new))
    forms = here.forms
    if forms[0].values is not None or forms[1].values is not None:
        return list(values(here, *forms))
    return [*facets(here, *forms), *defaults(here, *forms)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"type": "string"}, {"type": ["string", "null"]}, [("D316", W)]),
        ({"type": "number"}, {"type": "integer"}, [("D305", N)]),
        ({"type": "number"}, {"type": "string"}, [("D307", C)]),
        ({"type": "string"}, {}, [("D306", W)]),
        ({"maxLength": 3}, {"maxLength": 4}, [("D311", W)]),
        ({"minItems": 3}, {"minItems": 4}, [("D310", N)]),
        ({"minItems": 3}, {}, [("D311", W)]),
        ({"type": "string", "maxItems": 1}, {"type": "string"}, []),
        ({"uniqueItems": True}, {}, [("D311", W)]),
        ({}, {"uniqueItems": True}, [("D310", N)]),
        ({"maximum": 5}, {"exclusiveMaximum": 5}, [("D310", N)]),
        ({"minimum": 5}, {"minimum": 4.5}, [("D311", W)]),
        ({}, {"minimum": 0}, [("D310", N)]),
        ({"multipleOf": 4}, {"multipleOf": 2}, [("D311", W)]),
        ({"multipleOf": 0.1}, {"multipleOf": 0.3}, [("D310", N)]),
        ({"multipleOf": 2}, {"multipleOf": 3}, [("D310", C)]),
        ({"pattern": "a"}, {"pattern": "b"}, [("D312", U)]),
        ({"pattern": "a"}, {}, [("D312", W)]),
        ({}, {"format": "date"}, [("D312", N)]),
        ({"default": 1}, {"default": 2}, [("D317", Effect.NOTHING)]),
        ({"default": 1}, {"default": 1.0}, []),
        ({"enum": [1, 2]}, {"enum": [2, 3]}, [("D308", N), ("D309", W)]),
        ({"type": "integer"}, {"enum": [2, "a"]}, [("D308", N), ("D309", W)]),
        ({"enum": [1, 2]}, {"type": "integer"}, [("D309", W)]),
        ({"enum": [1, "a"], "type": "integer"}, {"const": 1}, []),
    ],
)
def test_each_keyword(old: Json, new: Json, expected: list[tuple[str, Effect]]) -> None:
    assert [(fact.code, fact.effect) for fact in found(old, new)] == expected


def test_a_label_says_what_was_before() -> None:
    (fact,) = found({"maxLength": 3}, {"maxLength": 1})
    assert (fact.message, fact.label) == ("the frame now has at most 1 character", "3 before")
