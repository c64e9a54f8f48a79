import pytest

from channeld.diff.comparison import Comparison
from channeld.diff.requirements import requirements
from channeld.protocol.frames import Json
from tests.diff.kit import BASE, side


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, {"role": "admin"}, [("D403", "breaking", False)]),
        ({"role": "admin"}, None, [("D404", "safe", True)]),
        ({"role": "admin"}, {"role": ["admin", "owner"]}, [("D404", "safe", True)]),
        ({"role": ["admin", "owner"]}, {"role": "owner"}, [("D403", "breaking", False)]),
        (
            {"role": "admin"},
            {"role": "owner"},
            [("D403", "breaking", False), ("D404", "safe", True)],
        ),
        ({"role": "admin"}, {"role": ["admin"]}, []),
        ({"level": {"minimum": 3}}, {"level": {"minimum": 2}}, [("D404", "safe", True)]),
        ({"level": {"minimum": 2}}, {"level": {"minimum": 3}}, [("D403", "breaking", False)]),
        ({"level": {"minimum": 2}}, {"level": {"type": "number", "minimum": 2}}, []),
        ({"age": 1}, {"age": True}, [("D403", "breaking", False), ("D404", "safe", True)]),
    ],
)
def test_claims_that_are_asked_for(
    old: dict[str, Json] | None, new: dict[str, Json] | None, expected: list[tuple[str, str, bool]]
) -> None:
    comparison = Comparison(side(BASE), side(BASE))
    pointer = "/channels/room/require"
    were, are = ((one,) if one else () for one in (old, new))
    found = requirements(comparison, were, are, (pointer, pointer), "clients")
    assert [(c.code, str(c.level), c.security) for c in found] == expected


ADMIN: dict[str, Json] = {"role": "admin"}
WRITE: dict[str, Json] = {"docs.{params.id}": ["write", "own"]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((ADMIN,), (ADMIN, WRITE), [("D404", '`docs.{params.id}` "write" or "own" will do now')]),
        ((ADMIN, WRITE), (WRITE,), [("D403", '`role` "admin" will no longer do')]),
        ((), (ADMIN, WRITE), [("D403", "no claim at all will no longer do")]),
        ((ADMIN, WRITE), (), [("D404", "no claim is asked for any longer")]),
        ((ADMIN, WRITE), (WRITE, ADMIN), []),
    ],
)
def test_alternatives(
    old: tuple[dict[str, Json], ...],
    new: tuple[dict[str, Json], ...],
    expected: list[tuple[str, str]],
) -> None:
    comparison = Comparison(side(BASE), side(BASE))
    pointer = "/channels/room/require"
    found = requirements(comparison, old, new, (pointer, pointer), "clients")
    assert [(c.code, c.message) for c in found] == expected
