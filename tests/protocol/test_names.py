import pytest

from channeld.protocol.names import is_room_name


@pytest.mark.parametrize("name", ["a", "a" * 128, "a b", "é", "日本", "*", "../x", "😀"])
def test_names(name: str) -> None:
    assert is_room_name(name)


@pytest.mark.parametrize("name", ["", "a" * 129, "a\n", "\x7f", "e\u0301", "\x85", "\ud800"])
def test_what_is_none(name: str) -> None:
    assert not is_room_name(name)
