import pytest

from channeld.config.model import Message
from channeld.plan.options.require import RequireOption, require_differences
from channeld.protocol.frames import Json


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
    found = require_differences(*((one,) if one else () for one in (old, new)))
    assert [(each.code, each.level, each.is_of_security) for each in found] == expected


ADMIN: dict[str, Json] = {"role": "admin"}
WRITE: dict[str, Json] = {"docs.{params.id}": ["write", "own"]}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            (ADMIN,),
            (ADMIN, WRITE),
            [("D404", '`docs.{params.id}` "write" or "own" is now sufficient')],
        ),
        ((ADMIN, WRITE), (WRITE,), [("D403", '`role` "admin" is no longer sufficient')]),
        ((), (ADMIN, WRITE), [("D403", "no claim at all is no longer sufficient")]),
        ((ADMIN, WRITE), (), [("D404", "no claim is required any longer")]),
        ((ADMIN, WRITE), (WRITE, ADMIN), []),
    ],
)
def test_alternatives(
    old: tuple[dict[str, Json], ...],
    new: tuple[dict[str, Json], ...],
    expected: list[tuple[str, str]],
) -> None:
    found = require_differences(old, new)
    assert [(each.code, each.words) for each in found] == expected


def test_a_claim_that_is_asked_for_no_longer_stood_in_the_old_file() -> None:
    found = {each.key: each.is_gone for each in require_differences((ADMIN,), (WRITE,))}
    assert found == {"role": True, "docs.{params.id}": False}


def test_it_is_shown_to_machines_and_people() -> None:
    option = RequireOption()
    one, several = (Message(schema=True, require=asked) for asked in ((ADMIN,), (ADMIN, WRITE)))
    assert (option.shown(one), option.shown(several)) == (ADMIN, [ADMIN, WRITE])
    assert option.words(one) == 'Only with the claim `role` `"admin"`.'
    assert option.words(several).count(", or the claim") == 1
    nothing = Message(schema=True)
    assert (option.shown(nothing), option.words(nothing)) == (None, "")
    assert [*option.outcomes("say", nothing)] == []
    assert [*option.outcomes("say", one)] == [("refusal", "say (FORBIDDEN)")]
