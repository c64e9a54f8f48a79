import pytest

from channeld.diff.comparison import Desk
from channeld.diff.delivered import source
from channeld.diff.fields import fields
from channeld.protocol.frames import Json
from tests.diff.kit import BASE, side


def found(old: dict[str, Json], new: dict[str, Json]) -> list[tuple[str, str]]:
    desk = Desk(side(BASE), side(BASE))
    sides = [{name: source(value) for name, value in each.items()} for each in (old, new)]
    changes = fields(desk, sides[0], sides[1], ("/channels/room", "/channels/room"), "it")
    return [(change.code, str(change.level)) for change in changes]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": "{now}"}, {"a": "{now}"}, []),
        ({"a": "{now}"}, {}, [("D603", "breaking")]),
        ({}, {"a": "{now}"}, [("D604", "safe")]),
        ({"a": "{now}"}, {"a": "{now_ms}"}, [("D605", "breaking")]),
        ({"a": "{claims.a}"}, {"a": "{claims.b}"}, [("D605", "dangerous")]),
        ({"a": "{claims.a}"}, {"a": "{claims.a?}"}, [("D605", "breaking")]),
        ({"a": "{claims.a?}"}, {"a": "{claims.a}"}, [("D605", "safe")]),
        ({"a": 1}, {"a": "1"}, [("D605", "breaking")]),
    ],
)
def test_fields_that_the_server_makes(
    old: dict[str, Json], new: dict[str, Json], expected: list[tuple[str, str]]
) -> None:
    assert found(old, new) == expected
