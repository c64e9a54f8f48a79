"""The states of a connection, and the map of them."""

from channeld.server import state


def test_the_map_shows_every_state() -> None:
    assert state.__doc__ is not None
    drawn = state.__doc__.partition("\n\n")[2].partition("\n\n")[0]
    assert [each.name for each in state.State if each.name not in drawn] == []
