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
        ({"age": 1}, {"age": True}, [("D403", "breaking", False), ("D404", "safe", True)]),
    ],
)
def test_claims_that_are_asked_for(
    old: dict[str, Json] | None, new: dict[str, Json] | None, expected: list[tuple[str, str, bool]]
) -> None:
    comparison = Comparison(side(BASE), side(BASE))
    pointer = "/channels/room/require"
    found = requirements(comparison, old, new, (pointer, pointer), "clients")
    assert [(c.code, str(c.level), c.security) for c in found] == expected
