"""Colour, or none."""

import io

import pytest

from channeld.cli.output import has_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_colour", "coloured"), [(None, True), ("", True), ("1", False)])
def test_terminal_shows_colour_unless_it_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch, no_colour: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour is not None:
        monkeypatch.setenv("NO_COLOR", no_colour)
    assert has_colour(Terminal()) is coloured


def test_what_is_no_terminal_shows_none() -> None:
    assert not has_colour(io.StringIO())
