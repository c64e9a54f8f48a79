"""`docs/man/`: a manual page for each command, from click's tree."""

import re
from collections.abc import Iterator

import click

from channeld.cli.main import cli

__all__ = ["man_pages"]

_EXITS = (
    ("0", "fine"),
    ("1", "the check failed"),
    ("2", "wrong usage, or a file that can't be read"),
    ("130", "interrupted"),
    ("141", "the reader of the output went away"),
)


def man_pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    return dict(_pages(cli, "channeld"))


def _pages(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    names = cli.context_settings["help_option_names"]
    context = click.Context(command, info_name=name, help_option_names=names)
    below: list[tuple[str, click.Command]] = []
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            found = command.get_command(context, one)
            if found is not None:
                below.append((f"{name} {one}", found))
    yield f"{name.replace(' ', '-')}.1", _page(command, context, name, below)
    for path, found in below:
        yield from _pages(found, path)


def _page(
    command: click.Command,
    context: click.Context,
    name: str,
    below: list[tuple[str, click.Command]],
) -> str:
    title = name.replace(" ", "-")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{title.upper()}" 1 "" "channeld" "channeld manual"',
        ".SH NAME",
        f"{_said(title)} \\- {_said(command.get_short_help_str(200))}",
        ".SH SYNOPSIS",
        f".B {_said(name)}",
        _said(usage),
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
    ]
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    lines += _definitions(
        "OPTIONS", [pair for one in options if (pair := one.get_help_record(context))]
    )
    lines += _definitions("COMMANDS", [(path, one.get_short_help_str(200)) for path, one in below])
    lines += _definitions("EXIT STATUS", list(_EXITS))
    others = (
        ["channeld", *(path for path, _ in below)] if name != "channeld" else [p for p, _ in below]
    )
    lines += [".SH SEE ALSO", ", ".join(f"{_said(one.replace(' ', '-'))}(1)" for one in others)]
    return "\n".join(lines) + "\n"


def _definitions(head: str, pairs: list[tuple[str, str]]) -> list[str]:
    if not pairs:
        return []
    lines = [f".SH {head}"]
    for name, meaning in pairs:
        lines += [".TP", f"\\fB{_said(name)}\\fR", _said(meaning)]
    return lines


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        if paragraph.lstrip().startswith("\b"):
            yield ".nf"
            yield from (
                _said(line.strip()) for line in paragraph.replace("\b", "").strip("\n").split("\n")
            )
            yield ".fi"
        else:
            yield _said(" ".join(paragraph.split()))


def _said(text: str) -> str:
    """Text in which roff sees no request and no escape."""
    text = " ".join(text.split()) if "\n" in text else text
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text
