"""Colour, or none."""

import io
import json

import click
import pytest

from channeld.cli.output import has_colour, one_document


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


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (click.ClickException("it is not valid"), "it is not valid"),
        (KeyError("x"), "internal error"),
    ],
)
def test_what_ends_a_command_early_is_a_document_as_well(
    capsys: pytest.CaptureFixture[str], error: Exception, reason: str
) -> None:
    with pytest.raises(type(error)), one_document("routes", as_json=True):
        raise error
    assert json.loads(capsys.readouterr().out) == {"version": 1, "error": reason, "routes": []}


@pytest.mark.parametrize("error", [click.exceptions.Exit(1), KeyboardInterrupt()])
def test_there_is_no_second_document(
    capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    with pytest.raises(type(error)), one_document("routes", as_json=True):
        raise error
    assert not capsys.readouterr().out


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), one_document("routes", as_json=False):
        raise KeyError
    assert not capsys.readouterr().out
