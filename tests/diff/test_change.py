import attrs
import pytest

from channeld.diagnostics.diagnostic import Place
from channeld.diff.change import Change, Level, merged, worst

ONE = Change(
    code="D310",
    level=Level.BREAKING,
    message="shorter",
    place=Place("a.yaml", 3),
    path="/schemas/text/maxLength",
    uses=("/channels/a/messages/say",),
    affects=("a",),
)


def test_the_worst_of_levels() -> None:
    assert worst([Level.SAFE, Level.DANGEROUS]) is Level.DANGEROUS
    assert worst([Level.SAFE, Level.BREAKING, Level.DANGEROUS]) is Level.BREAKING
    assert worst([]) is Level.SAFE


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/schemas/text", True),
        ("/schemas/te", False),
        ("/channels/a/messages/say", True),
        ("/channels/a", True),
        ("/channels/b", False),
    ],
)
def test_what_a_change_lies_under(pointer: str, expected: bool) -> None:
    assert ONE.is_under(pointer) is expected


def test_all_uses_have_to_be_under_a_pointer() -> None:
    both = attrs.evolve(ONE, uses=(*ONE.uses, "/channels/b/messages/say"))
    assert not both.is_under("/channels/a")
    assert both.is_under("/channels")


def test_one_change_that_two_types_feel_is_one() -> None:
    other = attrs.evolve(ONE, uses=("/channels/b/messages/say",), affects=("b",))
    (joined,) = merged([ONE, other])
    assert joined.affects == ("a", "b")
    assert joined.uses == ("/channels/a/messages/say", "/channels/b/messages/say")


def test_two_things_that_are_gone_from_one_place_stay_two() -> None:
    assert len(list(merged([ONE, attrs.evolve(ONE, message="other is gone")]))) == 2


def test_changes_are_sorted_by_place() -> None:
    first = attrs.evolve(ONE, place=Place("a.yaml", 1))
    assert [change.place.line for change in merged([ONE, first])] == [1, 3]
