"""Keys of a mapping while it is read."""

from channeld.config.mapping import Fields
from channeld.config.tree import Entry, Scalar, ScalarNode


def entry(value: str) -> Entry:
    scalar = Scalar("plain", value)
    return Entry(start=0, end=1, node=ScalarNode(start=2, end=3, scalar=scalar, value=value))


def test_merged_keys_stand_where_the_merge_stood() -> None:
    fields = Fields(own={"a": entry("1"), "z": entry("2")}, merged={"m": entry("3")}, merge_at=1)

    assert list(fields.entries()) == ["a", "m", "z"]


def test_own_keys_win_over_merged_ones() -> None:
    own = entry("mine")
    fields = Fields(own={"a": own}, merged={"a": entry("theirs")})

    assert fields.entries() == {"a": own}
