"""Colour, or none."""

import io
import json
from pathlib import Path

import click
import pytest

from channeld.cli.output import JsonCommand, compare, has_colour


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_colour", "coloured"), [(None, True), ("", True), ("1", False)])
def test_terminal_shows_colour_unless_it_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch, no_colour: str | None, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if no_colour is not None:
        monkeypatch.setenv("NO_COLOR", no_colour)
    assert has_colour(Terminal()) is coloured


def test_a_dumb_terminal_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert not has_colour(Terminal())


def test_what_is_no_terminal_shows_none() -> None:
    assert not has_colour(io.StringIO())


@click.command("try", cls=JsonCommand, empty={"name": "", "tries": []})
@click.argument("name")
@click.option("--format", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def command(error: Exception, name: str, format: str) -> None:
    raise error


def told(*arguments: str, error: Exception | None = None) -> None:
    with pytest.raises(type(error) if error is not None else click.UsageError):
        command.main([*arguments], standalone_mode=False, obj=error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (click.ClickException("it is not valid"), "it is not valid"),
        (KeyError("x"), "internal error"),
        (
            FileNotFoundError(2, "No such file or directory", "/no/report"),
            "/no/report: No such file or directory",
        ),
    ],
)
def test_what_ends_a_command_early_is_a_document_as_well(
    capsys: pytest.CaptureFixture[str], error: Exception, reason: str
) -> None:
    told("ann", "--format", "json", error=error)
    document = json.loads(capsys.readouterr().out)
    assert document == {"version": 1, "error": reason, "name": "ann", "tries": []}


@pytest.mark.parametrize("json_asked", [["--format", "json"], ["--format=json"]])
def test_a_refused_option_is_a_document_as_well(
    capsys: pytest.CaptureFixture[str], json_asked: list[str]
) -> None:
    told("ann", *json_asked, "--loud")
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "version": 1, "error": "No such option '--loud'.", "name": "", "tries": [],
    }  # fmt: skip


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    told("ann", error=KeyError("x"))
    told("ann", "--loud")
    assert not capsys.readouterr().out


def test_a_file_that_is_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, "a\n", "a\n", "no") == 0
    assert capsys.readouterr().err == f"{tmp_path} is up to date\n"


def test_a_file_that_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, "a\n", "b\n", "it differs") == 1
    shown = capsys.readouterr()
    assert shown.out.endswith("-a\n+b\n")
    assert shown.err == "Error: it differs\n"
